"""Rigid transforms between sensors, the car and the map, as 4 x 4 matrices in float64.

Global coordinates are about 1,000 m, where float32 has steps of 0.06 mm: a product of its matrices is visibly wrong.
"""

import numpy as np

from elite.rotations import from_quaternion
from elite.shapes import Float64


def matrix(pose: Float64[np.ndarray, "7"]) -> Float64[np.ndarray, "4 4"]:
    """Transform of a translation x y z (m) and a rotation w x y z."""
    transform = np.eye(4)
    transform[:3, :3] = from_quaternion(np.roll(pose[3:], -1))  # which takes x y z w
    transform[:3, 3] = pose[:3]
    return transform


def inverse(transform: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Inverse of a rigid transform."""
    rotation = transform[:3, :3].T
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, -rotation @ transform[:3, 3]
    return result
