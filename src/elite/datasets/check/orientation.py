"""Axes of a sensor, seen from its data: the direction of motion, the direction up, and the unit of length."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from elite.datasets.surroundings import ground_plane
from elite.shapes import Float32, Float64

_SLOWEST_M = 0.3  # between two scans: a standing vehicle has no direction of motion
_LOWEST, _HIGHEST = -5.0, -0.3  # metres: z of the ground below a sensor on a vehicle
_STEEPEST = 10.0  # degrees
_FARTHEST_M = 400.0  # 99 % of the points are nearer to any LiDAR
_UNITS = {100: "centimetres", 1000: "millimetres"}
# Rotations from our axes to candidates in which x, y or z points up, by the axis of the file that points up.
_UPRIGHT = {
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]]),
}
_WORDS = ("forward", "left", "up"), ("backward", "right", "down")


def heading(poses: Sequence[Float64[np.ndarray, "4 4"]]) -> float | None:
    """Direction of motion in the sensor frame: degrees to the left of x; None if the vehicle hardly moves.

    Args:
        poses: T_world_sensor of successive scans.
    """
    moves = [(np.linalg.inv(a) @ b)[:2, 3] for a, b in pairwise(poses)]
    fast = [move for move in moves if np.hypot(*move) > _SLOWEST_M]
    if not fast:
        return None
    x, y = np.median(fast, axis=0)
    return float(np.degrees(np.arctan2(y, x)))


def mean_direction(degrees: Iterable[float | None]) -> float | None:
    """Mean of the known directions (degrees); None without any."""
    known = np.radians([angle for angle in degrees if angle is not None])
    return float(np.degrees(np.arctan2(np.sin(known).sum(), np.cos(known).sum()))) if len(known) else None


def quarter_turn(degrees: float) -> Float64[np.ndarray, "3 3"]:
    """Rotation that takes the direction ``degrees`` to the left of x, rounded to a right angle, to x."""
    cos, sin = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)][round(degrees / 90) % 4], np.float64)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def upright(points: Float32[np.ndarray, "n 3"]) -> Float64[np.ndarray, "3 3"] | None:
    """Rotation after which level ground lies below the sensor; None if it does already, or after several or none."""
    if _is_upright(points):
        return None
    found = [turn for turn in _UPRIGHT.values() if _is_upright((points @ turn.T).astype(np.float32))]
    return found[0] if len(found) == 1 else None


def _is_upright(points: Float32[np.ndarray, "n 3"]) -> bool:
    ground = ground_plane(points)
    return ground is not None and _LOWEST < ground.height < _HIGHEST and ground.slope < _STEEPEST


def length_unit(points: Float32[np.ndarray, "n 3"]) -> tuple[int, str] | None:
    """Divisor to metres and name of the unit, if the coordinates are not in metres; the divisor 0 = unknown unit."""
    if not len(points) or np.quantile(np.linalg.norm(points.astype(np.float64), axis=1), 0.99) < _FARTHEST_M:
        return None
    for divisor, name in _UNITS.items():
        if _is_upright(points / np.float32(divisor)):
            return divisor, name
    return 0, "an unknown unit"


def axis_words(to_ours: Float64[np.ndarray, "3 3"]) -> str:
    """Directions of x, y and z of the files, such as right-forward-up, by their rotation to our axes."""
    directions = [(int(np.abs(column).argmax()), column) for column in to_ours.T]
    return "-".join(_WORDS[int(column[axis] < 0)][axis] for axis, column in directions)
