"""Measures of a camera over some frames: the gaps of times, the points in its images, and the alignment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.config import plain
from elite.datasets.base import Dataset
from elite.datasets.check.alignment import Alignment, alignment, edge_points, shift_scores
from elite.datasets.check.time_offset import TimeOffset, offset_sums, time_offset
from elite.errors import DataError
from elite.geometry import in_image, pinhole, project
from elite.rotations import to_vector
from elite.shapes import Float, Float32, Float64, UInt8
from elite.types import Camera

_LONGEST_S = 1.0  # between the poses that give the motion at a scan
_SLOWEST_MPS = 1.0  # slower vehicles hardly move in 0.3 s


@dataclass(frozen=True)
class CameraMeasures:
    """Measures of a camera.

    Attributes:
        images: number of frames with an image.
        frames: number of all frames.
        gaps: 0 %, 50 % and 100 % quantiles of the time of the image after the scan (s); empty = unknown.
        looks: direction of its axis, in degrees to the left of x.
        share: of the points that are in its image.
        alignment: None = not measurable.
        offset: delay of the images against their stated times; None without times and motion, or without outlines.
    """

    images: int
    frames: int
    gaps: tuple[float, ...] = ()
    looks: float | None = None
    share: float | None = None
    alignment: Alignment | None = None
    offset: TimeOffset | None = None

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"offset": None if self.offset is None else self.offset.to_dict()}


class CameraSurvey:
    """Collects the measures of one camera, frame by frame."""

    def __init__(self) -> None:
        self._shares: list[float] = []
        self._shifts: list[Float[np.ndarray, "shifts shifts"]] = []
        self._offsets: list[Float[np.ndarray, "parts offsets 2"]] = []
        self._looks: list[float] = []
        self._points = 0

    def add(
        self,
        points: Float32[np.ndarray, "n 3"],
        weight: Float[np.ndarray, "n"],
        camera: Camera,
        image: UInt8[np.ndarray, "h w 3"],
        velocity: Float64[np.ndarray, "6"] | None,
    ) -> None:
        """Measure a frame; ``weight`` is that of ``depth_edges``, and ``velocity`` that of ``motion_at``."""
        self._shares.append(float(in_image(project(points, camera)[0], *image.shape[:2]).mean()))
        self._looks.append(looks(camera))
        edges = edge_points(points, weight, camera, image)
        self._points += len(edges.points)
        self._shifts.append(shift_scores(edges, camera))
        if velocity is not None:
            self._offsets.append(offset_sums(edges, camera, velocity))

    def finish(self, images: int, frames: int, gaps: Sequence[float]) -> CameraMeasures:
        """Return the measures; ``gaps`` are the times of the images after their scans (s)."""
        return CameraMeasures(
            images,
            frames,
            tuple(np.quantile(gaps, (0, 0.5, 1)).tolist()) if len(gaps) else (),
            self._looks[0] if self._looks else None,
            float(np.mean(self._shares)) if self._shares else None,
            alignment(self._shifts, self._points),
            time_offset(self._offsets),
        )


def looks(camera: Camera) -> float:
    """Direction of the optical axis, in degrees to the left of x."""
    forward = pinhole(camera)[1][:, 2]
    return float(np.degrees(np.arctan2(forward[1], forward[0])))


def motion_at(dataset: Dataset, i: int) -> Float64[np.ndarray, "6"] | None:
    """Velocity (m/s) and rotation vector per second (rad/s) of the sensor at a scan, in the sensor frame.

    None without poses and times of a neighbouring scan, or of a vehicle that hardly moves.
    """
    known = [_timed_pose(dataset, k, dataset.ids[i].sequence) for k in (i - 1, i, i + 1)]
    for before, after in ((known[0], known[2]), (known[1], known[2]), (known[0], known[1])):
        if before is not None and after is not None and 0 < after[0] - before[0] < _LONGEST_S:
            velocity = rates(before[1], after[1], after[0] - before[0])
            return velocity if np.linalg.norm(velocity[:3]) > _SLOWEST_MPS else None
    return None


def rates(
    before: Float64[np.ndarray, "4 4"], after: Float64[np.ndarray, "4 4"], seconds: float
) -> Float64[np.ndarray, "6"]:
    """Velocity (m/s) and rotation vector per second (rad/s) in the sensor frame, from two poses T_world_sensor."""
    change = np.linalg.inv(before) @ after
    return np.concatenate([change[:3, 3], to_vector(change[:3, :3])]) / seconds


def _timed_pose(dataset: Dataset, i: int, sequence: str) -> tuple[float, Float64[np.ndarray, "4 4"]] | None:
    """Time and pose of a scan; None if they are not known, or if the sequence has no such scan."""
    if not 0 <= i < len(dataset) or dataset.ids[i].sequence != sequence:
        return None
    try:
        times, pose = dataset.times(i), dataset.pose(i)
    except DataError:
        return None
    return None if times is None or pose is None else (times.scan, pose)


def time_gaps(dataset: Dataset, frames: Iterable[int]) -> dict[str, list[float]]:
    """Times of the images after their scans (s), by camera; frames without times are skipped."""
    gaps: dict[str, list[float]] = {}
    for i in frames:
        try:
            times = dataset.times(i)
        except DataError:
            continue
        if times is not None:
            for camera, time in times.images.items():
                gaps.setdefault(camera, []).append(time - times.scan)
    return gaps
