"""Crop, resize and mirror keep an image, its pairs and its labels aligned."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elite.config import ImageConfig
from elite.errors import DataError
from elite.pixels import crop, jitter, keep_rows, mirror, prepare, resize
from elite.types import PointPixelPairs, View


def coded(height: int, width: int, points: int = 40, seed: int = 0) -> View:
    """Every pixel's colour is its (row, column), its label the sum of both; pairs lie anywhere, some share a pixel."""
    row, column = np.mgrid[:height, :width].astype(np.uint8)
    rng = np.random.default_rng(seed)
    pixel = np.stack([rng.integers(height, size=points), rng.integers(width, size=points)], axis=1)
    pixel[-1] = pixel[0]
    pairs = PointPixelPairs(rng.permutation(points).astype(np.int64), pixel)
    return View("image_2", np.stack([row, column, row ^ column], axis=-1), pairs, row + column)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.tuples(*[st.floats(0, 1)] * 4)), max_size=5), st.integers(0, 99))
def test_crop_and_mirror_keep_colour_and_label_of_pairs(moves: list, seed: int) -> None:
    before = after = coded(23, 31, seed=seed)
    for move in moves:
        if move is None:
            after = mirror(after)
        else:
            (height, width), (y, x, h, w) = after.image.shape[:2], move
            top, left = int(y * (height - 1)), int(x * (width - 1))
            after = crop(after, top, left, 1 + int(h * (height - top - 1)), 1 + int(w * (width - left - 1)))
    scene = {
        int(p): before.image[r, c].tolist() for p, (r, c) in zip(before.pairs.point, before.pairs.pixel, strict=True)
    }
    left_over = {tuple(colour) for colour in after.image.reshape(-1, 3).tolist()}
    assert set(after.pairs.point.tolist()) == {p for p, colour in scene.items() if tuple(colour) in left_over}
    assert after.labels is not None
    for p, (r, c) in zip(after.pairs.point, after.pairs.pixel, strict=True):
        assert after.image[r, c].tolist() == scene[int(p)]
        assert after.labels[r, c] == scene[int(p)][0] + scene[int(p)][1]


def test_resize_enlarged_pairs_lie_in_the_middle_of_their_pixel() -> None:
    before = coded(11, 13)
    after = resize(before, 3.0)
    np.testing.assert_array_equal(after.pairs.pixel, 3 * before.pairs.pixel + 1)
    assert before.labels is not None
    assert after.labels is not None
    at_before, at_after = (tuple(view.pairs.pixel.T) for view in (before, after))
    np.testing.assert_array_equal(after.labels[at_after], before.labels[at_before])
    np.testing.assert_array_equal(after.image[at_after], before.image[at_before])


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.7, 1.9])
def test_resize_keeps_colours_close_and_labels_unmixed(scale: float) -> None:
    """On a ramp, the colour at a pair gives its position, to half a new pixel and the blur of the border."""
    before = replace(coded(40, 60), labels=np.random.default_rng(0).choice(np.array([3, 200], np.uint8), (40, 60)))
    after = resize(before, scale)
    assert after.image.shape == (round(40 * scale), round(60 * scale), 3)
    assert len(after.pairs) == len(before.pairs)
    assert (after.pairs.pixel < after.image.shape[:2]).all()
    colour = after.image[tuple(after.pairs.pixel.T)].astype(int)[:, :2]
    assert np.abs(colour - before.pairs.pixel).max() <= 0.5 / scale + 1
    assert after.labels is not None
    assert set(np.unique(after.labels)) == {3, 200}


def test_resize_halved_pairs_worked_by_hand() -> None:
    blocks = np.repeat(np.repeat(np.array([[1, 2], [3, 4]], np.uint8), 2, axis=0), 2, axis=1)
    pixel = np.array([[0, 0], [1, 1], [1, 2], [3, 3]])
    view = resize(View("image_2", np.zeros((4, 4, 3), np.uint8), PointPixelPairs(np.arange(4), pixel), blocks), 0.5)
    assert view.pairs.pixel.tolist() == [[0, 0], [0, 0], [0, 1], [1, 1]]
    assert view.labels is not None
    assert view.labels.tolist() == [[1, 2], [3, 4]]


