"""LiDAR of a drive: its beams, firings, range and mounting height."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from elite.sensor_rendering import SensorRendering
from elite.shapes import Float
from elite.synthetic.config import HEIGHT, RANGE, DriveConfig


@dataclass(frozen=True)
class Scanner:
    """A rendered LiDAR.

    Attributes:
        elevations: of the beams from top to bottom, in radians.
        azimuths: number of firings of a beam per turn.
        range: largest measured distance (m).
        height: above the road (m).
        rendering: how it measures. World 1 has its own way.
        seed: of the deviations of this unit and its mounting.
    """

    elevations: tuple[float, ...]
    azimuths: int
    range: float
    height: float
    rendering: SensorRendering = field(default_factory=SensorRendering)
    seed: tuple[int, ...] = ()


@lru_cache(maxsize=4)
def scanner(config: DriveConfig) -> Scanner:
    """Return the LiDAR of a drive."""
    if (sensor := config.lidar) is None:
        return Scanner(tuple(beam_angles(config.beams)), config.azimuths, RANGE, HEIGHT)
    assert sensor.azimuth_step is not None
    assert sensor.range is not None
    assert sensor.height is not None
    elevations = np.deg2rad(sensor.elevations[::-1])
    return Scanner(tuple(elevations), round(360 / sensor.azimuth_step), sensor.range, sensor.height)


def beam_angles(beams: int) -> Float[np.ndarray, "beams"]:
    """Elevations from top to bottom, radians: the HDL-64E's upper and lower block, resampled for other counts.

    No laser sits exactly where it should; the misfits are those of one imagined unit, always the same.
    """
    hdl64 = np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.9, 32)])
    hdl64 += np.random.default_rng(64).normal(0, 0.035, 64)
    return np.deg2rad(np.interp(np.linspace(0, 63, beams), np.arange(64), hdl64))


def beam_rays(scanner: Scanner, rng: np.random.Generator, *, scatter: float = 0.0002) -> Float[np.ndarray, "n 3"]:
    """Unit directions of one turn: ring after ring from the top, each from straight ahead anticlockwise.

    ``scatter`` is the deviation of their elevations (radians).
    """
    beams, azimuths = len(scanner.elevations), scanner.azimuths
    elevation = np.array(scanner.elevations)[:, None] + rng.normal(0, scatter, (beams, azimuths))
    start = rng.uniform(0, 1, (beams, 1))
    azimuth = (np.arange(azimuths) + start + rng.normal(0, 0.04, (beams, azimuths)).clip(-0.4, 0.4)) / azimuths
    azimuth = np.sort(azimuth % 1.0, axis=1) * 2 * np.pi
    level = np.cos(elevation)
    rays = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=2)
    return rays.reshape(-1, 3)
