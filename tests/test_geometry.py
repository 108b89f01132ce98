"""Points, cameras and pixels, by hand and by brute force."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from elite import kd_tree
from elite.geometry import in_image, in_volume, nearest, pinhole, project
from elite.occlusion import point_pixel_pairs
from elite.types import Camera

# x forward, y left, z up -> u right, v down; focal length 100, centre (50, 40).
CAMERA = Camera("image_2", np.array([[50, -100, 0, 0], [40, 0, -100, 0], [1, 0, 0, 0]], np.float64))
HEIGHT, WIDTH = 80, 100


def test_project_worked_by_hand():
    points = np.array([[10, 0, 0], [10, 1, 2], [5, -2.5, -1], [20, 1, 2]], np.float32)
    uv, depth = project(points, CAMERA)
    np.testing.assert_allclose(uv, [[50, 40], [40, 20], [100, 60], [45, 30]])
    np.testing.assert_allclose(depth, [10, 10, 5, 20])


def test_project_uses_the_last_column():
    shifted = Camera("image_3", np.array([[50, -100, 0, 30], [40, 0, -100, 10], [1, 0, 0, 2]], np.float64))
    uv, depth = project(np.array([[8, 0, 0]], np.float32), shifted)
    np.testing.assert_allclose(uv, [[43, 33]])
    np.testing.assert_allclose(depth, [10])


def test_decompose_camera_gives_intrinsics_and_pose():
    turn = np.array([[0.1, -0.99, 0.05], [0.02, -0.05, -0.99], [0.99, 0.1, 0.01]])
    u, _, v = np.linalg.svd(turn)
    rotation, lens, place = (u @ v), np.array([[700.0, 0, 610], [0, 690, 180], [0, 0, 1]]), np.array([0.3, -0.1, 0.2])
    projection = lens @ rotation @ np.hstack([np.eye(3), -place[:, None]])
    K, R_velo_cam, centre = pinhole(Camera("image_2", projection))
    np.testing.assert_allclose(K, lens, atol=1e-9)
    np.testing.assert_allclose(R_velo_cam, rotation.T, atol=1e-12)
    np.testing.assert_allclose(centre, place, atol=1e-12)


def test_project_points_at_or_behind_the_camera_are_invisible():
    uv, depth = project(np.array([[0, 1, 0], [-10, 0, 0], [1e-3, 0, 0]], np.float32), CAMERA)
    assert np.isnan(uv[:2]).all()
    assert np.isfinite(uv[2]).all()
    assert depth[1] == -10
    assert in_image(uv, HEIGHT, WIDTH).tolist() == [False, False, True]


def test_project_infinite_pixel_is_outside_the_image():
    flat = Camera("image_2", CAMERA.projection * [[1], [1], [1e-320]])
    uv, _ = project(np.array([[10, 1, 2]], np.float32), flat)
    assert not in_image(uv, HEIGHT, WIDTH).any()


def test_project_image_border_belongs_to_the_low_side():
    uv = np.array([[0, 0], [99.999, 79.999], [100, 5], [5, 80], [-1e-9, 5], [5, -1e-9], [np.nan, np.nan]])
    assert in_image(uv, HEIGHT, WIDTH).tolist() == [True, True, False, False, False, False, False]


def test_in_volume_excludes_the_border():
    points = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 2.5], [0.999, 2, 2.499]], np.float32)
    assert in_volume(points, ((-1.0, -3.0, -2.0), (1.0, 3.0, 2.5))).tolist() == [True, False, False, False, True]


def test_nearest_equals_brute_force():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3)).astype(np.float32)
    candidates = rng.random(200) < 0.3
    distance = np.linalg.norm(points[:, None] - points[candidates][None], axis=2)
    np.testing.assert_array_equal(nearest(points, candidates), distance.argmin(axis=1))


@pytest.mark.parametrize("stretch", [(50, 50, 1), (50, 0, 0), (0, 0, 0), (1e5, 1e-4, 1), (0.1, 7, 1e4)])
def test_nearest_at_any_coordinates_equals_brute_force_distance(stretch: tuple[float, ...]):
    """Points at the border and far off, the candidates in the middle; on a line, in one place, over many scales."""
    rng = np.random.default_rng(1)
    points = (rng.standard_cauchy((2000, 3)).clip(-40, 40) * stretch).astype(np.float32)
    candidates = np.abs(points[:, 0]) <= 0.9 * np.abs(points[:, 0]).max(initial=0)
    candidates &= rng.random(2000) < 0.9
    distance = cdist(points, points[candidates])
    found = np.take_along_axis(distance, nearest(points, candidates)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(found, distance.min(axis=1))


def test_nearest_of_one_candidate_is_that_one():
    points = np.array([[1e6, 0, 0], [0, 0, 0], [-3, 2, 1]], np.float32)
    assert nearest(points, np.array([False, True, False])).tolist() == [0, 0, 0]


def test_nearest_of_a_candidate_with_a_duplicate_is_itself():
    points = np.zeros((4, 3), np.float32)
    assert nearest(points, np.array([True, True, False, True]))[[0, 1, 3]].tolist() == [0, 1, 2]


def on_sphere(n: int, radius: float) -> np.ndarray:
    points = np.random.default_rng(2).normal(size=(n, 3))
    return (radius * points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


HARD_SCANS = {
    "equal": np.zeros((600, 3), np.float32),
    "at the origin, and others": np.vstack([np.zeros((300, 3), np.float32), on_sphere(300, 60)]),
    "on a line": np.linspace(-100, 100, 600, dtype=np.float32)[:, None] * np.float32([1, 0.9, 0.02]),
    "in two far clusters": np.vstack([on_sphere(300, 1), on_sphere(300, 1) + np.float32([1e5, 2e5, 7])]),
    "up to the largest float": np.random.default_rng(4).uniform(-1, 1, (600, 3)).astype(np.float32)
    * np.finfo(np.float32).max,
    "of every magnitude": np.exp(np.random.default_rng(5).uniform(-87, 88, (600, 3))).astype(np.float32),
    "around the centre of a sphere": np.vstack([on_sphere(300, 1e-4), on_sphere(300, 10)]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("search", ["native", "few", "many"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("scan", HARD_SCANS)
def test_nearest_of_hard_scans_equals_brute_force(scan: str, share: float, search: str, monkeypatch):
    if search != "native":
        monkeypatch.setattr("elite.nearest.library", lambda: None)
    if search == "many":  # too many for a plain search, not too many for an exact one
        monkeypatch.setattr(kd_tree, "_SCAN", 0)
        monkeypatch.setattr(kd_tree, "_PAIRS", 1)
    points = HARD_SCANS[scan]
    candidates = np.random.default_rng(6).random(len(points)) < share
    distance = cdist(points, points[candidates])
    found = np.take_along_axis(distance, nearest(points, candidates)[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(found, distance.min(axis=1), rtol=1e-12)


def test_nearest_searches_equal_points_once(monkeypatch):
    """100,000 equal points outside the volume took 28 s."""
    searched: list[int] = []

    class Tree(cKDTree):
        def query(self, x, *options, **named):
            searched.append(len(x))
            return super().query(x, *options, **named)

    monkeypatch.setattr("elite.nearest.library", lambda: None)
    monkeypatch.setattr(kd_tree, "cKDTree", Tree)
    points = np.vstack([np.full((100_000, 3), 60, np.float32), on_sphere(30_000, 40)])
    candidates = np.arange(len(points)) >= 100_000
    rank = nearest(points, candidates)
    assert searched[1:] == [1, 1]  # the first search is that of the sample
    assert (rank[:100_000] == cdist(points[:1], points[candidates]).argmin()).all()


def test_nearest_far_queries_moved_closer_visit_few_leaves():
    """Coordinates of 1e38, those of a float64 file that is read as float32, took more than 40 s."""
    rng = np.random.default_rng(7)
    tree = cKDTree(rng.normal(size=(2000, 3)))
    far = rng.uniform(-1e38, 1e38, (500, 3))
    assert kd_tree._visits_more_leaves(tree, far, 20_000)
    assert not kd_tree._visits_more_leaves(tree, kd_tree._moved_closer(far, tree), 10_000)


def test_nearest_considers_every_kth_candidate_when_a_search_would_visit_most_leaves(monkeypatch):
    """Every point of a sphere is nearest to its centre: no exact search can leave out any."""
    for limit, value in {"_SCAN": 0, "_PAIRS": 5, "_LEAVES": 1}.items():
        monkeypatch.setattr(kd_tree, limit, value)
    monkeypatch.setattr("elite.nearest.library", lambda: None)
    points = np.vstack([on_sphere(500, 1e-4), on_sphere(500, 10)])
    candidates = np.arange(1000) >= 500
    rank = nearest(points, candidates)[:500]
    distance = cdist(points[:500], points[candidates])
    found = np.take_along_axis(distance, rank[:, None], axis=1)[:, 0]
    assert len(np.unique(rank)) <= 10  # 500 queries x 10 candidates are 5 pairs per point
    np.testing.assert_allclose(found, distance.min(axis=1), rtol=1e-4)


def test_project_real_points_lie_on_the_real_image(real_kitti):
    from elite.datasets.semantickitti import SemanticKITTI

    frame = SemanticKITTI(real_kitti, "00", frames="0")[0]
    height, width = frame.images["image_2"].shape[:2]
    pairs = point_pixel_pairs(frame.scan.points, frame.cameras[0], height, width)
    inside = in_image(project(frame.scan.points, frame.cameras[0])[0], height, width).sum()
    assert 0.5 * inside < len(pairs) < inside
    assert (frame.scan.points[pairs.point, 0] > 0).all()
