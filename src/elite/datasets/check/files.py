"""Check of a data set: reads all its files once, and counts and describes their faults."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elite.config import StudentConfig
from elite.datasets.base import Dataset
from elite.datasets.check.survey import evenly_spaced
from elite.datasets.doubts import FEWEST, remission_level, size_doubt
from elite.datasets.formats import read_image
from elite.datasets.input_guard import AxisVotes, examine
from elite.datasets.records import ImageRef
from elite.errors import DataError
from elite.geometry import Volume, in_image, in_volume, project
from elite.sensor import SensorSpec
from elite.shapes import Int64
from elite.types import Camera, Scan

_SUMMED = (
    "scans",
    "labels",
    "images",
    "points",
    "projected",
    "projectable",
    "empty",
    "non_finite",
    "mismatches",
    "unknown_ids",
    "unreadable",
    "inside",
)


@dataclass
class SequenceReport:
    """Counts of one sequence, or of one frame (see ``add``).

    Attributes:
        classes: number of points by train id.
        projectable: points of the frames with an image of the first camera.
        projected: those of them inside that image.
        mismatches: label files that do not fit their scans.
        inside: points in the student's volume.
        remission: largest value.
        faults: certain faults, one line each.
        doubts: doubtful properties by kind: number of frames, and message of the first one.
        votes: votes of the frames on the axes.
        scene: scene of a single frame (see ``AxisVotes``).
        levels: remission that 95 % of the points do not exceed, of each scan with enough points.
        grounds: z of the ground (m) of each scan in which it is found.
    """

    sequence: str
    classes: np.ndarray
    scans: int = 0
    labels: int = 0
    images: int = 0
    calibrated: bool = False
    points: int = 0
    projected: int = 0
    projectable: int = 0
    empty: int = 0
    non_finite: int = 0
    mismatches: int = 0
    unknown_ids: int = 0
    unreadable: int = 0
    inside: int = 0
    remission: float = 0.0
    faults: list[str] = field(default_factory=list)
    doubts: dict[str, tuple[int, str]] = field(default_factory=dict)
    votes: AxisVotes = field(default_factory=AxisVotes)
    scene: tuple[int, int] | None = None
    levels: list[float] = field(default_factory=list)
    grounds: list[float] = field(default_factory=list)

    def add(self, other: "SequenceReport") -> None:
        """Add the counts of a frame."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.remission = max(self.remission, other.remission)
        self.classes += other.classes
        self.faults += other.faults
        self.levels += other.levels
        self.grounds += other.grounds
        self.votes = self.votes.counted(other.scene)
        for kind, (frames, message) in other.doubts.items():
            before, first = self.doubts.get(kind, (0, message))
            self.doubts[kind] = (before + frames, first)

    def doubt(self, kind: str, message: str) -> None:
        """Count a doubtful property of one frame."""
        self.doubts[kind] = (1, message)

    @property
    def doubtful(self) -> list[str]:
        """Doubtful properties, one line each."""
        lines = [f"{message} (in {frames} of {self.scans} scans)" for frames, message in self.doubts.values()]
        return [*lines, *(f"sequence {self.sequence}: {doubt.message}" for doubt in self.votes.doubts())]

    @property
    def share_inside(self) -> float | None:
        """Share of the points in the student's volume; None without points."""
        return self.inside / self.points if self.points else None

    @property
    def share_projected(self) -> float | None:
        """Share of the projectable points that are inside the image; None without any."""
        return self.projected / self.projectable if self.projectable else None

    def to_dict(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in _SUMMED if name != "projectable"}
        return {
            "sequence": self.sequence,
            **numbers,
            "calibrated": self.calibrated,
            "share_projected": self.share_projected,
            "share_inside": self.share_inside,
            "doubtful": self.doubtful,
            "remission": self.remission,
            "classes": self.classes.tolist(),
            "faults": self.faults,
        }


def check(
    dataset: Dataset,
    *,
    most: int | None = None,
    volume: Volume = StudentConfig.volume,
    threads: int = 4,
    progress: Callable[[Iterable[SequenceReport], int], Iterable[SequenceReport]] = lambda items, total: items,
) -> list[SequenceReport]:
    """Read all selected files. Returns one report per sequence, whose ``faults`` are empty if it is valid.

    Args:
        dataset: frames to check.
        most: number of evenly spaced frames to read; None = all.
        volume: low and high corner of the student's volume (m). A scan without a point in it is faulty.
        threads: number of reading threads.
        progress: wraps the reports of the frames, of which it receives the number.
    """
    by_sequence: dict[str, list[int]] = {}
    for i, frame_id in enumerate(dataset.ids):
        by_sequence.setdefault(frame_id.sequence, []).append(i)
    reports = {s: _sequence_report(dataset, s, frames) for s, frames in by_sequence.items()}
    cameras = {s: _shared_cameras(dataset, frames, reports[s]) for s, frames in by_sequence.items()}
    chosen = range(len(dataset)) if most is None else evenly_spaced(len(dataset), most)
    pool = ThreadPoolExecutor(threads)
    try:
        frames = pool.map(lambda i: _check_frame(dataset, i, cameras[dataset.ids[i].sequence], volume), chosen)
        for frame in progress(frames, len(chosen)):
            reports[frame.sequence].add(frame)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the other frames
    return list(reports.values())


