"""Scans of any source that can be compared with those of another: recordings, files of points, data sets."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from elite.config import from_plain
from elite.datasets import is_dataset
from elite.datasets.check.sampled_scans import SampledScan
from elite.datasets.check.scan_measures import measured
from elite.datasets.check.survey import evenly_spaced
from elite.datasets.opening import open_dataset
from elite.errors import DataError
from elite.inspection.recordings import inspect_recording
from elite.inspection.records import Report
from elite.inspection.scan_files import inspect_files
from elite.inspection.scan_statistics import ComparedScan
from elite.inspection.sources import kind_of_source
from elite.sensor import SensorSettings, SensorSpec

_SCANS = 10
Progress = Callable[[Iterable, int], Iterable]


def scans_to_compare(
    path: Path,
    files: Callable[[Path], Sequence[Path]],
    *,
    topic: str | None = None,
    sensor: SensorSpec | None = None,
    progress: Progress = lambda items, total: items,
) -> list[ComparedScan]:
    """Read ten evenly spaced scans. Damaged ones are skipped.

    Args:
        path: recording, file of points, folder of them, or data set, whose labels are read too.
        files: finds the files of points of a path.
        topic: of a recording; None = the one with most points.
        sensor: what is known of the LiDAR.
        progress: is given the parts to read and their number, and yields them.

    Raises:
        DataError: no scan is readable.
    """
    if path.suffix.lower() in (".yaml", ".yml") or (path.is_dir() and is_dataset(path)):
        scans = _scans_of_dataset(path, sensor, progress)
    elif kind_of_source(path) == "recording":
        scans = _described(*inspect_recording(path, topic=topic, sensor=sensor, progress=progress))
    else:
        scans = _described(*inspect_files(path, files(path), sensor=sensor, progress=progress))
    if not scans:
        raise DataError(f"{path}: expected a readable scan, found none. Run 'elite check' or 'elite inspect' on it.")
    return scans


def _scans_of_dataset(path: Path, sensor: SensorSpec | None, progress: Progress) -> list[ComparedScan]:
    dataset = open_dataset(path, sensor=sensor)
    names, found = np.array(dataset.taxonomy.names), []
    frames = evenly_spaced(len(dataset), _SCANS)
    for i in progress(frames, len(frames)):
        try:
            scan, rings, labels = dataset.scan(i), dataset.rings(i), dataset.labels(i)
        except DataError:
            continue
        kept = measured(scan.points)
        answered = np.arange(len(kept)) if scan.kept is None else np.flatnonzero(scan.kept)
        found.append(
            ComparedScan(
                scan.points[kept],
                scan.remission[kept],
                None if rings is None else rings[answered][kept],
                None if labels is None else names[labels.classes[answered][kept]],
            )
        )
    return found


def _described(report: Report, scans: Sequence[SampledScan]) -> list[ComparedScan]:
    """Scans in our axes, with the preferred intensity as remission, by the guess of their sensor."""
    guess = report.clouds[0].sensor if report.clouds else None
    if guess is None:
        return []
    spec = from_plain(SensorSettings, guess.settings).spec("scans")
    intensity = next((field for field in guess.intensities if field.scale != "constant"), None)
    found = []
    for scan in scans:
        turned, kept = scan.turned(spec.to_ours), measured(scan.points)
        values = np.zeros(len(scan), np.float32)
        if intensity is not None:
            values = np.nan_to_num(scan.intensities[intensity.name]) / np.float32(spec.remission_max)
        rings = scan.rings[0]
        found.append(ComparedScan(turned.points[kept], values[kept], None if rings is None else rings[kept]))
    return found
