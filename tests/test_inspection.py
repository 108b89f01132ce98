"""``elite inspect``: recordings and files of points with known contents, their faults, and the sensor they describe."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from elite.cli import main
from elite.config import from_plain
from elite.datasets import open_dataset
from elite.datasets.check.sampled_scans import SampledScan, intensity_fields, sampled_scan
from elite.datasets.check.sensor_guess import SensorGuess, guess_sensor
from elite.inspection.layouts import layout_of
from elite.inspection.recordings import inspect_recording
from elite.inspection.tables import report_lines
from elite.inspection.timing import Stamps, measure_timing, nearest_offsets
from elite.point_files import PointFields
from elite.recordings.point_times import point_times
from elite.sensor import SensorSettings, load_sensor
from tests.support.recordings import (
    LAYOUTS,
    PERIOD,
    START,
    Item,
    camera_info_item,
    cloud,
    cloud_item,
    compressed_item,
    image_item,
    odometry_item,
    tf_item,
    write_recording,
)
from tests.support.rendered_recordings import rendered_recording
from tests.support.street_scans import street

FILE_FORMATS = Path(__file__).parents[1] / "docs/reference/file-formats.md"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans of an OS1-128 at 2.1 m, with three cameras and odometry."""
    return rendered_recording(tmp_path_factory.mktemp("drive") / "drive.mcap")


def inspected(path: Path, *options: str, status: int = 0) -> dict:
    """Result of the command as JSON."""
    result = path.parent / "result.json"
    assert main(["inspect", str(path), *options, "--json", str(result)]) == status
    return json.loads(result.read_text())


def street_items(stamps: Sequence[int], *, frame: str = "lidar", topic: str = "/points") -> list[Item]:
    """Scans of a level street 1.73 m below the sensor, with an intensity of 0..255."""
    x, y, z, remission = street(points=1000, parked=150).T
    values = {"x": x, "y": y, "z": z, "intensity": 255 * remission}
    return [cloud_item(topic, cloud("XYZI", values, stamp=stamp, frame=frame)) for stamp in stamps]


def notes_of(path: Path, **options: object) -> str:
    """All sentences of an inspection."""
    return "\n".join(report_lines(inspect_recording(path, **options)[0]))  # type: ignore[arg-type]


# ---- recordings ---------------------------------------------------------------------------------------------------


def test_inspect_rendered_recording_finds_sensor_times_and_cameras(drive, capsys) -> None:
    result = inspected(drive, "--picture", str(drive.with_suffix(".png")))
    (points,) = result["clouds"]
    assert (points["topic"], points["count"], points["read"], points["frame"]) == ("/points", 2, 2, "lidar")
    assert (points["layout"], points["height"], points["width"], points["point_step"]) == ("Ouster", 128, 1024, 48)
    assert (points["big_endian"], points["is_dense"], points["bytes"]) == (False, True, 128 * 1024 * 48)
    assert points["fields"][4] == {"name": "t", "type": "uint32", "offset": 20, "count": 1}
    assert points["timing"]["interval"] == pytest.approx(0.1)
    assert points["point_times"] == {
        "field": "t", "unit": "ns", "span": pytest.approx(0.0999, abs=1e-4), "first": 0.0,
    }  # fmt: skip
    sensor = points["sensor"]
    assert sensor["preset"] == "os1-128"
    assert sensor["reason"] == "os1-128: 128 beams, -22.5 to 22.5 degrees"
    assert (sensor["beams_from"], len(sensor["elevations"])) == ("field", 128)
    assert sensor["scan"]["ground"] == pytest.approx(-2.1, abs=0.15)
    assert [(i["name"], i["scale"]) for i in sensor["intensities"]] == [
        ("reflectivity", "0..255"),
        ("intensity", "raw"),
    ]
    described = from_plain(SensorSettings, sensor["settings"]).spec("roof")
    assert described.elevations == load_sensor("os1-128").elevations
    assert (described.intensity_field, described.remission_max, described.no_return) == ("reflectivity", 255, "drop")
    topics = {topic["name"]: topic for topic in result["topics"]}
    assert topics["/points"]["rate"] == pytest.approx(10)
    assert topics["/tf_static"]["count"] == 1
    assert [camera["topic"] for camera in result["cameras"]] == [f"/cam_{n}/image" for n in ("front", "left", "right")]
    for camera in result["cameras"]:
        assert (camera["width"], camera["height"], camera["encoding"]) == (240, 150, "jpeg")
        assert (camera["info_topic"], camera["model"]) == (f"{camera['topic'][:-6]}/camera_info", "plumb_bob")
        assert camera["has_transform"]
        assert (camera["offset"], camera["largest_offset"]) == (pytest.approx(0.01), pytest.approx(0.01))
        assert camera["notes"] == []
    assert result["next_command"] == f"elite convert {drive} --topic /points -o fleet"
    with Image.open(drive.with_suffix(".png")) as picture:
        assert picture.size == (1920, 1014)
    assert "look at" not in capsys.readouterr().out


