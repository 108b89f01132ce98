"""Past scans: their points, moved by the poses into the sensor frame of the present scan, with their age.

The age is the time lag of the nuScenes devkit: seconds from the past scan to the present one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from elite.errors import ConfigError, DataError
from elite.geometry import is_rotation, moved
from elite.shapes import Float64
from elite.types import PastPoints, Scan

if TYPE_CHECKING:
    from elite.datasets.base import Dataset

_ROUNDING = 1e-3  # largest deviation of the rotation of a pose from a rotation


@dataclass(frozen=True)
class PastScan:
    """A past scan that has not been read.

    Attributes:
        source: its name in messages.
        read: reads it; raises DataError.
        pose: T_world_sensor.
        seconds: time of the scan.
    """

    source: str
    read: Callable[[], Scan]
    pose: Float64[np.ndarray, "4 4"]
    seconds: float


def past_points(
    pose: Float64[np.ndarray, "4 4"], seconds: float, past: Iterable[PastScan], source: object
) -> PastPoints:
    """Points of past scans, the latest first, in the sensor frame of a scan. Scans that cannot be read are skipped.

    Args:
        pose: T_world_sensor of the scan.
        seconds: its time.
        past: scans before it, the latest first.
        source: name of the scan in messages.

    Raises:
        DataError: a pose is not a rigid transform, or times do not ascend.
    """
    T_now_world = np.linalg.inv(_require_rigid(pose, source))
    none = PastPoints(np.empty((0, 3), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))
    parts, faults, steps, place = [], [], [0.0], pose[:3, 3]
    for scan in past:
        T_now_past = T_now_world @ _require_rigid(scan.pose, scan.source)
        age = _age(seconds, scan, source)
        steps.append(float(np.linalg.norm(scan.pose[:3, 3] - place)))
        place = scan.pose[:3, 3]
        try:
            parts.append(_moved(scan.read(), T_now_past, age))
        except DataError as error:
            faults.append((scan.source, str(error)))
    return replace(none.concat(*parts), longest_step=max(steps), faults=tuple(faults))


def _moved(scan: Scan, transform: Float64[np.ndarray, "4 4"], age: float) -> PastPoints:
    points = moved(scan.points, transform)
    return PastPoints(points, scan.remission, np.full(len(points), age, np.float32))


def _age(seconds: float, past: PastScan, source: object) -> float:
    if not (age := seconds - past.seconds) > 0:  # nor NaN
        raise DataError(
            f"{source}: expected a later time than that of {past.source} ({past.seconds:.3f} s), found {seconds:.3f} "
            "s. Correct the times of the scans."
        )
    return age


def _require_rigid(pose: Float64[np.ndarray, "4 4"], source: object) -> Float64[np.ndarray, "4 4"]:
    """Check that a pose is a rotation and a translation.

    Raises:
        DataError: it is not.
    """
    if not is_rotation(pose[:3, :3], _ROUNDING):
        raise DataError(
            f"pose of {source}: expected a rotation and a translation, found another matrix. Correct the poses."
        )
    return pose


class ScanHistory:
    """Gives each scan of a live sensor the points of the scans before it, for a student with past scans::

        history = elite.ScanHistory(model.past_scans)
        result = model(history.add(scan, pose, seconds))

    Times increase. After a step back, such as that of a clock or of a recording that starts again, ``add`` raises
    DataError until the time of the last scan has passed. Make a new history then.

    Args:
        count: number of past scans.
    """

    def __init__(self, count: int) -> None:
        self._past: deque[PastScan] = deque(maxlen=count)

    def add(self, scan: Scan, pose: ArrayLike, seconds: float) -> Scan:
        """Return the next scan with the points of those before it.

        Args:
            scan: such as ``elite.read`` returns.
            pose: 4 x 4 transform of its points (m) to a fixed world.
            seconds: its time.

        Raises:
            DataError: the pose is not a rigid transform, or the time is not after that of the scan before.
        """
        matrix = np.array(pose, np.float64)  # a copy: drivers write the next pose into the same array
        if matrix.shape != (4, 4):
            raise DataError(f"pose: expected 4 x 4 numbers, found shape {matrix.shape}. Add the row 0 0 0 1.")
        past = past_points(matrix, seconds, reversed(self._past), "the scan")
        name = f"the scan at {seconds:.3f} s"
        self._past.append(PastScan(name, lambda: scan, matrix, seconds))
        return replace(scan, past=past)


# ---- data sets ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timeline:
    """All frames of the selected sequences, among them those that are not selected, and the place of each."""

    frames: "Dataset"
    place: dict[tuple[str, str], int]

    @classmethod
    def of(cls, dataset: "Dataset") -> "Timeline":
        selection = dataset.selection
        frames = dataset if selection.frames is None else dataset.select(replace(selection, frames=None))
        return cls(frames, {frame_id: i for i, frame_id in enumerate(frames.ids)})

    def before(self, frame_id: tuple[str, str], count: int) -> Iterable[PastScan]:
        """At most ``count`` frames before one in its sequence, the latest first."""
        place, sequence = self.place[frame_id], frame_id[0]
        for i in range(place - 1, max(place - count, 0) - 1, -1):
            if self.frames.ids[i].sequence == sequence:
                read = partial(self.frames.scan, i)
                yield PastScan(str(self.frames.scan_path(i)), read, *pose_and_time(self.frames, i))


def pose_and_time(dataset: "Dataset", i: int) -> tuple[Float64[np.ndarray, "4 4"], float]:
    """Return T_world_sensor and the time (s) of a frame.

    Raises:
        DataError: the data set lacks one of them.
    """
    pose, times = dataset.pose(i), dataset.times(i)
    if pose is None or times is None:
        raise DataError(
            f"scan {dataset.ids[i]}: expected a pose and a time for past_scans, found no "
            f"{'pose' if pose is None else 'time'}. Add poses.txt, calib.txt and times.txt to the sequence, or 'poses' "
            "and 'scans: {times: ...}' to dataset.yaml."
        )
    return pose, times.scan


def require_poses(dataset: "Dataset", count: int) -> None:
    """Check that the sequences have poses and times, by their first and last frame.

    Raises:
        ConfigError: ``count`` is negative.
        DataError: a sequence lacks them, or has fewer poses than scans.
    """
    if count < 0:
        raise ConfigError(f"past_scans: expected at least 0, found {count}. Change the value.")
    for i in _ends([frame_id.sequence for frame_id in dataset.ids]) if count else ():
        pose_and_time(dataset, i)


def _ends(sequences: Sequence[str]) -> list[int]:
    """Places of the first and the last frame of each sequence."""
    first = {name: i for i, name in reversed(list(enumerate(sequences)))}
    last = {name: i for i, name in enumerate(sequences)}
    return sorted({*first.values(), *last.values()})
