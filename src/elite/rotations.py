"""Rotations in space as matrices, quaternions (x, y, z, w) and rotation vectors (axis times angle in radians)."""

import numpy as np

from elite.shapes import Float64

_SMALL = 1e-12  # radians


def from_quaternion(quaternion: Float64[np.ndarray, "*n 4"]) -> Float64[np.ndarray, "*n 3 3"]:
    """Return the matrices of quaternions of any length but zero."""
    x, y, z, w = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def to_quaternion(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "4"]:
    """Return the quaternion of a matrix, of length 1; of nearly a rotation, that of the nearest one.

    Source: Bar-Itzhack, New method for extracting the quaternion from a rotation matrix (2000).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return quaternion if quaternion[3] >= 0 else -quaternion


def from_vector(vector: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3 3"]:
    """Return the matrices of rotation vectors."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    axis_share = np.where(angle > _SMALL, np.sin(angle / 2) / np.maximum(angle, _SMALL), 0.5)
    return from_quaternion(np.concatenate([vector * axis_share, np.cos(angle / 2)], axis=-1))


def to_vector(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3"]:
    """Return the rotation vector of a matrix, of an angle up to half a turn."""
    *axis, w = to_quaternion(matrix)
    sine = float(np.linalg.norm(axis))
    return np.array(axis) * (2 * np.arctan2(sine, w) / sine if sine > _SMALL else 2)


def interpolated(
    at: Float64[np.ndarray, "k"], times: Float64[np.ndarray, "n"], matrices: Float64[np.ndarray, "n 3 3"]
) -> Float64[np.ndarray, "k 3 3"]:
    """Return the rotations at some times, which turn at a constant rate between two of the ascending ``times``.

    ``at`` is within these.
    """
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    share = (at - times[after - 1]) / (times[after] - times[after - 1])
    matrices = from_quaternion(np.array([to_quaternion(matrix) for matrix in matrices]))  # without rounding errors
    start, end = matrices[after - 1], matrices[after]
    turns = np.array([to_vector(turn) for turn in np.swapaxes(start, 1, 2) @ end]).reshape(-1, 3)
    return start @ from_vector(share[:, None] * turns)
