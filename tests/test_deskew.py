"""Motion compensation within a scan: points of a sweep that a moving, turning vehicle records."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from elite.cli import main
from elite.conversion.deskew import deskewed, read_sweep
from elite.conversion.pairing import Item as Grouped
from elite.files import write_bytes
from elite.point_files import PointFields, read_point_file
from elite.recordings import Pose
from elite.recordings.point_times import point_offsets
from tests.support.recordings import (
    PERIOD,
    START,
    Item,
    cloud,
    cloud_item,
    odometry_item,
    random_points,
    tf_item,
    write_recording,
)

MOUNT = np.array([[0.0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]])  # pose of the LiDAR on the vehicle
ORIGIN = np.array([691_000.0, 5_335_000.0, 500.0])  # of a vehicle in metres of UTM
COUNT = 600
Motion = Callable[[float], np.ndarray]


def moving(time: float) -> np.ndarray:
    """Pose of the vehicle: 20 m/s, half a turn per second, and pitch."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("zy", [np.pi * time, 0.2 * time]).as_matrix()
    pose[:3, 3] = ORIGIN + time * np.array([20, 3, 0.5])
    return pose


def standing(_: float) -> np.ndarray:
    return moving(0.3)


def static_points(scan: int) -> np.ndarray:
    """Points of the world, in the frame of the LiDAR at the stamp."""
    return np.random.default_rng(scan).uniform(-50, 50, (COUNT, 3))


