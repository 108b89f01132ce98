"""The LiDAR of a sequence, and how it moves on its vehicle."""

from dataclasses import replace

import numpy as np

from elite.sensor import SensorSpec, load_sensor
from elite.shapes import Float
from elite.synthetic.config import HEIGHT, RANGE, DriveConfig
from elite.synthetic.scanner import Scanner
from elite.synthetic.world2.other_units import other_unit

_USUAL = "hdl-64e"  # of drives without a sensor
_STREAM = 6  # of random numbers, among those of a sequence
_OTHER_UNITS = 0.25  # share of the sequences with another unit: from many units, a student learns slower
_PERIODS = np.array([0.7, 1.1, 1.9, 3.1])  # seconds of the motion of a vehicle on its springs


def mounted_scanner(config: DriveConfig, sequence: str) -> Scanner:
    """Return the LiDAR of a sequence: the height of its mounting varies between sequences, as the unit does."""
    seed = config.seed, int(sequence), _STREAM
    rng = np.random.default_rng(seed)
    unit = config.lidar or _usual_unit(config)
    if config.vary_sensor and rng.random() < _OTHER_UNITS:
        unit = other_unit(unit, rng)
        unit = unit if config.height is None else replace(unit, height=config.height)
    rendering = unit.rendering
    assert rendering is not None
    assert unit.azimuth_step is not None
    height = (unit.height or HEIGHT) + rng.uniform(*rendering.height_offsets)
    elevations = np.deg2rad((rendering.elevations or unit.elevations)[::-1])
    firings = rendering.firings or round(360 / unit.azimuth_step)
    return Scanner(tuple(elevations.tolist()), firings, unit.range or RANGE, height, rendering, seed)


def sway(scanner: Scanner, time: float) -> Float[np.ndarray, "4 4"]:
    """Motion of the LiDAR on its vehicle at ``time`` (s): T_level_velo, small and smooth. Append it to a pose."""
    rng = np.random.default_rng((*scanner.seed, 1))
    phases, weights = rng.uniform(0, 2 * np.pi, (3, len(_PERIODS))), rng.dirichlet(np.ones(len(_PERIODS)), 3)
    waves = np.sqrt(2 * weights) * np.sin(2 * np.pi * time / _PERIODS + phases)  # their sum has deviation 1
    pitch, roll = np.deg2rad(scanner.rendering.tilt) * waves[:2].sum(axis=1)
    matrix = np.eye(4)
    matrix[:3, :3] = _about("y", pitch) @ _about("x", roll)
    matrix[2, 3] = scanner.rendering.bounce * waves[2].sum()
    return matrix


def _usual_unit(config: DriveConfig) -> SensorSpec:
    """The usual LiDAR with the numbers of beams and firings of a drive."""
    usual = load_sensor(_USUAL)
    assert usual.rendering is not None
    fan = np.array(usual.rendering.elevations)
    beams = tuple(np.interp(np.linspace(0, len(fan) - 1, config.beams), np.arange(len(fan)), fan).tolist())
    rendering = replace(usual.rendering, elevations=beams, firings=config.azimuths)
    return replace(usual, elevations=beams, azimuth_step=360 / config.azimuths, rendering=rendering)


def _about(axis: str, angle: float) -> Float[np.ndarray, "3 3"]:
    """Rotation about the axis x or y."""
    cos, sin = np.cos(angle), np.sin(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
