"""Sensor geometry: cameras and calibration of KITTI, beams of the HDL-64E."""

import numpy as np
from jaxtyping import Float

from elite.layout import CAMERAS
from elite.synthetic.config import DriveConfig
from elite.types import Camera

_SIZE = 1241, 376
_FOCAL, _CENTER = 718.856, (607.1928, 185.2157)
_OFFSETS = {"P0": 0.0, "P1": -0.5372, "P2": 0.0631, "P3": -0.4692}  # metres: column 4 of P_k is focal * offset
_CAMERA_AT = 0.27, 0.0, -0.08  # camera 0 in the LiDAR's frame
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
    """Return camera ``name`` as read from calib.txt."""
    tr = np.vstack([calibration(config)["Tr"], (0, 0, 0, 1)])
    return Camera(name, calibration(config)[CAMERAS[name]] @ tr)


def camera_center(view: Camera) -> Float[np.ndarray, "3"]:
    """Position of the camera in the LiDAR frame."""
    return -np.linalg.solve(view.projection[:, :3], view.projection[:, 3])


def pixel_rays(view: Camera, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Unit directions in the LiDAR's frame through the image points uv."""
    inverse = np.linalg.inv(view.projection[:, :3]).astype(np.float32)
    rays = uv[:, :1] * inverse[:, 0] + uv[:, 1:] * inverse[:, 1] + inverse[:, 2]
    return rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]


def beam_angles(beams: int) -> Float[np.ndarray, "beams"]:
    """Elevations from top to bottom, radians: the HDL-64E's upper and lower block, resampled for other counts.

    No laser sits exactly where it should; the misfits are those of one imagined unit, always the same.
    """
    hdl64 = np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.9, 32)])
    hdl64 += np.random.default_rng(64).normal(0, 0.035, 64)
    return np.deg2rad(np.interp(np.linspace(0, 63, beams), np.arange(64), hdl64))


def beam_rays(beams: int, azimuths: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Unit directions of one turn: ring after ring from the top, each from straight ahead anticlockwise."""
    elevation = beam_angles(beams)[:, None] + rng.normal(0, 0.0002, (beams, azimuths))
    start = rng.uniform(0, 1, (beams, 1))
    azimuth = (np.arange(azimuths) + start + rng.normal(0, 0.04, (beams, azimuths)).clip(-0.4, 0.4)) / azimuths
    azimuth = np.sort(azimuth % 1.0, axis=1) * 2 * np.pi
    level = np.cos(elevation)
    rays = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=2)
    return rays.reshape(-1, 3)
