"""Values of the rows of nuScenes' tables, checked one by one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elite.datasets.nuscenes.json_rows import read_rows
from elite.errors import DataError
from elite.shapes import Float64

_LARGEST = 1e9  # limit of coordinates, so that their products are finite
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")  # of scenes, and tokens of scans: files are called by them
_UNIT = 1e-3  # largest deviation of the length of a quaternion from 1
_UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, AttributeError)
Pose = tuple[float, ...]  # translation x y z, rotation w x y z


def each_row(path: Path, use: Callable[[dict[str, Any]], object]) -> None:
    """Pass each row of a table to ``use``, and name the row of an error."""
    number = 0
    for number, row in enumerate(read_rows(path), 1):
        try:
            use(row)
        except _UNREADABLE as error:
            found = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)[:160]
            raise DataError(
                f"{path}, row {number}: expected a row of nuScenes, found {found}. Re-extract the metadata."
            ) from error


def text_of(row: dict[str, Any], key: str) -> str:
    if not isinstance(value := row[key], str):
        raise ValueError(f"'{key}' that is not a text")
    return value


def name_of(row: dict[str, Any], key: str) -> str:
    if not _NAME.fullmatch(name := text_of(row, key)):
        raise ValueError(f"the {key} {name[:80]!r}, expected letters, digits and hyphens")
    return name


def time_of(row: dict[str, Any]) -> int:
    if not 0 <= (time := int(row["timestamp"])) < 2**63:
        raise ValueError("a timestamp that is not in microseconds")
    return time


def file_of(row: dict[str, Any]) -> str:
    """Path of a file below the root."""
    name = text_of(row, "filename")
    if not name or not name.isprintable() or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"the filename {name[:64]!r}, which is not a path below the root")
    return name


def pose_of(row: dict[str, Any]) -> Pose:
    """Translation and unit quaternion (w x y z)."""
    pose = tuple(map(float, (*row["translation"], *row["rotation"])))
    if len(row["translation"]) != 3 or len(pose) != 7:
        raise ValueError("a translation and a rotation of other than 3 and 4 numbers")
    length = sum(value * value for value in pose[3:]) ** 0.5
    if not all(abs(value) < _LARGEST for value in pose):  # nor NaN
        raise ValueError("a pose that is not finite")
    if abs(length - 1) > _UNIT:
        raise ValueError(f"a rotation {row['rotation']} of length {length:.4g} instead of 1, which is not a rotation")
    return pose


def intrinsic_of(values: Any) -> Float64[np.ndarray, "3 3"]:
    matrix = np.array(values, np.float64)
    if matrix.shape != (3, 3) or not (np.abs(matrix) < _LARGEST).all():
        raise ValueError("a camera_intrinsic that is not 3 x 3 finite numbers")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or not np.array_equal(matrix[2], (0, 0, 1)):
        raise ValueError(f"a camera_intrinsic without focal lengths or with the last row {matrix[2]}")
    return matrix


def as_bytes(names: list[str], order: list[int] | None = None) -> np.ndarray:
    """Names as one array of bytes, in the given ``order``."""
    encoded = [name.encode() for name in names]
    if order is not None:
        encoded = [encoded[i] for i in np.argsort(order)]
    return np.array(encoded, f"S{max(map(len, encoded), default=1) or 1}")
