"""From labelled points to seeds: the pixels of an image whose label is known, grouped into segments."""

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt16
from scipy.ndimage import label as connected

from elite.geometry import project, require_point_pixel_pairs
from elite.labels import IGNORE
from elite.pseudo_labels.records import LabelledView, Seeds

_LEAST_GAP, _LARGEST_GAP = 2, 40  # rows between two rings; outside of this, what was measured is no such thing
_COLUMNS = 4  # pixels: width of the strips in which the gap is measured
_WITHIN_CELL = 1.2  # a cell of the grid that connects seeds is a little higher than the gap


def find_seeds(view: LabelledView) -> Seeds:
    """Seeds of the points that the camera sees (in the image, nearest in their pixel, not hidden) and that are
    labelled. Unlabelled points hide what is behind them all the same.

    Raises:
        DataError: the camera sees no point at all.
    """
    pairs = require_point_pixel_pairs(view.points, view.camera, *view.size)
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
    """Seeds in segments: one per object, one per connected patch of a class otherwise."""
    patch = np.zeros(len(pixel), np.int64)
    gap = row_gap(pixel)
    for value in np.unique(label):
        alone = np.flatnonzero((label == value) & (instance == 0))
        patch[alone] = _patches(pixel[alone], size, gap)
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
    """Rows between a seed and the next one below it: the median, which is the gap between two rings of the LiDAR."""
    strip, row = pixel[:, 1] // _COLUMNS, pixel[:, 0]
    order = np.lexsort((row, strip))
    step = np.diff(row[order])[np.diff(strip[order]) == 0]
    step = step[step >= _LEAST_GAP]  # the same ring again is no gap
    return int(np.clip(np.median(step), _LEAST_GAP, _LARGEST_GAP)) if len(step) else _LARGEST_GAP


def _patches(pixel: Int64[np.ndarray, "m 2"], size: tuple[int, int], gap: int) -> Int64[np.ndarray, "m"]:
    """Number of the connected patch of each pixel: cells of a coarse grid, joined to their eight neighbours."""
    cell = max(1, int(np.ceil(_WITHIN_CELL * gap)))
    row, column = (pixel // cell).T
    grid: Bool[np.ndarray, "h w"] = np.zeros((-(-size[0] // cell), -(-size[1] // cell)), bool)
    grid[row, column] = True
    return connected(grid, np.ones((3, 3)))[0][row, column].astype(np.int64)  # type: ignore[index]
