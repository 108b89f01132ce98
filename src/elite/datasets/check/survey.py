"""Survey of a data set: measures of a few evenly spaced scans, and of the cameras."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elite.config import plain
from elite.datasets.base import Dataset
from elite.datasets.check.alignment import depth_edges
from elite.datasets.check.camera_measures import CameraMeasures, CameraSurvey, motion_at, time_gaps
from elite.datasets.check.label_ids import raised_ground
from elite.datasets.check.orientation import heading, length_unit, mean_direction, upright
from elite.datasets.check.scan_measures import ScanMeasures, majority, measure_scan, measured, pooled
from elite.datasets.formats import read_image
from elite.errors import DataError
from elite.types import Scan

_SCANS = 10
_TIMED = 2000  # frames whose times are read


@dataclass(frozen=True)
class Survey:
    """Measures of a data set.

    Attributes:
        frames: numbers of the measured frames.
        labelled: number of frames with labels.
        unlabelled: number of those without.
        scans: medians of the measured scans; None if none is readable.
        heading: direction of motion, in degrees to the left of x; None without poses, or of a standing vehicle.
        unit: divisor to metres and name of the unit, if the coordinates are not in metres.
        turn: rotation after which the ground is below, if it is not.
        ids: raw ids of the labels of these scans.
        raised: median height (m) above the ground of ground classes that lie high above it.
        cameras: by name.
        intensities: fields that may be the remission, if there are several and the sensor names none; the first is
            measured.
    """

    frames: tuple[int, ...] = ()
    labelled: int = 0
    unlabelled: int = 0
    scans: ScanMeasures | None = None
    heading: float | None = None
    unit: tuple[int, str] | None = None
    turn: np.ndarray | None = None
    ids: frozenset[int] = frozenset()
    raised: dict[str, float] = field(default_factory=dict)
    cameras: dict[str, CameraMeasures] = field(default_factory=dict)
    intensities: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "measured_scans": len(self.frames),
            "labelled": self.labelled,
            "unlabelled": self.unlabelled,
            "scan": None if self.scans is None else self.scans.to_dict(),
            "heading": self.heading,
            "unit": None if self.unit is None else self.unit[1],
            "upright": self.turn is None,
            "label_ids": sorted(self.ids),
            "raised_ground": plain(self.raised),
            "cameras": {name: camera.to_dict() for name, camera in self.cameras.items()},
        }


@dataclass
class _Collected:
    """Measures of single scans. Damaged files are skipped: the check of all files reports them."""

    scans: list[ScanMeasures] = field(default_factory=list)
    units: list[tuple[int, str] | None] = field(default_factory=list)
    turns: list[np.ndarray | None] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)
    raised: list[dict[str, float]] = field(default_factory=list)
    intensities: tuple[str, ...] = ()


def survey(
    dataset: Dataset,
    *,
    scans: int = _SCANS,
    progress: Callable[[Iterable[int], int], Iterable[int]] = lambda items, total: items,
) -> Survey:
    """Measure ``scans`` evenly spaced scans of a data set, with their images and labels."""
    frames = evenly_spaced(len(dataset), scans)
    collected, cameras = _Collected(), {name: CameraSurvey() for name in dataset.cameras}
    for i in progress(frames, len(frames)):
        try:
            scan = dataset.scan(i)
        except DataError:
            continue
        _measure_scan(dataset, i, scan, collected)
        _measure_cameras(dataset, i, scan, cameras)
    images = Counter(camera for i in range(len(dataset)) for camera in dataset.image_cameras(i))
    gaps = time_gaps(dataset, evenly_spaced(len(dataset), _TIMED))
    labelled = len(dataset.labelled())
    return Survey(
        frames=tuple(frames),
        labelled=labelled,
        unlabelled=len(dataset) - labelled,
        scans=pooled(collected.scans) if collected.scans else None,
        heading=_heading(dataset, frames),
        unit=majority(collected.units),
        turn=majority(collected.turns),
        ids=frozenset(collected.ids),
        raised={name: max(r.get(name, 0.0) for r in collected.raised) for name in _common(collected.raised)},
        cameras={name: found.finish(images[name], len(dataset), gaps.get(name, ())) for name, found in cameras.items()},
        intensities=collected.intensities,
    )


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers 0 .. count - 1, with equal distances."""
    return sorted({int((k + 0.5) * count / most) for k in range(most)}) if count > most else list(range(count))


def _measure_scan(dataset: Dataset, i: int, scan: Scan, collected: _Collected) -> None:
    points = scan.points[measured(scan.points)]
    try:
        collected.scans.append(measure_scan(dataset.stored_points(i), scan, dataset.rings(i)))
        raw = dataset.raw_labels(i) if dataset.has_labels(i) else None
    except DataError:
        return
    collected.intensities = collected.intensities or scan.candidates
    collected.units.append(length_unit(points))
    collected.turns.append(None if collected.units[-1] else upright(points))
    if raw is None or len(raw) != len(scan):
        return
    collected.ids |= set(np.unique(raw).tolist())
    ground = collected.scans[-1].ground
    if ground is not None and not dataset.taxonomy.unknown_raw_ids(raw):
        collected.raised.append(raised_ground(scan.points, dataset.taxonomy.to_train(raw), dataset.taxonomy, ground))


def _measure_cameras(dataset: Dataset, i: int, scan: Scan, cameras: dict[str, CameraSurvey]) -> None:
    try:
        calibrated = {camera.name: camera for camera in dataset.frame_cameras(i)}
    except DataError:
        return
    if not (images := dataset.images(i)) or not calibrated:
        return
    velocity, weight = motion_at(dataset, i), depth_edges(scan.points)
    for name, path in images:
        try:
            image = read_image(path)
        except DataError:
            continue
        if name in calibrated:
            cameras[name].add(scan.points, weight, calibrated[name], image, velocity)


def _heading(dataset: Dataset, frames: list[int]) -> float | None:
    """Direction of motion between the measured scans and the scans after them."""
    found = []
    for i in frames:
        if i + 1 < len(dataset) and dataset.ids[i].sequence == dataset.ids[i + 1].sequence:
            try:
                poses = [dataset.pose(i), dataset.pose(i + 1)]
            except DataError:
                continue
            found.append(heading([pose for pose in poses if pose is not None]))
    return mean_direction(found)


def _common(found: list[dict[str, float]]) -> list[str]:
    """Names in more than half of the records."""
    counts = Counter(name for record in found for name in record)
    return [name for name, count in counts.items() if 2 * count > len(found)]
