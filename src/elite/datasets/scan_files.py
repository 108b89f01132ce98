"""Readers of scan files: float32 numbers, as many for each point as the sensor has columns."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from elite.datasets.formats import read_part, unreadable
from elite.datasets.scan_encoding import find_other_encoding
from elite.datasets.stored_values import scan_of_rows
from elite.errors import DataError
from elite.files import SCAN_BYTES, file_size
from elite.sensor import SensorSpec
from elite.types import Scan


def read_points(path: Path, sensor: SensorSpec) -> Float32[np.ndarray, "n 4"]:
    """Read x y z remission (our axes, 0..1). NaN, single implausible points and files without points are accepted.

    Raises:
        DataError: the file is missing or truncated, or its numbers have another encoding.
    """
    rows = _read_rows(path, sensor)
    return np.column_stack([sensor.points_of(rows), sensor.remission_of(rows)])


def read_scan(path: Path, sensor: SensorSpec) -> Scan:
    """Read a scan with finite numbers only.

    Raises:
        DataError: as ``read_points``, and for a file without points, or with NaN or infinite numbers.
    """
    return scan_of_rows(_read_rows(path, sensor), sensor, path)


def read_rings(path: Path, sensor: SensorSpec) -> Int64[np.ndarray, "n"] | None:
    """Read the number of the beam of each point; None without a column ``ring``. Errors as ``read_points``."""
    return sensor.rings_of(_read_rows(path, sensor)) if "ring" in sensor.columns else None


def count_points(path: Path, sensor: SensorSpec) -> int:
    """Count the points of a scan from the size of its file.

    Raises:
        DataError: the file is missing, too large, or not a regular file.
    """
    try:
        return file_size(path, SCAN_BYTES) // sensor.point_bytes
    except OSError as error:
        raise unreadable(path, "a scan", error) from error


def _read_rows(path: Path, sensor: SensorSpec) -> Float32[np.ndarray, "n columns"]:
    data, size, columns = read_part(path, "a scan", SCAN_BYTES), sensor.point_bytes, " ".join(sensor.columns)
    if (found := find_other_encoding(data, sensor)) is not None:
        raise DataError(
            f"{path}: expected float32 {columns} ({size} bytes a point, sensor {sensor.name}), found {found}. Convert "
            f"it: write {columns} as float32, with remission in 0..{sensor.remission_max:g}."
        )
    if len(data) % size:
        raise DataError(
            f"{path}: expected a multiple of {size} bytes (float32 {columns}), found {len(data)} bytes. Copy the "
            "truncated file again."
        )
    return np.frombuffer(data, "<f4").reshape(-1, len(sensor.columns))
