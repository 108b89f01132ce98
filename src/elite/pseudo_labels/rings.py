"""Laser ring of each point of a scan: stated by its file, from the order of its points, or from their elevations."""

import numpy as np

from elite.datasets import Dataset
from elite.errors import ConfigError
from elite.sensor import SensorSpec
from elite.shapes import Float32, Float64, Int64

# Median deviation of the elevation from the mean of its ring, in degrees: below 0.3 in scans of SemanticKITTI, above
# 2.5 if the points are shuffled or in the order of firing.
_LEVEL = 1.0


def rings_of(frames: Dataset, i: int, points: Float32[np.ndarray, "n 3"]) -> Int64[np.ndarray, "n"]:
    """Return the ring of each of the ``points`` of a frame; errors as ``find_rings``."""
    stated = frames.rings(i)
    return find_rings(points, frames.sensor) if stated is None else stated


def find_rings(points: Float32[np.ndarray, "n 3"], sensor: SensorSpec) -> Int64[np.ndarray, "n"]:
    """Return the ring of each point: by the order of the points if they follow ring after ring, otherwise by elevation.

    Raises:
        ConfigError: they are in another order, and the elevations of the sensor are unknown.
    """
    ring, elevation = rings_by_order(points), _elevation(points)
    if _are_level(ring, elevation):
        return ring
    if not sensor.elevations:
        raise ConfigError(
            f"--holdout rings: expected points in the order of rings, or a sensor with a column 'ring' or with "
            f"elevations, found {sensor.name}. Describe the sensor, or give --holdout points:SHARE."
        )
    beams = np.array(sensor.elevations)
    return np.searchsorted((beams[1:] + beams[:-1]) / 2, elevation).astype(np.int64)


def rings_by_order(points: Float32[np.ndarray, "n 3"]) -> Int64[np.ndarray, "n"]:
    """Number the rings 0, 1, ... in the order of the file.

    SemanticKITTI stores no ring numbers, but ring after ring, each one turn anticlockwise from straight ahead (+x). A
    new ring starts where the azimuth decreases by more than half a turn. For points in another order, the numbers are
    meaningless.

    ``elite.datasets.check.beam_pattern`` counts the beams of any sensor by turns from its first point. It is for a
    survey and cannot replace this one: a turn ends at the azimuth of the first point, not straight ahead, which gives
    up to 136 of 124,000 points of a real scan to another ring, and it returns nothing for small scans.
    """
    azimuth = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    begins = np.diff(azimuth, prepend=azimuth[:1]) < -np.pi
    return np.cumsum(begins, dtype=np.int64)


def _elevation(points: Float32[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n"]:
    """Elevation of each point above the horizon, in degrees."""
    x, y, z = points.astype(np.float64).T
    return np.degrees(np.arctan2(z, np.hypot(x, y)))


def _are_level(ring: Int64[np.ndarray, "n"], elevation: Float64[np.ndarray, "n"]) -> bool:
    """Return whether the points of each ring have about the same elevation."""
    mean = np.bincount(ring, elevation) / np.maximum(np.bincount(ring), 1)
    return not len(ring) or bool(np.median(np.abs(elevation - mean[ring])) < _LEVEL)
