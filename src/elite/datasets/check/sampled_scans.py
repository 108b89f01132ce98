"""Fields of single scans that depend on the sensor: coordinates, intensities, and beams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from elite.datasets.check.beam_pattern import FEWEST_BEAMS, MOST_BEAMS, beam_elevations
from elite.datasets.check.scan_measures import BRIGHT, REMISSIONS, measured
from elite.datasets.doubts import BEYOND, DARKEST, full_scale
from elite.errors import DataError
from elite.point_files import PointFields
from elite.sensor import INTENSITY_FIELDS, RING_FIELDS
from elite.shapes import Float32, Float64, Int64

# Calibrated reflectivities do not fall with the range, so they precede intensities of the same scale.
_BY_PREFERENCE = ("reflectivity", *(name for name in INTENSITY_FIELDS if name != "reflectivity"))
_NEAR_BEAM = 0.5  # degrees: median difference between the elevations of a point and of its beam
_FLAT = 1.0  # degrees: elevations of beams differ by more
_FULL_BYTE = 255.0
BeamSource = Literal["field", "rows", "columns", "points"]


@dataclass(frozen=True)
class SampledScan:
    """The fields of a scan that depend on the sensor.

    Attributes:
        points: all points of the file, in its axes; without a return, zeros or NaN.
        intensities: by the name of their field.
        numbers: of the beams, if a field states them.
        shape: (n,), or (rows, columns) of an organised cloud.
    """

    points: Float32[np.ndarray, "n 3"]
    intensities: Mapping[str, Float32[np.ndarray, "n"]]
    numbers: Int64[np.ndarray, "n"] | None = None
    shape: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def turned(self, turn: Float64[np.ndarray, "3 3"]) -> "SampledScan":
        """The scan after a rotation; NaN stay in their axis."""
        places, signs = np.abs(turn).argmax(axis=1), turn.sum(axis=1, dtype=np.float32)
        return replace(self, points=self.points[:, places] * signs)

    @cached_property
    def rings(self) -> tuple[Int64[np.ndarray, "n"] | None, BeamSource]:
        """Beam of each point, by the field or by the rows or columns of an organised cloud; None = not stated.

        Points of a beam have one elevation. Numbers of which this is not true are those of moved clouds, or others.
        """
        if self.numbers is not None and _are_beams(self.points, self.numbers):
            return self.numbers, "field"
        if len(self.shape) == 2:
            rows, columns = (place.reshape(-1) for place in np.indices(self.shape))
            if _are_beams(self.points, rows):
                return rows, "rows"
            if _are_beams(self.points, columns):
                return columns, "columns"
        return None, "points"


def sampled_scan(fields: PointFields, source: object) -> SampledScan:
    """Find coordinates, intensities and beams among the fields of a scan; ``source`` names it.

    Raises:
        DataError: without x, y, z, or without a measured point.
    """
    axes = [fields.find([axis]) for axis in "xyz"]
    if None in axes:
        found = " ".join(fields.values) or "none"
        raise DataError(f"{source}: expected the fields x y z, found {found}. Rename the coordinates.")
    with np.errstate(over="ignore"):  # a double beyond float32
        points = np.stack([fields.values[axis] for axis in axes if axis], axis=1).astype(np.float32)
    if not measured(points).any():
        found = f"none with a return among {len(points)}"
        raise DataError(f"{source}: expected at least one point, found {found}. Exclude the scan.")
    intensities = {
        name: fields.values[name].astype(np.float32)
        for wanted in _BY_PREFERENCE
        if (name := fields.find([wanted])) is not None
    }
    return SampledScan(points, intensities, _numbers(fields), fields.shape)


def _numbers(fields: PointFields) -> Int64[np.ndarray, "n"] | None:
    """Numbers of the beams in a field; None without one, and for drivers that write one value, or others."""
    if (name := fields.find(RING_FIELDS)) is None:
        return None
    numbers = fields.values[name]
    is_whole = bool(np.isfinite(numbers).all()) and bool((numbers == np.round(numbers)).all())
    return numbers.astype(np.int64) if is_whole and 0 < float(np.ptp(numbers)) < MOST_BEAMS else None


def _are_beams(points: Float32[np.ndarray, "n 3"], beams: Int64[np.ndarray, "n"]) -> bool:
    """Whether there are as many as a LiDAR has, and most points are near the elevation of their beam."""
    if not FEWEST_BEAMS <= np.ptp(beams) + 1 <= MOST_BEAMS:
        return False
    kept = measured(points)
    points, beams = points[kept], beams[kept]
    numbers, elevations = beam_elevations(points, beams)
    place = np.minimum(np.searchsorted(numbers, beams), len(numbers) - 1)
    own = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    return bool(np.median(np.abs(own - elevations[place])) < _NEAR_BEAM and np.ptp(elevations) > _FLAT)


# ---- intensity ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IntensityField:
    """Values of an intensity field, medians over the scans.

    Attributes:
        name: of the field.
        quantiles: 1 %, 50 %, 95 % and 100 % quantiles, as recorded.
        scale: 0..1, 0..255, raw (a signal of another range), or constant.
        max: value that probably means a remission of 1.
    """

    name: str
    quantiles: tuple[float, ...]
    scale: Literal["0..1", "0..255", "raw", "constant"]
    max: float


def intensity_fields(scans: Sequence[SampledScan]) -> tuple[IntensityField, ...]:
    """Measure the intensity fields of all scans, the preferred one first.

    A field of a known scale is preferred over a raw signal, and a reflectivity over an intensity. A constant field is
    the last one.
    """
    names = [name for name in scans[0].intensities if all(name in scan.intensities for scan in scans)]
    rank = {"0..1": 0, "0..255": 0, "raw": 1, "constant": 2}
    return tuple(sorted((_intensity(name, scans) for name in names), key=lambda field: rank[field.scale]))


def _intensity(name: str, scans: Sequence[SampledScan]) -> IntensityField:
    rows = [values for scan in scans if len(values := _returned(scan, name))]
    if not rows:
        return IntensityField(name, (0.0,) * len(REMISSIONS), "constant", 1.0)
    quantiles = tuple(np.median([np.quantile(values, REMISSIONS) for values in rows], axis=0).tolist())
    bright = float(np.median([np.quantile(values, BRIGHT) for values in rows]))
    if all(values.min() == values.max() for values in rows):
        return IntensityField(name, quantiles, "constant", 1.0)
    beyond_one = max(float((values > 1).mean()) for values in rows)
    if beyond_one <= BEYOND and bright >= DARKEST:
        return IntensityField(name, quantiles, "0..1", 1.0)
    if 2 < bright <= _FULL_BYTE and max(float((values > _FULL_BYTE).mean()) for values in rows) <= BEYOND:
        return IntensityField(name, quantiles, "0..255", _FULL_BYTE)
    return IntensityField(name, quantiles, "raw", full_scale(bright))


def _returned(scan: SampledScan, name: str) -> Float32[np.ndarray, "m"]:
    values = scan.intensities[name][measured(scan.points)]
    return values[np.isfinite(values)]
