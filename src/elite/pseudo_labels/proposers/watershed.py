"""Regions without any weights: a watershed on the image's gradients, flooded from the labelled pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, maximum_filter1d, sobel

from elite.errors import ConfigError, MissingExtraError
from elite.geometry import bounds, visible
from elite.pseudo_labels.records import Masks, Prompt, Seeds
from elite.pseudo_labels.seeds import row_gap

_SOBEL = 8  # what scipy's Sobel answers to a slope of 1 per pixel
_BESIDE = 3  # columns either way in which a seed is above a pixel, or in front of another seed; firings are 2-3 apart


class Watershed:
    """Floods the image from all seeds at once; where two floods meet, preferably at an edge, is the border.

    The defaults were chosen on real frames and on a synthetic drive with whole rings hidden; around them the results
    hardly change. A *gap* is the distance in rows between two rings, measured on the seeds of the image at hand.

    Args:
        smoothing: sigma (pixels) of the blur before the gradient is taken.
        compactness: what a pixel of distance from the seed costs, in units of the gradient (Lab per pixel). Without
            it thin and small things drown: the floods of their surroundings seep through every weak edge.
        occlusion: seeds that are clearly farther away than another one within this part of a gap do not flood, they
            keep their own pixel only: LiDAR and camera look from different places, and between sparse rings the camera
            sees an object where the LiDAR saw the wall behind it.
        grow: rows above and below a seed that are its own from the start.
        link: neighbours of one ring and one segment that are no more columns apart are joined.
        reach: a region ends so many gaps, and one pixel, away from all seeds ...
        skyward: ... and so many where no seed is farther up, for there the sky may begin. Holes are filled: panes and
            black paint send nothing back.

    Raises:
        ConfigError: a setting is negative.
        MissingExtraError: scikit-image is not installed.
    """

    max_prompts: int | None = None

    def __init__(
        self,
        *,
        smoothing: float = 0.7,
        compactness: float = 0.07,
        occlusion: float = 0.5,
        grow: int = 1,
        link: int = 6,
        reach: float = 1.0,
        skyward: float = 0.5,
    ) -> None:
        self.settings = {
            "smoothing": smoothing,
            "compactness": compactness,
            "occlusion": occlusion,
            "grow": grow,
            "link": link,
            "reach": reach,
            "skyward": skyward,
        }
        for name, value in self.settings.items():
            if value < 0:
                raise ConfigError(f"watershed.{name} is {value}, expected at least 0.")
        _load_skimage()

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> "Flooded":
        """Flood once. Seconds: 0.3 for 1241 x 376 pixels on one thread."""
        return Flooded(flood(image, seeds, **self.settings) if len(seeds) else np.zeros(seeds.size, np.int32))

    def describe(self) -> dict[str, Any]:
        return {"name": "watershed", **self.settings}


class Flooded:
    """A flooded image: ``region`` is the segment of each pixel + 1, 0 = out of reach."""

    def __init__(self, region: Int32[np.ndarray, "h w"]) -> None:
        self.region = region

    def propose(self, prompts: list[Prompt]) -> Masks:
        """The region of each prompt's segment, wherever in it the prompt points."""
        count = len(prompts)
        inside = np.zeros((count, *self.region.shape), bool)
        for i, prompt in enumerate(prompts):
            np.equal(self.region, prompt.segment + 1, out=inside[i])
        return Masks(np.arange(count), inside, np.ones(count, np.float32), np.ones(count, np.float32))