def times(layout: str, stamp: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Field, its numbers, and the same in seconds after the stamp: a sweep of 0.1 s in ``COUNT`` steps."""
    after = np.arange(COUNT) * (PERIOD // COUNT)
    if layout == "velodyne":  # the stamp is that of the last point
        after -= after[-1]
        return "time", (after * 1e-9).astype(np.float32), after * 1e-9
    if layout == "hesai":
        return "timestamp", stamp * 1e-9 + after * 1e-9, after * 1e-9
    return "t", after.astype(np.uint32), after * 1e-9


def recorded(layout: str, scan: int, motion: Motion) -> dict[str, np.ndarray]:
    """Fields of a scan whose points are recorded at their own times; the first have no return."""
    stamp = START + scan * PERIOD
    field, numbers, after = times(layout, stamp)
    at_stamp = motion(scan * PERIOD * 1e-9) @ MOUNT
    xyz = np.empty((COUNT, 3))
    for i, point in enumerate(static_points(scan)):
        own = motion(scan * PERIOD * 1e-9 + after[i]) @ MOUNT
        xyz[i] = (np.linalg.inv(own) @ at_stamp @ [*point, 1])[:3]
    xyz[0], xyz[1] = 0, np.nan
    numbers[:2] = 0
    return random_points(layout, COUNT) | dict(zip("xyz", xyz.T.astype(np.float32), strict=True)) | {field: numbers}


def drive(layout: str = "ouster", motion: Motion = moving, count: int = 4) -> list[Item]:
    """Scans at 10 Hz, recorded at the end of the sweep, with odometry at 200 Hz."""
    found = [tf_item("/tf_static", {("base_link", "lidar"): MOUNT}, START - 2 * PERIOD)]
    for i in range(count):
        stamp = START + i * PERIOD
        record = cloud(layout, recorded(layout, i, motion), height=2, stamp=stamp)
        found.append(cloud_item("/points", record, time=stamp + PERIOD))
    for time in range(-PERIOD, (count + 1) * PERIOD, PERIOD // 20):
        found.append(odometry_item("/odom", motion(time * 1e-9), START + time))
    return sorted(found, key=lambda item: item.time)


def convert(items: list[Item], folder: Path, *options: str) -> int:
    path = folder / "a.mcap"
    if not path.exists():
        write_recording(path, sorted(items, key=lambda item: item.time))
    return main(["convert", str(path), "-o", str(folder / "out"), *options])


def converted(folder: Path, scan: int) -> PointFields:
    return read_point_file(folder / "out" / "a" / "lidar" / f"{START + scan * PERIOD}.pcd", ())


@pytest.mark.parametrize("layout", ["ouster", "velodyne", "hesai"])
def test_points_of_a_moving_vehicle_are_deskewed_to_the_static_world(tmp_path: Path, layout: str) -> None:
    assert convert(drive(layout), tmp_path, "--deskew") == 0
    for i in range(4):
        found, before = converted(tmp_path, i), recorded(layout, i, moving)
        xyz = np.stack([found.values[axis] for axis in "xyz"], axis=1)
        assert xyz.dtype == np.float32
        assert np.abs(xyz[2:] - static_points(i)[2:]).max() < 1e-3
        raw = np.stack([before[axis] for axis in "xyz"], axis=1)
        assert np.abs(raw - static_points(i))[2:].max() > 5  # it is the motion that is compensated
        assert not xyz[0].any()
        assert np.isnan(xyz[1]).all()
        for name in found.values.keys() - {*"xyz"}:
            assert found.values[name].tobytes() == before[name].tobytes(), name
    assert "(--deskew)" in (tmp_path / "out" / "dataset.yaml").read_text()


def test_points_of_a_standing_vehicle_keep_every_bit(tmp_path: Path) -> None:
    items = drive(motion=standing, count=1)
    values = recorded("ouster", 0, standing)
    for i, small in enumerate((1e-12, -0.0, 1e-30, -3e-7)):
        values["y"][2 + i] = small
    clouds = [item for item in items if item.topic != "/points"]
    clouds.append(cloud_item("/points", cloud("ouster", values), time=START + PERIOD))
    assert convert(clouds, tmp_path, "--deskew") == 0
    for axis in "xyz":
        assert converted(tmp_path, 0).values[axis].tobytes() == values[axis].tobytes()


def test_points_are_not_moved_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = drive()
    assert convert(items, tmp_path) == 0
    assert converted(tmp_path, 2).values["x"].tobytes() == recorded("ouster", 2, moving)["x"].tobytes()
    assert "deskew" not in (tmp_path / "out" / "dataset.yaml").read_text()
    assert convert(items, tmp_path, "--deskew") == 2
    assert convert(items, tmp_path, "--deskew", "--sequence", "b") == 2
    assert capsys.readouterr().err.count("all converted with --deskew, found a without it") == 2
    assert not (tmp_path / "out" / "b").exists()
    assert convert(items, tmp_path, "--sequence", "b") == 0


def test_interrupted_conversion_resumes_with_the_same_points_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whole").mkdir()
    assert convert(drive(), tmp_path / "whole", "--deskew") == 0

    def stopped(file: Path, data: bytes) -> None:
        if file.stem == f"{START + 2 * PERIOD}":
            raise KeyboardInterrupt
        write_bytes(file, data)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("elite.conversion.run.write_bytes", stopped)
        convert(drive(), tmp_path, "--deskew")
    assert (tmp_path / "out" / ".a.part").is_dir()
    assert convert(drive(), tmp_path) == 2
    assert "(deskew False), found one of deskew True" in capsys.readouterr().err
    assert convert(drive(), tmp_path, "--deskew") == 0
    for path in (tmp_path / "whole" / "out").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "whole" / "out")).read_bytes()


# ---- faults ------------------------------------------------------------------------------------------------------


def without_poses(first: int, last: int) -> list[Item]:
    """A drive of 20 scans whose poses between two times (ns) are missing."""
    return [i for i in drive(count=20) if i.topic != "/odom" or not START + first < i.time < START + last]


@pytest.mark.parametrize(
    ("first", "last", "skipped"),
    [
        (-2 * PERIOD, PERIOD // 2, 1),  # the first pose is in the first sweep
        (20 * PERIOD - PERIOD // 2, 99 * PERIOD, 1),  # the last one is in the last sweep
        (2 * PERIOD, 13 * PERIOD, 11),  # a gap of 1.1 s
    ],
)
def test_scans_whose_points_lack_a_pose_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: int, last: int, skipped: int
) -> None:
    assert convert(without_poses(first, last), tmp_path, "--deskew") == 0
    assert f"skipped: scans without poses for all their points: {skipped}\n" in capsys.readouterr().out
    assert len([*(tmp_path / "out" / "a" / "lidar").iterdir()]) == 20 - skipped


@pytest.mark.parametrize("span", [0, 1_200_000_000, 3_000_000_000])
def test_scans_with_doubtful_times_of_points_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], span: int
) -> None:
    values = recorded("ouster", 2, moving) | {"t": np.linspace(0, span, COUNT).astype(np.uint32)}
    bad = cloud_item("/points", cloud("ouster", values, stamp=START + 2 * PERIOD), time=START + 3 * PERIOD)
    items = [bad if (item.topic, item.time) == ("/points", bad.time) else item for item in drive()]
    assert convert(items, tmp_path, "--deskew") == 0
    reason = "skipped: clouds whose times of points are doubtful, or more than 1 s from their stamp: 1\n"
    assert reason in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t", np.array([0, 1_200_000_000], np.uint32)),
        ("time", np.array([0.9, 1.1], np.float32)),
        ("time", np.array([0, np.nan], np.float32)),
        ("timestamp", np.array([55.0, 55.1])),  # of another clock
        ("x", np.array([0, 0.1])),
    ],
)
def test_doubtful_times_of_points_are_refused(name: str, values: np.ndarray) -> None:
    assert point_offsets(PointFields({name: values}, values.shape), START, np.ones(len(values), bool)) is None


def test_recordings_that_cannot_be_deskewed_are_errors_without_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "poses": ([i for i in drive() if i.topic != "/odom"], (), "found none that can be used (no poses)"),
        "none": (drive(), ("--poses", "none"), "--deskew: expected poses, found --poses none"),
        "frame": (drive()[1:], (), "expected a chain from 'lidar' to 'base_link'"),
        "time": (drive("XYZI"), (), "expected a field t, time, timestamp or time_stamp, found x y z intensity"),
    }
    for name, (items, options, message) in cases.items():
        (tmp_path / name).mkdir()
        assert convert(items, tmp_path / name, "--deskew", *options) == 2, name
        assert message in capsys.readouterr().err
        assert not (tmp_path / name / "out").exists()


def test_points_with_times_of_their_own_are_each_moved_by_their_pose() -> None:
    rng = np.random.default_rng(0)
    offsets = rng.permutation(np.linspace(0, 0.1, 2**12))
    values = {axis: rng.uniform(-50, 50, len(offsets)) for axis in "xyz"}
    stamps = range(START, START + 2 * PERIOD, PERIOD // 20)
    poses = [Grouped(time, time, Pose(time, "odom", "base_link", moving((time - START) * 1e-9))) for time in stamps]
    sweep = read_sweep(PointFields(values | {"time": offsets}, offsets.shape), START)
    assert sweep is not None
    found = deskewed(sweep, START, poses, MOUNT)
    assert found is not None
    back = np.linalg.inv(moving(0) @ MOUNT)
    for i in range(0, len(offsets), 97):
        expected = back @ moving(offsets[i]) @ MOUNT @ [*(values[axis][i] for axis in "xyz"), 1]
        np.testing.assert_allclose([found.values[axis][i] for axis in "xyz"], expected[:3], atol=1e-3)
