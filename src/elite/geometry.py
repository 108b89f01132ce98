"""Points, cameras and the volume. Pure functions on numpy arrays; sensor frame, metres."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.linalg import rq
from scipy.ndimage import minimum_filter
from scipy.spatial import KDTree

from elite.errors import DataError
from elite.types import Camera, PointPixelPairs

Volume = tuple[tuple[float, float, float], tuple[float, float, float]]
_SAMPLE = 32  # every so-manieth candidate bounds the distance to the nearest of all
_CELLS = 64  # along x and along y, of the grid that finds who is within that distance


def in_volume(points: Float32[np.ndarray, "n 3"], volume: Volume) -> Bool[np.ndarray, "n"]:
    """Points strictly inside the open box ``(low corner, high corner)``."""
    inside = np.ones(len(points), bool)
    for axis, (low, high) in enumerate(np.asarray(volume, np.float32).T):  # several times faster than rows of three
        inside &= (points[:, axis] > low) & (points[:, axis] < high)
    return inside


def nearest(points: Float32[np.ndarray, "n 3"], candidates: Bool[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """For each point the rank, among the candidates, of the nearest one (a candidate answers for itself).

    This is how a point outside the volume gets the label of the nearest predicted point; of several equally near ones
    any may answer. At least one candidate is needed.
    """
    rank = np.cumsum(candidates, dtype=np.int64) - 1
    outside = ~candidates
    if outside.any():
        asked, offered = (points.compress(mask, axis=0) for mask in (outside, candidates))
        near = _within_reach(offered, asked)
        # So built it takes half the time; points in a volume need no balance.
        tree = KDTree(offered[near], balanced_tree=False, compact_nodes=False)
        rank[outside] = near[tree.query(asked)[1]]
    return rank


def _within_reach(offered: Float32[np.ndarray, "m 3"], asked: Float32[np.ndarray, "k 3"]) -> Int64[np.ndarray, "r"]:
    """Rows of ``offered`` among which is the nearest one of every point of ``asked``; few, if those lie at the border.

    The nearest of a sample bounds how far the nearest of all can be. A grid over x and y tells who is so near to any;
    one cell more on each side is for rounding.
    """
    reach = KDTree(offered[::_SAMPLE]).query(asked)[0]
    lowest, beyond, cells = [], [], np.zeros(len(offered), np.int64)
    for axis in (0, 1):
        along = np.ascontiguousarray(offered[:, axis])
        low = float(along.min())
        cell = max(float(along.max()) - low, 1e-3) / _CELLS
        cells = cells * (_CELLS + 1) + ((along - low) / cell).astype(np.int64)
        centre = (asked[:, axis] - low) / cell
        lowest.append(np.clip(np.floor(centre - reach / cell) - 1, 0, _CELLS).astype(np.int64))
        beyond.append(np.clip(np.floor(centre + reach / cell) + 2, 0, _CELLS + 1).astype(np.int64))
    change = np.zeros((_CELLS + 2, _CELLS + 2), np.int64)  # its sums count the squares that cover a cell
    for rows, columns, by in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):
        np.add.at(change, ((lowest, beyond)[rows][0], (lowest, beyond)[columns][1]), by)
    covered = change.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    return np.flatnonzero(covered.ravel()[cells])


def project(
    points: Float32[np.ndarray, "n 3"], camera: Camera
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Sensor points -> (uv, depth): u right, v down in pixels; depth along the optical axis in metres.

    A point at or behind the camera plane (depth <= 0) has uv = NaN.
    """
    homogeneous = points.astype(np.float64) @ camera.projection[:, :3].T + camera.projection[:, 3]
    depth = homogeneous[:, 2]
    uv = np.full((len(points), 2), np.nan)
    front = depth > 0
    with np.errstate(over="ignore"):  # infinitely far aside is in no image
        uv[front] = homogeneous[front, :2] / depth[front, None]
    return uv, depth


