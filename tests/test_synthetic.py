"""The rendered street: files, sensors, and accuracy of the occlusion test against ray casting."""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elite import geometry
from elite.cli import main
from elite.datasets import SemanticKITTI, open_dataset
from elite.datasets.dense_labels import read_dense
from elite.datasets.formats import split_label
from elite.errors import ConfigError
from elite.files import parse_yaml
from elite.layout import SPLITS, Layout
from elite.occlusion import point_pixel_pairs, visible
from elite.sensor import load_sensor
from elite.signals import Terminated, raise_on_signal
from tests.support.scans import write_frame
from tests.support.semantickitti import KITTI
from tests.support.streets import short_streets

pytest.importorskip("trimesh")
pytest.importorskip("embreex")

from elite.synthetic import DriveConfig, render_drive
from elite.synthetic import drive as rendering
from elite.synthetic.build import open_world
from elite.synthetic.classes import raw_id
from elite.synthetic.description import write_description
from elite.synthetic.drive import scan_frame
from elite.synthetic.scanner import beam_angles
from elite.synthetic.sensors import camera, level_camera
from elite.synthetic.timing import timing
from elite.synthetic.visibility import true_visibility

TINY = DriveConfig(sequences=1, frames=2, beams=16, azimuths=180, image_width=160, image_height=48)
FULL = DriveConfig(sequences=1)  # KITTI's sizes; only a frame or two is made of it


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Layout:
    root = tmp_path_factory.mktemp("drive") / "tiny"
    with short_streets():
        summary = render_drive(root, TINY, workers=1, progress=False)
    assert (summary.sequences, summary.rendered, summary.skipped) == (("00", "08"), 4, 0)
    return Layout(root)


@pytest.fixture(scope="module")
def full_frame():
    """(points with remission, labels, true visibility, camera, world and time) of one frame at full size."""
    index, sequence = 12, "08"
    world = open_world(FULL, sequence)
    time = index * timing(FULL, sequence).interval
    caster, view = world.caster(time), camera(FULL, "image_2")
    points, label = scan_frame(world, caster, FULL, sequence, index)
    seen = true_visibility(caster, world.ego_pose(time), points[:, :3], view)
    return points, KITTI.to_train(split_label(label)[0]), seen, view, (world, time)


def digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_render_drive_writes_semantickitti_files(drive):
    for sequence in ("00", "08"):
        for name in ("000000", "000001"):
            points = np.fromfile(drive.scan(sequence, name), np.float32).reshape(-1, 4)
            label = np.fromfile(drive.labels(sequence, name), np.uint32)
            semantic, instance = split_label(label)
            assert 1000 < len(points) == len(label) <= 16 * 180
            assert ((points[:, 3] >= 0) & (points[:, 3] < 1)).all()
            train = KITTI.to_train(semantic)  # raises on an unknown id
            assert (train > 0).all()
            assert ((instance > 0) == (train <= 8)).all()
            image = np.array(Image.open(drive.image(sequence, name, "image_2")))
            dense, dense_instance = read_dense(drive, sequence, name, "image_2_labels")
            assert image.shape == (48, 160, 3)
            assert dense.shape == dense_instance.shape == (48, 160)
            assert (dense == 0).any()  # sky
        assert len(drive.times(sequence).read_text().split()) == 2
        poses = np.loadtxt(drive.poses(sequence)).reshape(-1, 3, 4)
        np.testing.assert_allclose(poses[0], np.eye(4)[:3], atol=1e-9)
        assert 1 < poses[1][2, 3] < 6  # forward is z in camera axes
        assert [line.split(":")[0] for line in drive.calibration(sequence).read_text().splitlines()] == [
            "P0", "P1", "P2", "P3", "Tr",
        ]  # fmt: skip


def test_render_drive_rings_start_straight_ahead(drive):
    points = np.fromfile(drive.scan("00", "000000"), np.float32).reshape(-1, 4)
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    rings = np.cumsum(np.r_[0, (azimuth[1:] >= 0) & (azimuth[:-1] < 0)])
    elevation = np.arctan2(points[:, 2], np.linalg.norm(points[:, :2], axis=1))
    # The topmost beams may meet nothing but sky; every ring that is there keeps its elevation.
    levels = np.array([np.median(elevation[rings == r]) for r in range(rings.max() + 1)])
    assert 12 <= len(levels) <= 16
    assert (np.abs(levels[:, None] - beam_angles(16)).min(axis=1) < 2e-3).all()
    assert (np.diff(levels) < 0).all()


