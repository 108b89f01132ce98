"""3D augmentation of a training scan, as pure functions of arrays and a generator."""

import numpy as np

from elite.config import AugmentConfig
from elite.shapes import Bool, Float32


def keep_points(n: int, drop: float, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Mask of the points that remain after a uniform share in [0, drop] is removed; at least one remains."""
    keep = rng.random(n) >= rng.uniform(0, drop)
    keep[rng.integers(n)] = True
    return keep


def transform_points(
    points: Float32[np.ndarray, "n 3"], config: AugmentConfig, rng: np.random.Generator
) -> Float32[np.ndarray, "n 3"]:
    """Rotate about z, flip, scale x and y by one factor, shift; in this order."""
    points = points @ rotation_z(np.deg2rad(rng.uniform(0, config.rotate)))
    if config.flip:
        points = points * np.array(_FLIPS[rng.integers(4)], np.float32)
    points = points * np.array([rng.uniform(*config.scale)] * 2 + [1], np.float32)
    return (points + rng.normal(0, config.shift, 3)).astype(np.float32)


_FLIPS = ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1))


def rotation_z(angle: float) -> Float32[np.ndarray, "3 3"]:
    """Matrix R for row vectors, ``points @ R``: rotation by ``angle`` (rad) from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