def test_inspect_long_recording_reads_ten_seconds_of_it(tmp_path) -> None:
    path = write_recording(tmp_path / "long.mcap", street_items(range(START, START + 300 * PERIOD, PERIOD)))
    result = inspected(path)
    assert result["sampled_seconds"] == pytest.approx(10)
    assert result["clouds"][0]["count"] == 300
    assert 90 <= result["clouds"][0]["read"] <= 110
    assert result["clouds"][0]["sensor"]["scans"] == 10
    assert result["clouds"][0]["timing"]["gaps"] == 0


def test_inspect_heading_from_odometry_gives_the_axes(tmp_path) -> None:
    """A vehicle that moves along the y axis of its LiDAR: x is right."""
    pose, items = np.eye(4), street_items([START + k * PERIOD for k in range(20)])
    turn = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    items.append(tf_item("/tf_static", {("base_link", "lidar"): turn}, START))
    for k in range(20):
        pose[0, 3] = k
        items.append(odometry_item("/odom", pose, START + k * PERIOD))
    result = inspected(write_recording(tmp_path / "drive.mcap", sorted(items, key=lambda item: item.time)))
    assert result["poses"][0]["heading"] == pytest.approx(90)
    assert result["poses"][0]["speed"] == pytest.approx(10)
    assert result["clouds"][0]["sensor"]["settings"]["axes"] == "right-forward-up"


def test_inspect_recording_with_faults_reports_each(tmp_path) -> None:
    times = [START + k * PERIOD for k in (0, 1, 2, 3, 4, 5, 12, 13)]
    pixels = np.zeros((4, 6, 3), np.uint8)
    items = [
        *street_items(times[:5]),
        *street_items(times[5:], frame="second"),
        *(image_item("/cam/image", pixels, time + 70_000_000, "cam", "bgr8") for time in times),
    ]
    text = notes_of(write_recording(tmp_path / "drive.mcap", items))
    assert "found the frames lidar in 5, second in 3 messages" in text
    assert "found 1 gaps of up to 0.70 s" in text
    assert "expected a CameraInfo topic of its images, found none" in text
    assert "expected static transforms from 'lidar' to 'cam', found none" in text
    assert "expected an image within 0.05 s of each scan, found up to 0.07 s" in text


def test_inspect_topic_of_two_layouts_measures_the_first(tmp_path) -> None:
    x, y, z, _ = street().T
    other = cloud("XYZIRC", {"x": x, "y": y, "z": z}, stamp=START + PERIOD)
    path = write_recording(tmp_path / "a.mcap", [*street_items([START]), cloud_item("/points", other)])
    text = notes_of(path)
    assert "found the fields (x y z intensity) in 1, (x y z intensity return_type channel) in 1 messages" in text
    assert "found in 1 of 2 messages" in text


