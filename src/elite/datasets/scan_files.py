"""Readers of scan files, in our axes and with remission in 0..1.

A .bin file has float32 numbers, as many for each point as the sensor has columns. The fields of other formats are found
by their names (see ``elite.point_files``).
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from elite.datasets.formats import read_part, unreadable
from elite.datasets.scan_encoding import find_other_encoding
from elite.datasets.stored_values import measured_scan
from elite.errors import DataError
from elite.files import SCAN_BYTES, file_size
from elite.point_files import SUFFIXES, PointFields, read_point_file
from elite.sensor import INTENSITY_FIELDS, RING_FIELDS, SensorSpec
from elite.shapes import Float32, Int64, Num, Shaped
from elite.types import Scan

_FARTHEST_M = 10_000.0
Points = tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n"]]


def read_points(path: Path, sensor: SensorSpec) -> Float32[np.ndarray, "n 4"]:
    """Read x y z remission (our axes, 0..1). NaN, single implausible points and files without points are accepted.

    Raises:
        DataError: the file is missing or truncated, its numbers have another encoding, or a field is missing.
    """
    found = _read_plain(path, sensor) if is_plain(path) else points_of(read_fields(path, sensor), sensor, path)
    return np.column_stack(found)


def read_scan(path: Path, sensor: SensorSpec) -> Scan:
    """Read the measured points of a scan, with finite numbers only.

    Raises:
        DataError: as ``read_points``, and for a file without such points, or with NaN or infinite numbers.
    """
    if is_plain(path):
        return measured_scan(*_read_plain(path, sensor), sensor, path)
    return scan_of_fields(read_fields(path, sensor), sensor, path)


def scan_of_fields(fields: PointFields, sensor: SensorSpec, source: object) -> Scan:
    """Find the measured points of a scan among its fields; ``source`` names it. Errors as ``read_scan``."""
    scan = measured_scan(*points_of(fields, sensor, source), sensor, source)
    return replace(scan, candidates=intensity_candidates(fields, sensor))


def intensity_candidates(fields: PointFields, sensor: SensorSpec) -> tuple[str, ...]:
    """Fields that may be the remission, the one that is read first; () if there is one, or the sensor names it."""
    if sensor.intensity_field or "remission" not in sensor.columns:
        return ()
    found = tuple(name for wanted in INTENSITY_FIELDS if (name := fields.find([wanted])) is not None)
    return found if len(found) > 1 else ()


def read_fields(path: Path, sensor: SensorSpec) -> PointFields:
    """Read all fields of a file of any format. A frame needs its scan, labels and counts, so the last files are kept.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise unreadable(path, "a scan", error) from error
    return _decoded(path, sensor.field_names, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _decoded(path: Path, names: tuple[str, ...], changed_ns: int, size: int) -> PointFields:
    """Fields of a file, which is read again if it has changed since."""
    fields = read_point_file(path, names)
    for values in fields.values.values():
        values.setflags(write=False)
    return fields


def read_field(path: Path, sensor: SensorSpec, name: str) -> Shaped[np.ndarray, "n"]:
    """Read one field of all points of a file, such as their labels.

    Raises:
        DataError: as ``read_points``.
    """
    fields = read_fields(path, sensor)
    if (found := fields.find([name])) is None:
        raise DataError(f"{path}: expected a field '{name}', found {', '.join(fields.values)}. Correct the name.")
    return fields.values[found]


def read_rings(path: Path, sensor: SensorSpec) -> Int64[np.ndarray, "n"] | None:
    """Read the number of the beam of each measured point; None without such a field, or if all are equal.

    Drivers of sensors without such numbers write the field with one value. Errors as ``read_points``.
    """
    if is_plain(path):
        rings = sensor.rings_of(_read_rows(path, sensor)) if "ring" in sensor.columns else None
    else:
        fields = read_fields(path, sensor)
        name = fields.find(RING_FIELDS)
        rings = None if name is None else fields.values[name].astype(np.int64)
    if rings is None or not len(rings) or np.ptp(rings) == 0:
        return None
    return rings if not sensor.drops_points else read_scan(path, sensor).select(rings)


def count_points(path: Path, sensor: SensorSpec) -> int:
    """Count the points of a scan: from the size of a .bin file; other formats are read.

    Raises:
        DataError: the file is missing, too large, or not a regular file.
    """
    if not is_plain(path):
        return len(read_fields(path, sensor))
    try:
        return file_size(path, SCAN_BYTES) // sensor.point_bytes
    except OSError as error:
        raise unreadable(path, "a scan", error) from error


def is_plain(path: Path) -> bool:
    """Whether a file has numbers only, so that its size shows if it is complete."""
    return path.suffix.lower() not in SUFFIXES or path.suffix.lower() == ".bin"


def _read_plain(path: Path, sensor: SensorSpec) -> Points:
    """Points (our axes) and remission (0..1)."""
    rows = _read_rows(path, sensor)
    return sensor.points_of(rows), sensor.remission_of(rows)


def points_of(fields: PointFields, sensor: SensorSpec, source: object) -> Points:
    """Find x, y, z and the remission among the fields of points; ``source`` names them.

    Returns:
        Points in our axes (m), and remission (0..1): 0 if the sensor has no column for it.

    Raises:
        DataError: a field is missing, or the coordinates are too large for a sensor.
    """
    given = (sensor.intensity_field,) if sensor.intensity_field else INTENSITY_FIELDS
    names = [(axis,) for axis in "xyz"] + ([given] if "remission" in sensor.columns else [])
    found = [fields.find(name) for name in names]
    if missing := [name for name, field in zip(names, found, strict=True) if field is None]:
        raise DataError(
            f"{source}: expected fields {', '.join(' or '.join(name) for name in missing)}, found "
            f"{', '.join(fields.values) or 'none'}. Correct the columns or the intensity field of the sensor."
        )
    x, y, z, *intensity = (fields.values[name] for name in found if name)
    points = np.stack([x, y, z], axis=1)
    _require_metres(points, source)
    points = points.astype(np.float32, copy=False)
    scaled = [values.astype(np.float32) / np.float32(sensor.remission_max) for values in intensity]
    return sensor.in_our_axes(points), scaled[0] if scaled else np.zeros(len(points), np.float32)


def _require_metres(points: Num[np.ndarray, "n 3"], source: object) -> None:
    """Refuse coordinates of a map, which float32 would round to decimetres, and other units."""
    with np.errstate(invalid="ignore"):  # of signalling NaN
        if (np.abs(points) <= _FARTHEST_M).all():
            return  # the usual case, faster than the exact maximum
    x, y, z = np.isfinite(points).T  # faster than all(axis=1)
    farthest = float(np.abs(points).max(initial=0, where=(x & y & z)[:, None]))
    if farthest > _FARTHEST_M:
        raise DataError(
            f"{source}: expected metres in the sensor frame, found coordinates of up to {farthest:,.0f}. Subtract the "
            "position of the sensor, or convert the unit."
        )


def _read_rows(path: Path, sensor: SensorSpec) -> Float32[np.ndarray, "n columns"]:
    data, size, columns = read_part(path, "a scan", SCAN_BYTES), sensor.point_bytes, " ".join(sensor.columns)
    if (found := find_other_encoding(data, sensor)) is not None:
        raise DataError(
            f"{path}: expected float32 {columns} ({size} bytes a point, sensor {sensor.name}), found "
            f"{found.description}. {found.remedy(sensor)}"
        )
    if len(data) % size:
        raise DataError(
            f"{path}: expected a multiple of {size} bytes (float32 {columns}), found {len(data)} bytes. Copy the "
            "truncated file again."
        )
    return np.frombuffer(data, "<f4").reshape(-1, len(sensor.columns))
