"""Times of single points of a scan."""

from dataclasses import dataclass

import numpy as np

from elite.point_files import PointFields
from elite.recordings.point_cloud2 import TIME_FIELDS
from elite.shapes import Bool, Float64

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SHORTEST_S, _LONGEST_S = 5e-3, 1.5  # of a scan
MOST_OFFSET_S = 1.0  # between a scan and its points


@dataclass(frozen=True)
class PointTimes:
    """Times of the points of a scan.

    Attributes:
        field: its name.
        unit: s, ms, us or ns; None = the times span no scan in any of them.
        span: from the first to the last point (s); in its own unit if that is unknown.
        first: time of the first point after the stamp of the scan (s); None if the times have another origin.
    """

    field: str
    unit: str | None
    span: float
    first: float | None


def point_times(fields: PointFields, stamp: int) -> PointTimes | None:
    """Measure the times of points; None without such a field.

    The unit is that in which a scan lasts between 5 ms and 1.5 s. Two such units never exist: they differ by 1,000.

    Args:
        fields: of the scan.
        stamp: of the scan (ns); 0 = unknown.
    """
    name = fields.find(TIME_FIELDS)
    if name is None:
        return None
    values = fields.values[name]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not len(values):
        return None
    low, high = values.min(), values.max()
    span = float(high) - float(low)
    unit = next((unit for unit, scale in _UNITS.items() if _SHORTEST_S <= span * scale <= _LONGEST_S), None)
    if unit is None:
        return PointTimes(name, None, span, None)
    scale = _UNITS[unit]
    first = float(low) * scale
    if abs(first) > _LONGEST_S:  # since 1970, or since the sensor was started
        first -= stamp * 1e-9
    return PointTimes(name, unit, span * scale, first if abs(first) <= _LONGEST_S else None)


def point_offsets(fields: PointFields, stamp: int, measured: Bool[np.ndarray, "n"]) -> Float64[np.ndarray, "n"] | None:
    """Times of points after the stamp (s); NaN for points that are not measured.

    Returns:
        None if the times are doubtful: missing, not a number, of an unknown unit or origin, or more than a second from
        the stamp.

    Args:
        fields: of the scan.
        stamp: of the scan (ns).
        measured: points that count. Drivers leave the times of others at 0.
    """
    offsets = np.full(len(measured), np.nan)
    if not measured.any():
        return offsets
    name = fields.find(TIME_FIELDS)
    if name is None:
        return None
    values = fields.values[name][measured]
    times = point_times(PointFields({name: values}, values.shape), stamp)
    if times is None or times.unit is None or times.first is None:
        return None
    offsets[measured] = np.subtract(values, values.min(), dtype=np.float64) * _UNITS[times.unit] + times.first
    return offsets if (np.abs(offsets[measured]) <= MOST_OFFSET_S).all() else None