def test_inspect_topic_that_begins_without_points_measures_the_first_with_points(tmp_path) -> None:
    empty = replace(cloud("XYZIRC", {"x": np.ones(1)}), width=0)
    items = [cloud_item("/points", empty, time=START - 1), *street_items([START, START + PERIOD])]
    (points,) = inspected(write_recording(tmp_path / "a drive.mcap", items))["clouds"]
    assert (points["layout"], points["width"], points["damaged"], points["sensor"]["scans"]) == ("XYZI", 1150, 0, 2)


def test_inspect_rectified_images_have_the_projection_of_the_calibration(tmp_path) -> None:
    K = np.array([[10.0, 0, 3], [0, 10, 2], [0, 0, 1]])
    items = street_items([START])
    for folder, model in (("left", "plumb_bob"), ("right", "rig")):
        info = camera_info_item(f"/{folder}/camera_info", K, (4, 6), START, folder, model=model)
        info.message.p[3] = -2.0 * (folder == "left")  # of a stereo camera
        image = image_item(f"/{folder}/image_rect", np.zeros((4, 6, 3), np.uint8), START, folder, "bgr8")
        items += [info, image, tf_item("/tf_static", {("lidar", folder): np.eye(4)}, START)]
    left, right = inspected(write_recording(tmp_path / "a.mcap", items))["cameras"]
    assert "expected a rectified camera without a baseline" in left["notes"][0]
    assert right["notes"] == []


def test_inspect_proposes_a_command_for_any_path(drive, tmp_path, capsys) -> None:
    path = tmp_path / "a drive.mcap"
    path.symlink_to(drive)
    command = f"elite convert '{path}' --topic /points -o fleet"
    assert inspected(path)["next_command"] == command
    assert f"next: {command}\n" in capsys.readouterr().out


def test_inspect_damaged_clouds_are_counted_and_skipped(tmp_path) -> None:
    items = street_items([START])
    items[0].message.data = items[0].message.data[:-40]
    path = write_recording(tmp_path / "a.mcap", [*items, cloud_item("/other", cloud("XYZI", {"x": np.ones(9)}))])
    text = notes_of(path)
    assert "/points: expected readable points, found 1 damaged messages, which are skipped" in text


def test_inspect_recording_without_clouds_lists_its_topics(tmp_path, capsys) -> None:
    items = [compressed_item("/cam/image", np.zeros((4, 6, 3), np.uint8), START, "cam")]
    result = inspected(write_recording(tmp_path / "a.mcap", items), status=1)
    assert [topic["name"] for topic in result["topics"]] == ["/cam/image"]
    assert (result["clouds"], result["next_command"]) == ([], "")
    assert "found no topic of sensor_msgs/msg/PointCloud2" in capsys.readouterr().out


def test_inspect_topic_chooses_one_of_several(tmp_path, capsys) -> None:
    items = [*street_items([START], topic="/left"), *street_items([START], topic="/right")]
    path = write_recording(tmp_path / "a.mcap", items)
    assert [part["topic"] for part in inspected(path)["clouds"]] == ["/left", "/right"]
    assert [part["topic"] for part in inspected(path, "--topic", "right")["clouds"]] == ["/right"]
    assert main(["inspect", str(path), "--topic", "/ryght"]) == 2
    assert "found /left, /right. Did you mean /right?" in capsys.readouterr().err


# ---- measures -----------------------------------------------------------------------------------------------------


def test_timing_of_planted_stamps() -> None:
    times = START + np.array([0, 100, 200, 500, 490]) * 10**6
    found = measure_timing([Stamps(times + 5_000_000, times), Stamps(times[:1], times[:1])])
    assert found is not None
    assert (found.intervals, found.gaps, found.backwards) == (4, 1, 1)
    assert (found.interval, found.longest, found.delay) == pytest.approx((0.1, 0.3, 0.005))
    unstamped = measure_timing([Stamps(times, np.zeros(5, np.int64))])
    assert unstamped is not None
    assert (unstamped.is_stamped, unstamped.interval) == (False, 0.1)
    assert measure_timing([Stamps(times[:1], times[:1])]) is None


