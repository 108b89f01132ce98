"""Cameras and calibration of KITTI."""

import numpy as np

from elite.layout import CAMERAS
from elite.shapes import Float
from elite.synthetic.config import DriveConfig
from elite.types import Camera

_SIZE = 1241, 376
_FOCAL, _CENTER = 718.856, (607.1928, 185.2157)
_OFFSETS = {"P0": 0.0, "P1": -0.5372, "P2": 0.0631, "P3": -0.4692}  # metres: column 4 of P_k is focal * offset
_CAMERA_AT = 0.27, 0.0, -0.08  # camera 0 in the LiDAR's frame
_FOCAL_SHARE = 0.6  # of the width: a field of view of 80 degrees
# Level cameras of a vehicle: position in the LiDAR's frame (m), and heading (degrees, anticlockwise).
_AROUND = {
    "front": ((0.4, 0.0, -0.3), 0.0),
    "left": ((0.2, 0.3, -0.3), 70.0),
    "right": ((0.2, -0.3, -0.3), -70.0),
    "back": ((-0.4, 0.0, -0.3), 180.0),
}
_CAMERA_TILT = 0.004, -0.007, 0.002  # small misalignments, radians about the camera's x, y, z


def calibration(config: DriveConfig) -> dict[str, Float[np.ndarray, "3 4"]]:
    """KITTI's P0..P3 for this image size, and Tr = T_cam0_velo."""
    scale = np.array([config.image_width / _SIZE[0], config.image_height / _SIZE[1], 1.0])
    matrices = {}
    for name, offset in _OFFSETS.items():
        full = np.array([[_FOCAL, 0, _CENTER[0], _FOCAL * offset], [0, _FOCAL, _CENTER[1], 0], [0, 0, 1, 0]])
        matrices[name] = full * scale[:, None]
    matrices["Tr"] = cam0_from_velo()[:3]
    return matrices


def cam0_from_velo() -> Float[np.ndarray, "4 4"]:
    """LiDAR axes (forward, left, up) to camera axes (right, down, forward), with KITTI-like small tilts."""
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = _small_rotation(_CAMERA_TILT) @ axes
    matrix[:3, 3] = -matrix[:3, :3] @ np.array(_CAMERA_AT)
    return matrix


def _small_rotation(angles: tuple[float, float, float]) -> Float[np.ndarray, "3 3"]:
    x, y, z = angles
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    u, _, v = np.linalg.svd(np.eye(3) + skew)  # nearest rotation
    return u @ v


def camera(config: DriveConfig, name: str) -> Camera:
    """Return camera ``name``, as read from calib.txt or dataset.yaml."""
    if name in _AROUND:
        at, heading = _AROUND[name]
        return level_camera(
            name, _FOCAL_SHARE * config.image_width, config.image_height, config.image_width, at, heading
        )
    tr = np.vstack([calibration(config)["Tr"], (0, 0, 0, 1)])
    return Camera(name, calibration(config)[CAMERAS[name]] @ tr)


def level_camera(
    name: str, focal: float, height: int, width: int, at: tuple[float, float, float], heading: float
) -> Camera:
    """Level pinhole camera, whose optical axis meets the centre of the image.

    Args:
        name: of the camera.
        focal: focal length (pixels).
        height: rows of the image.
        width: columns of the image.
        at: position in the LiDAR's frame (m).
        heading: of the optical axis, anticlockwise from straight ahead (degrees).
    """
    cos, sin = np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading))
    rotation = np.array([[sin, -cos, 0], [0, 0, -1], [cos, sin, 0]])
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(name, K @ np.column_stack([rotation, -rotation @ at]))


def camera_center(view: Camera) -> Float[np.ndarray, "3"]:
    """Position of the camera in the LiDAR frame."""
    return -np.linalg.solve(view.projection[:, :3], view.projection[:, 3])


def pixel_rays(view: Camera, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Unit directions in the LiDAR's frame through the image points uv."""
    inverse = np.linalg.inv(view.projection[:, :3]).astype(np.float32)
    rays = uv[:, :1] * inverse[:, 0] + uv[:, 1:] * inverse[:, 1] + inverse[:, 2]
    return rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]
