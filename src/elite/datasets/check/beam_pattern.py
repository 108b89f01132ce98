"""Beams of a LiDAR, estimated from the points of a scan: the beam of each point, and the azimuth step.

A file states the beam of each point, or has the points beam by beam, or its points have few elevations. Scans whose
motion was compensated may show none of the three; their beams stay unknown.
"""

import numpy as np

from elite.filters import peaks, smoothed
from elite.sensor import load_sensor, packaged_sensors
from elite.shapes import Float, Float32, Int64

FEWEST_BEAMS, MOST_BEAMS = 8, 256  # beams of a LiDAR
_BIN = 0.02  # degrees of elevation
_NEAREST_M = 2.0  # the beams of nearer points start visibly away from the sensor
_IN_PEAKS = 0.8  # share of the points near the elevation of a beam
_LARGEST_STEP = 1.0  # degrees between neighbouring points of a beam
_STEPS = np.geomspace(0.02, 3.0, 400)  # degrees
SAME_ELEVATION = 1.0  # degrees, of the lowest and the highest beam


def angles(
    points: Float32[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Azimuth and elevation (degrees), and distance (m) of points."""
    x, y, z = points.T.astype(np.float64)
    across = np.hypot(x, y)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, across)), np.hypot(across, z)


def beam_of_points(
    points: Float32[np.ndarray, "n 3"], rings: Int64[np.ndarray, "n"] | None = None
) -> Int64[np.ndarray, "n"] | None:
    """Number of the beam of each point, in any order; None = unknown.

    Args:
        points: of a scan, in the order of the file.
        rings: numbers that the file states.
    """
    if rings is not None and len(rings):
        return rings
    if len(points) < 100 * FEWEST_BEAMS:
        return None
    azimuth, elevation, distance = angles(points)
    ordered = _by_turns(azimuth)
    return ordered if ordered is not None else _by_elevation(elevation, distance > _NEAREST_M)


def _by_turns(azimuth: Float[np.ndarray, "n"]) -> Int64[np.ndarray, "n"] | None:
    """Beams of points that follow each other beam by beam, each over a turn: the azimuth jumps between two of them."""
    change = np.diff(azimuth, prepend=azimuth[0])
    change = (change + 180) % 360 - 180
    turns = np.cumsum(change) * (1 if np.median(change) >= 0 else -1) / 360
    beams = round(float(turns[-1]))
    if np.median(np.abs(change)) > _LARGEST_STEP or not FEWEST_BEAMS <= beams <= MOST_BEAMS:
        return None
    return np.clip(np.floor(turns), 0, beams - 1).astype(np.int64)


def _by_elevation(elevation: Float[np.ndarray, "n"], is_far: np.ndarray) -> Int64[np.ndarray, "n"] | None:
    """Beams of points whose elevations form separate peaks."""
    counts = np.histogram(elevation[is_far], np.arange(-90, 90 + _BIN, _BIN))[0].astype(np.float64)
    bins = peaks(smoothed(counts, 1.5), prominence=len(elevation) / 5000)
    if not FEWEST_BEAMS <= len(bins) <= MOST_BEAMS:
        return None
    centres = -90 + _BIN * (bins + 0.5)
    beam = np.searchsorted((centres[1:] + centres[:-1]) / 2, elevation)
    gap = np.diff(centres, prepend=centres[0] - 1, append=centres[-1] + 1)
    tolerance = np.minimum(gap[:-1], gap[1:]) / 4
    return beam if (np.abs(elevation - centres[beam]) < tolerance[beam])[is_far].mean() > _IN_PEAKS else None


def beam_elevations(
    points: Float32[np.ndarray, "n 3"], beams: Int64[np.ndarray, "n"]
) -> tuple[Int64[np.ndarray, "beams"], Float[np.ndarray, "beams"]]:
    """Numbers of the beams, ascending, and their elevations (degrees): medians of the points that are not near.

    Points of no return that a sensor writes near the origin have any elevation.
    """
    _, elevation, distance = angles(points)
    is_far = distance > _NEAREST_M
    elevation, beams = (elevation[is_far], beams[is_far]) if is_far.any() else (elevation, beams)
    numbers, place = np.unique(beams, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    return numbers, np.array([np.median(part) for part in np.split(elevation[order], starts[1:])])


def azimuth_step(points: Float32[np.ndarray, "n 3"], beams: Int64[np.ndarray, "n"]) -> float | None:
    """Most frequent angle between neighbouring points of a beam, in degrees; None without neighbours."""
    azimuth = angles(points)[0]
    order = np.lexsort((azimuth, beams))
    gaps = np.diff(azimuth[order])[np.diff(beams[order]) == 0]
    counts, edges = np.histogram(gaps, _STEPS)
    if not counts.any():
        return None
    best = int(smoothed(counts.astype(np.float64), 2).argmax())
    near = (gaps > edges[max(best - 3, 0)]) & (gaps < edges[min(best + 4, len(edges) - 1)])
    return float(np.median(gaps[near]))


def elevation_text(lowest: float, highest: float) -> str:
    """Elevations (degrees) of the outer beams, in words."""
    return f"{lowest:.1f} to {highest:.1f} degrees"


def matching_sensor(beams: int, lowest: float, highest: float) -> str | None:
    """Packaged sensor with this number of beams between these elevations (degrees); None if there is none."""
    for name in packaged_sensors():
        elevations = load_sensor(name).elevations
        ends = (elevations[0], elevations[-1]) if elevations else (np.inf, np.inf)
        if len(elevations) == beams and max(abs(ends[0] - lowest), abs(ends[1] - highest)) < SAME_ELEVATION:
            return name
    return None
