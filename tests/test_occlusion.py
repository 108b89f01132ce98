"""The occlusion test: patches by hand and by a second implementation, visibility by plain loops."""

from dataclasses import replace

import numpy as np
import pytest

from elite.beams import Beams
from elite.datasets import SemanticKITTI
from elite.lenses import Lens
from elite.occlusion import (
    beam_patches,
    is_nearest_in_pixel,
    point_pixel_pairs,
    visible,
)
from elite.sensor import SensorSpec, load_sensor
from elite.types import Camera

# x forward, y left, z up -> u right, v down; focal length 100, centre (50, 40).
CAMERA = Camera("image_2", np.array([[50, -100, 0, 0], [40, 0, -100, 0], [1, 0, 0, 0]], np.float64))
HEIGHT, WIDTH = 80, 100
UNEVEN = Beams((-20.0, -12.0, -8.0, -6.0, -5.0, 0.0), 1.5)


def grid(rows: range, columns: range, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A patch of pixels at one depth."""
    pixel = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return pixel.astype(np.int64), np.full(len(pixel), depth)


def test_pixel_owner_is_the_first_of_the_nearest():
    rng = np.random.default_rng(0)
    pixel = rng.integers(0, 6, (300, 2))
    depth = rng.integers(1, 5, 300).astype(float)  # many ties
    best: dict[tuple[int, int], int] = {}
    for i, key in enumerate(map(tuple, pixel.tolist())):
        if key not in best or depth[i] < depth[best[key]]:
            best[key] = i
    assert np.flatnonzero(is_nearest_in_pixel(pixel, depth, 6)).tolist() == sorted(best.values())


def test_pixel_owner_without_points_is_none():
    assert len(is_nearest_in_pixel(np.empty((0, 2), np.int64), np.empty(0), 6)) == 0


def test_visible_wall_behind_a_patch_is_hidden():
    # LiDAR rows lie 3 pixels apart; patch and wall interleave, as beams of two places do.
    near = grid(range(20, 60, 3), range(40, 60), 5.0)
    wall = grid(range(1, 80, 3), range(0, 100), 30.0)
    pixel, depth = (np.concatenate(parts) for parts in zip(near, wall, strict=True))
    seen = visible(pixel, depth, HEIGHT, WIDTH)
    row, column = pixel.T
    assert seen[depth == 5].all()
    behind = (depth == 30) & (row > 24) & (row < 55) & (column > 42) & (column < 57)
    assert behind.sum() > 100
    assert not seen[behind].any()
    beside = (depth == 30) & ((row < 10) | (row > 70) | (column < 30) | (column > 70))
    assert seen[beside].all()


def test_visible_constant_patch_has_two_pixels_to_each_side():
    pixel, depth = grid(range(30, 51), range(40, 61), 30.0)
    depth[(pixel == (40, 50)).all(axis=1)] = 5
    hidden = pixel[~visible(pixel, depth, HEIGHT, WIDTH)] - (40, 50)
    assert sorted(map(tuple, hidden.tolist())) == [
        (row, column) for row in range(-2, 3) for column in range(-2, 3) if (row, column) != (0, 0)
    ]


def test_visible_slanted_ground_is_visible():
    pixel, _ = grid(range(260, 376, 5), range(0, 100), 0.0)
    depth = 1.7 * 720 / (pixel[:, 0] - 180)  # a road 1.7 m below a camera of focal length 720: 15 m to 6 m
    assert visible(pixel, depth, 376, WIDTH).all()


def test_visible_without_points_is_empty():
    assert len(visible(np.empty((0, 2), np.int64), np.empty(0), HEIGHT, WIDTH)) == 0


def test_point_pixel_pairs_hold_points_with_their_pixel():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(500, 3)) * [3, 10, 8] + [20, 0, 0]).astype(np.float32)
    points[::7, 0] *= -1
    pairs = point_pixel_pairs(points, CAMERA, HEIGHT, WIDTH)
    assert 0 < len(pairs) < 500
    assert len(np.unique(pairs.pixel, axis=0)) == len(pairs)
    for i, (row, column) in zip(pairs.point, pairs.pixel, strict=True):
        x, y, z = points[i].astype(float)
        u, v = 50 - 100 * y / x, 40 - 100 * z / x
        assert x > 0
        assert (row, column) == (int(np.floor(v)), int(np.floor(u)))
        assert 0 <= row < HEIGHT
        assert 0 <= column < WIDTH


@pytest.mark.parametrize("point", [[-5, 0, 0], [10, 100, 0]])
def test_point_pixel_pairs_without_visible_point_are_empty(point):
    assert len(point_pixel_pairs(np.array([point], np.float32), CAMERA, HEIGHT, WIDTH)) == 0


def hidden_by_loops(pixel, depth, patches) -> np.ndarray:
    """Points that a nearer patch of the nearest point of another pixel covers, one pair after the other."""
    hidden = np.zeros(len(pixel), bool)
    for i, (above, below, left, right) in enumerate(patches.tolist()):
        if any((pixel[j] == pixel[i]).all() and (depth[j], j) < (depth[i], i) for j in range(len(pixel))):
            continue
        for j in range(len(pixel)):
            down, along = pixel[j] - pixel[i]
            if -above <= down <= below and -left <= along <= right:
                hidden[j] |= depth[i] < depth[j] - (0.5 + 0.05 * depth[j])
    return hidden


@pytest.mark.parametrize("seed", range(5))
def test_visible_with_patches_of_any_size_equals_plain_loops(seed):
    rng = np.random.default_rng(seed)
    pixel = rng.integers(0, (HEIGHT, WIDTH), (250, 2))
    depth = rng.uniform(2, 40, 250).astype(np.float32).astype(np.float64)
    patches = rng.integers(0, 12, (250, 4)) * rng.integers(0, 2, (250, 1)) + rng.integers(0, 3, (250, 4))
    patches[:3] = 1000  # beyond the image
    expected = ~hidden_by_loops(pixel, depth, patches) & is_nearest_in_pixel(pixel, depth, HEIGHT)
    assert 10 < expected.sum() < 240
    np.testing.assert_array_equal(visible(pixel, depth, HEIGHT, WIDTH, patches), expected)


def patch_by_hand(point, camera, beams) -> list[int]:
    """Patch of one point from angles of its own, and the division by depth written out."""

    def pixel_of(elevation, azimuth):
        ray = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        u, v, d = camera.projection @ np.append(np.linalg.norm(point) * ray, 1)
        return np.array([u / d, v / d])

    x, y, z = point.astype(float)
    elevation, azimuth = np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)
    angles = np.deg2rad(beams.elevations)
    nearest = int(np.abs(angles - elevation).argmin())
    below = angles[max(nearest, 1)] - angles[max(nearest, 1) - 1]
    above = angles[min(nearest + 1, len(angles) - 1)] - angles[min(nearest, len(angles) - 2)]
    step = np.deg2rad(beams.azimuth_step)
    turned = [(0.75 * above, 0), (-0.75 * below, 0), (0, step), (0, -step)]
    moves = np.array([pixel_of(elevation + e, azimuth + a) - pixel_of(elevation, azimuth) for e, a in turned])
    extent = [-moves[:, 1].min(), moves[:, 1].max(), -moves[:, 0].min(), moves[:, 0].max()]
    return [int(min(max(value, 2), 100)) for value in extent]


@pytest.mark.parametrize("roll", [0, 30, 90])
def test_beam_patches_equal_those_by_hand(roll):
    rng, turn = np.random.default_rng(roll), np.deg2rad(roll)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    K = np.array([[900.0, 0, 800], [0, 900, 450], [0, 0, 1]])
    axes = np.array([[0, -1, 0, 0.02], [0, 0, -1, -0.3], [1, 0, 0, -0.8]])
    camera = Camera("front", K @ rotation @ axes)
    points = (rng.uniform(-1, 1, (200, 3)) * [10, 12, 4] + [15, 0, 0]).astype(np.float32)
    expected = [patch_by_hand(point, camera, UNEVEN) for point in points]
    found = beam_patches(points, camera, UNEVEN)
    assert np.ptp(found, axis=0).min() > 20
    assert (found == expected).mean() > 0.98  # a few differ by the rounding of float32
    assert np.abs(found - expected).max() <= 1


def test_beam_patches_of_nuscenes_cameras_follow_from_their_focal_lengths():
    point = np.array([[20, 0, 0]], np.float32)
    for focal, rows, columns in ((1260, 21, 7), (809, 14, 4)):  # 0.75 of 29.3 and 18.8 rows; 7.3 and 4.7 columns
        camera = Camera("front", np.array([[800, -focal, 0, 0], [450, 0, -focal, 0], [1, 0, 0, 0]], np.float64))
        patch = beam_patches(point, camera, Beams((-4.0, -2.667, -1.333, 0.0, 1.333, 2.667), 0.3318))
        assert patch.tolist() == [[rows, rows, columns, columns]]


def test_beam_patches_are_larger_towards_sparse_beams_and_near_the_camera():
    points = np.array([[20, 0, -20 * np.tan(np.deg2rad(8))], [2, 0, -2 * np.tan(np.deg2rad(8))]], np.float32)
    camera = Camera("front", np.array([[800, -900, 0, -800], [450, 0, -900, -450], [1, 0, 0, -1]], np.float64))
    far, near = beam_patches(points, camera, UNEVEN)
    assert far[1] / far[0] == pytest.approx(2, abs=0.2)  # 4 degrees to the beam below, 2 to that above
    assert (near > 1.8 * far)[:2].all()


def test_beam_patches_of_a_distorted_lens_are_smaller_where_it_compresses():
    K = np.array([[900.0, 0, 800], [0, 900, 450], [0, 0, 1]])
    projection = K @ np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0.0]])
    points = np.array([[10, 0, 0], [10, 8, 0]], np.float32)
    beams = Beams((-2.0, 0.0, 2.0), 1.0)
    plain = beam_patches(points, Camera("front", projection), beams)
    lens = Lens("fisheye", ((900.0, 0.0, 800.0), (0.0, 900.0, 450.0), (0.0, 0.0, 1.0)), (0.0, 0.0, 0.0, 0.0))
    bent = beam_patches(points, Camera("front", projection, lens), beams)
    np.testing.assert_allclose(bent[0], plain[0], atol=1)
    assert (bent[1, 2:] < 0.8 * plain[1, 2:]).all()


def test_beam_patches_of_points_at_the_sensor_and_the_camera_are_bounded():
    points = np.array([[0, 0, 0], [1e-6, 0, 0], [1e-3, 0, 0.5], [0, 0, 1], [1e30, 0, 0]], np.float32)
    patches = beam_patches(points, CAMERA, UNEVEN)
    assert ((patches >= 2) & (patches <= 100)).all()
    assert beam_patches(points[:0], CAMERA, UNEVEN).shape == (0, 4)


def test_beams_gaps_are_those_to_both_neighbours():
    elevation = np.deg2rad([-30, -20, -12.1, -9.9, -6.4, -5.6, 0, 9])
    below, above = UNEVEN.gaps(elevation)
    np.testing.assert_allclose(np.rad2deg(below), [8, 8, 8, 4, 2, 2, 5, 5])
    np.testing.assert_allclose(np.rad2deg(above), [8, 8, 4, 2, 1, 1, 5, 5])


def test_point_pixel_pairs_without_beams_use_the_constant_patch():
    rng = np.random.default_rng(1)
    points = (rng.uniform(-1, 1, (2000, 3)) * [8, 10, 8] + [12, 0, 0]).astype(np.float32)
    beams = Beams((-10.0, 0.0, 10.0), 5.0)
    constant, derived = (point_pixel_pairs(points, CAMERA, HEIGHT, WIDTH, b) for b in (None, beams))
    homogeneous = points @ CAMERA.projection[:, :3].T
    pixel = np.floor(homogeneous[constant.point, :2] / homogeneous[constant.point, 2:])[:, ::-1]
    np.testing.assert_array_equal(constant.pixel, pixel)
    assert 0 < len(derived) < 0.5 * len(constant)


def test_sensor_without_angles_has_no_beams():
    sensor = load_sensor("vlp-32c")
    assert sensor.beams == Beams(sensor.elevations, 0.2)
    for changes in ({"azimuth_step": None}, {"elevations": ()}, {"elevations": (1.0,)}):
        assert replace(sensor, **changes).beams is None
    assert SensorSpec("own").beams is None


def test_frames_have_the_beams_of_a_stated_sensor_only(tiny_kitti):
    assert SemanticKITTI(tiny_kitti, "00")[0].beams is None  # pairs of SemanticKITTI are those of earlier versions
    stated = load_sensor("hdl-64e")
    assert SemanticKITTI(tiny_kitti, "00", sensor=stated)[0].beams == stated.beams
