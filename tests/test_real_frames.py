"""The tools on real SemanticKITTI frames (skipped without them)."""

from pathlib import Path

import numpy as np
import pytest

from elite.datasets import SemanticKITTI
from elite.datasets.check import check
from elite.geometry import in_image, project
from elite.occlusion import is_nearest_in_pixel, point_pixel_pairs
from elite.viewer import open_data


@pytest.fixture(scope="module")
def frames(real_kitti: Path) -> SemanticKITTI:
    return SemanticKITTI(real_kitti, "00", cameras=("image_2", "image_3"))


def test_check_data_of_real_frames_counts_files(frames: SemanticKITTI) -> None:
    (report,) = check(frames)
    assert report.faults == []
    assert (report.scans, report.labels, report.images) == (5, 3, 6)
    raw = np.concatenate([np.fromfile(p, "<u4") & 0xFFFF for p in sorted((frames.label_path(0)).parent.iterdir())])
    assert report.points == sum(frames.scan_path(i).stat().st_size // 16 for i in range(5))
    assert report.classes.sum() == len(raw)
    assert report.classes[1] == np.isin(raw, (10, 252)).sum()  # car and moving car
    assert report.classes[0] == np.isin(raw, (0, 1, 52, 99)).sum()
    assert report.share_projected == pytest.approx(0.154, abs=0.005)


def test_map_of_real_frames_equals_poses_times_calibration(real_kitti: Path) -> None:
    """The same matrices, from the numbers in the files."""
    sequence, lines = open_data(real_kitti).sequence_map("00"), real_kitti / "sequences" / "00"
    world = [np.vstack([row.reshape(3, 4), (0, 0, 0, 1)]) for row in np.loadtxt(lines / "poses.txt")]
    (tr,) = (line.split(":")[1] for line in (lines / "calib.txt").read_text().splitlines() if line.startswith("Tr:"))
    T_cam_velo = np.vstack([np.array(tr.split(), float).reshape(3, 4), (0, 0, 0, 1)])
    T_map_world = np.linalg.inv(world[0] @ T_cam_velo)
    for i, pose in sequence.poses.items():
        np.testing.assert_array_equal(pose, T_map_world @ (world[i] @ T_cam_velo))
    assert len(sequence.cloud) == 91_078


def test_labels_from_another_folder_of_real_frames_are_read(real_kitti: Path) -> None:
    partial = SemanticKITTI(real_kitti, "00", labels="labels_partial", cameras=())
    assert [partial.ids[i].name for i in partial.labelled()] == ["000003", "000004"]
    labels = partial[3].labels
    assert labels is not None
    assert 0.35 < (labels > 0).mean() < 0.45


def test_object_ids_of_a_real_frame_are_counted(frames: SemanticKITTI) -> None:
    """An object is (class, instance): every one has a class of things."""
    frame = frames[0]
    assert frame.objects is not None
    assert frame.labels is not None
    classes = np.unique(frame.objects >> 16)
    assert set(classes) <= set(range(9))
    np.testing.assert_array_equal(frame.objects >> 16, np.where(frame.objects > 0, frame.labels, 0))


@pytest.mark.parametrize("camera", [0, 1])
def test_occlusion_test_of_real_frames_removes_more_than_collisions(frames: SemanticKITTI, camera: int) -> None:
    frame = frames[0]
    height, width = frame.images[frame.cameras[camera].name].shape[:2]
    uv, depth = project(frame.scan.points, frame.cameras[camera])
    seen = in_image(uv, height, width)
    pixel = np.floor(uv[seen]).astype(np.int64)[:, ::-1]
    owners = is_nearest_in_pixel(pixel, depth[seen], height).mean()
    kept = len(point_pixel_pairs(frame.scan.points, frame.cameras[camera], height, width)) / seen.sum()
    assert 0.90 < kept < owners < 1
