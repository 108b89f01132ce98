"""Recordings as data sets: every number and every byte, pairs by time, resumption, and recordings with faults."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import yaml
from mcap.writer import Writer
from PIL import Image

import elite.files
from elite.cli import main
from elite.conversion.cameras import camera_names
from elite.conversion.images import is_truncated
from elite.conversion.pairing import Grouping
from elite.conversion.pairing import Item as Grouped
from elite.datasets import open_dataset
from elite.geometry import project
from elite.point_files import read_point_file
from elite.recordings import CompressedImage, PointCloud2, PointField
from elite.taxonomy import load_taxonomy
from elite.types import Camera
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
    random_points,
    store,
    structured,
    tf_item,
    write_recording,
)
from tests.support.rendered_recordings import CAMERAS, rendered_cameras, rendered_recording, rendered_scans
from tests.support.waiting import wait_until

K = np.array([[10.0, 0, 8], [0, 11, 6], [0, 0, 1]])
OPTICAL = np.array([[0.0, 0, 1, 0.5], [-1, 0, 0, 0], [0, -1, 0, -0.2], [0, 0, 0, 1]])  # pose of the camera in the LiDAR
MOUNT = np.array([[0.0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]])  # pose of the LiDAR on the vehicle
LATER = 10_000_000  # ns from a scan to its image


def points(i: int) -> dict[str, np.ndarray]:
    """Fields of a cloud of 2 x 4 points before the camera."""
    rng = np.random.default_rng(i)
    found = random_points("ouster", 8, seed=i)
    return found | {axis: rng.uniform(5, 20, 8).astype(np.float32) for axis in "xyz"}


def scan(i: int, *, topic: str = "/points", frame: str = "lidar", layout: str = "ouster", stamp: int = 0) -> Item:
    record = cloud(layout, points(i), height=2, stamp=stamp or START + i * PERIOD, frame=frame)
    return cloud_item(topic, record, time=START + i * PERIOD)


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(100 + i).integers(0, 256, (12, 16, 3), np.uint8)


def vehicle_pose(time: int) -> np.ndarray:
    """Pose at a time after START (ns): 10 m/s to the right of the vehicle's x axis."""
    pose = np.eye(4)
    pose[1, 3] = -1e-8 * time
    return pose


def drive(count: int = 5, *, raw: bool = False) -> list[Item]:
    """Scans at 10 Hz with images 10 ms later, calibration, static transforms and odometry at 50 Hz."""
    found = [tf_item("/tf_static", {("base_link", "lidar"): MOUNT, ("lidar", "cam"): OPTICAL}, START - PERIOD)]
    for i in range(count):
        stamp = START + i * PERIOD + LATER
        image = (
            image_item("/front/image_raw", picture(i), stamp, "cam", "rgb8")
            if raw
            else compressed_item("/front/image_raw/compressed", picture(i), stamp, "cam")
        )
        found += [scan(i), image, camera_info_item("/front/camera_info", K, (12, 16), stamp, "cam")]
    found += [
        odometry_item("/odom", vehicle_pose(time), START + time) for time in range(-PERIOD, count * PERIOD, PERIOD // 5)
    ]
    return sorted(found, key=lambda item: item.time)


def convert(path: Path, out: Path, *options: str) -> int:
    return main(["convert", str(path), "-o", str(out), *options])


class Kept:
    """Contents of a message."""


def tree(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- contents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "every type"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_converted_scan_has_every_number_of_the_cloud(tmp_path: Path, layout: str, big_endian: bool) -> None:
    values = random_points(layout, 12)
    values["x"][3] = np.nan
    record = cloud(layout, values, height=3, big_endian=big_endian, row_padding=5, fill=255)
    path = write_recording(tmp_path / "a.mcap", [cloud_item("/points", record)])
    assert convert(path, tmp_path / "out") == 0
    found = read_point_file(tmp_path / "out" / "a" / "lidar" / f"{START}.pcd", ())
    assert found.shape == (3, 4)
    expected = structured(layout, values)
    assert [*found.values] == [*LAYOUTS[layout][0]]
    for name, numbers in found.values.items():
        assert numbers.dtype == expected.dtype[name]
        assert numbers.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "folder"])
