"""Variation of the sensor in training: another unit, mounting, fan and response, as pure functions of arrays.

All of it precedes the rotation of the scan, since distance and elevation are those seen from the sensor.
"""

import numpy as np

from elite.beams import Beams
from elite.config import RemissionAugmentConfig, SensorAugmentConfig
from elite.shapes import Bool, Float32

_FAR = 50.0  # m: distance at which ``SensorAugmentConfig.far`` is reached
_MIDDLE = 18.0  # m: distance at which ``RemissionAugmentConfig.slope`` adds nothing
_BANDS = 64  # of elevation, for scans whose beams are not known
_PATCH = 1.0  # m: edge of the cubes in which remission is lost together
_HASHES = np.array([73856093, 19349663, 83492791])  # Teschner et al., Optimized Spatial Hashing, 2003
_TABLE = 4096


def keep_returns(
    points: Float32[np.ndarray, "n 3"], config: SensorAugmentConfig, beams: Beams | None, rng: np.random.Generator
) -> Bool[np.ndarray, "n"]:
    """Mask of the points that remain without some beams, and with losses that grow with distance; at least one remains.

    Args:
        points: sensor frame (m).
        config: largest shares.
        beams: of the sensor; None = bands of equal elevation instead.
        rng: generator.
    """
    keep = np.ones(len(points), bool)
    if config.beams:
        band, bands = _beam_of(points, beams)
        keep &= (rng.random(bands) >= rng.uniform(0, config.beams))[band]
    if config.far:
        distance = np.linalg.norm(points, axis=1)
        keep &= rng.random(len(points)) >= rng.uniform(0, config.far) * np.minimum(distance / _FAR, 1)
    keep[rng.integers(len(points))] = True
    return keep


def _beam_of(points: Float32[np.ndarray, "n 3"], beams: Beams | None) -> tuple[np.ndarray, int]:
    """Number of the nearest beam of each point, and the number of beams."""
    elevation = np.rad2deg(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    angles = np.linspace(elevation.min(), elevation.max(), _BANDS) if beams is None else np.array(beams.elevations)
    return np.searchsorted((angles[1:] + angles[:-1]) / 2, elevation), len(angles)


def vary_remission(
    remission: Float32[np.ndarray, "n"],
    points: Float32[np.ndarray, "n 3"],
    config: RemissionAugmentConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "n"]:
    """Remission (0 to 1) as another unit may return it, for points in the sensor frame (m)."""
    if rng.random() < config.blank:
        return np.zeros_like(remission)
    beyond = np.linalg.norm(points, axis=1) - _MIDDLE
    gain, offset, slope = (rng.uniform(*values) for values in (config.gain, config.offset, config.slope))
    varied = np.clip(gain * remission + offset + slope * beyond, 0, 1)
    if config.zeros:
        cell = np.floor(points / _PATCH + rng.random(3)).astype(np.int64) @ _HASHES % _TABLE
        varied[(rng.random(_TABLE) < rng.uniform(0, config.zeros))[cell]] = 0
    return varied.astype(np.float32)


def vary_mounting(
    points: Float32[np.ndarray, "n 3"], config: SensorAugmentConfig, rng: np.random.Generator
) -> Float32[np.ndarray, "n 3"]:
    """Points with noise, as a sensor of another height, roll and pitch measures them (m)."""
    roll, pitch = np.deg2rad(rng.normal(0, config.tilt, 2))
    noise = rng.normal(0, config.jitter, points.shape) if config.jitter else 0
    lift = np.array([0, 0, rng.uniform(-config.height, config.height)])
    return ((points + noise) @ _tilt(roll, pitch) + lift).astype(np.float32)


def _tilt(roll: float, pitch: float) -> np.ndarray:
    """Matrix R for row vectors, ``points @ R``: rotation about x, then about y (rad)."""
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    return np.array([[1, 0, 0], [0, cr, sr], [0, -sr, cr]]) @ np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