def flood(
    image: UInt8[np.ndarray, "h w 3"],
    seeds: Seeds,
    *,
    smoothing: float,
    compactness: float,
    occlusion: float,
    grow: int,
    link: int,
    reach: float,
    skyward: float,
) -> Int32[np.ndarray, "h w"]:
    """Segment of each pixel + 1, 0 = out of reach. At least one seed is needed; see ``Watershed`` for the settings."""
    _, watershed = _load_skimage()
    gap = row_gap(seeds.pixel)
    sources = linked(grown(markers(seeds, in_front(seeds, round(occlusion * gap))), grow), link)
    allowed = within_reach(seeds, reach * gap + 1, skyward * gap + 1)
    window = bounds(allowed)  # the sky, a third of the image, costs nothing
    region = np.zeros(seeds.size, np.int32)
    region[window] = watershed(
        gradient(image[window], smoothing), sources[window], mask=allowed[window], compactness=compactness
    )
    row, column = seeds.pixel.T
    region[row, column] = seeds.segment + 1
    return region


def gradient(image: UInt8[np.ndarray, "h w 3"], smoothing: float) -> Float32[np.ndarray, "h w"]:
    """How fast the colour changes, in Lab units per pixel."""
    rgb2lab, _ = _load_skimage()
    square = np.zeros(image.shape[:2], np.float32)
    for channel in np.moveaxis(rgb2lab(image.astype(np.float32) / 255), 2, 0):
        smooth = gaussian_filter(channel, smoothing)
        square += np.square(sobel(smooth, 0)) + np.square(sobel(smooth, 1))
    return np.sqrt(square) / _SOBEL


def in_front(seeds: Seeds, rows: int) -> Bool[np.ndarray, "seeds"]:
    """Seeds behind none of the others within so many rows: the usual test, with patches that grow with the gap."""
    return visible(seeds.pixel, seeds.depth, *seeds.size, rows=rows, columns=_BESIDE)


def markers(seeds: Seeds, which: Bool[np.ndarray, "seeds"]) -> Int32[np.ndarray, "h w"]:
    """Segment + 1 at the pixels of some of the seeds."""
    marks = np.zeros(seeds.size, np.int32)
    row, column = seeds.pixel[which].T
    marks[row, column] = seeds.segment[which] + 1
    return marks


def grown(marks: Int32[np.ndarray, "h w"], rows: int) -> Int32[np.ndarray, "h w"]:
    """Marks spread up and down into free pixels; one that two of them want stays free."""
    for _ in range(rows):
        upper, lower = np.zeros_like(marks), np.zeros_like(marks)
        upper[1:], lower[:-1] = marks[:-1], marks[1:]
        agreed = (upper == lower) | (upper == 0) | (lower == 0)
        marks = np.where((marks == 0) & agreed, np.maximum(upper, lower), marks)
    return marks


def linked(marks: Int32[np.ndarray, "h w"], columns: int) -> Int32[np.ndarray, "h w"]:
    """Equal marks of a row joined where the next one is no more than so many columns away."""
    marked, column = marks > 0, np.arange(marks.shape[1])
    before = np.maximum.accumulate(np.where(marked, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(marked, column, len(column))[:, ::-1], axis=1)[:, ::-1]
    outside = (before < 0) | (after == len(column))
    left = np.take_along_axis(marks, before.clip(0), axis=1)
    right = np.take_along_axis(marks, after.clip(max=len(column) - 1), axis=1)
    return np.where((left == right) & (after - before <= columns) & ~outside, left, marks)


def within_reach(seeds: Seeds, distance: float, skyward: float) -> Bool[np.ndarray, "h w"]:
    """Pixels no farther from a seed than ``distance``, or than ``skyward`` where none is farther up; holes filled."""
    seeded = np.zeros(seeds.size, bool)
    seeded[tuple(seeds.pixel.T)] = True
    away = np.asarray(distance_transform_edt(~seeded))
    strips = maximum_filter1d(seeded.view(np.uint8), 2 * _BESIDE + 1, axis=1)
    below_a_seed = np.maximum.accumulate(strips, axis=0) > 0
    return np.asarray(binary_fill_holes((away <= skyward) | ((away <= distance) & below_a_seed)))


def _load_skimage() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(rgb2lab, watershed).

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    try:
        from skimage.color import rgb2lab
        from skimage.segmentation import watershed
    except ImportError as error:
        raise MissingExtraError("scikit-image", "plg") from error
    return rgb2lab, watershed
