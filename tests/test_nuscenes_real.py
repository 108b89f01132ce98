"""The nuScenes reader on real keyframes (skipped without them)."""

from pathlib import Path

import numpy as np
import pytest

from elite.camera_tiles import surround_rows
from elite.datasets.nuscenes import NuScenes
from elite.geometry import project
from elite.viewer import open_data

# Points that the devkit's map_pointcloud_to_image keeps of scene-0061.
MAPPED = {
    "CAM_FRONT": 3053,
    "CAM_FRONT_RIGHT": 3076,
    "CAM_BACK_RIGHT": 3369,
    "CAM_BACK": 4820,
    "CAM_BACK_LEFT": 4089,
    "CAM_FRONT_LEFT": 3696,
}


@pytest.fixture(scope="module")
def frames(real_nuscenes: Path) -> NuScenes:
    return NuScenes(real_nuscenes)


def test_keyframes_of_both_tables_are_listed(frames: NuScenes) -> None:
    assert [frame_id.sequence for frame_id in frames.ids] == ["scene-0001"] * 4 + ["scene-0061"]
    assert frames.labelled() == [0, 1, 2, 3, 4]
    assert frames.image_cameras(0) == ("CAM_BACK_LEFT",)
    assert frames.image_cameras(1) == ()
    assert frames.unused == []
    assert len(frames.select(frames.selection).ids) == 5


@pytest.mark.parametrize("camera", MAPPED)
def test_projection_maps_as_many_points_as_the_devkit(frames: NuScenes, camera: str) -> None:
    frame = frames.frame(4, cameras=(camera,))
    height, width = frame.images[camera].shape[:2]
    assert (height, width) == (900, 1600)
    uv, depth = project(frame.scan.points, next(c for c in frame.cameras if c.name == camera))
    inside = (depth > 1) & (uv[:, 0] > 1) & (uv[:, 0] < width - 1) & (uv[:, 1] > 1) & (uv[:, 1] < height - 1)
    assert inside.sum() == MAPPED[camera]


def test_scan_is_in_our_axes(frames: NuScenes) -> None:
    """Elevations of the file's rings, the turn from the left and clockwise, and the road below the sensor."""
    scan = frames.scan(4)
    rows = np.fromfile(frames.scan_path(4), "<f4").reshape(-1, 5)
    assert len(scan) == len(rows) == 34_688
    assert (rows[:, 4].reshape(-1, 32) == np.arange(32)).all()
    assert scan.remission.max() <= 1
    distance = np.linalg.norm(scan.points, axis=1)
    assert (distance < 2.7).mean() == pytest.approx(0.246, abs=0.001)  # the car itself and missing returns
    elevation = np.degrees(np.arcsin(scan.points[:, 2] / np.maximum(distance, 1e-3)))
    medians = [np.median(elevation[(distance > 3) & (rows[:, 4] == ring)]) for ring in range(32)]
    np.testing.assert_allclose(medians, frames.sensor.elevations, atol=0.35)  # of a moving car; steps are 1.33
    far = (distance > 3) & (rows[:, 4] == 10)
    azimuth = np.degrees(np.unwrap(np.arctan2(scan.points[far, 1], scan.points[far, 0])))
    assert azimuth[0] == pytest.approx(90, abs=5)
    assert azimuth[-1] - azimuth[0] == pytest.approx(-360, abs=10)
    ground = scan.points[(distance > 3) & (distance < 15) & (scan.points[:, 2] < -1.2), 2]
    assert np.median(ground) == pytest.approx(-frames.sensor.height, abs=0.25)


def test_viewer_shows_six_images_as_they_look_from_the_car(real_nuscenes: Path) -> None:
    scene = open_data(real_nuscenes, sequences="scene-0061").read(0)
    assert surround_rows(scene.frame.cameras) == [
        ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"],
        ["CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"],
    ]
    for camera, mapped in MAPPED.items():
        assert 0.85 * mapped < len(scene.views[camera].pairs) < 1.01 * mapped  # without occluded ones, with the edges
        assert scene.views[camera].tile.image.shape == (270, 480, 3)


def test_boxes_become_objects(frames: NuScenes) -> None:
    labels = frames.labels(4)
    assert labels is not None
    objects = np.unique(labels.objects[labels.objects > 0])
    assert len(objects) == 65
    assert set((objects >> 16).tolist()) <= set(frames.taxonomy.things)
    np.testing.assert_array_equal(labels.objects >> 16, np.where(labels.objects > 0, labels.classes, 0))


def test_points_of_boxes_are_where_the_car_drives(frames: NuScenes) -> None:
    """The map's z is that of the road below the car."""
    pose, scan = frames.pose(4), frames.scan(4)
    road = scan.points[(np.abs(scan.points[:, 0]) < 10) & (np.linalg.norm(scan.points, axis=1) > 3)]
    z = road.astype(np.float64) @ pose[2, :3] + pose[2, 3]
    assert abs(np.percentile(z, 20)) < 0.3
