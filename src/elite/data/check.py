"""Is this data set whole? Everything is read once; faults are counted and named, never raised."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elite.data.semantickitti import (
    FrameIndex,
    SemanticKITTI,
    read_cameras,
    read_image,
    read_labels,
    read_points,
    read_poses,
)
from elite.errors import DataError
from elite.geometry import in_image, project
from elite.labels import NUM_CLASSES, to_train, unknown_raw_ids
from elite.types import Camera

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
)


@dataclass
class SequenceReport:
    """Counts of one sequence (or of one frame, to be added up). ``faults`` are one line each; ``remission`` is the
    largest there is.
    """

    sequence: str
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
    remission: float = 0.0
    classes: np.ndarray = field(default_factory=lambda: np.zeros(NUM_CLASSES, np.int64))
    faults: list[str] = field(default_factory=list)

    def add(self, other: "SequenceReport") -> None:
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.remission = max(self.remission, other.remission)
        self.classes += other.classes
        self.faults += other.faults

    @property
    def share_projected(self) -> float | None:
        """Share of the points of frames with an image that fall into (the first camera's) image."""
        return self.projected / self.projectable if self.projectable else None

    def to_dict(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in _SUMMED if name != "projectable"}
        return {
            "sequence": self.sequence,
            **numbers,
            "calibrated": self.calibrated,
            "share_projected": self.share_projected,
            "remission": self.remission,
            "classes": self.classes.tolist(),
            "faults": self.faults,
        }


def check(
    dataset: SemanticKITTI,
    *,
    threads: int = 4,
    progress: Callable[[Iterable[SequenceReport], int], Iterable[SequenceReport]] = lambda items, total: items,
) -> list[SequenceReport]:
    """Read every selected file; one report per sequence. A sequence is faulty if its ``faults`` are not empty."""
    reports = {s: _sequence_report(dataset, s) for s in dict.fromkeys(e.sequence for e in dataset.index)}
    cameras = {s: _cameras(dataset, s, reports[s]) for s in reports}
    with ThreadPoolExecutor(threads) as pool:
        frames = pool.map(lambda entry: _check_frame(dataset, entry, cameras[entry.sequence]), dataset.index)
        for frame in progress(frames, len(dataset)):
            reports[frame.sequence].add(frame)
    return list(reports.values())


def _sequence_report(dataset: SemanticKITTI, sequence: str) -> SequenceReport:
    report = SequenceReport(sequence)
    poses = dataset.layout.poses(sequence)
    last = max(int(e.name) for e in dataset.index if e.sequence == sequence)
    if poses.exists():
        try:
            count = len(read_poses(poses))
            if count <= last:
                report.faults.append(f"{poses} has {count} poses but the sequence has a scan {last:06d}")
        except DataError as error:
            report.faults.append(str(error))
    return report


def _cameras(dataset: SemanticKITTI, sequence: str, report: SequenceReport) -> tuple[Camera, ...]:
    """The sequence's cameras; a calibration is only missed where there are images."""
    path = dataset.layout.calibration(sequence)
    has_images = any(e.images for e in dataset.index if e.sequence == sequence)
    if not dataset.cameras or not (has_images or path.exists()):
        return ()
    try:
        cameras = read_cameras(path, dataset.cameras)
    except DataError as error:
        report.faults.append(str(error))
        return ()
    report.calibrated = True
    return cameras


def _check_frame(dataset: SemanticKITTI, entry: FrameIndex, cameras: tuple[Camera, ...]) -> SequenceReport:
    report = SequenceReport(entry.sequence, scans=1)
    path = dataset.layout.scan(entry.sequence, entry.name)
    try:
        values = read_points(path)
    except DataError as error:
        report.unreadable += 1
        report.faults.append(str(error))
        return report
    report.points = len(values)
    finite = np.isfinite(values).all(axis=1)
    if not len(values):
        report.empty += 1
        report.faults.append(f"{path} holds no point")
    report.remission = float(values[finite, 3].max(initial=0))
    if not finite.all():
        report.non_finite += int((~finite).sum())
        report.faults.append(f"{path} holds {int((~finite).sum())} points with NaN or infinite numbers")
    if entry.has_labels:
        _check_labels(dataset, entry, path, len(values), report)
    _check_images(dataset, entry, cameras, values[finite, :3], report)
    return report


def _check_labels(dataset: SemanticKITTI, entry: FrameIndex, scan: Path, points: int, report: SequenceReport) -> None:
    path = dataset.layout.labels(entry.sequence, entry.name, dataset.labels_folder)
    report.labels += 1
    try:
        raw, _ = read_labels(path, scan, points)
    except DataError as error:
        report.mismatches += 1
        report.faults.append(str(error))
        return
    unknown = unknown_raw_ids(raw)
    if unknown:
        report.unknown_ids += 1
        report.faults.append(f"{path} holds unknown label ids {unknown[:5]}, expected SemanticKITTI raw ids")
        raw = raw[~np.isin(raw, unknown)]
    report.classes += np.bincount(to_train(raw), minlength=NUM_CLASSES)


def _check_images(
    dataset: SemanticKITTI, entry: FrameIndex, cameras: tuple[Camera, ...], points: np.ndarray, report: SequenceReport
) -> None:
    for i, name in enumerate(entry.images):
        report.images += 1
        try:
            height, width = read_image(dataset.layout.image(entry.sequence, entry.name, name)).shape[:2]
        except DataError as error:
            report.unreadable += 1
            report.faults.append(str(error))
            continue
        camera = next((c for c in cameras if c.name == name), None)
        if i == 0 and camera is not None:
            report.projectable += len(points)
            report.projected += int(in_image(project(points, camera)[0], height, width).sum())
