"""The input guard: files in other layouts are refused, doubtful scans are reported once."""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import elite
from elite.cli import main
from elite.config import StudentConfig
from elite.datasets.doubts import size_doubt
from elite.datasets.input_guard import DoubtfulInput, InputGuard, examine
from elite.datasets.scan_encoding import find_other_encoding
from elite.datasets.scan_files import read_scan
from elite.datasets.surroundings import ground_plane
from elite.errors import DataError
from elite.inference import Segmenter
from elite.point_files import PointFields, encode_points
from elite.remission import quantiles_of
from elite.sensor import SensorSpec, load_sensor
from elite.student import SPVCNN, save_student
from elite.types import Camera
from tests.support.scans import write_frame
from tests.support.semantickitti import HDL_64E
from tests.support.street_scans import drive, in_firing_order, no_returns, scan_of, street, turned, with_ring

VOLUME = StudentConfig.volume
Change = Callable[[np.ndarray], np.ndarray]


# ---- layouts ------------------------------------------------------------------------------------------------------


OTHER_LAYOUTS = {
    "float32 with 5": lambda v: with_ring(v).astype("<f4"),
    "float32 with 6": lambda v: np.column_stack([with_ring(v), np.linspace(0, 0.1, len(v))]).astype("<f4"),
    "float32 with 3": lambda v: v[:, :3].astype("<f4"),
    "float64 with 4": lambda v: v.astype("<f8"),
    "float64 with 5": lambda v: with_ring(v).astype("<f8"),
}


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_find_other_encoding_names_the_layout_whose_numbers_are_plausible(layout: str) -> None:
    """Lengths that fit the stated layout too, and lengths that do not."""
    for points in range(6000, 6004):
        found = find_other_encoding(
            OTHER_LAYOUTS[layout](in_firing_order(street(points=points, parked=0))).tobytes(), HDL_64E
        )
        assert found is not None
        assert found.description == f"{layout} numbers per point ({points} points)"


def test_find_other_encoding_of_the_stated_layout_is_none() -> None:
    """Also with large or signed intensities, single wild points, NaN in many rows, or in the frame of a map."""
    bright, wild, holes, mapped = street() * (1, 1, 1, 65_535), street(), street(), np.add(street(), (5e5, 5e6, 0, 0))
    wild[7, :3] = 1e9
    holes[::3] = np.nan
    signed = in_firing_order(np.subtract(street() * (1, 1, 1, 2), (0, 0, 0, 1)))
    for values in (street(), bright, wild, holes, mapped, signed, street()[:1], np.empty((0, 4))):
        assert find_other_encoding(values.astype("<f4").tobytes(), HDL_64E) is None


