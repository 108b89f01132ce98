"""Poses of the LiDAR of a described data set, by scan or by time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from elite.datasets.calibration import decode_text, parse_matrix
from elite.datasets.formats import read_part
from elite.errors import DataError
from elite.files import TEXT_BYTES
from elite.rotations import from_quaternion, interpolated
from elite.shapes import Float64

_PER_SCAN, _PER_TIME = 12, 8  # numbers in a line
_LARGEST = 1e12  # metres and seconds
OUTSIDE_S = 0.1  # seconds before the first and after the last pose for which it is used


@dataclass(frozen=True)
class PoseTable:
    """T_world_lidar of a sequence, for points as the scan files store them.

    Attributes:
        path: file, for messages.
        poses: one per scan, or per time.
        times: seconds, ascending; None = one pose per scan.
    """

    path: Path
    poses: Float64[np.ndarray, "m 4 4"]
    times: Float64[np.ndarray, "m"] | None = None

    def require_scans(self, count: int) -> None:
        """Check that there is a pose for each of the scans of the sequence, unless the poses have times.

        Raises:
            DataError: there are more or fewer, so it is unknown which scan a pose is of.
        """
        if self.times is None and len(self.poses) != count:
            raise DataError(
                f"{self.path}: expected {count} poses, one for each scan, found {len(self.poses)}. Extract all scans, "
                "or write poses by time."
            )

    def of(self, row: int, time: float | None) -> Float64[np.ndarray, "4 4"]:
        """Return the pose of a scan.

        Args:
            row: number of the scan in its sequence.
            time: of the scan, in seconds; None = unknown.

        Raises:
            DataError: the file has no pose for it.
        """
        if self.times is not None:
            if time is None:
                raise DataError(
                    f"{self.path}: expected times of the scans, since it contains poses by time, found none. Give "
                    "scans.times."
                )
            return self.at(time)
        return self.poses[row]

    def timed(self, scan_times: Sequence[float]) -> "PoseTable":
        """Return poses by time: those of the scans have their times.

        Raises:
            DataError: these do not ascend.
        """
        if self.times is not None:
            return self
        if not (np.diff(scan_times) > 0).all():
            raise DataError(f"{self.path}: expected times of the scans that ascend, found equal ones. Correct them.")
        return replace(self, times=np.array(scan_times))

    def at(self, time: float) -> Float64[np.ndarray, "4 4"]:
        """Interpolate the pose at a time: the position linearly, the rotation on the shortest arc.

        Raises:
            DataError: the time is outside those of the file.
        """
        assert self.times is not None
        first, last = self.times[0], self.times[-1]
        if not first - OUTSIDE_S <= time <= last + OUTSIDE_S:
            raise DataError(
                f"{self.path}: expected poses for the time {time:.3f} s, found them from {first:.3f} to {last:.3f} s. "
                "Check the units and clocks of both files."
            )
        return interpolate_poses(self.times, self.poses, np.array([time]))[0]


def interpolate_poses(
    times: Float64[np.ndarray, "m"], poses: Float64[np.ndarray, "m 4 4"], at: Float64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n 4 4"]:
    """Interpolate positions linearly, and rotations on the shortest arc.

    Args:
        times: of the poses (s), ascending.
        poses: at least one.
        at: times (s), at least one; before the first and after the last pose, this one is used.
    """
    if len(times) == 1:
        return np.repeat(poses, len(at), axis=0)
    at = np.clip(at, times[0], times[-1])
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    used = slice(after.min() - 1, after.max() + 1)
    found = np.tile(np.eye(4), (len(at), 1, 1))
    found[:, :3, :3] = interpolated(at, times[used], poses[used, :3, :3])
    share = (at - times[after - 1]) / (times[after] - times[after - 1])
    start, end = poses[after - 1, :3, 3], poses[after, :3, 3]
    found[:, :3, 3] = start + share[:, None] * (end - start)
    return found


def read_pose_table(path: Path) -> PoseTable:
    """Read a file of poses; its lines have 12 numbers (T_world_lidar), or 8 (time x y z qx qy qz qw).

    Raises:
        DataError: missing, damaged, empty, or with times that do not ascend.
    """
    text = decode_text(read_part(path, "poses", TEXT_BYTES), path).splitlines()
    lines = [(i, line) for i, line in enumerate(text, 1) if line.strip() and not line.startswith("#")]
    if (count := len(lines[0][1].split()) if lines else 0) == _PER_SCAN:
        poses = np.tile(np.eye(4), (len(lines), 1, 1))
        poses[:, :3] = [parse_matrix(line, f"{path}, line {i}") for i, line in lines]
        return PoseTable(path, poses)
    if count != _PER_TIME:
        raise DataError(
            f"{path}: expected lines of {_PER_SCAN} numbers (3 x 4) or {_PER_TIME} (time x y z qx qy qz qw), found "
            f"{count} in the first one. Convert the file."
        )
    rows = np.array([_row(line, path, i) for i, line in lines])
    if not (np.diff(rows[:, 0]) > 0).all():
        raise DataError(f"{path}: expected times that ascend, found some that do not. Sort the lines.")
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3, :3] = from_quaternion(rows[:, 4:])
    poses[:, :3, 3] = rows[:, 1:4]
    return PoseTable(path, poses, rows[:, 0])


def _row(line: str, path: Path, number: int) -> list[float]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    length = math.hypot(*values[4:]) if len(values) == _PER_TIME else 0
    if not (all(abs(value) < _LARGEST for value in values) and abs(length - 1) < 1e-2):
        raise DataError(
            f"{path}, line {number}: expected time x y z and a quaternion qx qy qz qw of length 1, found "
            f"'{line.strip():.80}'. Correct the line."
        )
    return values
