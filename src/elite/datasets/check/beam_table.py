"""Beams of several scans, and the packaged sensor that has them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from elite.datasets.check.beam_pattern import SAME_ELEVATION, beam_elevations, beam_of_points, elevation_text
from elite.datasets.check.sampled_scans import BeamSource, SampledScan
from elite.datasets.check.scan_measures import measured
from elite.sensor import load_sensor, packaged_sensors
from elite.shapes import Float64, Int64

_SEEN = 0.5  # share of the beams of a sensor


@dataclass(frozen=True)
class BeamTable:
    """Beams of several scans.

    Attributes:
        numbers: of the beams with points, ascending.
        elevations: medians of their points (degrees).
        source: of the numbers; ``points`` = estimated, so that beams without points are unknown.
    """

    numbers: Int64[np.ndarray, "beams"]
    elevations: Float64[np.ndarray, "beams"]
    source: BeamSource

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest elevation (degrees)."""
        return float(self.elevations.min()), float(self.elevations.max())

    def described(self) -> str:
        return f"{len(self.numbers)} beams, {elevation_text(*self.range)}"


def beam_table(scans: Sequence[SampledScan]) -> BeamTable | None:
    """Beams of all scans by their numbers, or those of the scan with most beams if they are estimated."""
    sources, tables = [], []
    for scan in scans:
        rings, source = scan.rings
        kept = measured(scan.points)
        if (beams := beam_of_points(scan.points[kept], None if rings is None else rings[kept])) is not None:
            sources.append(source)
            tables.append(beam_elevations(scan.points[kept], beams))
    if len(tables) * 2 < len(scans) or not tables:
        return None
    if "points" in sources:
        elevations = np.sort(max((found for _, found in tables), key=len))
        return BeamTable(np.arange(len(elevations)), elevations, "points")
    found = defaultdict(list)
    for number, elevation in (pair for table in tables for pair in zip(*table, strict=True)):
        found[int(number)].append(float(elevation))
    numbers = np.array(sorted(found))
    return BeamTable(numbers, np.array([np.median(found[k]) for k in numbers.tolist()]), sources[0])


def fitting_sensor(beams: BeamTable) -> str | None:
    """Packaged sensor with these beams, also if some of them have no points; None if there is none.

    Numbers of beams begin at 0 or at the first one with points, from the lowest or the highest beam.
    """
    for name, stated in _presets().items():
        for first, order in product({0, int(beams.numbers[0])}, (stated, stated[::-1])):
            if _fits(beams, beams.numbers - first, order):
                return name
    return None


def _fits(beams: BeamTable, places: Int64[np.ndarray, "beams"], stated: Float64[np.ndarray, "all"]) -> bool:
    """Whether beams at these places of the ``stated`` ones have their elevations. Estimated beams must be complete."""
    fewest = len(stated) if beams.source == "points" else len(stated) * _SEEN
    if places[-1] >= len(stated) or len(places) < fewest:
        return False
    difference = np.abs(stated[places] - beams.elevations)
    return bool(difference[[0, -1]].max() < SAME_ELEVATION and np.median(difference) < SAME_ELEVATION)


def nearest_sensor(beams: BeamTable) -> str:
    """Packaged sensor with the most similar number and elevations of beams."""
    low, high = beams.range

    def difference(stated: Float64[np.ndarray, "beams"]) -> float:
        count = 10 * abs(np.log2(len(stated) / len(beams.numbers)))
        return float(count + abs(stated[0] - low) + abs(stated[-1] - high))

    presets = _presets()
    return min(presets, key=lambda name: difference(presets[name]))


def _presets() -> dict[str, Float64[np.ndarray, "beams"]]:
    """Elevations of the packaged sensors that differ in them, by name."""
    found: dict[tuple[float, ...], str] = {}
    for name in packaged_sensors():
        if elevations := load_sensor(name).elevations:
            found.setdefault(elevations, name)
    return {name: np.array(elevations) for elevations, name in found.items()}