def pinhole(
    camera: Camera,
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """(K, R_velo_cam, centre) of a camera: its matrix is K @ R_velo_cam.T @ [I | -centre], with K[2, 2] = 1.

    K takes metres of the camera frame (x right, y down, z forward) to pixels; ``centre`` is in the sensor frame (m).
    """
    upper, rotation = rq(camera.projection[:, :3])
    sign = np.sign(np.diag(upper))  # a decomposition leaves them open; focal lengths are positive
    upper, rotation = upper * sign, sign[:, None] * rotation
    centre = -np.linalg.solve(camera.projection[:, :3], camera.projection[:, 3])
    return upper / upper[2, 2], rotation.T, centre


def in_image(uv: Float[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "n"]:
    """Points whose uv falls on a pixel; pixel (row, column) covers v in [row, row + 1), u in [column, column + 1)."""
    with np.errstate(invalid="ignore"):
        return (uv[:, 0] >= 0) & (uv[:, 0] < width) & (uv[:, 1] >= 0) & (uv[:, 1] < height)


def point_pixel_pairs(points: Float32[np.ndarray, "n 3"], camera: Camera, height: int, width: int) -> PointPixelPairs:
    """Every visible point with its pixel: in the image, not hidden, and the nearest point of its pixel."""
    uv, depth = project(points, camera)
    point = np.flatnonzero(in_image(uv, height, width))
    pixel = np.floor(uv[point]).astype(np.int64)[:, ::-1]
    keep = visible(pixel, depth[point], height, width)
    return PointPixelPairs(point[keep], pixel[keep])


def seen_pairs(
    points: Float32[np.ndarray, "n 3"], camera: Camera, height: int, width: int, *, of: str = ""
) -> PointPixelPairs:
    """``point_pixel_pairs`` of a whole scan, which there must be some of. ``of`` names the scan in the error.

    Raises:
        DataError: the camera sees no point.
    """
    pairs = point_pixel_pairs(points, camera, height, width)
    if not len(pairs):  # some point is the nearest of all in the image, so only an image without any has no pair
        raise DataError(
            f"calibration projects none of the {len(points)} points{of and f' of {of}'} into {camera.name} ({height} x "
            f"{width} pixels), but a whole turn of the LiDAR meets every camera; check calib.txt, and whether scan and "
            "image belong together."
        )
    return pairs


def visible(
    pixel: Int64[np.ndarray, "m 2"],
    depth: Float[np.ndarray, "m"],
    height: int,
    width: int,
    *,
    rows: int = 2,
    columns: int = 2,
    tolerance: float = 0.5,
    relative: float = 0.05,
) -> Bool[np.ndarray, "m"]:
    """Which projected points a camera really sees. LiDAR and camera look from different places.

    The nearest point owns its pixel. Beyond that, each point stands for the patch of surface around it, ``rows``
    and ``columns`` either way: about half the gap between beams (4 to 6 rows) and a firing (2 columns).
    A point under a patch that is clearly nearer, by more than ``tolerance`` metres + ``relative`` of its depth,
    is hidden. The margin spares slanted ground, whose next beam is nearer too. The defaults suit 64 beams and
    KITTI's images; on ray-cast streets 98.8 % of the kept points are truly visible, and 97.8 % of those that are
    visible are kept; for the nearest point per pixel alone it is 95.2 % and 100 % (benchmarks/visibility.py).
    """
    patches = minimum_filter(depth_buffer(pixel, depth, height, width), size=(2 * rows + 1, 2 * columns + 1))
    row, column = pixel.T
    hidden = patches[row, column] < depth - (tolerance + relative * depth)
    return ~hidden & owns_pixel(pixel, depth, width)


def depth_buffer(
    pixel: Int64[np.ndarray, "m 2"], depth: Float[np.ndarray, "m"], height: int, width: int
) -> Float32[np.ndarray, "h w"]:
    """Smallest depth per pixel, infinity where there is no point. float32: half the memory is half the time here."""
    buffer = np.full((height, width), np.inf, np.float32)
    np.minimum.at(buffer, (pixel[:, 0], pixel[:, 1]), depth.astype(np.float32))
    return buffer


def owns_pixel(pixel: Int64[np.ndarray, "m 2"], depth: Float[np.ndarray, "m"], width: int) -> Bool[np.ndarray, "m"]:
    """The one nearest point of each pixel (of equal depths the first)."""
    flat = pixel[:, 0] * width + pixel[:, 1]
    order = np.lexsort((depth, flat))
    first = np.ones(len(flat), bool)
    first[1:] = flat[order[1:]] != flat[order[:-1]]
    owner = np.zeros(len(flat), bool)
    owner[order[first]] = True
    return owner


def bounds(mask: Bool[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around what a mask marks, at least one pixel."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
