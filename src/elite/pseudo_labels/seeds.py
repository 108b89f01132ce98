"""Seeds of an image: the pixels of its labelled points, grouped into segments."""

import numpy as np
from scipy.ndimage import label as connected

from elite.geometry import project
from elite.occlusion import require_point_pixel_pairs
from elite.pseudo_labels.records import LabelledView, Seeds
from elite.shapes import Bool, Int64, UInt8, UInt16
from elite.taxonomy import IGNORE

_SMALLEST_GAP, _LARGEST_GAP = 2, 40  # plausible numbers of rows between two rings
_COLUMNS = 4  # pixels: width of the strips in which the gap is measured
_WITHIN_CELL = 1.2  # a cell of the grid that connects seeds is a little higher than the gap


def find_seeds(view: LabelledView) -> Seeds:
    """Return the seeds of a view: labelled points in the image that are nearest in their pixel and not occluded.

    Unlabelled points occlude others as well.

    Raises:
        DataError: no point is in view.
    """
    pairs = require_point_pixel_pairs(view.points, view.camera, *view.size, view.beams)
    known = view.labels[pairs.point] != IGNORE
    point, pixel = pairs.point[known], pairs.pixel[known]
    _, depth = project(view.points[point], view.camera)
    return group(pixel, view.labels[point], view.instance[point], depth, view.size)


def group(
    pixel: Int64[np.ndarray, "seeds 2"],
    label: UInt8[np.ndarray, "seeds"],
    instance: UInt16[np.ndarray, "seeds"],
    depth: np.ndarray,
    size: tuple[int, int],
) -> Seeds:
    """Group seeds into segments: one per object, and one per connected patch of a class without instance ids."""
    patch = np.zeros(len(pixel), np.int64)
    gap = row_gap(pixel)
    for value in np.unique(label):
        rows = np.flatnonzero((label == value) & (instance == 0))
        patch[rows] = _patches(pixel[rows], size, gap)
    keys = np.stack([label, instance, patch], axis=1).astype(np.int64)
    unique, segment, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-count, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Seeds(
        pixel,
        place[segment.reshape(-1)],
        depth,
        unique[order, 0].astype(np.uint8),
        unique[order, 1].astype(np.uint16),
        size,
    )


def row_gap(pixel: Int64[np.ndarray, "seeds 2"]) -> int:
    """Median number of rows between a seed and the next one below it: the gap between two laser rings."""
    strip, row = pixel[:, 1] // _COLUMNS, pixel[:, 0]
    order = np.lexsort((row, strip))
    step = np.diff(row[order])[np.diff(strip[order]) == 0]
    step = step[step >= _SMALLEST_GAP]  # smaller steps stay within one ring
    return int(np.clip(np.median(step), _SMALLEST_GAP, _LARGEST_GAP)) if len(step) else _LARGEST_GAP


def _patches(pixel: Int64[np.ndarray, "m 2"], size: tuple[int, int], gap: int) -> Int64[np.ndarray, "m"]:
    """Connected patch of each pixel, on a coarse grid whose cells connect to their eight neighbours."""
    cell = max(1, int(np.ceil(_WITHIN_CELL * gap)))
    row, column = (pixel // cell).T
    grid: Bool[np.ndarray, "h w"] = np.zeros((-(-size[0] // cell), -(-size[1] // cell)), bool)
    grid[row, column] = True
    return connected(grid, np.ones((3, 3)))[0][row, column].astype(np.int64)  # type: ignore[index]
