"""Measures of a camera over some frames: the gaps of times, the points in its images, and the alignment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from scipy.spatial.transform import Rotation

from elite.config import plain
from elite.datasets.base import Dataset
from elite.datasets.check.alignment import Alignment, EdgePoints, alignment, edge_points, score, shift_scores
from elite.errors import DataError
from elite.geometry import in_image, pinhole, project
from elite.types import Camera

OFFSETS_S = tuple(k / 20 for k in range(-6, 7))
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
        offsets: score by seconds that the images are assumed to be later than stated; empty without times and motion.
    """

    images: int
    frames: int
    gaps: tuple[float, ...] = ()
    looks: float | None = None
    share: float | None = None
    alignment: Alignment | None = None
    offsets: Mapping[float, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"offsets": {f"{offset:+.2f}": value for offset, value in self.offsets.items()}}

    @property
    def best_offset(self) -> float | None:
        """Offset of the largest score (s)."""
        return max(self.offsets, key=self.offsets.__getitem__) if self.offsets else None


class CameraSurvey:
    """Collects the measures of one camera, frame by frame."""

    def __init__(self) -> None:
        self._shares: list[float] = []
        self._shifts: list[Float[np.ndarray, "shifts shifts"]] = []
        self._offsets: list[list[float]] = []
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
            self._offsets.append([score(_moved(edges, velocity, offset), camera) for offset in OFFSETS_S])

    def finish(self, images: int, frames: int, gaps: Sequence[float]) -> CameraMeasures:
        """Return the measures; ``gaps`` are the times of the images after their scans (s)."""
        offsets = [row for row in self._offsets if np.isfinite(row).all()]
        return CameraMeasures(
            images,
            frames,
            tuple(np.quantile(gaps, (0, 0.5, 1)).tolist()) if len(gaps) else (),
            self._looks[0] if self._looks else None,
            float(np.mean(self._shares)) if self._shares else None,
            alignment(self._shifts, self._points),
            dict(zip(OFFSETS_S, np.mean(offsets, axis=0).tolist(), strict=True)) if offsets else {},
        )


def looks(camera: Camera) -> float:
    """Direction of the optical axis, in degrees to the left of x."""
    forward = pinhole(camera)[1][:, 2]
    return float(np.degrees(np.arctan2(forward[1], forward[0])))


def motion_at(dataset: Dataset, i: int) -> Float64[np.ndarray, "6"] | None:
    """Velocity (m/s) and rotation vector per second (rad/s) of the sensor at a scan, in the sensor frame.

    None without poses and times of a neighbouring scan, or of a vehicle that hardly moves.
    """
    near = [
        k for k in (i - 1, i, i + 1) if 0 <= k < len(dataset) and dataset.ids[k].sequence == dataset.ids[i].sequence
    ]
    try:
        known = [(dataset.times(k), dataset.pose(k)) for k in near]
    except DataError:
        return None
    ends = [(times.scan, pose) for times, pose in known if times is not None and pose is not None]
    if len(ends) < 2 or not 0 < ends[-1][0] - ends[0][0] < _LONGEST_S:
        return None
    (start, first), (end, last) = ends[0], ends[-1]
    change = np.linalg.inv(first) @ last
    rates = np.concatenate([change[:3, 3], Rotation.from_matrix(change[:3, :3]).as_rotvec()]) / (end - start)
    return rates if np.linalg.norm(rates[:3]) > _SLOWEST_MPS else None


def _moved(edges: EdgePoints, velocity: Float64[np.ndarray, "6"], seconds: float) -> EdgePoints:
    """Points in the frame of the sensor after so many seconds."""
    turn = Rotation.from_rotvec(velocity[3:] * seconds)
    points = turn.inv().apply(edges.points - velocity[:3] * seconds)
    return EdgePoints(points.astype(np.float32), edges.weight, edges.strength, edges.scale)


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
