"""Calibration in recordings: lenses from CameraInfo, chains of transforms that are worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from elite.errors import DataError
from elite.recordings import CameraInfo
from elite.recordings.calibration import (
    FrameTree,
    frame_tree,
    image_size,
    info_topic_of,
    is_rectified,
    lens_of,
    looks_up,
)
from elite.recordings.messages import Transform

YAW_90 = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # axes of an optical frame in its body frame
INFO = CameraInfo(
    *(0, "cam", 1200, 1920, "plumb_bob", (-0.3, 0.1, 0.001, 0.002, 0.0)),
    K=np.array([[1000.0, 0, 960], [0, 1010, 600], [0, 0, 1]]),
    R=np.eye(3),
    P=np.array([[900.0, 0, 950, 0], [0, 900, 590, 0], [0, 0, 1, 0]]),
)


def transform(parent: str, child: str, rotation: np.ndarray, position: tuple[float, ...], stamp: int = 0) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, position
    return Transform(stamp, parent, child, matrix)


def vehicle() -> FrameTree:
    """LiDAR and camera look to the left of the vehicle."""
    return frame_tree(
        [
            transform("base_link", "lidar", YAW_90, (1, 0, 2)),
            transform("/base_link", "/camera", YAW_90, (2, 0, 1.5)),
            transform("camera", "camera_optical_frame", OPTICAL, (0, 0, 0)),
            transform("map", "charger", np.eye(3), (9, 9, 9)),
        ]
    )


def test_chain_from_lidar_to_optical_frame_equals_the_one_by_hand() -> None:
    T_cam_lidar = vehicle().between("camera_optical_frame", "lidar")
    # (3, 0, 0) of the LiDAR is (1, 3, 2) of the vehicle: 3 m before the camera, 1 m to its left, 0.5 m above it.
    np.testing.assert_allclose(T_cam_lidar @ [3, 0, 0, 1], [-1, -0.5, 3, 1], atol=1e-12)
    assert not looks_up(T_cam_lidar)


def test_optical_frame_of_a_body_frame_is_its_child() -> None:
    tree = vehicle()
    assert tree.optical("/camera") == tree.optical("camera_optical_frame") == "camera_optical_frame"
    assert tree.optical("lidar") == "lidar"
    assert looks_up(tree.between("camera", "lidar"))


def test_rectified_images_are_known_by_the_last_part_of_their_topic() -> None:
    names = ("/rect/image", "/a/image_direct", "/a/image_rect/compressed", "/a/image_rect_color", "/a/rectified")
    assert [is_rectified(name) for name in names] == [False, False, True, True, True]


def test_chain_that_does_not_exist_is_an_error_with_both_frames_and_the_tree() -> None:
    with pytest.raises(DataError, match=r"from 'lidar' to 'charger'.*base_link > lidar.*map > charger"):
        vehicle().between("charger", "lidar")


def test_moving_transforms_count_if_they_never_differ() -> None:
    still = [transform("base", "lidar", np.eye(3), (1, 0, 0), stamp) for stamp in (0, 1)]
    moving = [transform("odom", "base", np.eye(3), (stamp, 0, 0), stamp) for stamp in (0, 1)]
    tree = frame_tree([transform("base", "cam", np.eye(3), (0, 0, 0))], still + moving)
    assert tree.frames == ("base", "cam", "lidar")


def test_lens_of_a_region_of_a_binned_sensor_is_that_of_its_images() -> None:
    info = replace(INFO, binning=(2, 2), roi=(100, 200, 1600, 800))
    assert image_size(info) == (400, 800)
    lens = lens_of(info, (400, 800), "front")
    np.testing.assert_allclose(lens.K, [[500, 0, 430], [0, 505, 200], [0, 0, 1]])
    assert lens.coefficients == INFO.D
    np.testing.assert_allclose(lens_of(info, (200, 400), "front").K[0], [250, 0, 215])


@pytest.mark.parametrize(
    ("model", "D", "expected"),
    [
        ("rational_polynomial", (1.0, 2, 3, 4, 5, 6, 7, 8), ("pinhole", (1.0, 2, 3, 4, 5, 6, 7, 8))),
        ("rational_polynomial", (1.0, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0), ("pinhole", (1.0, 2, 3, 4, 5, 6, 7, 8))),
        ("equidistant", (0.1, 0.2, 0.3, 0.4), ("fisheye", (0.1, 0.2, 0.3, 0.4))),
        ("", (), ("pinhole", ())),
    ],
)
def test_lens_has_the_coefficients_of_its_model(model: str, D: tuple[float, ...], expected: tuple) -> None:
    lens = lens_of(replace(INFO, distortion_model=model, D=D), (1200, 1920), "front")
    assert (lens.model, lens.coefficients) == expected


def test_lens_of_rectified_images_is_that_of_their_projection() -> None:
    lens = lens_of(INFO, (1200, 1920), "front", rectified=True)
    np.testing.assert_array_equal(lens.K, INFO.P[:, :3])
    assert not lens.is_distorted


@pytest.mark.parametrize(
    ("info", "size", "message"),
    [
        (replace(INFO, K=np.zeros((3, 3))), (1200, 1920), "front: expected a calibrated camera"),
        (replace(INFO, distortion_model="omni"), (1200, 1920), "found 'omni'"),
        (replace(INFO, D=tuple(range(1, 15))), (1200, 1920), "found 14"),
        (INFO, (1080, 1920), "expected images of 1920 x 1200 pixels, found 1920 x 1080"),
    ],
)
def test_lens_of_an_unusable_calibration_is_an_error(info: CameraInfo, size: tuple[int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        lens_of(info, size, "front")


def test_calibration_topic_is_in_the_namespace_of_the_images() -> None:
    infos = ("/camera_info", "/front/camera_info")
    assert info_topic_of("/front/image_raw", infos) == "/front/camera_info"
    assert info_topic_of("/front/image_raw/compressed", infos) == "/front/camera_info"
    assert info_topic_of("/left/image_raw/compressed", infos) is None
