"""Files of SemanticKITTI's formats: scans, labels, calibrations, poses and images as arrays."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from PIL import Image

from elite.datasets.calibration import decode_text, parse_matrix, read_calibration
from elite.datasets.scan_encoding import layout_fault
from elite.errors import DataError
from elite.files import SCAN_BYTES, TEXT_BYTES, open_image, read_file
from elite.labels import split_label
from elite.layout import CAMERAS
from elite.types import Camera, Scan


def read_points(path: Path) -> Float32[np.ndarray, "n 4"]:
    """x y z remission as stored; NaN and implausible single points pass.

    Raises:
        DataError: the file is missing, not a whole number of float32 quadruples, or its numbers only make sense in
            another layout.
    """
    data = _read(path, "a scan", SCAN_BYTES)
    if (found := layout_fault(data)) is not None:
        raise DataError(
            f"{path}: expected float32 x y z remission (16 bytes a point), found {found}. Convert it: write "
            "points[:, :4] as float32, with remission in 0..1."
        )
    if len(data) % 16:
        raise DataError(
            f"{path} is {len(data)} bytes long, expected a multiple of 16 (float32 x y z remission); "
            "it is truncated, copy it again."
        )
    return np.frombuffer(data, "<f4").reshape(-1, 4)


def read_scan(path: Path) -> Scan:
    """A scan fit for use.

    Raises:
        DataError: unreadable, truncated, empty, or with NaN or infinite numbers.
    """
    values = read_points(path)
    if not len(values):
        raise DataError(f"{path} holds no point, expected at least one; leave the scan out or copy it again.")
    finite = np.isfinite(values)
    if not finite.all():
        bad = int((~finite).any(axis=1).sum())
        raise DataError(
            f"{path} holds {bad} of {len(values)} points with NaN or infinite numbers, expected none; "
            "remove them from the scan and its labels."
        )
    return Scan(np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 3]))


def count_points(scan_path: Path) -> int:
    """Points of a scan, by the size of its file.

    Raises:
        DataError: the file is missing.
    """
    try:
        return scan_path.stat().st_size // 16
    except OSError as error:
        raise _unreadable(scan_path, "a scan", error) from error


def read_labels(
    path: Path, scan_path: Path, points: int, *, remedy: str = "re-extract the labels archive"
) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """(raw semantic ids, instance ids), one each per point of the scan; ``remedy`` ends the error message.

    Raises:
        DataError: missing, truncated, or another number of labels than points.
    """
    data = _read(path, "labels", SCAN_BYTES)
    if len(data) != 4 * points:
        size = len(data) / points if points else 0
        if size in (1, 2, 8):
            raise DataError(
                f"{path}: expected uint32 labels (4 bytes a point), found {size:g} bytes for each of the {points} "
                f"points of {scan_path}. Write them as uint32."
            )
        raise DataError(f"{path} has {len(data) / 4:g} labels but {scan_path} has {points} points; {remedy}.")
    return split_label(np.frombuffer(data, "<u4"))


def read_cameras(path: Path, names: Sequence[str]) -> tuple[Camera, ...]:
    """The named cameras (image_2, image_3, ...) of a calib.txt: P_k @ Tr.

    Raises:
        DataError: a matrix is missing or impossible; see ``elite.datasets.calibration``.
    """
    calibration = read_calibration(path, _read(path, "calibration", TEXT_BYTES))
    T_cam_velo = np.vstack([calibration.T_cam_velo, (0, 0, 0, 1)])
    return tuple(Camera(name, _frozen(calibration.projection(CAMERAS[name]) @ T_cam_velo)) for name in names)


def read_cam_velo(path: Path) -> Float[np.ndarray, "3 4"]:
    """T_cam0_velo of a calib.txt.

    Raises:
        DataError: it is missing or impossible.
    """
    return read_calibration(path, _read(path, "calibration", TEXT_BYTES)).T_cam_velo


def read_poses(path: Path) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_cam0 of every frame of a sequence."""
    lines = decode_text(_read(path, "poses", TEXT_BYTES), path).splitlines()
    rows = [parse_matrix(line, f"line {i + 1} of {path}") for i, line in enumerate(lines) if line.strip()]
    poses = np.zeros((len(rows), 4, 4))
    poses[:, 3, 3] = 1
    if rows:
        poses[:, :3] = rows
    return _frozen(poses)


def _frozen(array: np.ndarray) -> np.ndarray:
    """Read-only, since frames share it."""
    array.setflags(write=False)
    return array


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB.

    Raises:
        DataError: missing, damaged, or neither PNG nor JPEG.
    """
    with open_image(path, "PNG", "JPEG", remedy="re-extract the image archive") as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"pixel mode {image.mode}, expected 8 bits a channel")
        through = image.convert("RGBA") if "transparency" in image.info else image
        return np.asarray(_upright(through.convert("RGB"), image))


# EXIF orientation -> what turns the stored pixels upright, as viewers and OpenCV do on reading.
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
    """``pixels`` of ``image`` as its EXIF orientation asks for them."""
    orientation = image.getexif().get(_ORIENTATION) if "exif" in image.info else None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return pixels if turn is None else pixels.transpose(turn)


def _read(path: Path, what: str, limit: int) -> bytes:
    try:
        return read_file(path, limit)
    except OSError as error:
        raise _unreadable(path, what, error) from error


def _unreadable(path: Path, what: str, error: OSError) -> DataError:
    return DataError(f"{path}: cannot read {what} ({error.strerror}); check the path and the archive.")
