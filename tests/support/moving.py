"""A drive in SemanticKITTI's layout, with poses and times: a static world, and a car that moves in it."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.support.scans import CALIBRATION, write_frame

TR = np.vstack([np.reshape(CALIBRATION.split("Tr: ")[1].split(), (3, 4)).astype(float), [0, 0, 0, 1]])
PARKED, MOVING, ROAD, BUILDING = 10, 252, 40, 50  # raw ids
INTERVAL = 0.1  # seconds


def sensor_pose(i: int) -> np.ndarray:
    """T_world_velo of scan i: the sensor drives along x, and turns left."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", 3 * i, degrees=True).as_matrix()
    pose[:3, 3] = 0.8 * i, 0.05 * i, 0
    return pose


def write_poses(folder: Path, poses: list[np.ndarray], seconds: list[float]) -> None:
    """Write poses.txt (camera 0 relative to the first camera 0) and times.txt for T_world_velo of each scan."""
    of_camera = [TR @ pose @ np.linalg.inv(TR) for pose in poses]
    np.savetxt(folder / "poses.txt", [pose[:3].ravel() for pose in of_camera], fmt="%.12e")
    np.savetxt(folder / "times.txt", seconds, fmt="%.6e")


def write_moving_drive(root: Path, scans: int = 5, scored: int = 3, points: int = 800) -> Path:
    """Write ``scans`` to 00, ``scored`` to 08, and one unlabelled scan each to 11..21."""
    for sequence, count in {"00": scans, "08": scored, **dict.fromkeys(map(str, range(11, 22)), 1)}.items():
        rng = np.random.default_rng(int(sequence))
        for i in range(count):
            scan, words = _scan(rng, i, points)
            write_frame(root, sequence, f"{i:06d}", scan, words if sequence in ("00", "08") else None)
        write_poses(
            root / "sequences" / sequence, [sensor_pose(i) for i in range(count)], [INTERVAL * i for i in range(count)]
        )
    return root


def _scan(rng: np.random.Generator, i: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A scan (n, 4) and its raw words."""
    kinds = {
        ROAD: rng.uniform((-30, -8, -1.73), (40, 8, -1.70), (n // 2, 3)),
        BUILDING: rng.uniform((-30, 9, -1.7), (40, 9.1, 1.5), (n // 4, 3)),
        PARKED | 1 << 16: rng.uniform((8, 4, -1.7), (12, 6, -0.2), (n // 8, 3)),
        MOVING | 2 << 16: rng.uniform((8 + 3 * i, -5, -1.7), (12 + 3 * i, -3, -0.2), (n // 8, 3)),
    }
    world = np.concatenate(list(kinds.values()))
    words = np.repeat(list(kinds), [len(points) for points in kinds.values()])
    from_world = np.linalg.inv(sensor_pose(i))
    points = world @ from_world[:3, :3].T + from_world[:3, 3]
    remission = rng.uniform(0, 1, (len(points), 1))
    return np.hstack([points, remission]).astype(np.float32), words.astype(np.uint32)
