"""Cameras of a described data set: from the values in the file to projections."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.datasets.described.patterns import require_star
from elite.errors import ConfigError
from elite.geometry import is_rotation
from elite.lenses import Lens, LensModel
from elite.rotations import from_quaternion
from elite.shapes import Float64

_ROTATION_TOLERANCE = 1e-3  # calibration files round
_LARGEST_OFFSET_S = 10.0
_Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Motion:
    """Rotation as a quaternion (w, x, y, z), and translation in metres."""

    rotation: tuple[float, float, float, float]
    translation: tuple[float, float, float]


@dataclass(frozen=True)
class CameraSettings:
    """A camera and its images.

    Attributes:
        images: files below the folder of a sequence, such as ``cam_front/*.jpg`` (PNG or JPEG).
        K: fx, fy, cx, cy in pixels; or the matrix, 9 numbers or 3 rows.
        T_cam_lidar: from points of the scan files (x, y, z as they are stored, metres) to the camera (x right, y down,
            z forward): 12 or 16 numbers, 3 or 4 rows, or ``rotation`` (w x y z) and ``translation``.
        T_lidar_cam: its inverse. One of both is required.
        model: ``pinhole`` (ROS: plumb_bob, rational_polynomial) or ``fisheye`` (ROS: equidistant).
        dist: coefficients of the lens, in the order of OpenCV; none = the images are undistorted.
        times: as ``scans.times``; without it, images have the times of the scans of their names.
        time_offset: seconds to add to the times of the images, positive if they were taken later than stated. It
            requires ``scans.times``, and matters with ``poses`` (``elite check`` estimates it).
        calibration: files in KITTI's format, one per frame, such as ``calib/*.txt``: their ``P2`` and ``Tr`` replace K,
            T_cam_lidar and dist.
    """

    images: str
    K: _Rows | tuple[float, ...] = ()
    T_cam_lidar: Motion | _Rows | tuple[float, ...] | None = None
    T_lidar_cam: Motion | _Rows | tuple[float, ...] | None = None
    model: LensModel = "pinhole"
    dist: tuple[float, ...] = ()
    times: str | None = None
    time_offset: float = 0.0
    calibration: str | None = None

    def __post_init__(self) -> None:
        require_star(self.images, "images")
        if not abs(self.time_offset) <= _LARGEST_OFFSET_S:
            raise ConfigError(
                f"time_offset: expected seconds in {-_LARGEST_OFFSET_S:g}..{_LARGEST_OFFSET_S:g}, found "
                f"{self.time_offset:g}. Correct the times of the images, or their unit."
            )
        if self.calibration is not None:
            require_star(self.calibration, "calibration")
            if self.K or self.T_cam_lidar or self.T_lidar_cam or self.dist:
                raise ConfigError("calibration: expected no K, T_cam_lidar or dist with it, found some. Remove them.")
            return
        if (self.T_cam_lidar is None) == (self.T_lidar_cam is None):
            found = "none" if self.T_cam_lidar is None else "both"
            raise ConfigError(f"expected one of T_cam_lidar and T_lidar_cam, found {found}. Give one.")
        _ = self.lens, self.transform  # impossible values are errors now

    @property
    def lens(self) -> Lens:
        numbers = _numbers(self.K)
        if len(numbers) == 4:
            fx, fy, cx, cy = numbers
            numbers = [fx, 0, cx, 0, fy, cy, 0, 0, 1]
        if len(numbers) != 9:
            raise ConfigError(f"K: expected fx, fy, cx, cy or 9 numbers, found {len(numbers)}. Correct the matrix.")
        rows = tuple(tuple(numbers[i : i + 3]) for i in (0, 3, 6))
        return Lens(self.model, rows, self.dist)  # type: ignore[arg-type]

    @property
    def transform(self) -> Float64[np.ndarray, "4 4"]:
        """T_cam_lidar, for points of the scan files."""
        if self.T_cam_lidar is not None:
            return rigid(self.T_cam_lidar, "T_cam_lidar")
        return np.linalg.inv(rigid(self.T_lidar_cam, "T_lidar_cam"))


def rigid(value: Any, key: str) -> Float64[np.ndarray, "4 4"]:
    """Build a rigid transform from 12 or 16 numbers, or from a quaternion and a translation.

    Raises:
        ConfigError: another number of values, or no rotation.
    """
    transform = np.eye(4)
    if isinstance(value, Motion):
        norm = float(np.linalg.norm(value.rotation))
        if abs(norm - 1) > _ROTATION_TOLERANCE:
            raise ConfigError(f"{key}: expected a rotation (w, x, y, z) of length 1, found {norm:.4g}. Correct it.")
        transform[:3, :3] = from_quaternion(np.roll(value.rotation, -1))  # which takes x y z w
        transform[:3, 3] = value.translation
        return transform
    numbers = _numbers(value)
    if len(numbers) not in (12, 16) or (len(numbers) == 16 and numbers[12:] != [0, 0, 0, 1]):
        raise ConfigError(
            f"{key}: expected 3 x 4 or 4 x 4 numbers [R | t], found {len(numbers)} numbers. Correct the matrix."
        )
    transform[:3] = np.reshape(numbers[:12], (3, 4))
    R = transform[:3, :3]
    if not is_rotation(R, _ROTATION_TOLERANCE):
        raise ConfigError(
            f"{key}: expected a rotation in the first three columns, found {np.array2string(R, precision=3)}. Write "
            "[R | t] row by row."
        )
    return transform


def _numbers(value: Any) -> list[float]:
    """Numbers of a list, or of a list of rows, row by row."""
    return [float(v) for item in value for v in (item if isinstance(item, tuple) else (item,))]
