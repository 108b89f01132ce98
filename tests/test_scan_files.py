"""Scans in files of all formats, and points that have no answer."""

from dataclasses import replace
from pathlib import Path

import laspy
import numpy as np
import pytest

from elite.datasets import SemanticKITTI, scan_files
from elite.datasets.scan_files import count_points, read_field, read_points, read_rings, read_scan
from elite.errors import DataError
from elite.point_files import PointFields, encode_points, read_point_file
from elite.sensor import SensorSpec
from elite.types import Scan
from tests.support.scans import write_tiny_kitti

SENSOR = SensorSpec("own", ("x", "y", "z", "remission", "ring"), remission_max=4000, axes=("y", "-x", "z"))
ROWS = np.random.default_rng(0).normal(0, 20, (200, 5)).astype(np.float32).round(3)
ROWS[:, 3] = np.abs(ROWS[:, 3] * 40).round()


def _write(path: Path) -> Path:
    names = {"x": ROWS[:, 0], "y": ROWS[:, 1], "z": ROWS[:, 2], "Intensity": ROWS[:, 3], "label": np.arange(200)}
    if path.suffix in (".bin", ".npz"):
        path.write_bytes(ROWS.tobytes()) if path.suffix == ".bin" else np.savez(path, points=ROWS)
    elif path.suffix == ".las":
        las = laspy.create(point_format=0)
        las.header.scales = [0.001] * 3
        las.x, las.y, las.z, las.intensity = *ROWS[:, :3].T, ROWS[:, 3]
        las.write(str(path))
    else:
        fields = {name: values.astype(np.float32) for name, values in names.items()}
        path.write_bytes(encode_points(PointFields(fields, (200,)), path.suffix))
    return path


@pytest.mark.parametrize("suffix", [".bin", ".npy", ".npz", ".pcd", ".ply", ".las"])
def test_read_scan_of_any_format_gives_our_axes_and_remission(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path / f"scan{suffix}")
    scan = read_scan(path, SENSOR)
    np.testing.assert_allclose(scan.points, np.stack([ROWS[:, 1], -ROWS[:, 0], ROWS[:, 2]], 1), atol=1e-5)
    np.testing.assert_allclose(scan.remission, ROWS[:, 3] / 4000, rtol=1e-6)
    assert count_points(path, SENSOR) == len(read_points(path, SENSOR)) == 200


def test_read_scan_takes_the_intensity_field_of_the_sensor(tmp_path: Path) -> None:
    values = {axis: ROWS[:, i] for i, axis in enumerate("xyz")} | {"intensity": ROWS[:, 3], "reflectivity": ROWS[:, 4]}
    (tmp_path / "scan.npy").write_bytes(encode_points(PointFields(values, (200,)), ".npy"))
    sensor = SensorSpec("own", remission_max=255, intensity_field="reflectivity")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.npy", sensor).remission, ROWS[:, 4] / np.float32(255))
    with pytest.raises(DataError, match=r"expected fields signal, found x, y, z, intensity, reflectivity\. Correct"):
        read_scan(tmp_path / "scan.npy", SensorSpec("own", intensity_field="signal"))


def test_read_scan_without_a_column_of_remission_gives_zeros(tmp_path: Path) -> None:
    values = {axis: ROWS[:, i] for i, axis in enumerate("xyz")}
    (tmp_path / "scan.npy").write_bytes(encode_points(PointFields(values, (200,)), ".npy"))
    assert not read_scan(tmp_path / "scan.npy", SensorSpec("own", ("x", "y", "z"))).remission.any()
    with pytest.raises(DataError, match="expected fields remission or intensity or reflectivity or i, found x, y, z"):
        read_scan(tmp_path / "scan.npy", SensorSpec("own"))


def test_read_scan_of_map_coordinates_is_refused(tmp_path: Path) -> None:
    las = laspy.create(point_format=0)
    las.header.scales, las.header.offsets = [0.001] * 3, [4.5e6, 5e5, 0]
    las.x, las.y, las.z = np.array([[4.5e6, 4.5e6 + 8], [5e5, 5e5 + 9], [1, 2]])
    las.write(str(tmp_path / "map.las"))
    with pytest.raises(DataError, match=r"found coordinates of up to 4,500,008\. Subtract the position of the sensor"):
        read_scan(tmp_path / "map.las", SENSOR)