@pytest.mark.parametrize("kind", ["text", "float16", "big-endian", "millimetres", "noise"])
def test_find_other_encoding_of_an_unknown_format_is_named(kind: str) -> None:
    values, rng = street(points=6100), np.random.default_rng(0)
    data = {
        "text": lambda: "\n".join(",".join(f"{x:.3f}" for x in row) for row in values).encode(),
        "float16": lambda: values.astype("<f2").tobytes(),
        "big-endian": lambda: values.astype(">f4").tobytes(),
        "millimetres": lambda: (values * 1000).astype("<i4").tobytes(),
        "noise": lambda: rng.bytes(16 * 5000),
    }[kind]()
    found = find_other_encoding(data[: len(data) // 16 * 16], HDL_64E)
    assert found is not None
    assert found.description == "numbers of another encoding, which are not metres"


def test_find_other_encoding_names_files_of_other_formats() -> None:
    npy = io.BytesIO()
    np.save(npy, street())
    for data, suffix in ((npy.getvalue(), ".npy"), (b"# .PCD v0.7\nVERSION 0.7\n", ".pcd")):
        found = find_other_encoding(data, HDL_64E)
        assert found is not None
        assert found.description == f"the contents of a {suffix} file"


# ---- doubtful scans -------------------------------------------------------------------------------------------------

DOUBTS: dict[str, tuple[Change, str]] = {
    "no-returns": (no_returns, "found 20% at the origin"),
    "repeated": (lambda v: np.repeat(v[::20], 20, axis=0), "equal to the previous point"),
    "bright": (
        lambda v: v * (1, 1, 1, 255),
        r"found .* Divide it by 255, such as by 'intensity: {max: 255}'",
    ),
    "signed": (
        lambda v: np.subtract(v * (1, 1, 1, 2), (0, 0, 0, 1)),
        "found -.* Give another 'intensity: {field: N",
    ),
    "dark": (lambda v: v * (1, 1, 1, 0.01), r"to 0\.00999.* Divide it by 0\.01"),
    "constant zero": (lambda v: v * (1, 1, 1, 0), "found 0 for all points"),
    "mounted higher": (
        lambda v: np.subtract(v, (0, 0, 0.4, 0)),
        r"found it at -2\.1. m\. If these are metres, give --height 2\.1. to shift z by \+0\.4",
    ),
    "ground at 0": (lambda v: np.add(v, (0, 0, 1.73, 0)), r"found it at -?0\.0"),
    "tilted": (lambda v: np.add(v, np.outer(v[:, 0], (0, 0, 0.3, 0))), "slope of 17 degrees"),
    "upside down": (lambda v: v * (1, -1, -1, 1), r"found it at z = 1\.7. m"),
    "far from the sensor": (lambda v: np.add(v, (55, 0, 0, 0)), "in the volume .* found .* outside"),
}


@pytest.mark.parametrize("change", DOUBTS)
def test_guard_reports_a_doubtful_scan_once_and_strictly_as_an_error(change: str) -> None:
    doubtful, message = DOUBTS[change]
    messages: list[str] = []
    guard = InputGuard(VOLUME, messages.append)
    for seed in range(3):
        guard.examine(scan_of(doubtful(street(seed))), f"scan {seed}")
    assert len(messages) == 1
    assert messages[0].startswith("scan 0: expected ")
    with pytest.raises(DataError, match=message):
        InputGuard(VOLUME, strict=True).examine(scan_of(doubtful(street())), "scan 0")


def test_guard_of_a_sensor_expects_its_missing_returns_and_its_height() -> None:
    stored, low = scan_of(no_returns(street())), scan_of(street() + np.float32([0, 0, 1.03, 0]))
    nuscenes = load_sensor("nuscenes-hdl-32e")
    InputGuard(VOLUME, strict=True, sensor=nuscenes).examine(stored)
    assert examine(low, VOLUME).doubts[0].kind == "height"
    for height, kinds in ((0.7, []), (2.5, ["height"]), (None, [])):
        sensor = replace(nuscenes, height=height)
        assert [doubt.kind for doubt in examine(low, VOLUME, sensor=sensor).doubts] == kinds


def test_guard_reports_turned_axes_once_several_scenes_show_them() -> None:
    messages: list[str] = []
    guard = InputGuard(VOLUME, messages.append)
    for seed in range(8):
        guard.examine(scan_of(turned(drive(seed))), f"scan {seed}")
        assert len(messages) == (seed >= 4)
    assert "'axes: right-forward-up', or rotate the points" in messages[0]


def test_guard_strict_blames_the_run_for_turned_axes_and_no_single_scan() -> None:
    guard = InputGuard(VOLUME, strict=True)
    for seed in range(8):
        guard.examine(scan_of(turned(drive(seed))))
    with pytest.raises(DataError, match="in 8 scans"):
        guard.finish()
    InputGuard(VOLUME, strict=True).finish()


def ahead_only(values: np.ndarray) -> np.ndarray:
    return values[values[:, 0] > 2 * np.abs(values[:, 1])]


SOUND = {
    "a drive": drive,
    "waiting behind a truck": lambda seed: turned(street(seed)),  # the same scene in each scan
    "a drive with some trucks ahead": lambda seed: turned(drive(seed)) if seed % 4 == 0 else drive(seed),
    "a sensor that looks ahead": lambda seed: ahead_only(turned(drive(seed, parked=3000))),
    "one bright point": lambda seed: np.concatenate([drive(seed), [[5, 5, -1.7, 1.2]]]),
    "some duplicates": lambda seed: np.concatenate([drive(seed), np.repeat(drive(seed)[:200], 2, axis=0)]),
    "a steep road": lambda seed: np.add(drive(seed), np.outer(drive(seed)[:, 0], (0, 0, 0.15, 0))),
    "a few points": lambda seed: drive(seed)[:400],
}


@pytest.mark.parametrize("kind", SOUND)
def test_guard_is_silent_about_sound_runs(kind: str) -> None:
    messages: list[str] = []
    guard = InputGuard(VOLUME, messages.append)
    for seed in range(20):
        guard.examine(scan_of(SOUND[kind](seed)))
    assert not messages


def test_guard_compares_the_remission_with_that_of_training() -> None:
    values = street()
    trained, zeros = quantiles_of(values[:, 3]), (0.0, 0.0)
    for factor, quantiles, found in (
        (0.5, trained, None),
        (0.1, trained, r"up to about 0\.95 in 95% .* found up to 0\.095\. Divide it by 0\.1"),
        (0.02, (0.0, 0.01), None),  # trained on dark scans
        (1, (0.0, 0.01), r"found up to 0\.95"),
        (3, (0.0, 3.0), None),  # trained on bright scans
        (9, (0.0, 3.0), r"expected remission in 0\.\.3"),
        (0, zeros, None),
        (1, zeros, "expected remission 0 for all points, .* --intensity zero"),
    ):
        doubts = examine(scan_of(values * np.float32([1, 1, 1, factor])), VOLUME, remission=quantiles).doubts
        assert len(doubts) == (found is not None), factor
        assert found is None or re.search(found, doubts[0].message), doubts
    without = replace(HDL_64E, columns=("x", "y", "z"))
    assert examine(scan_of(values * np.float32([1, 1, 1, 0])), VOLUME, sensor=without).doubts == ()


def test_guard_is_silent_about_the_real_frames(real_kitti: Path) -> None:
    paths = sorted(real_kitti.glob("sequences/*/velodyne/*.bin"))
    assert len(paths) == 5
    for path in paths:
        found = examine(read_scan(path, HDL_64E), VOLUME)
        assert found.doubts == ()
        assert found.scene is not None
        assert 10 * found.scene[0] < found.scene[1]


def test_guard_is_silent_about_the_real_frames_of_described_sensors(real_data: Path) -> None:
    """Each scan is also compared with the remission of the other scans of its sensor."""
    described = {
        "nuscenes/samples/LIDAR_TOP": load_sensor("nuscenes-hdl-32e"),
        "rellis": SensorSpec("os1-64", axes=("-x", "-y", "z"), remission_max=0.0116, no_return="drop"),
        "pandaset/sequences": SensorSpec("pandar64", height=2.1),
    }
    for folder, sensor in described.items():
        scans = [read_scan(path, sensor) for path in sorted((real_data / folder).glob("**/[n0]*.bin"))]
        assert scans
        trained = quantiles_of(np.concatenate([scan.remission for scan in scans[:2]]))
        for scan in scans:
            assert examine(scan, VOLUME, sensor=sensor, remission=trained).doubts == ()


def test_guard_catches_other_sensors_that_are_read_as_kitti(real_data: Path) -> None:
    """nuScenes has five columns and x to the right; RELLIS has no-returns and tiny intensities."""
    paths = [*(real_data / "nuscenes" / "samples" / "LIDAR_TOP").glob("*.bin")]
    assert len(paths) == 5
    for path in paths:
        with pytest.raises(DataError, match="found float32 with 5 numbers per point"):
            read_scan(path, HDL_64E)
    messages: list[str] = []
    InputGuard(VOLUME, messages.append).examine(read_scan(real_data / "rellis" / "000104.bin", HDL_64E))
    assert [any(word in line for line in messages) for word in ("at the origin", "remission", "ground")] == [True] * 3


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
    with pytest.warns(DoubtfulInput, match="Divide it by 255"):
        Segmenter.load(student)(values[:, :3], values[:, 3])
    with pytest.raises(DataError, match="Divide it by 255"):
        Segmenter.load(student, strict=True)(values[:, :3], values[:, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Segmenter.load(student)(street()[:, :3], street()[:, 3])


def test_unnamed_one_of_several_intensity_fields_is_reported_instead_of_its_values(
    student: Path, tmp_path: Path, capsys
) -> None:
    """For files of predict and for elite.read. A sensor that names the field is silent."""
    values = dict(zip(("x", "y", "z", "reflectivity"), street().T * np.float32([[1], [1], [1], [255]]), strict=True))
    fields = PointFields(values | {"intensity": values["reflectivity"] * 15}, (len(street()),))
    (tmp_path / "a.pcd").write_bytes(encode_points(fields, ".pcd"))
    (tmp_path / "own.yaml").write_text("name: own\nintensity: {max: 255}\n")
    (tmp_path / "named.yaml").write_text("name: own\nintensity: {field: reflectivity, max: 255}\n")
    argv = ["predict", str(student), str(tmp_path / "a.pcd"), "-o", str(tmp_path / "out"), "--sensor"]
    assert main([*argv, str(tmp_path / "own.yaml")]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert re.search(r"found intensity and reflectivity, of which intensity is read\. .*\{field: reflectivity, ", line)
    assert main([*argv, str(tmp_path / "own.yaml"), "--intensity", "zero", "--strict"]) == 0
    assert main([*argv, str(tmp_path / "named.yaml"), "--strict"]) == 0
    with pytest.warns(DoubtfulInput, match="of which intensity is read"):
        scan = elite.read(tmp_path / "a.pcd", tmp_path / "own.yaml")
    assert [doubt.kind for doubt in examine(scan, VOLUME).doubts] == ["intensity field"]
    bench = ["bench", "latency", str(student), str(tmp_path / "a.pcd"), "--rounds", "1", "--sensor"]
    assert main([*bench, str(tmp_path / "own.yaml")]) == 0
    err = capsys.readouterr().err
    assert "of which intensity is read" in err
    assert "Divide" not in err


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
    assert "69 of 6,900 points (1.0%) are outside the student's volume" in capsys.readouterr().out
    argv = ["predict", str(student), str(tmp_path / "000000.bin"), "-o", str(tmp_path / "near"), "--fill-radius", "20"]
    assert main(argv) == 0
    assert "nearest neighbour inside, except 69 beyond the fill radius" in capsys.readouterr().out
    labels = np.fromfile(tmp_path / "near" / "000000.label", "<u4")
    assert (labels == 0).tolist() == (values[:, 0] == 60).tolist()


def test_train_reports_doubtful_scans_and_strict_refuses_them(tmp_path: Path, capsys) -> None:
    for i in range(2):
        write_frame(tmp_path / "kitti", "00", f"{i:06d}", street(i) * (1, 1, 1, 255), np.full(6900, 40))
    argv = ["train", "--config", "semantickitti-student", "--data.root", str(tmp_path / "kitti"), "--data.sequences=00"]
    argv += ["--data.val_sequences=none", "--student.channels=4", "--student.cells=[50,50,10]", "--data.batch_size=1"]
    argv += ["--data.workers=0", "--steps=1", "--accelerator=cpu"]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err.count("Divide it by 255") == 1
    assert main([*argv, "--out", str(tmp_path / "strict"), "--strict"]) == 2
    assert not (tmp_path / "strict").exists()


def test_pseudo_label_commands_report_doubtful_scans_and_strict_refuses_them(
    kitti: Path, tmp_path: Path, capsys
) -> None:
    for path in kitti.glob("sequences/00/velodyne/*.bin"):
        (np.fromfile(path, "<f4").reshape(-1, 4) * (1, 1, 1, 255)).astype("<f4").tofile(path)
    generate = ("pseudo-label", str(kitti), "--sequences=00", "-o", str(tmp_path / "out"))
    for argv in (generate, ("score-pseudo-labels", str(kitti), "--sequences=00")):
        assert main([*argv]) == 0
        assert capsys.readouterr().err.count("Divide it by 255") == 1
        assert main([*argv, "--strict"]) == 2
        assert "error" in capsys.readouterr().err