def test_converted_recording_of_any_kind_has_its_images_and_poses(tmp_path: Path, name: str) -> None:
    items = drive()
    path = write_recording(tmp_path / name, items)
    assert convert(path, tmp_path / "out") == 0
    recorded = [bytes(item.message.data) for item in items if item.type.endswith("CompressedImage")]
    images = sorted((tmp_path / "out").glob("*/cameras/front/*.jpg"))
    assert [image.read_bytes() for image in images] == recorded
    dataset = open_dataset(tmp_path / "out")
    assert (len(dataset), dataset.cameras, dataset.sensor.no_return) == (5, ("front",), "drop")
    pose = dataset.pose(2)
    assert pose is not None
    np.testing.assert_allclose(pose, vehicle_pose(2 * PERIOD) @ MOUNT, atol=1e-6)


@pytest.mark.parametrize(("option", "suffix"), [("png", ".png"), ("jpg", ".jpg")])
def test_converted_raw_images_are_jpg_or_lossless_png(tmp_path: Path, option: str, suffix: str) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(1, raw=True))
    assert convert(path, tmp_path / "out", "--image-format", option) == 0
    (image,) = (tmp_path / "out" / "a" / "cameras" / "front").iterdir()
    found = np.asarray(Image.open(image))
    assert image.suffix == suffix
    difference = np.abs(found.astype(int) - picture(0))
    assert difference.mean() < 5
    assert suffix == ".jpg" or not difference.any()