def test_read_field_names_the_fields_that_exist(tmp_path: Path) -> None:
    path = _write(tmp_path / "scan.pcd")
    np.testing.assert_array_equal(read_field(path, SENSOR, "label"), np.arange(200))
    with pytest.raises(DataError, match="expected a field 'class', found x, y, z, Intensity, label"):
        read_field(path, SENSOR, "class")


def test_read_scan_drops_points_without_a_return(tmp_path: Path) -> None:
    rows = np.ones((2, 3, 4), np.float32)
    rows[0, 1, :3], rows[1, 2, 0] = 0, np.nan
    np.save(tmp_path / "organised.npy", rows)
    scan = read_scan(tmp_path / "organised.npy", SensorSpec("own", no_return="drop"))
    assert scan.kept is not None
    assert scan.kept.tolist() == [True, False, True, True, True, False]
    assert (len(scan), scan.stored) == (4, 6)
    with pytest.raises(DataError, match="found NaN or infinity in 1 of 6 points"):
        read_scan(tmp_path / "organised.npy", SensorSpec("own"))
    np.save(tmp_path / "empty.npy", 0 * rows)
    with pytest.raises(DataError, match="found 6 without a return"):
        read_scan(tmp_path / "empty.npy", SensorSpec("own", no_return="drop"))


def test_scan_spreads_values_over_the_points_of_the_file() -> None:
    scan = Scan(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.array([True, False, True]))
    assert scan.spread(np.array([5, 7], np.uint8)).tolist() == [5, 0, 7]
    assert scan.select(np.array([5, 6, 7])).tolist() == [5, 7]


def test_labels_belong_to_the_measured_points(tmp_path: Path) -> None:
    root = write_tiny_kitti(tmp_path / "kitti")
    box = SensorSpec("own", ego_box=((-200.0, -200.0, -200.0), (0.0, 200.0, 200.0)))
    every, ahead = SemanticKITTI(root, "00"), SemanticKITTI(root, "00", sensor=box)
    kept = every.scan(0).points[:, 0] > 0
    labels, expected = ahead.labels(0), every.labels(0)
    assert labels is not None
    assert expected is not None
    assert 0 < len(ahead.scan(0)) == kept.sum() < len(kept)
    np.testing.assert_array_equal(labels.classes, expected.classes[kept])
    np.testing.assert_array_equal(labels.objects, expected.objects[kept])


@pytest.mark.parametrize("suffix", [".bin", ".npy"])
def test_read_rings_gives_those_of_the_measured_points(tmp_path: Path, suffix: str) -> None:
    rows = ROWS[:4].copy()
    rows[:, 4], rows[1, :3] = (3, 1, 2, 0), 0
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(rows.tobytes()) if suffix == ".bin" else np.save(path, rows)
    rings = read_rings(path, replace(SENSOR, no_return="drop"))
    assert rings is not None
    assert rings.tolist() == [3, 2, 0]
    assert read_rings(_write(tmp_path / "other.ply"), SENSOR) is None


def test_read_rings_of_one_value_are_none(tmp_path: Path) -> None:
    """Drivers write the field for sensors without such numbers, too."""
    points = np.zeros(4, [(name, "f4") for name in "xyz"] + [("intensity", "f4"), ("ring", "u2")])
    np.save(tmp_path / "a.npy", points)
    assert read_rings(tmp_path / "a.npy", SENSOR) is None
    points["ring"][1] = 1
    np.save(tmp_path / "a.npy", points)
    np.testing.assert_array_equal(read_rings(tmp_path / "a.npy", SENSOR), [0, 1, 0, 0])


def test_frame_decodes_its_file_once_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan, its count and a field of labels are three readings of one file."""
    decoded = []
    monkeypatch.setattr(scan_files, "read_point_file", lambda *words: decoded.append(1) or read_point_file(*words))
    path = _write(tmp_path / "scan.pcd")
    for _ in range(2):
        read_scan(path, SENSOR), count_points(path, SENSOR), read_field(path, SENSOR, "label")
    assert len(decoded) == 1
    path.write_bytes(encode_points(PointFields(dict.fromkeys((*"xyz", "i"), ROWS[:3, 0]), (3,)), ".pcd"))
    assert count_points(path, SENSOR) == 3
