"""``elite inspect --against``: statistics of the scans of two sources."""

import json
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.inspection.comparison import ComparedStatistic, compare
from elite.inspection.scan_statistics import ComparedScan, roughness, scan_statistics
from tests.support.recordings import START, cloud, cloud_item, write_recording
from tests.support.scans import write_tiny_kitti
from tests.support.street_scans import street


def written(folder: Path, points: np.ndarray) -> Path:
    folder.mkdir()
    for name in ("000000", "000001"):
        points.astype(np.float32).tofile(folder / f"{name}.bin")
    return folder


def compared(*arguments: str | Path, json_to: Path) -> dict[str, dict]:
    assert main(["inspect", *map(str, arguments), "--json", str(json_to)]) == 0
    return {row["name"]: row for row in json.loads(json_to.read_text())["statistics"]}


def test_inspect_against_itself_finds_no_difference(tmp_path, capsys) -> None:
    scans = written(tmp_path / "a", street())
    rows = compared(scans, "--against", scans, json_to=tmp_path / "out.json")
    assert all(row["deviation"] == 0 for row in rows.values())
    assert "differs most: nothing" in capsys.readouterr().out


def test_inspect_against_a_recording_names_what_differs_most(tmp_path, capsys) -> None:
    points = street()
    other = points * np.array([1, 1, 1, 0.4]) + np.array([0, 0, 0.3, 0])
    x, y, z, remission = other.T
    values = {"x": x, "y": y, "z": z, "intensity": 255 * remission}
    recording = write_recording(tmp_path / "b.mcap", [cloud_item("/points", cloud("XYZI", values, stamp=START))])
    picture = tmp_path / "both.png"
    scans = written(tmp_path / "a", points)
    rows = compared(scans, "--against", recording, "--picture", picture, json_to=tmp_path / "out.json")
    assert rows["ground z at 0-10 m"]["difference"] == pytest.approx(-0.3, abs=0.01)
    assert rows["points"]["ratio"] == pytest.approx(1)
    assert rows["remission, 50% quantile"]["value"] > 2 * rows["remission, 50% quantile"]["against"]
    assert "remission" in capsys.readouterr().out.split("differs most:")[1]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_inspect_against_a_data_set_compares_classes_of_both(tmp_path, capsys) -> None:
    kitti, points = write_tiny_kitti(tmp_path / "kitti"), street()
    for name in ("000000", "000001"):
        points.astype(np.float32).tofile(kitti / f"sequences/00/velodyne/{name}.bin")
        np.where(points[:, 2] < -1.6, 40, 50).astype(np.uint32).tofile(kitti / f"sequences/00/labels/{name}.label")
    rows = compared(kitti, "--against", kitti, json_to=tmp_path / "out.json")
    assert {"points", "remission 0"} <= rows.keys()
    assert {"points of road", "remission of building"} <= rows.keys()
    assert main(["inspect", str(kitti)]) == 2  # alone, a data set is that of elite check
    assert "elite check" in capsys.readouterr().err


def test_change_is_a_ratio_or_a_difference_in_multiples_of_one_that_matters() -> None:
    ratio = ComparedStatistic("points", 144.0, 100.0, "{:.0f}", None)
    difference = ComparedStatistic("ground z", -1.5, -1.8, "{:.2f}", 0.1)
    assert (ratio.change, difference.change) == (pytest.approx(1.44), pytest.approx(0.3))
    assert (ratio.deviation, difference.deviation) == (pytest.approx(2), pytest.approx(3))
    assert ComparedStatistic("points of car", 0.2, None, "{:.1%}", None).deviation == 0


def test_statistics_of_known_points_are_exact() -> None:
    x = np.arange(1, 41, dtype=np.float32)
    points = np.column_stack([x, np.zeros(40), np.full(40, -1.7)]).astype(np.float32)
    found = {s.name: s.value for s in scan_statistics(ComparedScan(points, (np.arange(40) < 10).astype(np.float32)))}
    assert found["points"] == found["voxels of 0.1 m"] == 40
    assert found["voxels of 1.6 m"] == 26  # 0 to 40 m in steps of 1.6 m
    assert found["remission 0"] == 0.75
    assert found["points at 0-5 m"] == 4 / 40
    rows = compare([ComparedScan(points, np.zeros(40, np.float32))], [ComparedScan(points, np.ones(40, np.float32))])
    assert next(row for row in rows if row.name == "remission 0").change == 1


def test_roughness_is_the_smallest_deviation_of_neighbours() -> None:
    rng = np.random.default_rng(0)
    wall = np.column_stack([rng.uniform(0, 4, (4000, 2)), rng.normal(0, 0.05, 4000)]).astype(np.float32)
    assert roughness(wall) == pytest.approx(0.05, rel=0.05)
    assert roughness(wall[:50]) is None
