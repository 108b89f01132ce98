"""Occlusion: the projected points that a camera sees. LiDAR and camera have different viewpoints."""

import numpy as np

from elite.beams import Beams
from elite.errors import DataError
from elite.geometry import in_image, project
from elite.shapes import Bool, Float, Float32, Float64, Int, Int64
from elite.types import Camera, Frame, PointPixelPairs

PATCH = (2, 2, 2, 2)  # pixels above, below, left and right: 64 beams in KITTI's images, and the smallest derived patch
_LARGEST = 100  # pixels; limits time and memory for points next to the camera
_NEAREST = 1e-9  # metres from the axis of rotation

Patches = tuple[int, int, int, int] | Int64[np.ndarray, "m 4"]


def point_pixel_pairs(
    points: Float32[np.ndarray, "n 3"], camera: Camera, height: int, width: int, beams: Beams | None = None
) -> PointPixelPairs:
    """Pair every visible point with its pixel: in the image, not hidden, and the nearest point of its pixel.

    Args:
        points: complete scan (m, sensor frame).
        camera: projection of the image.
        height: rows of the image.
        width: columns of the image.
        beams: directions of the beams; None = the patch of each point is ``PATCH``.
    """
    uv, depth = project(points, camera)
    point = np.flatnonzero(in_image(uv, height, width))
    pixel = np.floor(uv[point]).astype(np.int64)[:, ::-1]
    patches = PATCH if beams is None else beam_patches(points[point], camera, beams)
    keep = visible(pixel, depth[point], height, width, patches)
    return PointPixelPairs(point[keep], pixel[keep])


def points_in_view(frame: Frame, camera: Camera) -> PointPixelPairs:
    """Return the points in view with their pixels, in descending distance: near points cover far ones."""
    pairs = point_pixel_pairs(frame.scan.points, camera, *frame.images[camera.name].shape[:2], beams=frame.beams)
    distance = np.linalg.norm(frame.scan.points[pairs.point], axis=1)
    order = np.argsort(-distance, kind="stable")
    return PointPixelPairs(pairs.point[order], pairs.pixel[order])


def require_point_pixel_pairs(
    points: Float32[np.ndarray, "n 3"],
    camera: Camera,
    height: int,
    width: int,
    beams: Beams | None = None,
    *,
    of: str = "",
) -> PointPixelPairs:
    """Return ``point_pixel_pairs`` of a complete scan. ``of`` names the scan in the error.

    Raises:
        DataError: no point is in view of the camera.
    """
    pairs = point_pixel_pairs(points, camera, height, width, beams)
    if not len(pairs):  # the nearest point in the image always has a pair
        raise DataError(
            f"{of or 'scan'}: expected points in view of {camera.name} ({height} x {width} pixels), found none of "
            f"{len(points)} points, although a complete LiDAR sweep meets every camera. Check calib.txt, and whether "
            "scan and image belong together."
        )
    return pairs


def beam_patches(
    points: Float32[np.ndarray, "m 3"],
    camera: Camera,
    beams: Beams,
    *,
    beam_share: float = 0.75,
    firing_share: float = 1.0,
) -> Int64[np.ndarray, "m 4"]:
    """Patch of the surface that each point represents: pixels above, below, left and right of its own.

    It is the bounding box of the point and of its positions after rotations about the sensor: up and down by
    ``beam_share`` of the gap to the next beam, and to both sides by ``firing_share`` of the azimuth step. The angles of
    the sensor and the camera thus determine it for each point: it is larger where beams are sparse, near the camera,
    and towards the border of the image.

    A share of 0.5 would be half-way to the next beam. A larger one is more precise, because edges of near objects lie
    anywhere between two beams (docs/experiments/occlusion.md).
    """
    x, y, z = points.T.astype(np.float64)
    across = np.hypot(x, y)
    down, up = beams.gaps(np.arctan2(z, across))
    moved = [points]
    for angle in (beam_share * up, -beam_share * down):
        level, top = _rotated(across, z, angle)
        scale = level / np.maximum(across, _NEAREST)
        moved.append(np.stack([scale * x, scale * y, top], axis=1))
    for angle in (firing_share * beams.azimuth_step, -firing_share * beams.azimuth_step):
        moved.append(np.stack([*_rotated(x, y, np.deg2rad(angle)), z], axis=1))
    uv = project(np.concatenate(moved).astype(np.float32), camera)[0].reshape(len(moved), -1, 2)
    shifts = uv - uv[0]
    low, high = np.fmin.reduce(shifts), np.fmax.reduce(shifts)  # without NaN, of positions behind the camera
    box = np.stack([-low[:, 1], high[:, 1], -low[:, 0], high[:, 0]], axis=1)
    return np.fmin(np.fmax(box, min(PATCH)), _LARGEST).astype(np.int64)  # NaN too: points outside the image


