"""Matrices of calib.txt, as in KITTI's odometry, tracking and object benchmarks."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elite.errors import DataError
from elite.geometry import is_rotation
from elite.shapes import Float

_LARGEST = 1e9  # limit of calibrations and poses, so that their products are finite
_ORTHONORMAL = 0.02  # largest deviation of R R^T from the identity
_LINE = re.compile(r"\s*([A-Za-z]\w*)(?:\s*:\s*|\s+)(\S.*)")
# Names of KITTI's tracking and object benchmarks, where Tr = R_rect @ Tr_velo_cam.
_VELODYNE = ("Tr_velo_cam", "Tr_velo_to_cam")
_RECTIFICATION = ("R_rect", "R0_rect")


@dataclass(frozen=True)
class CalibrationFile:
    """Lines of a calib.txt by name. A line is parsed on request; unused lines may have any contents."""

    path: Path
    lines: dict[str, str]

    @property
    def T_cam_velo(self) -> Float[np.ndarray, "4 4"]:
        """LiDAR to rectified camera 0.

        Raises:
            DataError: no such line, or not a rotation and a translation.
        """
        if "Tr" in self.lines:
            matrix = self._matrix("Tr", 12).reshape(3, 4)
        elif velodyne := self._first(_VELODYNE):
            rectification = self._first(_RECTIFICATION)
            if rectification is None:
                raise self._lacks("R_rect", f"required by '{velodyne}', since Tr = R_rect @ {velodyne}")
            matrix = self._matrix(rectification, 9).reshape(3, 3) @ self._matrix(velodyne, 12).reshape(3, 4)
        else:
            raise self._lacks("Tr", "the 3 x 4 matrix from LiDAR to camera")
        rotation = matrix[:, :3]
        if not is_rotation(rotation, _ORTHONORMAL):
            raise DataError(
                f"{self.path}: expected a rotation in the first three columns of Tr, found "
                f"{np.array2string(rotation, precision=3)}. Write Tr as [R | t] from LiDAR to camera."
            )
        return np.vstack([matrix, (0, 0, 0, 1)])

    def projection(self, name: str) -> Float[np.ndarray, "3 4"]:
        """P_k: rectified camera 0 to pixels.

        Raises:
            DataError: no such line, or not a projection.
        """
        if name not in self.lines:
            raise self._lacks(name, "the 3 x 4 projection of the camera")
        matrix = self._matrix(name, 12).reshape(3, 4)
        if np.linalg.matrix_rank(matrix[:, :3]) < 3:
            raise DataError(
                f"{self.path}: expected a projection of rank 3 in {name}, found one that maps no point into an image. "
                "Re-extract the calibration archive."
            )
        return matrix

    def _first(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.lines), None)

    def _matrix(self, name: str, count: int) -> Float[np.ndarray, "count"]:
        return parse_numbers(self.lines[name], count, f"{self.path}, line '{name}'")

    def _lacks(self, name: str, content: str) -> DataError:
        remedy = "Re-extract the calibration archive."
        if {"R", "T"} <= self.lines.keys():
            remedy = (
                "To convert calib_velo_to_cam.txt of KITTI raw, write Tr = R_rect_00 @ [R | T] and P2 = P_rect_02, "
                "with R_rect_00 and P_rect_02 of calib_cam_to_cam.txt."
            )
        found = ", ".join(self.lines) or "none"
        return DataError(f"{self.path}: expected a line '{name}:' ({content}), found the lines {found}. {remedy}")


def read_calibration(path: Path, data: bytes) -> CalibrationFile:
    """Parse the lines ``NAME: NUMBERS`` of a calib.txt. The colon is optional, as in KITTI's tracking benchmark.

    Raises:
        DataError: not a text, or two lines of one name.
    """
    lines: dict[str, str] = {}
    for line in decode_text(data, path).splitlines():
        if (match := _LINE.fullmatch(line.rstrip())) is None:
            continue
        name, numbers = match[1], match[2]
        if lines.setdefault(name, numbers) != numbers:
            raise DataError(f"{path}: expected one line '{name}', found two that differ. Remove one of them.")
    return CalibrationFile(path, lines)


def decode_text(data: bytes, path: Path) -> str:
    """Decode UTF-8 or UTF-16, with or without byte order mark.

    Raises:
        DataError: damaged UTF-16.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: expected text, found damaged UTF-16 ({error}). Save it as UTF-8.") from error
    return data.decode("utf-8-sig", errors="replace")


def parse_matrix(numbers: str, source: str) -> Float[np.ndarray, "3 4"]:
    """Parse 12 numbers, row by row."""
    return parse_numbers(numbers, 12, source).reshape(3, 4)


def parse_numbers(text: str, count: int, source: str) -> Float[np.ndarray, "count"]:
    """Parse ``count`` numbers, separated by spaces or commas.

    Raises:
        DataError: another number of them, or one that is not finite. The message names the ``source``.
    """
    try:
        values = np.array([float(x) for x in text.replace(",", " ").split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not (np.abs(values) < _LARGEST).all():  # nor NaN
        raise DataError(f"{source}: expected {count} numbers, found '{text.strip()[:40]}'. Re-extract the archive.")
    return values