def _sequence_report(dataset: Dataset, sequence: str, frames: list[int]) -> SequenceReport:
    report = SequenceReport(sequence, _no_points(dataset))
    try:
        dataset.pose(frames[-1])  # poses and calibration may be damaged, or too few for the last frame
    except DataError as error:
        report.faults.append(str(error))
    return report


def _shared_cameras(dataset: Dataset, frames: list[int], report: SequenceReport) -> tuple[Camera, ...] | None:
    """Cameras of all frames of a sequence; None if each frame has its own calibration.

    A calibration is only required for images.
    """
    first = next((i for i in frames if dataset.image_cameras(i)), frames[0])
    if dataset.calibration_path(first) is None:
        report.calibrated = bool(dataset.cameras)
        return None
    cameras = _cameras(dataset, first, report)
    report.calibrated = bool(cameras)
    return cameras


def _cameras(dataset: Dataset, i: int, report: SequenceReport) -> tuple[Camera, ...]:
    try:
        return dataset.frame_cameras(i)
    except DataError as error:
        if str(error) not in report.faults:  # the pose may depend on the same file
            report.faults.append(str(error))
        return ()


def _check_frame(dataset: Dataset, i: int, cameras: tuple[Camera, ...] | None, volume: Volume) -> SequenceReport:
    images = dataset.images(i)
    report = SequenceReport(
        dataset.ids[i].sequence,
        _no_points(dataset),
        scans=1,
        labels=int(dataset.has_labels(i)),
        images=len(images),
    )
    path = dataset.scan_path(i)
    try:
        values = dataset.stored_points(i)
    except DataError as error:
        report.unreadable += 1
        report.faults.append(str(error))
        return report
    if dataset.sensor.drops_points:
        values = values[dataset.sensor.measured(values[:, :3], values[:, 3])]
    report.points = len(values)
    finite = np.isfinite(values).all(axis=1)
    if not len(values):
        report.empty += 1
        report.faults.append(f"{path}: expected at least one point, found none")
    if not finite.all():
        report.non_finite += int((~finite).sum())
        report.faults.append(f"{path}: expected finite numbers, found {int((~finite).sum())} points with others")
    if finite.any():
        _check_points(Scan(values[finite, :3], values[finite, 3]), path, volume, dataset.sensor, report)
    if dataset.has_labels(i):
        _check_labels(dataset, i, report)
    own = _cameras(dataset, i, report) if cameras is None else cameras
    _check_images(images, own, values[finite, :3], report)
    return report


def _check_points(scan: Scan, path: Path, volume: Volume, sensor: SensorSpec, report: SequenceReport) -> None:
    report.remission = float(scan.remission.max())
    report.inside = int(in_volume(scan.points, volume).sum())
    if not report.inside:
        report.faults.append(
            f"{path}: expected points in the volume {volume[0]} .. {volume[1]} m (sensor frame: x forward, y left, z "
            "up), found none"
        )
    found = examine(scan, volume, sensor=sensor)
    report.scene = found.scene
    report.levels += [remission_level(scan.remission)] if len(scan) >= FEWEST else []
    report.grounds += [] if found.ground is None else [found.ground]
    for doubt in found.doubts:
        report.doubt(doubt.kind, f"{path}: {doubt.message}")


def _no_points(dataset: Dataset) -> Int64[np.ndarray, "classes"]:
    return np.zeros(len(dataset.taxonomy), np.int64)


def _check_labels(dataset: Dataset, i: int, report: SequenceReport) -> None:
    path, taxonomy = dataset.label_path(i), dataset.taxonomy
    try:
        raw = dataset.raw_labels(i)
    except DataError as error:
        report.mismatches += 1
        report.faults.append(str(error))
        return
    if len(raw) != report.points:
        report.mismatches += 1
        report.faults.append(f"{path}: expected {report.points} labels, one for each point, found {len(raw)}")
        return
    if unknown := taxonomy.unknown_raw_ids(raw):
        report.unknown_ids += 1
        report.faults.append(f"{path}: expected raw label ids of {taxonomy.name}, found {unknown[:5]}")
        raw = raw[~np.isin(raw, unknown)]
    report.classes += np.bincount(taxonomy.to_train(raw), minlength=len(taxonomy))


def _check_images(
    images: Sequence[ImageRef], cameras: tuple[Camera, ...], points: np.ndarray, report: SequenceReport
) -> None:
    for i, (name, path) in enumerate(images):
        try:
            height, width = read_image(path).shape[:2]
        except DataError as error:
            report.unreadable += 1
            report.faults.append(str(error))
            continue
        camera = next((c for c in cameras if c.name == name), None)
        if camera is None or not len(points):
            continue
        inside = int(in_image(project(points, camera)[0], height, width).sum())
        if not inside:
            report.faults.append(
                f"{path}: expected points in the image, found that the calibration projects none of {len(points)} "
                "into it. Check the calibration, and that scan and image belong together"
            )
        if (message := size_doubt(camera, height, width)) is not None:
            report.doubt(f"size of {name}", f"{path}: {message}")
        if i == 0:
            report.projectable += len(points)
            report.projected += inside