def _rotated(
    first: Float64[np.ndarray, "m"], second: Float64[np.ndarray, "m"], angle: Float64[np.ndarray, "*m"] | np.float64
) -> tuple[Float64[np.ndarray, "m"], Float64[np.ndarray, "m"]]:
    """Rotate from the first axis to the second one, by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * first - sin * second, sin * first + cos * second


def visible(
    pixel: Int64[np.ndarray, "m 2"],
    depth: Float[np.ndarray, "m"],
    height: int,
    width: int,
    patches: Patches = PATCH,
    *,
    tolerance: float = 0.5,
    relative: float = 0.05,
) -> Bool[np.ndarray, "m"]:
    """Mask of the projected points that are visible to the camera.

    A pixel shows its nearest point only. In addition, each point represents a patch of surface (``beam_patches``). A
    point behind a nearer patch, by more than ``tolerance`` metres + ``relative`` of its depth, is hidden. The margin
    keeps slanted ground, where the next beam is nearer too.

    Accuracy against ray casting: docs/experiments/occlusion.md.

    Args:
        pixel: row and column of each point, in the image.
        depth: of each point (m).
        height: rows of the image.
        width: columns of the image.
        patches: pixels above, below, left and right of a point, of each point or equal ones.
        tolerance: part of the margin (m).
        relative: part of the margin, as a share of the depth.
    """
    owners = _nearest_in_pixels(pixel, depth, height)
    depth, patches = depth[owners], np.broadcast_to(patches, (len(pixel), 4))[owners]
    near, far = _within_patches(pixel[owners], patches, height, width)
    farthest = depth - (tolerance + relative * depth)
    shown, mask = np.ones(len(owners), bool), np.zeros(len(pixel), bool)
    shown[far[depth.astype(np.float32)[near] < farthest[far]]] = False
    mask[owners[shown]] = True
    return mask


def _within_patches(
    pixel: Int64[np.ndarray, "m 2"], patches: Int64[np.ndarray, "m 4"], height: int, width: int
) -> tuple[Int64[np.ndarray, "pairs"], Int64[np.ndarray, "pairs"]]:
    """All pairs (i, j) of points with pixel j in the patch of i. The pixels differ and ascend by column, then by row.

    Therefore, the points of one column of a patch are consecutive, and counts of the points before each pixel give the
    first and the last one.
    """
    (row, column), (above, below, left, right) = pixel.T, patches.T
    key = column * height + row
    before = np.zeros(height * width + 1, np.int32)
    before[key + 1] = 1
    np.cumsum(before, out=before)
    leftmost = np.maximum(column - left, 0)
    point, strip = _expanded(np.minimum(column + right, width - 1) - leftmost + 1)
    start = (leftmost[point] + strip) * height
    first = before[start + np.maximum(row - above, 0)[point]]
    which, rank = _expanded(before[start + np.minimum(row + below, height - 1)[point] + 1] - first)
    return point[which], first[which] + rank


def _expanded(counts: Int[np.ndarray, "n"]) -> tuple[Int64[np.ndarray, "total"], Int64[np.ndarray, "total"]]:
    """Index and rank (0, 1, ...) of each of ``counts[0]``, ``counts[1]``, ... items."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - (np.cumsum(counts) - counts)[index]


def is_nearest_in_pixel(
    pixel: Int64[np.ndarray, "m 2"], depth: Float[np.ndarray, "m"], height: int
) -> Bool[np.ndarray, "m"]:
    """Mask of the nearest point of each pixel (the first of equal depths)."""
    mask = np.zeros(len(pixel), bool)
    mask[_nearest_in_pixels(pixel, depth, height)] = True
    return mask


def _nearest_in_pixels(
    pixel: Int64[np.ndarray, "m 2"], depth: Float[np.ndarray, "m"], height: int
) -> Int64[np.ndarray, "pixels"]:
    """Rows of the nearest points of their pixels, by column and then by row of the pixel."""
    key = pixel[:, 1] * height + pixel[:, 0]
    order = np.lexsort((depth, key))
    is_first = np.ones(len(key), bool)
    is_first[1:] = key[order[1:]] != key[order[:-1]]
    return order[is_first]
