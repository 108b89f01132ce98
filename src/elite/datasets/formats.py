"""Readers of labels, calibrations and poses in SemanticKITTI's layout, and of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from elite.datasets.calibration import decode_text, parse_matrix, read_calibration
from elite.errors import DataError, first_line
from elite.files import SCAN_BYTES, TEXT_BYTES, open_image, read_file
from elite.layout import CAMERAS
from elite.shapes import Float, UInt8, UInt16, UInt32
from elite.types import Camera

_REMEDY = "Check the path and the archive."


def read_labels(
    path: Path, scan_path: Path, points: int, *, remedy: str = "Re-extract the labels archive"
) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Read raw semantic ids and instance ids, one of each per point of the scan.

    Args:
        path: label file.
        scan_path: scan, for error messages.
        points: number of its points.
        remedy: last sentence of the error message.

    Raises:
        DataError: missing, truncated, or another number of labels than points.
    """
    data = read_part(path, "labels", SCAN_BYTES)
    if len(data) != 4 * points:
        size = len(data) / points if points else 0
        if size in (1, 2, 8):
            raise DataError(
                f"{path}: expected uint32 labels (4 bytes a point), found {size:g} bytes for each of the {points} "
                f"points of {scan_path}. Write them as uint32."
            )
        raise DataError(
            f"{path}: expected {points} labels, one for each point of {scan_path}, found {len(data) / 4:g}. {remedy}."
        )
    return split_label(np.frombuffer(data, "<u4"))


def split_label(label: UInt32[np.ndarray, "n"]) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Split the words of a label file into raw semantic ids (low 16 bits) and instance ids (high 16 bits)."""
    return (label & 0xFFFF).astype(np.uint16), (label >> 16).astype(np.uint16)


def read_cameras(path: Path, names: Sequence[str]) -> tuple[Camera, ...]:
    """Read the named cameras (image_2, image_3, ...) of a calib.txt: P_k @ Tr.

    Raises:
        DataError: a matrix is missing or invalid; see ``elite.datasets.calibration``.
    """
    calibration = read_calibration(path, read_part(path, "calibration", TEXT_BYTES))
    T_cam_velo = calibration.T_cam_velo
    return tuple(Camera(name, _frozen(calibration.projection(CAMERAS[name]) @ T_cam_velo)) for name in names)


def read_cam_velo(path: Path) -> Float[np.ndarray, "4 4"]:
    """Read T_cam0_velo of a calib.txt.

    Raises:
        DataError: it is missing or invalid.
    """
    return _frozen(read_calibration(path, read_part(path, "calibration", TEXT_BYTES)).T_cam_velo)


def read_poses(path: Path) -> Float[np.ndarray, "frames 4 4"]:
    """Read T_world_cam0 of all frames of a sequence."""
    lines = decode_text(read_part(path, "poses", TEXT_BYTES), path).splitlines()
    rows = [parse_matrix(line, f"{path}, line {i + 1}") for i, line in enumerate(lines) if line.strip()]
    poses = np.zeros((len(rows), 4, 4))
    poses[:, 3, 3] = 1
    if rows:
        poses[:, :3] = rows
    return _frozen(poses)


def read_seconds(path: Path) -> Float[np.ndarray, "frames"]:
    """Read the time of each frame of a sequence, one per line, in seconds.

    Raises:
        DataError: missing, or with a line that is not a number.
    """
    lines = decode_text(read_part(path, "times", TEXT_BYTES), path).split()
    try:
        return _frozen(np.array(lines, np.float64))
    except ValueError as error:
        raise DataError(
            f"{path}: expected a time in seconds on each line, found {error}. Copy the file again."
        ) from error


def _frozen(array: np.ndarray) -> np.ndarray:
    """Make an array read-only, since frames share it."""
    array.setflags(write=False)
    return array


def read_image(path: Path, data: bytes | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as RGB; ``data`` are the contents of its file, if ``path`` only names it.

    Raises:
        DataError: missing, damaged, or neither PNG nor JPEG.
    """
    with open_image(path, "PNG", "JPEG", remedy="Re-extract the image archive", data=data) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"pixel mode {image.mode} instead of 8 bits per channel")
        through = image.convert("RGBA") if "transparency" in image.info else image
        return np.asarray(_upright(through.convert("RGB"), image))


# EXIF orientation -> transposition that viewers and OpenCV apply on reading.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of ``image`` to its ``pixels``."""
    orientation = image.getexif().get(_ORIENTATION) if "exif" in image.info else None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return pixels if turn is None else pixels.transpose(turn)


def read_part(path: Path, what: str, limit: int, *, remedy: str = _REMEDY) -> bytes:
    """Read a file of a data set; ``what`` it contains and the ``remedy`` (a sentence) are for the message.

    Raises:
        DataError: as ``open_regular``.
    """
    try:
        return read_file(path, limit)
    except OSError as error:
        raise unreadable(path, what, error, remedy=remedy) from error


def unreadable(path: Path, what: str, error: OSError, *, remedy: str = _REMEDY) -> DataError:
    return DataError(f"{path}: expected {what}, found {first_line(error)}. {remedy}")