def test_render_drive_rerun_regenerates_incomplete_frames_only(drive):
    before = digests(drive.root)
    drive.scan("08", "000001").unlink()
    drive.labels("08", "000001").write_bytes(b"half a file")
    with short_streets():
        summary = render_drive(drive.root, TINY, workers=1, progress=False)
    assert (summary.rendered, summary.skipped) == (1, 3)
    assert digests(drive.root) == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_render_drive_any_worker_count_gives_the_same_files(drive, tmp_path, monkeypatch):
    """In forked processes, which have imported everything and build short streets, too."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(rendering.multiprocessing, "get_context", lambda _: fork)
    with short_streets():
        render_drive(tmp_path / "two", TINY, workers=2, progress=False)
    assert digests(tmp_path / "two") == digests(drive.root)


def test_drive_with_cameras_around_the_vehicle_describes_itself(tmp_path):
    """Points of the described data set have the labels of the pixels that they are projected to."""
    small = ["--sequences", "1", "--frames", "1", "--image-width", "320", "--image-height", "200", "--workers", "1"]
    with short_streets():
        assert main(["synth", "-o", str(tmp_path / "d"), "--sensor", "vlp-32c", "--cameras", "front,left", *small]) == 0
    dataset = open_dataset(tmp_path / "d")
    assert (dataset.sequences, dataset.cameras, dataset.sensor.name) == (("00", "08"), ("front", "left"), "vlp-32c")
    assert dataset.unused == ()
    frame = dataset[0]
    for around in frame.cameras:
        pairs = point_pixel_pairs(frame.scan.points, around, 200, 320)
        files = dataset.derived(0, "labels", around.name)
        semantic = np.asarray(Image.open(files.semantic))[tuple(pairs.pixel.T)]
        assert len(pairs) > 500
        assert (semantic == dataset.raw_labels(0)[pairs.point]).mean() > 0.85
    np.testing.assert_allclose(dataset.pose(0), np.eye(4), atol=1e-9)


def test_drive_states_the_splits_of_all_its_streets(tmp_path):
    config = DriveConfig(sequences=12, test_frames=1)
    write_description(Layout(tmp_path), config)
    for sequence in config.frame_counts():
        write_frame(tmp_path, sequence, "000000", np.zeros((1, 4)))
    train, valid, test = (open_dataset(tmp_path, sequences=split).sequences for split in ("train", "valid", "test"))
    assert train == (*SPLITS["train"], "22", "23")
    assert (valid, test) == (SPLITS["valid"], SPLITS["test"])
    assert {*train, *valid, *test} == config.frame_counts().keys()


def test_drive_without_cameras_has_the_same_scans(drive, tmp_path):
    small = ["--sequences", "1", "--frames", "2", "--beams", "16", "--azimuths", "180", "--workers", "1"]
    with short_streets():
        assert main(["synth", "-o", str(tmp_path / "d"), "--cameras", "none", *small]) == 0
    expected = {name for name in digests(drive.root).items() if "image_2" not in name[0]}
    differing = {name for name, _ in {*digests(tmp_path / "d").items()} ^ expected}
    assert differing == {"synth.json"} | {f"sequences/{s}/calib.txt" for s in ("00", "08")}  # other sizes of images
    assert open_dataset(tmp_path / "d", cameras=()).available_cameras() == ()


def test_render_drive_over_other_settings_or_files_is_refused(drive, tmp_path):
    with pytest.raises(ConfigError, match="found other values of seed"):
        render_drive(drive.root, dataclasses.replace(TINY, seed=1), progress=False)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="expected an empty folder"):
        render_drive(tmp_path, TINY, progress=False)
    assert json.loads((drive.root / "synth.json").read_text())["seed"] == 0


@pytest.mark.parametrize("setting", [{"frames": 0}, {"beams": 1}, {"seed": -1}, {"cameras": ("image_0",)}])
def test_drive_config_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        DriveConfig(**setting)


@pytest.fixture(scope="module")
def sensor_drive(tmp_path_factory) -> tuple[Path, DriveConfig]:
    """A tiny drive of a sensor that a file describes, 2.1 m above the road."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.yaml").write_text("preset: nuscenes-hdl-32e\nname: own\nazimuth_step: 2\nrange: 60\n")
    size = {"frames": 1, "image_width": 160, "image_height": 48}
    config = DriveConfig(sequences=1, sensor=str(folder / "own.yaml"), height=2.1, **size)
    with short_streets():
        render_drive(folder / "drive", config, workers=1, progress=False)
    return folder / "drive", config