def test_nearest_offsets_ignore_scans_without_images_around_them() -> None:
    scans = np.arange(0, 1000, 100, dtype=np.int64) * 10**6
    images = np.arange(290, 600, 100, dtype=np.int64) * 10**6
    found = nearest_offsets([Stamps(scans, scans)], [Stamps(images, images)])
    assert found == pytest.approx([-0.01, -0.01, -0.01, -0.01])
    unstamped = nearest_offsets([Stamps(scans, 0 * scans)], [Stamps(images, images)])
    assert unstamped == found


@pytest.mark.parametrize(
    ("name", "values", "unit", "first"),
    [
        ("t", np.array([0, 99_900_000], np.uint32), "ns", 0.0),
        ("time", np.array([-0.0999, 0], np.float32), "s", -0.0999),
        ("timestamp", START * 1e-9 + np.array([0, 0.0999]), "s", 0.0),
        ("timestamp", np.array([START, START + 99_900_000], np.float64), "ns", 0.0),
        ("time_stamp", np.array([7, 99_907], np.uint32), "us", 7e-6),
    ],
)
def test_unit_of_point_times(name, values, unit, first) -> None:
    found = point_times(PointFields({name: values}, values.shape), START)
    assert found is not None
    assert (found.field, found.unit) == (name, unit)
    assert found.span == pytest.approx(0.0999, abs=1e-5)
    assert found.first == pytest.approx(first, abs=1e-5)


def test_point_times_without_a_plausible_span_have_no_unit() -> None:
    assert point_times(PointFields({"t": np.zeros(3, np.uint32)}, (3,)), START).unit is None  # type: ignore[union-attr]
    assert point_times(PointFields({"x": np.zeros(3)}, (3,)), START) is None


def test_layouts_of_drivers_have_names() -> None:
    found = {layout: layout_of(fields) for layout, (fields, _) in LAYOUTS.items()}
    assert found == {name: name for name in ("XYZI", "XYZIRC", "XYZIRADRT", "XYZIRCAEDT")} | {
        "ouster": "Ouster", "velodyne": "Velodyne", "hesai": "Hesai or RoboSense", "every type": None,
    }  # fmt: skip
    labelled = layout_of([*LAYOUTS["ouster"][0], "class_id", "probability", "entropy"])
    assert labelled == "Ouster with class_id, probability, entropy"


def test_inspect_poses_over_a_short_time_have_no_speed_for_a_reason(tmp_path, capsys) -> None:
    items = street_items([START, START + PERIOD])
    items += [odometry_item("/odom", np.eye(4), START + k * PERIOD) for k in range(3)]
    path = write_recording(tmp_path / "a.mcap", sorted(items, key=lambda item: item.time))
    assert main(["inspect", str(path)]) == 0
    assert "unknown: only 0.20 s of poses" in capsys.readouterr().out


# ---- sensors ------------------------------------------------------------------------------------------------------


def beams_scan(elevations: Sequence[float], *, height: float = 1.9, step: float = 0.4, far: float = 25.0) -> np.ndarray:
    """Points (beams, azimuths, 3) on level ground and on a round wall ``far`` metres away that is 4 m high."""
    angle, beam = np.meshgrid(np.radians(np.arange(180, -180, -step)), np.radians(elevations))
    ray = np.stack([np.cos(angle) * np.cos(beam), np.sin(angle) * np.cos(beam), np.sin(beam)], -1)
    with np.errstate(divide="ignore"):
        ground = np.where(ray[..., 2] < 0, -height / ray[..., 2], np.inf)
    distance = np.minimum(ground, far / np.cos(beam))
    points = (ray * distance[..., None]).astype(np.float32)
    points[points[..., 2] > 4 - height] = 0
    return points


def guess_of(points: np.ndarray, **fields: np.ndarray) -> SensorGuess:
    """Guess from an organised scan (rows, columns, 3)."""
    values = dict(zip("xyz", points.reshape(-1, 3).T, strict=True)) | fields
    return guess_sensor([sampled_scan(PointFields(values, points.shape[:2]), "scan")])


