"""Checks of the arrays that a reader returns, before they are converted."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np

from elite.errors import DataError, first_line
from elite.sensor import SensorSpec
from elite.shapes import Float32, Float64, Integer, UInt16
from elite.types import Camera, Scan

# What Python, numpy and zip archives raise for damaged contents.
_DAMAGED = (
    *(OSError, ValueError, KeyError, EOFError, OverflowError, SyntaxError, TokenError, RecursionError),
    *(BadZipFile, zlib.error),
)


@contextmanager
def damaged_files(source: object, what: str) -> Iterator[None]:
    """Turn errors of a reader's method into a DataError that names the ``source``: ``what`` was expected there.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # results are checked for NaN and infinity
            yield
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {first_line(error)}"
        raise DataError(f"{source}: expected {what}, found {reason}. Check the path and the archive.") from error


def point_rows(values: np.ndarray, sensor: SensorSpec, source: Path) -> Float32[np.ndarray, "n columns"]:
    """Check the points of a scan: rows of numbers in the columns of the sensor.

    Raises:
        DataError: another shape, or no numbers.
    """
    columns = len(sensor.columns)
    if values.ndim != 2 or values.shape[1] != columns or not np.can_cast(values.dtype, np.float64):
        raise DataError(
            f"{source}: expected {columns} numbers for each point ({' '.join(sensor.columns)}), found {_kind(values)}. "
            "Correct the columns of the sensor, or the file."
        )
    return values.astype(np.float32, copy=False)


def scan_of_rows(rows: Float32[np.ndarray, "n columns"], sensor: SensorSpec, source: Path) -> Scan:
    """Convert the points of a scan to our axes and remission in 0..1.

    Raises:
        DataError: no measured points, or NaN or infinite numbers.
    """
    return measured_scan(sensor.points_of(rows), sensor.remission_of(rows), sensor, source)


def measured_scan(
    points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"], sensor: SensorSpec, source: object
) -> Scan:
    """Return the measured points of a scan, as the sensor defines them; ``source`` names the scan.

    Args:
        points: all points of the file, in our axes.
        remission: 0 to 1.

    Raises:
        DataError: no measured points, or NaN or infinite numbers.
    """
    kept = sensor.measured(points, remission) if sensor.drops_points else None
    if kept is not None:
        points, remission = points[kept], remission[kept]
    if not len(points):
        found = "none" if kept is None else f"{len(kept)} without a return or on the vehicle"
        raise DataError(f"{source}: expected at least one point, found {found}. Exclude the scan or copy it again.")
    if bad := int((~(np.isfinite(points).all(axis=1) & np.isfinite(remission))).sum()):
        raise DataError(
            f"{source}: expected finite numbers, found NaN or infinity in {bad} of {len(points)} points. Remove them "
            "from the scan and its labels, or give 'no_return: drop' for its sensor."
        )
    return Scan(np.array(points, order="C"), np.array(remission), kept)  # a file is read-only memory


def point_ids(values: np.ndarray, source: Path) -> Integer[np.ndarray, "n"]:
    """Check ids of points: whole numbers, one per point.

    Raises:
        DataError: another shape, or other numbers.
    """
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{source}: expected a whole number for each point, found {_kind(values)}. Correct the reader.")
    return values


def instance_ids(values: np.ndarray, points: int, source: Path) -> UInt16[np.ndarray, "n"]:
    """Check instance ids of points: whole numbers of 16 bits, one per point.

    Raises:
        DataError: another shape, or other numbers.
    """
    if len(ids := point_ids(values, source)) != points:
        raise DataError(
            f"{source}: expected an instance id for each of {points} labels, found {len(ids)}. Correct the reader."
        )
    if points and not (0 <= int(ids.min()) <= int(ids.max()) < 2**16):
        raise DataError(
            f"{source}: expected instance ids in 0..65535, found {ids.min()} to {ids.max()}. Number the objects of a "
            "scan from 1."
        )
    return ids.astype(np.uint16)


def camera_in_our_axes(camera: Camera, sensor: SensorSpec, source: str) -> Camera:
    """Check a camera for points of the file, and return it for points in our axes.

    Raises:
        DataError: its projection has another shape, or maps no point into an image.
    """
    matrix = _matrix(camera.projection, (3, 4), source)
    if np.linalg.matrix_rank(matrix[:, :3]) < 3:
        raise DataError(
            f"{source}: expected a projection of rank 3, found one that maps no point into an image. Check the "
            "calibration."
        )
    return replace(camera, projection=matrix @ sensor.from_ours)


def pose_in_our_axes(values: np.ndarray, sensor: SensorSpec, source: str) -> Float64[np.ndarray, "4 4"]:
    """Check a transform of the points of the file, and return that of points in our axes.

    Raises:
        DataError: another shape, or numbers that are not finite.
    """
    return _matrix(values, (4, 4), source) @ sensor.from_ours


def _matrix(values: np.ndarray, shape: tuple[int, int], source: str) -> np.ndarray:
    is_numeric = values.shape == shape and np.can_cast(values.dtype, np.float64)
    if not is_numeric or not np.isfinite(values).all():
        expected, found = f"{shape[0]} x {shape[1]} finite numbers", "NaN or infinity" if is_numeric else _kind(values)
        raise DataError(f"{source}: expected {expected}, found {found}. Check the calibration.")
    return values.astype(np.float64)


def _kind(values: np.ndarray) -> str:
    """Shape and type of an array, as in 120 x 4 float32."""
    return f"{' x '.join(map(str, values.shape)) or 'a single value'} {values.dtype}"
