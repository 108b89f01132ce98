"""Laws for any input, with examples that random tests miss: ties, borders, distant and negative numbers."""

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial.distance import cdist

from elite.datasets.dense_labels import encode_ids
from elite.datasets.formats import read_labels
from elite.datasets.scan_files import read_scan
from elite.files import open_image
from elite.geometry import in_image, nearest, project
from elite.layout import parse_frames
from elite.losses import cross_entropy, kl_divergence, lovasz_softmax
from elite.metrics import confusion_matrix, score
from elite.sparse import Grid, build_native_geometry, build_torch_geometry
from elite.types import Camera
from tests.support.oracles import lovasz_by_loop, official_score
from tests.support.semantickitti import HDL_64E

settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True, database=None)
settings.load_profile("quick")

GRID = Grid(((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0)), (43, 37, 13))
STRIDES = (1, 2, 5)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32)


def coordinates(rows: int) -> st.SearchStrategy[np.ndarray]:
    """Near and far ones, and some on the borders of cells; several of the same voxel are likely."""
    near, far = floats(-60, 60), floats(-(2.0**50), 2.0**50)
    border = st.integers(-5, 48).map(lambda i: float(np.float32(-50 + 100 * i / 43)))
    return st.lists(st.tuples(*[st.one_of(near, border, far, st.sampled_from([0.0, -0.0, 1e-30]))] * 3), max_size=rows)


# ---- files ----------------------------------------------------------------------------------------------------


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.just(4)), elements=FINITE))
def test_read_scan_of_any_finite_scan_is_exact(values):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.bin"
        path.write_bytes(values.astype("<f4").tobytes())
        scan = read_scan(path, HDL_64E)
    assert np.column_stack([scan.points, scan.remission]).tobytes() == values.tobytes()


@given(arrays(np.uint32, st.integers(0, 9)))
def test_split_label_of_any_words_is_exact(words):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.label"
        path.write_bytes(words.astype("<u4").tobytes())
        semantic, instance = read_labels(path, Path("a.bin"), len(words))
    assert (semantic + (instance.astype(np.uint32) << 16)).tolist() == words.tolist()


@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_dense_labels_of_any_ids_round_trip(ids):
    assert_comes_back(ids)


def test_dense_labels_of_every_16_bit_id_round_trip():
    assert_comes_back(np.arange(2**16, dtype=np.uint16).reshape(256, 256))


def assert_comes_back(ids: np.ndarray) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(encode_ids(ids))
        with open_image(path, "PNG", remedy="") as image:
            np.testing.assert_array_equal(np.asarray(image), ids)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 30)), min_size=1, max_size=5))
def test_parse_frames_equals_the_union_of_its_ranges(ranges):
    text = ", ".join(f"{first:06d}-{first + more}" if more else f"{first}" for first, more in ranges)
    assert parse_frames(text) == {i for first, more in ranges for i in range(first, first + more + 1)}


# ---- projection -----------------------------------------------------------------------------------------------


@given(
    st.tuples(floats(-400, 1600), floats(-400, 800), floats(0.5, 100)),
    st.tuples(floats(300, 1200), floats(400, 800), floats(100, 300)),
    st.tuples(*[floats(-1, 1)] * 3),
)
def test_project_pixel_and_depth_restore_the_point(pixel, inner, shift):
    """Camera axes u right, v down, depth forward of a sensor x forward, y left, z up, ``shift`` metres apart."""
    u, v, depth = pixel
    focal, u0, v0 = inner
    rotation = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], np.float64)
    intrinsic = np.array([[focal, 0, u0], [0, focal, v0], [0, 0, 1]])
    in_camera = depth * np.array([(u - u0) / focal, (v - v0) / focal, 1])
    point = (rotation.T @ (in_camera - shift)).astype(np.float32)
    camera = Camera("image_2", intrinsic @ np.column_stack([rotation, shift]))
    (found,), (far,) = project(point[None], camera)
    assert abs(far - depth) < 1e-4
    np.testing.assert_allclose(found, (u, v), atol=0.05)


@given(coordinates(20), st.integers(1, 5), st.integers(1, 5))
def test_project_visible_points_have_a_pixel_and_others_none(points, height, width):
    camera = Camera("image_2", np.array([[2.0, -3, 0, 0], [2, 0, -3, 0], [1, 0, 0, 0]]))
    uv, depth = project(np.array(points, np.float32).reshape(-1, 3), camera)
    inside = in_image(uv, height, width)
    for (u, v), d, seen in zip(uv.tolist(), depth.tolist(), inside.tolist(), strict=True):
        assert seen == (d > 0 and 0 <= u < width and 0 <= v < height)


@given(arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=FINITE), st.data())
def test_nearest_of_any_finite_points_is_nearest(points, data):
    candidates = data.draw(arrays(bool, len(points)))
    candidates[data.draw(st.integers(0, len(points) - 1))] = True
    distance = cdist(points, points[candidates])
    found = distance[np.arange(len(points)), nearest(points, candidates)]
    np.testing.assert_allclose(found, distance.min(axis=1), rtol=1e-12)