@pytest.mark.parametrize("preset", ["vlp-32c", "hdl-32e", "os1-128"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_guess_finds_presets_whose_upper_beams_have_no_returns(preset, is_reversed) -> None:
    """Rows of an organised cloud, from either end; the highest beams see the sky."""
    points = beams_scan(load_sensor(preset).elevations)
    rings = np.repeat(np.arange(len(points)), points.shape[1])
    assert not points[-1].any()
    points = points[::-1] if is_reversed else points
    assert guess_of(points).preset == preset
    assert guess_of(points, ring=rings).preset == preset
    assert guess_of(points).settings["height"] == pytest.approx(1.9, abs=0.02)


def test_guess_of_an_unknown_sensor_describes_its_beams() -> None:
    elevations = np.linspace(-16, 16, 16)
    guess = guess_of(beams_scan(elevations.tolist(), far=8.0, step=0.25))
    assert guess.preset is None
    assert guess.reason.startswith("none fits 15 beams, -16.0 to 13.9 degrees; nearest: vlp-32c")
    described = from_plain(SensorSettings, guess.settings).spec("own")
    assert described.elevations == pytest.approx(elevations[:15], abs=0.01)
    assert described.azimuth_step == pytest.approx(0.25, rel=0.02)


def test_numbers_without_elevations_are_not_those_of_beams() -> None:
    """As in clouds that were moved to the frame of the vehicle, or merged from several sensors."""
    points = beams_scan(load_sensor("hdl-32e").elevations).reshape(1, -1, 3)
    rings = np.arange(points.shape[1]) % 32
    points = np.random.default_rng(0).permutation(points, axis=1)
    guess = guess_of(points, ring=rings)
    assert guess.beams is None or guess.beams.source == "points"
    assert "expected points of one elevation for each number of a beam" in guess.notes[0]


def test_guess_of_another_azimuth_step_keeps_the_preset() -> None:
    settings = guess_of(beams_scan(load_sensor("os1-128").elevations, step=0.1758)).settings
    assert (settings["preset"], settings["azimuth_step"]) == ("os1-128", pytest.approx(0.1758, rel=0.02))


def test_guess_of_turned_axes_names_them() -> None:
    points = beams_scan(load_sensor("vlp-32c").elevations)[..., [0, 2, 1]] * np.array([1, 1, -1], np.float32)
    guess = guess_of(points)  # y up
    assert (guess.axes, guess.settings["axes"]) == ("left-up-forward", "left-up-forward")
    assert (guess.preset, guess.measures.ground) == ("vlp-32c", pytest.approx(-1.9, abs=0.02))


@pytest.mark.parametrize(
    ("largest", "scale", "maximum"), [(1, "0..1", 1), (255, "0..255", 255), (4000, "raw", 4000), (0, "constant", 1)]
)
def test_intensity_scale_of_a_field(largest, scale, maximum) -> None:
    values = np.linspace(0, largest, 5000, dtype=np.float32)
    scan = SampledScan(np.ones((5000, 3), np.float32), {"intensity": values})
    (found,) = intensity_fields([scan])
    assert (found.scale, found.max) == (scale, maximum)
    assert found.quantiles[-1] == largest


# ---- files --------------------------------------------------------------------------------------------------------


def test_inspect_real_kitti_scans_finds_the_hdl_64e(real_kitti, tmp_path) -> None:
    link = tmp_path / "scans"
    link.symlink_to(real_kitti / "sequences/00/velodyne")
    (scans,) = inspected(link)["clouds"]
    assert (scans["sensor"]["preset"], scans["sensor"]["beams_from"]) == ("hdl-64e", "points")
    assert scans["sensor"]["settings"] == {"preset": "hdl-64e", "height": pytest.approx(1.73, abs=0.1)}
    assert [field["name"] for field in scans["fields"]] == ["x", "y", "z", "remission"]


def test_inspect_real_nuscenes_scan_guesses_five_columns(real_nuscenes, tmp_path) -> None:
    link = tmp_path / "LIDAR_TOP"
    link.symlink_to(real_nuscenes / "samples/LIDAR_TOP")
    settings = inspected(link)["clouds"][0]["sensor"]["settings"]
    assert settings == {
        "preset": "hdl-32e", "height": pytest.approx(1.84, abs=0.1), "intensity": {"max": 255},
        "columns": ["x", "y", "z", "remission", "ring"],
    }  # fmt: skip


def write_street(path: Path, columns: int = 4) -> Path:
    """Scan of five columns or less, with intensities of 0..255 and numbers of beams."""
    values = street()
    values[:, 3] *= 255
    np.column_stack([values, np.arange(len(values)) % 16])[:, :columns].astype("<f4").tofile(path)
    return path


@pytest.mark.parametrize("columns", [4, 5])
def test_description_of_inspected_files_is_one_of_a_data_set(columns, tmp_path) -> None:
    path = write_street(tmp_path / "000000.bin", columns)
    description = inspected(path)["description"]
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(description))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 1
    np.testing.assert_allclose(dataset.scan(0).remission, street()[:, 3], rtol=1e-5)
    assert dataset.sensor.height == pytest.approx(1.73, abs=0.02)


def test_inspect_folder_with_a_damaged_scan_reports_it(tmp_path, capsys) -> None:
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", street(k))
    (tmp_path / "1.npy").write_bytes(b"\x93NUMPY")
    result = inspected(tmp_path, status=1)
    assert (result["clouds"][0]["count"], result["clouds"][0]["read"], result["clouds"][0]["damaged"]) == (3, 2, 1)
    assert "1.npy: expected a .npy file of points" in result["faults"][0]
    assert "found 1 damaged ones, which are skipped" in capsys.readouterr().out


def test_inspect_float64_file_is_refused(tmp_path, capsys) -> None:
    street().astype("<f8").tofile(tmp_path / "a.bin")
    assert main(["inspect", str(tmp_path / "a.bin")]) == 2
    assert "found float64 with 4 numbers per point" in capsys.readouterr().err


def test_inspect_with_a_stated_sensor_keeps_its_values(tmp_path) -> None:
    path = write_street(tmp_path / "000000.bin")
    (tmp_path / "roof.yaml").write_text("preset: vlp-32c\nname: roof\nheight: 3\nremission_max: 200\n")
    settings = inspected(path, "--sensor", str(tmp_path / "roof.yaml"))["clouds"][0]["sensor"]["settings"]
    assert (settings["name"], settings["height"], settings["remission_max"]) == ("roof", 3, 200)
    assert "intensity" not in settings


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "found no such file or folder"),
        (lambda path: path.mkdir(), "found an empty folder"),
        (lambda path: (path / "lidar").mkdir(parents=True), "found the folders lidar. Give one of them"),
        (lambda path: (path / "sequences/00/velodyne").mkdir(parents=True), "found a data set. Run 'elite check"),
        (lambda path: (path.mkdir(), (path / "dataset.yaml").touch()), "found a data set. Run 'elite check"),
        (lambda path: (path.mkdir(), (path / "a.bag").touch()), "found the folder of a.bag. Give one of the files"),
        (lambda path: path.write_text("text"), "expected points in a file .bin"),
    ],
)
def test_inspect_other_paths_are_refused(make, expected, tmp_path, capsys) -> None:
    path = tmp_path / "data"
    make(path)
    assert main(["inspect", str(path)]) == 2
    assert expected in capsys.readouterr().err


def test_documented_keys_are_those_of_the_json(tmp_path) -> None:
    text = FILE_FORMATS.read_text().partition("## Result of `elite inspect --json`\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\|([^|]*)\|", text, re.M))))
    result = inspected(write_recording(tmp_path / "a.mcap", street_items([START, START + PERIOD])))
    (points,) = result["clouds"]
    assert documented == {*result, *points, *points["sensor"]}
