"""Points, cameras and the volume: pure functions of numpy arrays, in the sensor frame and in metres."""

import numpy as np

from elite.nearest import nearest_rows
from elite.shapes import Bool, Float, Float32, Float64, Int64
from elite.types import Camera

Volume = tuple[tuple[float, float, float], tuple[float, float, float]]


def in_volume(points: Float32[np.ndarray, "n 3"], volume: Volume) -> Bool[np.ndarray, "n"]:
    """Mask of the points strictly inside the box ``(low corner, high corner)`` (m)."""
    inside = np.ones(len(points), bool)
    for axis, (low, high) in enumerate(np.asarray(volume, np.float32).T):  # several times faster than rows of three
        inside &= (points[:, axis] > low) & (points[:, axis] < high)
    return inside


def is_rotation(matrix: Float64[np.ndarray, "3 3"], tolerance: float) -> bool:
    """Whether a matrix is a rotation, not a reflection, within ``tolerance`` of R R^T from the identity."""
    deviation = np.abs(matrix @ matrix.T - np.eye(3)).max()
    return bool(deviation < tolerance and np.linalg.det(matrix) > 0)  # False for NaN


def moved(points: Float[np.ndarray, "n 3"], pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    """Transform points to the target frame; ``pose`` is T_target_source."""
    return (points @ pose[:3, :3].T + pose[:3, 3]).astype(points.dtype)


def nearest(points: Float32[np.ndarray, "n 3"], candidates: Bool[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """For each point, the rank of its nearest candidate among the candidates (a candidate is its own nearest).

    With it, a point outside the volume gets the label of the nearest predicted point. Among equally near candidates the
    choice is arbitrary. At least one candidate and finite coordinates are required.

    The time is bounded for any input (130,000 points: below 2 s). Therefore the result is approximate for one kind of
    input: many points almost equally far from very many candidates, such as points near the centre of a sphere.
    """
    rank = np.cumsum(candidates, dtype=np.int64) - 1
    outside = ~candidates
    if outside.any():
        rank[outside] = nearest_rows(points.compress(candidates, axis=0), points.compress(outside, axis=0))
    return rank


def farther_than(
    radius: float, points: Float32[np.ndarray, "n 3"], others: Float32[np.ndarray, "n 3"]
) -> Bool[np.ndarray, "n"]:
    """Mask of the points farther than ``radius`` (m) from the point of the same row in ``others``."""
    return np.linalg.norm(points.astype(np.float64) - others, axis=1) > radius  # float32 squares can be infinite


def project(
    points: Float32[np.ndarray, "n 3"], camera: Camera
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Project points (m, sensor frame) into the image: uv (pixels, u right, v down) and depth (m, optical axis).

    A point at or behind the camera plane (depth <= 0), or outside the lens, has uv = NaN.
    """
    homogeneous = points.astype(np.float64) @ camera.projection[:, :3].T + camera.projection[:, 3]
    depth = homogeneous[:, 2]
    uv = np.full((len(points), 2), np.nan)
    front = depth > 0
    with np.errstate(over="ignore"):  # infinite pixels are outside every image
        uv[front] = homogeneous[front, :2] / depth[front, None]
        if camera.lens is not None and camera.lens.is_distorted:
            K = camera.lens.K
            uv[front] = camera.lens.pixels((uv[front] - K[:2, 2]) @ np.linalg.inv(K[:2, :2]).T)
    return uv, depth


def pinhole(
    camera: Camera,
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """(K, R_velo_cam, centre) of a camera: its matrix is K @ R_velo_cam.T @ [I | -centre], with K[2, 2] = 1.

    K takes metres of the camera frame (x right, y down, z forward) to pixels; ``centre`` is in the sensor frame (m).
    """
    flipped, lower = np.linalg.qr(camera.projection[::-1, :3].T)  # of the rows in reverse order
    upper, rotation = lower.T[::-1, ::-1], flipped.T[::-1]
    sign = np.sign(np.diag(upper))  # a decomposition does not determine the signs; focal lengths are positive
    upper, rotation = upper * sign, sign[:, None] * rotation
    centre = -np.linalg.solve(camera.projection[:, :3], camera.projection[:, 3])
    return upper / upper[2, 2], rotation.T, centre


def in_image(uv: Float[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "n"]:
    """Mask of the uv on a pixel; pixel (row, column) covers v in [row, row + 1), u in [column, column + 1)."""
    with np.errstate(invalid="ignore"):
        return (uv[:, 0] >= 0) & (uv[:, 0] < width) & (uv[:, 1] >= 0) & (uv[:, 1] < height)


def bounds(mask: Bool[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around a mask with at least one pixel."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