# ---- voxels ---------------------------------------------------------------------------------------------------


@given(coordinates(30), st.data())
def test_voxels_equal_those_of_a_dictionary(points, data):
    """Torch and the native library against keys of plain numbers."""
    xyz = torch.tensor(points, dtype=torch.float32).reshape(-1, 3)
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(xyz), max_size=len(xyz)))
    batch = torch.tensor(numbers, dtype=torch.int64)
    made = [build(xyz, batch, GRID, STRIDES) for build in (build_torch_geometry, build_native_geometry)]
    for geometry in filter(None, made):
        for level in geometry.levels:
            assert_voxels(level, cells_by_hand(xyz.numpy(), batch.tolist(), level.stride))
        for pool, fine, coarse in zip(geometry.pools, geometry.levels, geometry.levels[1:], strict=False):
            assert_pool(pool, fine.point_to_voxel.tolist(), coarse.point_to_voxel.tolist())


def cells_by_hand(points: np.ndarray, batch: list[int], stride: int) -> list[tuple[int, ...]]:
    """(batch, z, y, x) of every point, number by number in float32."""
    f, found = np.float32, []
    for b, point in zip(batch, points, strict=True):
        cell = []
        for axis in (2, 1, 0):
            low, high = (f(corner[axis]) for corner in GRID.volume)
            cells = f(-(-GRID.cells[axis] // stride))
            cell.append(int(np.floor((cells * (point[axis] - low)) / (high - low))))
        found.append((b, *cell))
    return found


def assert_voxels(level, cells) -> None:
    number = {cell: i for i, cell in enumerate(sorted(set(cells)))}
    assert [tuple(row) for row in level.coords.tolist()] == list(number)
    assert level.point_to_voxel.tolist() == [number[cell] for cell in cells]


def assert_pool(pool, fine, coarse) -> None:
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for pair in zip(fine, coarse, strict=True):
        counts[pair] += 1
    found = zip(pool.source.tolist(), pool.target.tolist(), pool.count.tolist(), strict=True)
    assert {(source, target): count for source, target, count in found} == counts


# ---- losses and scores ----------------------------------------------------------------------------------------


@st.composite
def answers(draw, classes: int = 5, rows: int = 12):
    """Logits, of which many are equal, and labels with 0 among them."""
    n = draw(st.integers(1, rows))
    value = st.one_of(st.sampled_from([0.0, 1.0, -30.0]), st.floats(-40, 40))
    logits = draw(arrays(np.float64, (n, classes), elements=value))
    labels = draw(arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    return torch.from_numpy(logits), torch.from_numpy(labels)


@given(answers())
def test_lovasz_equals_its_definition_within_0_and_1(given_answers):
    logits, labels = given_answers
    loss = lovasz_softmax(logits, labels).item()
    assert -1e-9 <= loss <= 1 + 1e-9
    if labels.any():
        assert abs(loss - lovasz_by_loop(logits, labels)) < 1e-9


@given(answers(), arrays(np.float64, 5, elements=st.floats(0.125, 8)))
def test_cross_entropy_equals_its_sum(given_answers, weights):
    logits, labels = given_answers
    rows = [
        (weights[y], np.log(np.exp(x - x.max()).sum()) + x.max() - x[y])
        for x, y in zip(logits.numpy(), labels.tolist(), strict=True)
        if y
    ]
    expected = sum(w * loss for w, loss in rows) / sum(w for w, _ in rows) if rows else 0.0
    found = cross_entropy(logits, labels, torch.from_numpy(weights)).item()
    assert abs(found - expected) < 1e-9 * max(1, abs(expected))


@given(answers(), st.integers(-5, 5))
def test_kl_is_not_negative_and_ignores_a_shift(given_answers, shift):
    logits, _ = given_answers
    other = logits.flip(0)
    found = kl_divergence(logits, other).item()
    p, q = torch.softmax(logits, 1).numpy(), torch.log_softmax(other, 1).numpy()
    slow = sum(a * (np.log(a) - b) for row, logs in zip(p, q, strict=True) for a, b in zip(row, logs, strict=True) if a)
    assert abs(found - slow / p.size) < 1e-9
    assert found >= -1e-12
    assert abs(kl_divergence(logits + shift, other).item() - found) < 1e-9
    assert abs(kl_divergence(logits, logits).item()) < 1e-12


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_score_equals_the_official_rule(pairs):
    prediction, truth = np.array(pairs, np.int64).reshape(-1, 2).T
    confusion = confusion_matrix(prediction, truth, 20)
    for p in range(20):
        for t in range(20):
            assert confusion[p, t] == pairs.count((p, t))
    found, (miou, iou, accuracy) = score(confusion), official_score(prediction, truth)
    assert abs(found.miou - miou) < 1e-12
    np.testing.assert_allclose(found.iou[1:], iou[1:], atol=1e-12)
    assert abs(found.accuracy - accuracy) < 1e-12
    assert found.present == tuple(sorted({t for _, t in pairs} - {0}))
