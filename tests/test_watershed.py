"""The watershed proposer: borders, reach, seeds, refusals."""

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from elite.errors import ConfigError, MissingExtraError
from elite.pseudo_labels.proposers.watershed import Watershed, grown, linked
from elite.pseudo_labels.records import Prompt, Seeds

pytest.importorskip("skimage")


def seeds_at(
    pixel: Sequence[tuple[int, int]],
    segment: Sequence[int],
    size: tuple[int, int],
    depth: Sequence[float] | None = None,
) -> Seeds:
    """Seeds of segments 0, 1, ... of classes 1, 2, ..., all at one depth by default."""
    count = max(segment, default=-1) + 1
    return Seeds(
        np.array(pixel, np.int64).reshape(-1, 2),
        np.array(segment, np.int64),
        np.full(len(pixel), 10.0) if depth is None else np.array(depth),
        np.arange(1, count + 1, dtype=np.uint8),
        np.zeros(count, np.uint16),
        size,
    )


def rings(rows: list[int], width: int, segment_of_column: np.ndarray, size: tuple[int, int]) -> Seeds:
    """A seed every third column of some rows."""
    pixel = [(row, column) for row in rows for column in range(0, width, 3)]
    return seeds_at(pixel, [int(segment_of_column[c]) for _, c in pixel], size)


def regions(image: np.ndarray, seeds: Seeds, **settings: float) -> np.ndarray:
    """Segment of each pixel, -1 = unknown, put together from the masks of all segments."""
    count = len(seeds.label)
    prompts = [Prompt(i, seeds.pixel[seeds.segment == i][:1]) for i in range(count)]
    masks = Watershed(**settings).open(image, seeds).propose(prompts)  # type: ignore[arg-type]
    assert masks.prompt.tolist() == list(range(count))
    assert (masks.iou == 1).all()
    assert (masks.stability == 1).all()
    assert (masks.inside.sum(axis=0) <= 1).all()
    return np.where(masks.inside.any(axis=0), masks.inside.argmax(axis=0), -1)


def two_colours(size: tuple[int, int], edge: int) -> np.ndarray:
    image = np.full((*size, 3), (60, 90, 60), np.uint8)
    image[:, edge:] = (150, 110, 90)
    return image


def test_watershed_border_lies_on_the_image_edge():
    """Seeds of the left colour end far from the edge, those of the right one begin right behind it, and the reverse."""
    size = (30, 60)
    for gap_from, gap_to, edge in ((16, 34, 31), (16, 34, 19)):
        rows = range(2, 30, 6)
        columns = [c for c in range(0, 60, 3) if not gap_from < c < gap_to]
        pixel = [(r, c) for r in rows for c in columns]
        seeds = seeds_at(pixel, [int(c >= gap_to) for _, c in pixel], size)
        answer = regions(two_colours(size, edge), seeds, reach=3.0, skyward=3.0)
        border = (answer == 0).sum(axis=1)
        assert (answer >= 0).all()
        assert np.abs(border - edge).max() <= 1


def test_watershed_leaves_sky_and_fills_between_rings():
    size = (60, 40)
    answer = regions(np.full((*size, 3), 128, np.uint8), rings([30, 36, 42, 48, 54], 40, np.zeros(40, int), size))
    known = answer >= 0
    assert known[30:55].all()
    assert np.flatnonzero(known.any(axis=1))[0] == 30 - 4  # half a gap of 6 rows, and a pixel
    assert (answer[:26] < 0).all()


@pytest.mark.parametrize("gap", [6, 12, 24])
def test_watershed_reach_follows_the_ring_spacing(gap: int):
    size = (100, 30)
    seeds = rings(list(range(40, 100, gap)), 30, np.zeros(30, int), size)
    known = np.flatnonzero((regions(np.zeros((*size, 3), np.uint8), seeds) >= 0).any(axis=1))
    assert known[0] == 40 - int(0.5 * gap + 1)
    assert (np.diff(known) == 1).all()