def test_converted_camera_projects_with_the_chain_of_frames_and_the_motion(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", drive())
    assert convert(path, tmp_path / "out") == 0
    dataset = open_dataset(tmp_path / "out")
    (camera,) = dataset.frame_cameras(1)
    uv, depth = project(np.array([[10, 0, 0]], np.float32), camera)
    # The LiDAR looks to the left of the vehicle. In 10 ms, it moves by 0.1 m against its own x axis.
    np.testing.assert_allclose(depth, 10 + 0.1 - 0.5, atol=1e-4)
    np.testing.assert_allclose(uv, [[8, 6 + 11 * -0.2 / 9.6]], atol=1e-3)


def test_converted_scans_have_the_nearest_image_within_sync(tmp_path: Path) -> None:
    items = [item for item in drive(3) if item.topic != "/front/image_raw/compressed"]
    for i, offset in enumerate((-40, -20, 30, 255)):  # ms after the first scan
        items.append(compressed_item("/front/image_raw/compressed", picture(i), START + offset * 10**6, "cam"))
    path = write_recording(tmp_path / "a.mcap", sorted(items, key=lambda item: item.time))
    assert convert(path, tmp_path / "out", "--sync", "57ms") == 0
    dataset = open_dataset(tmp_path / "out")
    taken = [image.path.stem for i in range(3) for image in dataset.images(i)]
    assert taken == [str(START + offset * 10**6) for offset in (-20, 255)]
    assert {path.stem for path in (tmp_path / "out/a/cameras/front").iterdir()} == set(taken)


def test_images_at_the_limit_of_sync_are_those_of_the_scans(tmp_path: Path) -> None:
    items = [item for item in drive(20) if item.topic != "/front/image_raw/compressed"]
    for i in range(20):
        items.append(
            compressed_item("/front/image_raw/compressed", picture(i), START + (2 * i + 1) * PERIOD // 2, "cam")
        )
    path = write_recording(tmp_path / "a.mcap", sorted(items, key=lambda item: item.time))
    assert convert(path, tmp_path / "out", "--poses", "none") == 0
    dataset = open_dataset(tmp_path / "out")
    assert sum(len(dataset.images(i)) for i in range(20)) == 20


def test_converted_part_has_every_second_scan_of_the_time(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(8))
    assert convert(path, tmp_path / "out", "--start", "200ms", "--stop", "0.75", "--every", "2") == 0
    names = sorted(int(path.stem) for path in (tmp_path / "out/a/lidar").iterdir())
    assert names == [START + i * PERIOD for i in (1, 3, 5)]  # the recording starts 0.1 s before the first scan


def test_converted_recordings_of_a_vehicle_are_sequences_of_one_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("monday", "tuesday"):
        assert convert(write_recording(tmp_path / f"{name}.mcap", drive(2)), tmp_path / "out") == 0
    description = tmp_path / "out" / "dataset.yaml"
    description.write_text(description.read_text().replace("val: []", "val: [tuesday]"))
    for split, name in (("train", "monday"), ("valid", "tuesday")):
        assert {sequence for sequence, _ in open_dataset(tmp_path / "out", sequences=split).ids} == {name}
    capsys.readouterr()
    options = ("--sequence", "third", "--sync", "80ms", "--taxonomy", "rellis")
    assert convert(tmp_path / "monday.mcap", tmp_path / "out", *options) == 0
    kept = capsys.readouterr().err
    assert "keeps its sync.tolerance: 0.05, not that of --sync 0.08." in kept
    assert "keeps its names, not those of --taxonomy rellis." in kept
    moved = [camera_info_item("/front/camera_info", np.diag([2, 2, 1]) @ K, (12, 16), START, "cam"), *drive(2)]
    assert convert(write_recording(tmp_path / "other.mcap", moved), tmp_path / "out") == 2
    assert not (tmp_path / "out" / "other").exists()


def test_converted_data_set_contains_its_own_classes(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(1))
    classes = Path(__file__).parents[1] / "examples" / "trams.yaml"
    assert convert(path, tmp_path / "out", "--taxonomy", str(classes)) == 0
    assert (tmp_path / "out" / "trams.yaml").read_bytes() == classes.read_bytes()
    assert open_dataset(tmp_path / "out").taxonomy.names == load_taxonomy(classes).names


def test_images_without_scans_around_them_are_not_kept() -> None:
    groups, alive = Grouping(("front",), False, 50_000_000), WeakSet[Kept]()
    for i in range(200):  # 20 s
        image = Kept()
        alive.add(image)
        groups.add_image("front", Grouped(i * PERIOD, i * PERIOD, image))
        if i == 100:
            groups.add_scan(Grouped(i * PERIOD, i * PERIOD, None))
        found = [group.images["front"].stamp for group in groups.complete(i * PERIOD)]
        assert found == ([100 * PERIOD] if i == 101 else [])
        assert len(alive) <= 12, i
        del image


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_image_lacks_its_end_before_any_padding(kind: str) -> None:
    data = bytes(compressed_item("/a", picture(0), START, "cam", kind=kind).message.data)
    parts = (np.frombuffer(part, np.uint8) for part in (data, data + bytes(9), data[:-9]))
    assert [is_truncated(CompressedImage(START, "cam", kind, part)) for part in parts] == [False, False, True]


# ---- calibration -------------------------------------------------------------------------------------------------


def test_camera_without_calibration_is_left_out_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [item for item in drive(2) if item.topic != "/tf_static"]
    path = write_recording(tmp_path / "a.mcap", items)
    assert convert(path, tmp_path / "out") == 0
    assert "camera front is omitted: transforms: expected a chain from 'lidar' to 'cam'" in capsys.readouterr().err
    assert open_dataset(tmp_path / "out").cameras == ()
    assert convert(path, tmp_path / "other", "--cameras", "front=/front/image_raw/compressed") == 2
    assert "'lidar' to 'cam', found no transforms" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_camera_with_depth_images_has_those_of_color(tmp_path: Path) -> None:
    depth = [image_item("/front/image_depth", picture(0), START + LATER, "cam", "32FC1")]
    path = write_recording(tmp_path / "a.mcap", sorted([*depth, *drive(2, raw=True)], key=lambda item: item.time))
    assert convert(path, tmp_path / "out") == 0
    assert open_dataset(tmp_path / "out").cameras == ("front",)
    with Image.open(next((tmp_path / "out/a/cameras/front").iterdir())) as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize("wanted", ["a_front", "/a/front/image_raw"])
def test_camera_is_chosen_by_its_name_or_its_topic(tmp_path: Path, wanted: str) -> None:
    items = [
        item._replace(topic=topic)
        for item in drive(1, raw=True)
        for topic in ((f"/{vehicle}{item.topic}" for vehicle in "ab") if "front" in item.topic else (item.topic,))
    ]
    path = write_recording(tmp_path / "a.mcap", items)
    assert convert(path, tmp_path / "out", "--cameras", wanted) == 0
    assert open_dataset(tmp_path / "out").cameras == ("a_front",)
    assert convert(path, tmp_path / "other", "--cameras", "front") == 2  # of which vehicle?


def test_given_calibration_replaces_the_recorded_one(tmp_path: Path) -> None:
    items = [item for item in drive(2) if item.topic not in ("/tf_static", "/front/camera_info")]
    given = {"K": [10, 10, 8, 6], "model": "fisheye", "dist": [0.1, 0, 0, 0], "T_lidar_cam": OPTICAL.tolist()}
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({"front": given}))
    path = write_recording(tmp_path / "a.mcap", items)
    assert convert(path, tmp_path / "out", "--calibration", str(tmp_path / "given.yaml")) == 0
    camera = yaml.safe_load((tmp_path / "out/dataset.yaml").read_text())["cameras"]["front"]
    assert camera == given | {"images": "cameras/front/*.jpg", "times": "name"}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered street, converted from a bag of ROS 1."""
    work = tmp_path_factory.mktemp("street")
    assert convert(rendered_recording(work / "street.bag", delay=0), work / "out") == 0
    return work / "out"


@pytest.mark.parametrize("camera", CAMERAS)
def test_points_of_a_rendered_recording_hit_the_pixels_of_their_class(street: Path, camera: str) -> None:
    dataset, classes = open_dataset(street), load_taxonomy("semantickitti")
    K, pose = rendered_cameras()[camera]
    for i, rendered in enumerate(rendered_scans()["00"]):
        scan = dataset.scan(i)
        (found,) = [found for found in dataset.frame_cameras(i) if found.name == f"cam_{camera}"]
        uv, depth = project(scan.points, found)
        expected, _ = project(scan.points, Camera(camera, K @ np.linalg.inv(pose)[:3]))
        semantic = rendered.semantic[camera]
        height, width = semantic.shape
        inside = (depth > 0.5) & (uv >= 0).all(1) & (uv < (width - 1, height - 1)).all(1)
        np.testing.assert_allclose(uv[inside], expected[inside], atol=1e-3)
        u, v = uv[inside].round().astype(int).T
        same = classes.to_train(semantic[v, u]) == classes.to_train(rendered.labels[scan.kept][inside])
        assert same.mean() > 0.8  # the LiDAR sees past edges that the camera does not


# ---- resumption --------------------------------------------------------------------------------------------------


def without_pixels(item: Item) -> Item:
    item.message.data = item.message.data[:0]
    item.message.height = item.message.width = 0
    return item


class Killed(BaseException):
    """The process ends here."""


def faulty_drive() -> list[Item]:
    """Ten scans, of which some are skipped, with raw images, so that every count matters."""
    items = [item for item in drive(10, raw=True) if item.time != START + 5 * PERIOD + LATER]
    items += [
        cloud_item("/points", cloud("ouster", points(0), height=2, stamp=START), time=START + 3 * PERIOD + 1),
        cloud_item("/points", cloud("XYZI", points(0)), time=START + 6 * PERIOD + 1),
        without_pixels(image_item("/front/image_raw", picture(0), START + 4 * PERIOD, "cam", "rgb8")),
    ]
    return sorted(items, key=lambda item: item.time)


@pytest.mark.parametrize("writes", range(1, 21, 2))
def test_conversion_resumes_after_any_file_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    path = write_recording(tmp_path / "a.mcap", faulty_drive())
    assert convert(path, tmp_path / "whole") == 0
    done: list[Path] = []
    write_bytes = elite.files.write_bytes

    def killed(file: Path, data: bytes) -> None:
        if len(done) == writes:
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / f".{file.name}.0123abcd").write_bytes(data[:9])
            raise Killed
        done.append(file)
        write_bytes(file, data)

    for module in ("run", "description"):
        monkeypatch.setattr(f"elite.conversion.{module}.write_bytes", killed)
    with pytest.raises(Killed):
        convert(path, tmp_path / "part")
    journal = tmp_path / "part" / ".a.part" / "conversion.jsonl"
    if journal.exists():
        journal.write_bytes(journal.read_bytes() + b'{"time": 17')
    writes = 1000
    assert convert(path, tmp_path / "part") == 0
    assert tree(tmp_path / "part") == tree(tmp_path / "whole")
    assert len(done) == len({*done})


def test_conversion_that_is_killed_resumes_with_the_same_bytes(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(60, raw=True))
    command = [sys.executable, "-m", "elite", "convert", str(path), "-o", str(tmp_path / "part")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    journal = tmp_path / "part" / ".a.part" / "conversion.jsonl"
    wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = journal.read_bytes().count(b"\n")
    assert 5 < before < 60
    assert convert(path, tmp_path / "part") == 0
    assert convert(path, tmp_path / "whole") == 0
    assert tree(tmp_path / "part") == tree(tmp_path / "whole")


def test_complete_conversion_is_not_surveyed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recording(tmp_path / "a.mcap", faulty_drive())
    results = tmp_path / "first.json", tmp_path / "again.json"
    assert convert(path, tmp_path / "out", "--json", str(results[0])) == 0
    first, before = capsys.readouterr(), tree(tmp_path / "out")
    monkeypatch.delattr("elite.conversion.run.find_sources")
    assert convert(path, tmp_path / "out", "--json", str(results[1])) == 0
    again = capsys.readouterr()
    assert again.out == first.out.replace("out/a: ", "out/a: already complete: ")
    assert again.err == "".join(line for line in first.err.splitlines(keepends=True) if "warning" in line)
    one, two = (json.loads(result.read_text()) | {"command": ""} for result in results)
    assert (one["is_new"], two["is_new"]) == (True, False)
    assert two == one | {"is_new": False}
    assert tree(tmp_path / "out") == before


def test_interrupted_conversion_prints_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(3))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("elite.conversion.run.write_bytes", interrupted)
    assert convert(path, tmp_path / "out") == 130
    assert "elite: interrupted. Run the same command to continue.\n" in capsys.readouterr().err


def test_conversion_to_another_output_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(2))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    assert convert(path, tmp_path / "photos") == 2
    assert "expected a new folder or a data set, found 'cat.jpg'" in capsys.readouterr().err
    assert convert(path, tmp_path / "out") == 0
    before = tree(tmp_path / "out")
    assert convert(path, tmp_path / "out") == 0
    assert convert(path, tmp_path / "out", "--every", "2") == 2
    assert "(every 2), found one of every 1" in capsys.readouterr().err
    assert tree(tmp_path / "out") == before


def test_conversion_with_a_damaged_record_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(3))
    assert convert(path, tmp_path / "out") == 0
    mine = tmp_path / "out" / "a" / ".mine.01234567"
    mine.touch()
    assert convert(path, tmp_path / "out") == 0
    assert mine.exists()
    record = tmp_path / "out" / "a" / "conversion.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    for damaged in (b"\0\0\n", b'{"time": 1}\n', b"7\n"):
        record.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
        assert convert(path, tmp_path / "out") == 2
        assert "conversion.jsonl: expected the record of a conversion, found" in capsys.readouterr().err
    for damaged in (b"[1]\n", b"[" * 100_000 + b"\n"):
        record.write_bytes(b"".join([damaged, *lines[1:]]))
        assert convert(path, tmp_path / "out") == 2
        assert "conversion.jsonl: expected the record of a conversion, found" in capsys.readouterr().err


def test_conversion_on_a_full_disk_is_an_error_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(3))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("elite.files._sync", full)
        assert convert(path, tmp_path / "out") == 2
    assert "No space left on device). Free disk space" in capsys.readouterr().err
    assert convert(path, tmp_path / "out") == 0
    assert len(open_dataset(tmp_path / "out")) == 3


# ---- faults ------------------------------------------------------------------------------------------------------


def with_faults() -> Iterator[tuple[str, list[Item], str]]:
    """(name, messages, line of the report)."""
    back = cloud("ouster", points(0), height=2, stamp=START)
    yield "time", [cloud_item("/points", back, time=START + 1)], "skipped: clouds whose time does not increase: 1"
    yield "layout", [scan(1, layout="XYZI", stamp=START + 1)], "skipped: clouds with other fields (x y z intensity): 1"
    other = [scan(i, frame="rear", stamp=START + i * PERIOD + 1) for i in range(3)]
    yield "frames", other, "skipped: clouds of the frame 'rear' (see --frame): 3"
    empty = PointCloud2(**vars(back) | {"height": 0, "width": 0, "data": back.data[:0], "stamp": START + 5})
    yield "no points", [cloud_item("/points", empty)], "skipped: clouds without points: 1"
    torn = PointCloud2(**vars(back) | {"data": back.data[:40], "stamp": START + 5})
    yield "torn", [cloud_item("/points", torn)], "skipped: clouds that are not readable: 1"
    no_pixels = without_pixels(compressed_item("/front/image_raw/compressed", picture(0), START + 9, "cam"))
    yield "no pixels", [no_pixels], "skipped: images of front without pixels, or neither JPEG nor PNG: 1"
    large = compressed_item("/front/image_raw/compressed", np.zeros((24, 32, 3), np.uint8), START + PERIOD, "cam")
    half = compressed_item("/front/image_raw/compressed", picture(0), START + 9, "cam")
    half.message.data = half.message.data[:-20]
    yield "torn image", [half], "skipped: truncated images of front: 1"
    yield "size", [large], "skipped: images of front of another size or format: 1"
    first = PointCloud2(**vars(torn) | {"stamp": START - PERIOD})
    yield "torn at the start", [cloud_item("/points", first)], "skipped: clouds that are not readable: 1"
    early = compressed_item("/front/image_raw/compressed", picture(0), -5, "cam")._replace(time=START)
    yield "negative time", [early], "skipped: images of front with a negative time: 1"
    rear = odometry_item("/odom", vehicle_pose(0), START + 1, child="rear")
    yield "pose", [rear], "skipped: poses of 'rear' in 'odom', not of the frames of the first one: 1"
    zoomed = camera_info_item("/front/camera_info", 2 * K, (12, 16), START + 10**9, "cam")
    yield "zoom", [zoomed], "skipped: calibrations of front that differ from the first one, which is used: 1"


@pytest.mark.parametrize(("items", "line"), [pytest.param(*case[1:], id=case[0]) for case in with_faults()])
def test_faults_of_a_recording_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], items: list[Item], line: str
) -> None:
    path = write_recording(tmp_path / "a.mcap", sorted(drive(3) + items, key=lambda item: item.time))
    assert convert(path, tmp_path / "out", "--json", str(tmp_path / "result.json")) == 0
    assert f"  {line}\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["scans"] == 3
    assert len(open_dataset(tmp_path / "out")) == 3


def without_stamp(item: Item) -> Item:
    item.message.header.stamp.sec = item.message.header.stamp.nanosec = 0
    return item


def test_messages_without_stamps_have_the_time_of_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [without_stamp(item) if item.topic != "/tf_static" else item for item in drive(3)]
    path = write_recording(tmp_path / "a.mcap", items)
    assert convert(path, tmp_path / "out") == 0
    warnings = capsys.readouterr().err
    for topic in ("/points", "/front/image_raw/compressed", "/odom"):
        assert f"{topic}: expected stamps, found 0. The times of recording are used instead" in warnings
    assert convert(write_recording(tmp_path / "b.mcap", drive(3)), tmp_path / "stamped", "--sequence", "a") == 0
    found, expected = (tree(tmp_path / name / "a") for name in ("out", "stamped"))
    assert {name: data for name, data in found.items() if "jsonl" not in name} == {
        name: data for name, data in expected.items() if "jsonl" not in name
    }


def test_field_that_a_file_cannot_name_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = cloud("XYZI", points(0))
    fields = (*record.fields[:3], PointField("signal photons", 16, 7))
    path = write_recording(tmp_path / "a.mcap", [cloud_item("/points", replace(record, fields=fields))])
    assert convert(path, tmp_path / "out") == 2
    assert "found 'signal photons'. Rename the field." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_cameras_of_similar_topics_have_different_names() -> None:
    assert camera_names(["left", "rear/left", "rear_left", "a/rear/left"]) == {
        "left": "left",
        "rear/left": "rear_left",
        "rear_left": "rear_left_2",
        "a/rear/left": "a_rear_left",
    }


def test_second_sensor_of_a_topic_is_chosen_by_its_frame(tmp_path: Path) -> None:
    items = drive(3) + [scan(i, frame="rear", stamp=START + i * PERIOD + 1) for i in range(2)]
    path = write_recording(tmp_path / "a.mcap", sorted(items, key=lambda item: item.time))
    assert convert(path, tmp_path / "out", "--frame", "rear") == 0
    assert len(open_dataset(tmp_path / "out")) == 2


def test_scans_outside_the_poses_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [item for item in drive(8) if item.topic != "/odom" or item.time > START + 3 * PERIOD]
    path = write_recording(tmp_path / "a.mcap", items)
    assert convert(path, tmp_path / "out") == 0
    assert "skipped: scans without poses (--poses none converts them): 3" in capsys.readouterr().out
    assert len(open_dataset(tmp_path / "out")) == 5


def test_recording_that_is_cut_off_is_converted_up_to_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(400))
    os.truncate(path, path.stat().st_size * 2 // 3)
    assert convert(path, tmp_path / "out", "--every", "40") == 0
    assert "a.mcap: it ends within the record" in capsys.readouterr().err
    assert 0 < len(open_dataset(tmp_path / "out")) < 10


def test_recording_without_definitions_is_converted(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        channels: dict[str, int] = {}
        for item in drive(3):
            if item.topic not in channels:
                schema = writer.register_schema(item.type, "ros2msg", b"")
                channels[item.topic] = writer.register_channel(item.topic, "cdr", schema)
            data = bytes(store().serialize_cdr(item.message, item.type))
            writer.add_message(channels[item.topic], item.time, data, item.time)
        writer.finish()
    assert convert(tmp_path / "a.mcap", tmp_path / "out") == 0
    dataset = open_dataset(tmp_path / "out")
    assert (len(dataset), dataset.cameras) == (3, ("front",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--topic", "/cloud"], "expected the topic '/cloud'"),
        (["--frame", "roof"], "expected points x y z of the frame 'roof', found clouds of the frame 'lidar'"),
        (
            ["--cameras", "front=/rear/image"],
            "expected the image topic '/rear/image', found /front/image_raw/compressed",
        ),
        (["--cameras", "front=,left"], "--cameras: expected NAME,NAME or NAME=TOPIC,NAME=TOPIC, found 'front=,left'"),
        (["--cameras", "front,rear"], "expected the camera 'rear', found front. Correct --cameras"),
        (["--poses", "/gps"], "expected the topic '/gps'"),
        (["--poses", "/odom=rear"], "expected a chain from 'lidar' to 'rear', found base_link > lidar, lidar > cam"),
        (["--start", "100"], "--start: expected at most"),
        (["--start", "1ms", "--stop", "2ms"], "expected scans, found none in this part"),
        (["--sync", "fast"], "expected a time such as 50ms or 2.5s, found 'fast'"),
        (["--taxonomy", "mine"], "found 'mine'"),
        (["--sequence", "../up"], "found '../up'"),
    ],
)
def test_impossible_conversion_is_an_error_without_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(2))
    assert convert(path, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_recording_without_clouds_or_bytes_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.mcap"
    empty.touch()
    assert convert(empty, tmp_path / "out") == 2
    assert "found an empty file" in capsys.readouterr().err
    path = write_recording(tmp_path / "a.mcap", [item for item in drive(2) if item.topic != "/points"])
    assert convert(path, tmp_path / "out") == 2
    assert "expected a topic of sensor_msgs/msg/PointCloud2" in capsys.readouterr().err


# ---- memory ------------------------------------------------------------------------------------------------------


def large_drive(count: int) -> Iterator[Item]:
    """Scans of an OS1-128 with three raw images of 1920 x 1200: 27 MB each."""
    values = random_points("ouster", 2**17) | dict.fromkeys("xyz", np.linspace(1, 50, 2**17, dtype=np.float32))
    pixels = np.kron(picture(0), np.ones((100, 120, 1), np.uint8))
    frames = {("lidar", f"cam_{name}"): OPTICAL for name in "abc"}
    yield tf_item("/tf_static", {("base_link", "lidar"): MOUNT} | frames, START - PERIOD)
    for i in range(count):
        stamp = START + i * PERIOD
        yield odometry_item("/odom", vehicle_pose(i * PERIOD), stamp)
        yield cloud_item("/points", cloud("ouster", values, height=128, stamp=stamp))
        for name in "abc":
            yield image_item(f"/{name}/image_raw", pixels, stamp + LATER, f"cam_{name}", "bgr8")
            K_large = np.array([[1000.0, 0, 960], [0, 1000, 600], [0, 0, 1]])
            yield camera_info_item(f"/{name}/camera_info", K_large, (1200, 1920), stamp + LATER, f"cam_{name}")


CONVERT = """
import resource, sys
from elite.cli import main
assert main(["convert", sys.argv[1], "-o", sys.argv[2]]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_recording_of_5_gb_is_converted_in_600_mib(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", large_drive(190))
    assert path.stat().st_size > 5e9
    command = [sys.executable, "-c", CONVERT, str(path), str(tmp_path / "out")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "190 scans, 190 images of a, 190 images of b, 190 images of c" in output
    assert int(output.split()[-1]) < 600
    path.unlink()