def test_render_drive_of_a_sensor_has_its_beams_firings_range_and_height(sensor_drive):
    scan = SemanticKITTI(sensor_drive[0], "00")[0].scan
    across = np.hypot(scan.points[:, 0], scan.points[:, 1])
    elevation = np.rad2deg(np.arctan2(scan.points[:, 2], across))
    away = np.abs(elevation[:, None] - load_sensor("hdl-32e").elevations)
    ring, misfit = away.argmin(axis=1), away.min(axis=1)
    assert np.quantile(misfit, 0.99) < 0.1
    assert 150 < np.bincount(ring)[:16].min() <= np.bincount(ring).max() <= 180
    assert 40 < np.linalg.norm(scan.points, axis=1).max() < 60.1
    assert np.median(scan.points[ring == 0, 2]) == pytest.approx(-2.1, abs=0.15)  # on the road


def test_reader_of_a_rendered_drive_has_its_sensor(sensor_drive, drive):
    sensor = SemanticKITTI(sensor_drive[0]).sensor
    assert sensor == sensor_drive[1].lidar
    written = parse_yaml((sensor_drive[0] / "sensor.yaml").read_bytes(), "sensor.yaml")
    assert written.keys() == {"name", "elevations", "azimuth_step", "height", "range"}
    assert (sensor.name, sensor.height, sensor.range, sensor.azimuth_step) == ("own", 2.1, 60, 2)
    assert (sensor.columns, sensor.axes, sensor.missing_returns) == (
        ("x", "y", "z", "remission"),
        ("x", "y", "z"),
        False,
    )
    assert SemanticKITTI(drive.root).sensor == load_sensor("hdl-64e")
    assert SemanticKITTI(sensor_drive[0], sensor=load_sensor("vlp-32c")).sensor.name == "vlp-32c"


def test_render_drive_over_another_sensor_is_refused(sensor_drive):
    root, config = sensor_drive
    render_drive(root, config, workers=1, progress=False)
    for other in (dataclasses.replace(config, height=2.0), dataclasses.replace(config, sensor="hdl-32e")):
        with pytest.raises(ConfigError, match="found other values of sensor"):
            render_drive(root, other, progress=False)
    with pytest.raises(ConfigError, match="found other values of beams, azimuths, sensor"):
        render_drive(root, DriveConfig(sequences=1, frames=1, image_width=160, image_height=48), progress=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sensor": "hdl-65e"}, "expected hdl-32e, hdl-64e, .*found 'hdl-65e'"),
        ({"sensor": "hdl-32e", "beams": 32}, "--beams"),
        ({"sensor": "hdl-32e", "height": 0.0}, "height: expected metres above the road, more than 0, found 0.0"),
        ({"height": 2.0}, "Add --sensor"),
    ],
)
def test_drive_config_impossible_sensors_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DriveConfig(**settings)


def test_drive_config_of_a_sensor_without_beams_is_refused(tmp_path):
    (tmp_path / "own.yaml").write_text("name: own\n")
    with pytest.raises(ConfigError, match=r"expected elevations .* found own without them"):
        DriveConfig(sensor=str(tmp_path / "own.yaml"))


def test_drive_config_without_a_sensor_records_the_settings_of_earlier_versions():
    assert DriveConfig().to_json() == {
        "sequences": 3,
        "frames": 40,
        "test_frames": 0,
        "seed": 0,
        "beams": 64,
        "azimuths": 2048,
        "image_width": 1241,
        "image_height": 376,
        "cameras": ["image_2"],
    }


def test_scan_without_a_sensor_is_that_of_earlier_versions(full_frame):
    points = full_frame[0].astype(np.float64)
    assert len(points) == pytest.approx(122_147, abs=5)  # numerics of another processor may lose a point
    assert points.mean(axis=0) == pytest.approx([0.3850, 0.9636, -1.1514, 0.2584], abs=1e-3)


def test_frame_counts_assign_validation_and_test_sequences():
    counts = DriveConfig(sequences=10, frames=5, test_frames=2).frame_counts()
    assert list(counts) == [*(f"{i:02d}" for i in (*range(8), 9, 10)), "08", *(f"{i:02d}" for i in range(11, 22))]
    assert counts["08"] == 5
    assert counts["11"] == 2
    many = DriveConfig(sequences=12, frames=5, test_frames=2).frame_counts()
    assert set(many) - set(counts) == {"22", "23"}  # numbers that the benchmark does not use


