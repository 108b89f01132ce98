"""Regions without weights: a watershed on the gradient of the image, flooded from the seeds."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, maximum_filter1d, sobel

from elite.errors import ConfigError, MissingExtraError
from elite.geometry import bounds
from elite.occlusion import visible
from elite.pseudo_labels.records import Masks, Prompt, Seeds
from elite.pseudo_labels.seeds import row_gap
from elite.shapes import Bool, Float32, Int32, UInt8

_SOBEL = 8  # response of scipy's Sobel filter to a slope of 1 per pixel
_COLUMNS = 3  # to either side, in which a seed is above a pixel or in front of a seed; firings are 2-3 columns apart


class Watershed:
    """Floods the image from all seeds at once; borders form where two floods meet, preferably at an edge.

    The defaults were selected on real frames and on a synthetic drive with hidden rings; the scores change little
    around them. A *gap* is the number of rows between two rings, measured on the seeds of the image.

    Args:
        smoothing: sigma (pixels) of the blur before the gradient.
        compactness: cost of one pixel of distance from the seed, in units of the gradient (Lab per pixel). Without it,
            floods of the surroundings leak into thin and small objects through weak edges.
        occlusion: part of a gap within which a seed behind another one keeps its own pixel only. LiDAR and camera have
            different positions: between sparse rings, the camera sees an object in front of the wall that the LiDAR
            measured.
        grow: rows above and below a seed that belong to it from the start.
        link: largest number of columns between joined seeds of one ring and segment.
        reach: largest distance from the seeds in gaps, plus one pixel.
        skyward: the same for pixels without a seed above them, where the sky may begin. Holes are filled, because
            windows and black paint return no points.

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
                raise ConfigError(f"watershed.{name}: expected at least 0, found {value}. Change the value.")
        _load_skimage()

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> "WatershedSession":
        """Flood the image (0.3 s for 1241 x 376 pixels on one thread)."""
        return WatershedSession(flood(image, seeds, **self.settings) if len(seeds) else np.zeros(seeds.size, np.int32))

    def describe(self) -> dict[str, Any]:
        return {"name": "watershed", **self.settings}


class WatershedSession:
    """A flooded image: ``region`` is the segment of each pixel + 1, 0 = out of reach."""

    def __init__(self, region: Int32[np.ndarray, "h w"]) -> None:
        self.region = region

    def propose(self, prompts: list[Prompt]) -> Masks:
        """Return the region of the segment of each prompt; its points are not used."""
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
    """Return the segment of each pixel + 1, 0 = out of reach.

    Requires at least one seed. See ``Watershed`` for the settings.
    """
    _, watershed = _load_skimage()
    gap = row_gap(seeds.pixel)
    sources = linked(grown(markers(seeds, in_front(seeds, round(occlusion * gap))), grow), link)
    allowed = within_reach(seeds, reach * gap + 1, skyward * gap + 1)
    window = bounds(allowed)  # excludes the sky, a third of the image
    region = np.zeros(seeds.size, np.int32)
    region[window] = watershed(
        gradient(image[window], smoothing), sources[window], mask=allowed[window], compactness=compactness
    )
    row, column = seeds.pixel.T
    region[row, column] = seeds.segment + 1
    return region


def gradient(image: UInt8[np.ndarray, "h w 3"], smoothing: float) -> Float32[np.ndarray, "h w"]:
    """Magnitude of the colour gradient, in Lab units per pixel."""
    rgb2lab, _ = _load_skimage()
    square = np.zeros(image.shape[:2], np.float32)
    for channel in np.moveaxis(rgb2lab(image.astype(np.float32) / 255), 2, 0):
        smooth = gaussian_filter(channel, smoothing)
        square += np.square(sobel(smooth, 0)) + np.square(sobel(smooth, 1))
    return np.sqrt(square) / _SOBEL


def in_front(seeds: Seeds, rows: int) -> Bool[np.ndarray, "seeds"]:
    """Seeds that no other seed within ``rows`` occludes: the test of ``occlusion.visible`` with larger patches."""
    return visible(seeds.pixel, seeds.depth, *seeds.size, (rows, rows, _COLUMNS, _COLUMNS))


def markers(seeds: Seeds, which: Bool[np.ndarray, "seeds"]) -> Int32[np.ndarray, "h w"]:
    """Segment + 1 at the pixels of some of the seeds."""
    marks = np.zeros(seeds.size, np.int32)
    row, column = seeds.pixel[which].T
    marks[row, column] = seeds.segment[which] + 1
    return marks


def grown(marks: Int32[np.ndarray, "h w"], rows: int) -> Int32[np.ndarray, "h w"]:
    """Extend marks up and down into free pixels; a pixel between two different marks stays free."""
    for _ in range(rows):
        upper, lower = np.zeros_like(marks), np.zeros_like(marks)
        upper[1:], lower[:-1] = marks[:-1], marks[1:]
        agreed = (upper == lower) | (upper == 0) | (lower == 0)
        marks = np.where((marks == 0) & agreed, np.maximum(upper, lower), marks)
    return marks


def linked(marks: Int32[np.ndarray, "h w"], columns: int) -> Int32[np.ndarray, "h w"]:
    """Join equal marks of a row that are at most ``columns`` apart."""
    marked, column = marks > 0, np.arange(marks.shape[1])
    before = np.maximum.accumulate(np.where(marked, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(marked, column, len(column))[:, ::-1], axis=1)[:, ::-1]
    outside = (before < 0) | (after == len(column))
    left = np.take_along_axis(marks, before.clip(0), axis=1)
    right = np.take_along_axis(marks, after.clip(max=len(column) - 1), axis=1)
    return np.where((left == right) & (after - before <= columns) & ~outside, left, marks)


def within_reach(seeds: Seeds, distance: float, skyward: float) -> Bool[np.ndarray, "h w"]:
    """Pixels within ``distance`` of a seed, or within ``skyward`` where no seed is above; holes are filled."""
    seeded = np.zeros(seeds.size, bool)
    seeded[tuple(seeds.pixel.T)] = True
    away = np.asarray(distance_transform_edt(~seeded))
    strips = maximum_filter1d(seeded.view(np.uint8), 2 * _COLUMNS + 1, axis=1)
    below_a_seed = np.maximum.accumulate(strips, axis=0) > 0
    return np.asarray(binary_fill_holes((away <= skyward) | ((away <= distance) & below_a_seed)))


def _load_skimage() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Import rgb2lab and watershed.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    try:
        from skimage.color import rgb2lab
        from skimage.segmentation import watershed
    except ImportError as error:
        raise MissingExtraError("scikit-image", "plg") from error
    return rgb2lab, watershed