def test_jitter_changes_colours_only() -> None:
    view, rng = coded(20, 30), np.random.default_rng(0)
    out = jitter(view, 0.4, rng)
    assert out.pairs is view.pairs
    assert out.labels is view.labels
    assert (out.image != view.image).any()
    np.testing.assert_array_equal(jitter(view, 0.0, rng).image, view.image)


def test_jitter_draws_each_factor_from_its_whole_range() -> None:
    """An even grey shows brightness only, two greys contrast too, and an even red contrast times saturation."""
    rng, no_pairs = np.random.default_rng(0), PointPixelPairs(np.empty(0, np.int64), np.empty((0, 2), np.int64))

    def jittered(*colours: tuple[int, int, int]) -> np.ndarray:
        view = View("image_2", np.array([colours], np.uint8), no_pairs)
        return np.array([jitter(view, 0.4, rng).image[0] for _ in range(300)], float)

    def lead(values: np.ndarray, usual: float) -> np.ndarray:
        """Range of the values, relative to their mean and to the unjittered case."""
        flat = values.reshape(300, -1)
        return np.ptp(flat, axis=1) / flat.mean(axis=1) / usual

    for factor, least, most in (
        (jittered((100, 100, 100)).mean(axis=(1, 2)) / 100, 0.6, 1.4),
        (lead(jittered((80, 80, 80), (120, 120, 120)), 40 / 100), 0.6, 1.4),
        (lead(jittered((110, 90, 90)), 20 / 97), 0.36, 1.96),
    ):
        assert least - 0.07 < factor.min() < least + 0.1
        assert most - 0.25 < factor.max() < most + 0.07


def test_prepare_for_scoring_takes_the_centre_of_the_lowest_rows() -> None:
    view = prepare(coded(20, 30), ImageConfig(crop=(8, 10)), None)
    assert view.image[0, 0, :2].tolist() == [12, 10]
    assert view.image[-1, -1, :2].tolist() == [19, 19]


def test_prepare_for_training_draws_every_left_edge_and_mirrors() -> None:
    config, rng = ImageConfig(crop=(8, 25), jitter=0.0, flip=0.3), np.random.default_rng(0)
    views = [prepare(coded(20, 30), config, rng) for _ in range(600)]
    assert {view.image[-1, 0, 0] for view in views} == {19}
    mirrored = [view.image[0, 0, 1] > view.image[0, 1, 1] for view in views]
    assert np.mean(mirrored) == pytest.approx(0.3, abs=0.06)
    edges = [int(min(view.image[0, 0, 1], view.image[0, -1, 1])) for view in views]
    assert (np.bincount(edges, minlength=6) > 60).all()
    assert len(np.bincount(edges)) == 6
    jittered, plain = (
        prepare(coded(20, 30), replace(config, jitter=j), np.random.default_rng(1)).image.astype(int)
        for j in (0.4, 0.0)
    )
    assert np.abs(jittered - plain).max() > 2


def test_prepare_small_image_is_named_with_its_size() -> None:
    message = r"image_2 of scan 00/000007: .*8 x 16 pixels .*image\.crop, found 10 x 15 .*image\.scale 0\.5"
    with pytest.raises(DataError, match=message):
        prepare(coded(20, 30), ImageConfig(scale=0.5, crop=(8, 16)), None, source="image_2 of scan 00/000007")
    assert prepare(coded(20, 30), ImageConfig(crop=(20, 30)), np.random.default_rng(0)).image.shape == (20, 30, 3)


def test_select_pairs_by_rows_worked_by_hand() -> None:
    pairs = PointPixelPairs(np.array([4, 0, 2, 4]), np.array([[1, 1], [2, 2], [3, 3], [4, 4]]))
    kept = keep_rows(pairs, np.array([1, 2, 4]), 5)
    assert kept.point.tolist() == [2, 1, 2]
    assert kept.pixel.tolist() == [[1, 1], [3, 3], [4, 4]]