def test_watershed_seeds_keep_their_pixel():
    rng = np.random.default_rng(0)
    size = (40, 50)
    flat = rng.choice(40 * 50, 300, replace=False)
    pixel = np.stack(np.unravel_index(flat, size), axis=1)
    seeds = seeds_at(pixel.tolist(), (rng.permutation(300) % 7).tolist(), size, rng.uniform(3, 60, 300).tolist())
    answer = regions(rng.integers(0, 255, (*size, 3), dtype=np.uint8), seeds)
    np.testing.assert_array_equal(answer[tuple(pixel.T)], seeds.segment)


def test_watershed_background_seeds_inside_an_object_do_not_flood():
    """A wall at 30 m is hit between two rings of a car at 10 m: by parallax, the camera sees the car there."""
    size = (40, 30)
    car = [(r, c) for r in (6, 18, 30) for c in range(0, 30, 3)]
    wall = [(12, 14)]
    seeds = seeds_at(car + wall, [0] * len(car) + [1], size, [10.0] * len(car) + [30.0])
    image = np.full((*size, 3), 90, np.uint8)
    assert (regions(image, seeds) == 1).sum() == 1
    assert (regions(image, seeds, occlusion=0.0) == 1).sum() > 9


def test_watershed_fills_holes_and_no_open_ends():
    """A window without returns inside a car is car; the same gap at its side is not."""
    size = (60, 60)
    pixel = [(r, c) for r in range(4, 60, 4) for c in range(0, 60, 2) if not (12 < r < 40 and 20 < c < 44)]
    image = np.full((*size, 3), 90, np.uint8)
    assert (regions(image, seeds_at(pixel, [0] * len(pixel), size))[10:] == 0).all()
    opened = [(r, c) for r, c in pixel if not (12 < r < 40 and c > 20)]
    assert regions(image, seeds_at(opened, [0] * len(opened), size))[26, 32] == -1


def test_watershed_keeps_thin_objects_at_weak_edges():
    """Compactness: in mere noise a pole of one column stays near its seeds."""
    size = (31, 61)
    noise = 128 + 5 * np.random.default_rng(1).standard_normal((*size, 1))
    image = noise.astype(np.uint8).repeat(3, axis=2)
    seeds = rings(list(range(3, 31, 6)), 61, np.where(np.arange(61) == 30, 1, 0), size)
    compact, loose = (regions(image, seeds, grow=0, link=0, **c) == 1 for c in ({}, {"compactness": 0.0}))
    assert np.flatnonzero(compact.any(axis=0)).min() >= 25
    assert np.flatnonzero(loose.any(axis=0)).min() < 22


def test_watershed_marks_worked_by_hand():
    marks = np.zeros((5, 9), np.int32)
    marks[1, 0], marks[3, 0], marks[1, 4], marks[2, 4] = 1, 2, 3, 4
    up_and_down = grown(marks, 1)
    assert up_and_down[:, 0].tolist() == [1, 1, 0, 2, 2]  # both want row 2
    assert up_and_down[:, 4].tolist() == [3, 3, 4, 4, 0]
    row = np.array([[5, 0, 0, 5, 0, 6, 0, 0, 0, 6]], np.int32)
    assert linked(row, 3).tolist() == [[5, 5, 5, 5, 0, 6, 0, 0, 0, 6]]
    assert linked(row, 4).tolist() == [[5, 5, 5, 5, 0, 6, 6, 6, 6, 6]]


def test_watershed_of_degenerate_seeds_is_handled():
    alone = seeds_at([(1, 1)], [0], (4, 5))
    assert (regions(np.zeros((4, 5, 3), np.uint8), alone) == 0).all()
    assert (regions(np.zeros((1, 1, 3), np.uint8), seeds_at([(0, 0)], [0], (1, 1))) == 0).all()
    session = Watershed().open(np.zeros((4, 5, 3), np.uint8), seeds_at([], [], (4, 5)))
    assert not session.propose([Prompt(0, np.zeros((1, 2), np.int64))]).inside.any()
    assert session.propose([]).inside.shape == (0, 4, 5)


def test_watershed_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="compactness"):
        Watershed(compactness=-1.0)
    assert Watershed(grow=2).describe() == {**Watershed().describe(), "grow": 2}


def test_watershed_without_scikit_image_names_the_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingExtraError, match=r"\.\[plg\]"):
        Watershed()