def test_raw_id_of_moving_things_maps_to_their_class():
    for name in ("car", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist"):
        ids = np.array([raw_id(name), raw_id(name, moving=True)])
        assert [KITTI.names[i] for i in KITTI.to_train(ids)] == [name, name]
        assert ids[1] > 250


def test_scan_frame_contains_most_classes(full_frame):
    count = np.bincount(full_frame[1], minlength=20)
    assert (count[1:] > 20).sum() >= 16


def test_remission_alone_separates_few_classes(full_frame):
    points, train, *_ = full_frame
    present = [c for c in range(1, 20) if (train == c).sum() > 20]
    means = np.array([points[train == c, 3].mean() for c in present])
    guess = np.array(present)[np.abs(points[:, 3:] - means).argmin(axis=1)]
    recalls = [(guess[train == c] == c).mean() for c in present]
    assert np.mean(recalls) < 0.35


def visible_pairs(points, view):
    """(index into points, pixel, kept) of the points that fall in the image."""
    height, width = FULL.image_height, FULL.image_width
    uv, depth = geometry.project(points[:, :3], view)
    index = np.flatnonzero(geometry.in_image(uv, height, width))
    pixel = np.floor(uv[index]).astype(np.int64)[:, ::-1]
    return index, pixel, visible(pixel, depth[index], height, width)


def test_visible_agrees_with_ray_casting(full_frame):
    points, _, seen, view, _ = full_frame
    index, _, kept = visible_pairs(points, view)
    truly = seen[index]
    assert truly.mean() < 0.99  # there is something to find
    assert truly[kept].mean() > 0.97
    assert kept[truly].mean() > 0.95


def test_patches_of_nuscenes_beams_agree_with_ray_casting():
    """Sparse beams: most hidden points are beyond the constant patch, and the next beam must not hide the ground."""
    config, index, sequence = DriveConfig(sensor="hdl-32e"), 20, "08"
    front = level_camera("front", 1260, 900, 1600, (0.76, 0.02, -0.33), 0)
    back = level_camera("back", 809, 900, 1600, (-0.92, 0, -0.26), 180)
    with short_streets():
        world, time = open_world(config, sequence), index * timing(config, sequence).interval
    caster = world.caster(time)
    points = scan_frame(world, caster, config, sequence, index)[0][:, :3]
    kept, truly = [], []
    for view in (front, back):
        seen = geometry.in_image(geometry.project(points, view)[0], 900, 1600)
        shown = point_pixel_pairs(points[seen], view, 900, 1600, config.lidar.beams).point
        kept.append(np.isin(np.arange(seen.sum()), shown))
        truly.append(true_visibility(caster, world.ego_pose(time), points[seen], view))
    visible_points, kept_points = np.concatenate(truly), np.concatenate(kept)
    assert visible_points.mean() < 0.94
    assert visible_points[kept_points].mean() > 0.975  # constant patch: 0.92
    assert kept_points[visible_points].mean() > 0.95  # patch of a whole gap: 0.78


def test_camera_and_lidar_labels_agree(full_frame):
    from elite.synthetic.camera import photograph

    points, train, seen, view, (world, time) = full_frame
    pose, caster = world.ego_pose(time), world.caster(time)
    _, semantic, _ = photograph(
        world, caster, pose, view, height=FULL.image_height, width=FULL.image_width, rng=np.random.default_rng(0)
    )
    index, pixel, _ = visible_pairs(points, view)
    same = KITTI.to_train(semantic)[tuple(pixel.T)] == train[index]
    assert same[seen[index]].mean() > 0.95
    assert same[~seen[index]].mean() < 0.5


def endless(*_: object) -> None:
    time.sleep(100)


def test_render_drive_signal_ends_its_processes_at_once(tmp_path: Path, monkeypatch) -> None:
    """Not after their part of the drive, which takes minutes."""
    monkeypatch.setattr(rendering, "_render_part", endless)
    parts = [("00", [0]), ("00", [1])]
    with raise_on_signal():
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(Terminated):
            rendering._run(Layout(tmp_path), TINY, parts, 2, lambda count: None)
    assert not multiprocessing.active_children()
