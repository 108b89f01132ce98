"""Measures of single scans, and of a data set: the median or the mean over its scans."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.config import plain
from elite.datasets.check.beam_pattern import angles, azimuth_step, beam_elevations, beam_of_points
from elite.datasets.doubts import LEVEL
from elite.datasets.surroundings import ground_plane
from elite.shapes import Bool, Float32, Int64
from elite.types import Scan

RANGES = (0.01, 0.5, 0.99, 1.0)
REMISSIONS = (0.01, 0.5, LEVEL, 1.0)
BRIGHT = 0.9995  # quantile: single larger values are reflectors


@dataclass(frozen=True)
class ScanMeasures:
    """Measures of the points of a scan, or their medians over several scans; None = not measurable.

    Attributes:
        stored: points of the file.
        no_return: share of them at the origin or with NaN or infinite numbers.
        kept: share of them that the sensor's description keeps.
        duplicates: share of the measured points whose coordinates another point has, too.
        ranges: 1 %, 50 %, 99 % and 100 % quantiles of the distance (m).
        remission: 1 %, 50 %, 95 % and 100 % quantiles of the remission (1 = the largest value of the sensor's
            description).
        bright: value that only one point in 2,000 exceeds.
        unusual: share of the points with a remission outside 0..1.
        ground: z of the ground below the sensor (m).
        tilt: slope of the ground in the sensor frame (degrees).
        beams: number of beams with points.
        lowest, highest: elevations of the outer beams (degrees).
        azimuth_step: angle between two firings (degrees).
    """

    stored: float
    no_return: float
    kept: float
    duplicates: float
    ranges: tuple[float, ...]
    remission: tuple[float, ...]
    bright: float
    unusual: float
    ground: float | None
    tilt: float | None
    beams: float | None
    lowest: float | None
    highest: float | None
    azimuth_step: float | None

    def to_dict(self) -> dict[str, Any]:
        return plain(self)


def measure_scan(
    stored: Float32[np.ndarray, "stored 4"], scan: Scan, rings: Int64[np.ndarray, "n"] | None = None
) -> ScanMeasures:
    """Measure a scan.

    Args:
        stored: x y z remission of all points of the file.
        scan: the measured ones.
        rings: numbers of the beams of these, if the file states them.
    """
    is_measured = measured(scan.points)
    points, remission = scan.points[is_measured], scan.remission[is_measured]
    distance = angles(points)[2]
    ground = ground_plane(points)
    beams = beam_of_points(points, None if rings is None else rings[is_measured])
    elevations = None if beams is None else beam_elevations(points, beams)[1]
    return ScanMeasures(
        stored=len(stored),
        no_return=1 - float(measured(stored).mean()),
        kept=len(scan) / len(stored),
        duplicates=duplicates(points),
        ranges=_quantiles(distance, RANGES),
        remission=_quantiles(remission, REMISSIONS),
        bright=float(np.quantile(remission, BRIGHT)) if len(remission) else 0.0,
        unusual=float(((remission < 0) | (remission > 1)).mean()) if len(remission) else 0.0,
        ground=None if ground is None else ground.height,
        tilt=None if ground is None else ground.slope,
        beams=None if beams is None else len(np.unique(beams)),
        lowest=None if elevations is None else float(elevations.min()),
        highest=None if elevations is None else float(elevations.max()),
        azimuth_step=None if beams is None else azimuth_step(points, beams),
    )


def measured(points: Float32[np.ndarray, "n columns"]) -> Bool[np.ndarray, "n"]:
    """Mask of the points with finite numbers that are not at the origin."""
    return np.isfinite(points).all(axis=1) & (points[:, :3] != 0).any(axis=1)


def duplicates(points: Float32[np.ndarray, "n 3"]) -> float:
    """Share of the points that repeat the coordinates of a previous one."""
    if not len(points):
        return 0.0
    ordered = points[np.lexsort(points.T)]
    return float((ordered[1:] == ordered[:-1]).all(axis=1).sum() / len(points))


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(np.quantile(values, shares).tolist()) if len(values) else (0.0,) * len(shares)


def pooled(scans: list[ScanMeasures]) -> ScanMeasures:
    """Return the medians over scans; a value that half of the scans lack is None."""
    values: dict[str, Any] = {}
    for name in ScanMeasures.__dataclass_fields__:
        found = [getattr(scan, name) for scan in scans if getattr(scan, name) is not None]
        if len(found) * 2 < len(scans) or not found:
            values[name] = None
        else:
            median = np.median(np.array(found), axis=0)
            values[name] = tuple(median.tolist()) if median.ndim else float(median)
    return ScanMeasures(**values)


def majority(found: list[Any]) -> Any:
    """First value that is not None, if most of them are not."""
    known = [value for value in found if value is not None]
    return known[0] if 2 * len(known) > len(found) else None
