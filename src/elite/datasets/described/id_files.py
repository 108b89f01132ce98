"""Readers of label files: an id for each point, in the formats of label tools."""

from pathlib import Path

import numpy as np

from elite.datasets.formats import read_labels, read_part
from elite.errors import DataError
from elite.files import SCAN_BYTES, parse_array
from elite.shapes import Integer

_WIDTHS = {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"}  # bytes of an id in a .bin file


def read_ids(
    path: Path, scan_path: Path, points: int
) -> tuple[Integer[np.ndarray, "n"], Integer[np.ndarray, "n"] | None]:
    """Read the ids of the points of a scan, and their instance ids if the format contains some.

    Args:
        path: .label (uint32: id | instance << 16), .npy (integers), or .bin (unsigned integers of 1, 2, 4 or 8 bytes).
        scan_path: the scan, for messages.
        points: number of its points.

    Raises:
        DataError: missing, damaged, of another format, or another number of ids than points.
    """
    match path.suffix.lower():
        case ".label":
            return read_labels(path, scan_path, points)
        case ".npy":
            ids = _npy(path)
        case ".bin":
            ids = _bin(path, points)
        case suffix:
            raise DataError(
                f"{path}: expected labels in a file .label, .npy or .bin, found '{suffix}'. Convert it, or give "
                "field:NAME for a field of the scans."
            )
    if ids.shape != (points,):
        raise DataError(
            f"{path}: expected {points} labels, one for each point of {scan_path}, found an array of shape "
            f"{ids.shape}. Export both files again."
        )
    return ids, None


def _npy(path: Path) -> np.ndarray:
    data = read_part(path, "labels", SCAN_BYTES)
    try:
        ids = parse_array(data)
        if ids.dtype.kind not in "iu":
            raise ValueError(f"{ids.dtype} numbers")
    except ValueError as error:
        raise DataError(f"{path}: expected a .npy file of integers, found {error}. Export the labels again.") from error
    return ids.reshape(-1) if ids.ndim == 2 else ids  # labels of an organised cloud


def _bin(path: Path, points: int) -> np.ndarray:
    data = read_part(path, "labels", SCAN_BYTES)
    width = len(data) // points if points and len(data) % points == 0 else 0
    if width not in _WIDTHS:
        raise DataError(
            f"{path}: expected 1, 2, 4 or 8 bytes for each of {points} points, found {len(data)} bytes. Export the "
            "labels again."
        )
    return np.frombuffer(data, _WIDTHS[width])
