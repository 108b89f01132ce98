"""The input guard: wrong files are refused, doubtful scans reported once, and sound ones pass in silence."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.config import StudentConfig
from elite.data.guard import DoubtfulInput, InputGuard, examine, ground_plane, layout_fault, size_doubt
from elite.data.semantickitti import read_scan
from elite.errors import DataError
from elite.inference import Segmenter
from elite.student import SPVCNN, save_student
from elite.types import Camera, Scan

VOLUME = StudentConfig.volume
Change = Callable[[np.ndarray], np.ndarray]


def street(seed: int = 0, points: int = 6000, *, parked: int = 900) -> np.ndarray:
    """A level road at z = -1.73 with cars parked beside it: (n, 4) float32 x y z remission."""
    rng = np.random.default_rng(seed)

    def box(low: tuple[float, ...], high: tuple[float, ...], count: int) -> np.ndarray:
        return rng.uniform((*low, 0), (*high, 1), (count, 4))

    road, cars = box((-20, -20, -1.75), (20, 20, -1.71), points), box((-1, 4, -1.2), (1, 8, 0), parked)
    return np.concatenate([road, cars]).astype(np.float32)


def turned(values: np.ndarray) -> np.ndarray:
    """x forward, y left to x right, y forward."""
    return np.column_stack([-values[:, 1], values[:, 0], values[:, 2:]])


def no_returns(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[: len(changed) // 5, :3] = 0
    return changed


def scan_of(values: np.ndarray) -> Scan:
    values = np.ascontiguousarray(values, np.float32)
    return Scan(values[:, :3], values[:, 3])


# ---- layouts ------------------------------------------------------------------------------------------------------


def with_ring(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.arange(len(values)) % 64])


OTHER_LAYOUTS = {
    "float32 with 5": lambda v: with_ring(v).astype("<f4"),
    "float32 with 6": lambda v: np.column_stack([with_ring(v), np.linspace(0, 0.1, len(v))]).astype("<f4"),
    "float32 with 3": lambda v: v[:, :3].astype("<f4"),
    "float64 with 4": lambda v: v.astype("<f8"),
    "float64 with 5": lambda v: with_ring(v).astype("<f8"),
}


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_layout_fault_names_the_layout_whose_numbers_are_plausible(layout: str) -> None:
    """Lengths that fit the stated layout too, and lengths that do not."""
    for points in range(6000, 6004):
        found = layout_fault(OTHER_LAYOUTS[layout](street(points=points, parked=0)).tobytes())
        assert found == f"{layout} numbers a point ({points} points)"


def test_layout_fault_of_the_stated_layout_is_none() -> None:
    """Also with intensities up to 65,535, single wild points, and NaN in many rows; every even count fits float64."""
    bright, wild, holes = street() * (1, 1, 1, 65_535), street(), street()
    wild[7, :3] = 1e9
    holes[::3] = np.nan
    for values in (street(), bright, wild, holes, street()[:1]):
        assert layout_fault(values.astype("<f4").tobytes()) is None


def test_layout_fault_names_files_of_other_formats() -> None:
    npy = io.BytesIO()
    np.save(npy, street())
    assert layout_fault(npy.getvalue()) == "the contents of a .npy file"
    assert layout_fault(b"# .PCD v0.7\nVERSION 0.7\n") == "the contents of a .pcd file"


# ---- doubtful scans -------------------------------------------------------------------------------------------------

DOUBTS: dict[str, tuple[Change, str]] = {
    "no-returns": (no_returns, "found 20% at the origin"),
    "repeated": (lambda v: np.repeat(v[::20], 20, axis=0), "equal to the one before"),
    "bright": (lambda v: v * (1, 1, 1, 255), r"expected remission in 0\.\.1, found .* Divide 0\.\.255 by 255"),
    "dark": (lambda v: v * (1, 1, 1, 0.01), r"found at most 0\.0"),
    "constant zero": (lambda v: v * (1, 1, 1, 0), "found at most 0"),
    "mounted higher": (lambda v: np.subtract(v, (0, 0, 0.4, 0)), r"found it at -2\.1. m\. Shift z by \+0\.4"),
    "ground at 0": (lambda v: np.add(v, (0, 0, 1.73, 0)), r"found it at -?0\.0"),
    "tilted": (lambda v: np.add(v, np.outer(v[:, 0], (0, 0, 0.2, 0))), "slope of 11 degrees"),
    "far from the sensor": (lambda v: np.add(v, (55, 0, 0, 0)), "in the volume .* found .* outside"),
}


@pytest.mark.parametrize("change", DOUBTS)
def test_guard_reports_a_doubtful_scan_once_and_strictly_as_an_error(change: str) -> None:
    doubtful, message = DOUBTS[change]
    said: list[str] = []
    guard = InputGuard(VOLUME, said.append)
    for seed in range(3):
        guard.examine(scan_of(doubtful(street(seed))), f"scan {seed}")
    assert len(said) == 1
    assert said[0].startswith("scan 0: expected ")
    with pytest.raises(DataError, match=message):
        InputGuard(VOLUME, strict=True).examine(scan_of(doubtful(street())), "scan 0")


def test_guard_reports_turned_axes_once_several_scans_show_them() -> None:
    said: list[str] = []
    guard = InputGuard(VOLUME, said.append)
    for seed in range(8):
        guard.examine(scan_of(turned(street(seed))), f"scan {seed}")
        assert len(said) == (seed >= 4)
    assert "Turn the points to x forward, y left" in said[0]


def test_guard_is_silent_about_sound_scans() -> None:
    said: list[str] = []
    guard = InputGuard(VOLUME, said.append)
    for seed in range(30):
        guard.examine(scan_of(street(seed)))
    assert not said


def test_guard_is_silent_about_the_real_frames(real_kitti: Path) -> None:
    for path in sorted(real_kitti.glob("sequences/*/velodyne/*.bin")):
        found = examine(read_scan(path), VOLUME)
        assert (found.doubts, found.votes.along_x) == ((), 0)


def test_guard_catches_other_sensors_that_are_read_as_kitti(real_data: Path) -> None:
    """nuScenes has five columns and x to the right; RELLIS has no-returns and tiny intensities."""
    for path in (real_data / "nuscenes" / "samples" / "LIDAR_TOP").glob("*.bin"):
        with pytest.raises(DataError, match="found float32 with 5 numbers a point"):
            read_scan(path)
    said: list[str] = []
    InputGuard(VOLUME, said.append).examine(read_scan(real_data / "rellis" / "000104.bin"))
    assert [any(word in line for line in said) for word in ("at the origin", "remission", "ground")] == [True] * 3


def test_guard_finds_the_ground_among_walls_and_on_a_slope() -> None:
    values = street()
    rng = np.random.default_rng(1)
    wall = np.column_stack([rng.uniform(-14, 14, 4000), np.full(4000, 6.0), rng.uniform(-1.7, 2, 4000)])
    points = np.concatenate([values[:, :3] + np.outer(values[:, 0], (0, 0, 0.03)), wall]).astype(np.float32)
    ground = ground_plane(points)
    assert ground is not None
    assert ground.height == pytest.approx(-1.73, abs=0.05)
    assert ground.slope == pytest.approx(1.72, abs=0.3)


def test_size_doubt_of_resized_images() -> None:
    camera = Camera("image_2", np.array([[600.0, -700, 0, 0], [180, 0, -700, 0], [1, 0, 0, 0]]))
    assert size_doubt(camera, 376, 1241) is None
    assert "principal point of image_2 near the middle of the 2482 x 752 pixels, found (600, 180)" in (
        size_doubt(camera, 752, 2482) or ""
    )


# ---- where users meet it ---------------------------------------------------------------------------------------------


@pytest.fixture
def student(tmp_path: Path) -> Path:
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def test_segmenter_warns_from_python_and_raises_if_strict(student: Path) -> None:
    values = (street() * (1, 1, 1, 255)).astype(np.float32)
    with pytest.warns(DoubtfulInput, match="Divide"):
        Segmenter.load(student)(values[:, :3], values[:, 3])
    with pytest.raises(DataError, match="Divide"):
        Segmenter.load(student, strict=True)(values[:, :3], values[:, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Segmenter.load(student)(street()[:, :3], street()[:, 3])


def test_predict_warns_once_and_strict_skips_the_scans(student: Path, tmp_path: Path, capsys) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for i in range(3):
        no_returns(street(i)).tofile(scans / f"{i:06d}.bin")
    assert main(["predict", str(student), str(scans), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.count("elite: warning: ") == 1
    assert main(["predict", str(student), str(scans), "-o", str(tmp_path / "strict"), "--strict"]) == 1
    assert "0 scans labelled" in capsys.readouterr().out


def test_predict_reports_the_points_outside_the_volume(student: Path, tmp_path: Path, capsys) -> None:
    values = street()
    values[:69, 0] = 60
    values.tofile(tmp_path / "000000.bin")
    assert main(["predict", str(student), str(tmp_path / "000000.bin"), "-o", str(tmp_path / "out")]) == 0
    assert "69 of 6,900 points (1.0%) lie outside the student's volume" in capsys.readouterr().out


def test_train_reports_doubtful_scans_and_strict_refuses_them(tmp_path: Path, capsys) -> None:
    from tests.conftest import write_frame

    for i in range(2):
        write_frame(tmp_path / "kitti", "00", f"{i:06d}", street(i) * (1, 1, 1, 255), np.full(6900, 40))
    argv = ["train", "--config", "semantickitti-student", "--data.root", str(tmp_path / "kitti"), "--data.sequences=00"]
    argv += ["--data.val_sequences=none", "--student.channels=4", "--student.cells=[50,50,10]", "--data.batch_size=1"]
    argv += ["--data.workers=0", "--steps=1", "--accelerator=cpu"]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err.count("Divide 0..255 by 255") == 1
    assert main([*argv, "--out", str(tmp_path / "strict"), "--strict"]) == 2
    assert not (tmp_path / "strict").exists()
