"""A tiny data set in nuScenes' layout: two scenes of two keyframes, six small images, sweeps of the first scene."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from elite.datasets.nuscenes.categories import CATEGORIES
from elite.datasets.nuscenes.tables import CAMERAS

Rows = dict[str, list[dict[str, Any]]]  # tables by name
POINTS = 60
SIZE = (36, 64)  # rows and columns of the images
SCENES = ("scene-0061", "scene-0103")  # of mini_train and mini_val
# Headings of the cameras from forward to the left, in degrees; milliseconds by which they precede the scan.
HEADINGS = dict(zip(CAMERAS, (0, -55, -110, 180, 110, 55), strict=True))
LEADS = dict(zip(CAMERAS, (36, 28, 20, 10, 1, 43), strict=True))
START = 1532402927647951


def token(*parts: object) -> str:
    """Token of a row."""
    return hashlib.md5(repr(parts).encode()).hexdigest()


def quaternion(rotation: Rotation) -> list[float]:
    """Rotation as w x y z."""
    x, y, z, w = rotation.as_quat()
    return [float(w), float(x), float(y), float(z)]


def write_nuscenes(
    root: Path,
    version: str = "v1.0-mini",
    scenes: tuple[str, ...] = SCENES,
    change: Callable[[Rows], object] = lambda tables: None,
) -> Path:
    """Write a data set; ``change`` edits its tables. The second scene lacks the images of two cameras."""
    tables = make_tables(version, scenes)
    write_files(root, tables, scenes)
    change(tables)
    write_tables(root / version, tables)
    return root


def write_tables(folder: Path, tables: Rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))


def make_tables(version: str = "v1.0-mini", scenes: tuple[str, ...] = SCENES, keyframes: int = 2) -> Rows:
    """Rows of all tables that a reader needs, and of a radar. There is one sweep before each keyframe but the first."""
    names = ("sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose", "lidarseg", "panoptic")
    tables: Rows = {name: [] for name in names}
    tables["category"] = [{"token": token(name), "name": name, "index": i} for i, name in enumerate(CATEGORIES)]
    for channel in ("LIDAR_TOP", *CAMERAS, "RADAR_FRONT"):
        tables["sensor"].append({"token": token(channel), "channel": channel})
        tables["calibrated_sensor"].append(_calibration(channel))
    for number, scene in enumerate(scenes):
        samples = [token(scene, i) for i in range(keyframes)]
        row = {"token": token(scene), "name": scene, "nbr_samples": keyframes, "first_sample_token": samples[0]}
        tables["scene"].append(row)
        for i, sample in enumerate(samples):
            following = samples[i + 1] if i + 1 < keyframes else ""
            tables["sample"].append({"token": sample, "scene_token": token(scene), "next": following})
            time = START + 10_000_000 * number + 500_000 * i
            for channel in ("LIDAR_TOP", *CAMERAS, "RADAR_FRONT"):
                _add_file(tables, sample, channel, time - 1000 * LEADS.get(channel, 0), is_key=True)
            if i > 0:
                _add_file(tables, sample, "LIDAR_TOP", time - 50_000, is_key=False)
            scan = token(sample, "LIDAR_TOP", time)
            for kind, end in (("lidarseg", "lidarseg.bin"), ("panoptic", "panoptic.npz")):
                name = f"{kind}/{version}/{scan}_{end}"
                tables[kind].append({"token": scan, "sample_data_token": scan, "filename": name})
    return tables


def _calibration(channel: str) -> dict[str, Any]:
    """The LiDAR has x to the right, as in nuScenes; cameras have z forward and x to the right."""
    rotation, intrinsic = Rotation.from_euler("z", -90, degrees=True) * Rotation.from_rotvec([0.01, -0.02, 0.0]), []
    if channel in CAMERAS:
        forward = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        rotation = Rotation.from_euler("z", HEADINGS[channel], degrees=True) * forward
        intrinsic = [[50.0, 0.0, 32.5], [0.0, 50.0, 18.25], [0.0, 0.0, 1.0]]
    return {
        "token": token("calibrated", channel),
        "sensor_token": token(channel),
        "translation": [0.94, 0.1, 1.84] if channel == "LIDAR_TOP" else [1.5, -0.2, 1.5],
        "rotation": quaternion(rotation),
        "camera_intrinsic": intrinsic,
    }


def _add_file(tables: Rows, sample: str, channel: str, time: int, *, is_key: bool) -> None:
    folder, end = "samples" if is_key else "sweeps", "jpg" if channel in CAMERAS else "pcd.bin"
    one = token(sample, channel, time)
    tables["sample_data"].append(
        {
            "token": one,
            "sample_token": sample,
            "ego_pose_token": token("ego", one),
            "calibrated_sensor_token": token("calibrated", channel),
            "timestamp": time,
            "is_key_frame": is_key,
            "filename": f"{folder}/{channel}/n015__{channel}__{time}.{end}",
        }
    )
    seconds = (time - START) / 1e6  # the car drives a curve at 9 m/s
    heading = 0.3 + 0.2 * seconds
    tables["ego_pose"].append(
        {
            "token": token("ego", one),
            "timestamp": time,
            "rotation": quaternion(Rotation.from_euler("zyx", [heading, 0.01, -0.02])),
            "translation": [411.3 + 9 * seconds * np.cos(heading), 1180.9 + 9 * seconds * np.sin(heading), 0.0],
        }
    )


def write_files(root: Path, tables: Rows, scenes: tuple[str, ...] = SCENES) -> None:
    """Write the files of the tables, except radars, and in all scenes but the first sweeps and two cameras."""
    rng = np.random.default_rng(0)
    scene_of = {row["token"]: row["scene_token"] for row in tables["sample"]}
    for row in tables["sample_data"]:
        path, first = root / row["filename"], scene_of[row["sample_token"]] == token(scenes[0])
        channel = path.parent.name
        if channel == "RADAR_FRONT" or (not first and (channel in CAMERAS[:2] or not row["is_key_frame"])):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if channel in CAMERAS:
            Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(path)
        else:
            random_rows(rng).astype("<f4").tofile(path)
    for row in tables["lidarseg"]:
        raw = rng.integers(0, len(CATEGORIES), POINTS).astype(np.uint8)
        for kind, end in (("lidarseg", "lidarseg.bin"), ("panoptic", "panoptic.npz")):
            path = root / row["filename"].replace("lidarseg.bin", end).replace("lidarseg/", f"{kind}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "lidarseg":
                raw.tofile(path)
            else:
                np.savez_compressed(path, data=panoptic_of(raw))


def panoptic_of(raw: np.ndarray) -> np.ndarray:
    """Panoptic labels in which all points of a thing's category are its first object."""
    return (1000 * raw.astype(np.uint16) + ((raw > 0) & (raw < 24))).astype(np.uint16)


def random_rows(rng: np.random.Generator, points: int = POINTS) -> np.ndarray:
    """Points with intensities of 0..255 and rings, in the order of firing; the first two are missing returns."""
    rows = np.empty((points, 5))
    rows[:, :2] = rng.uniform(-40, 40, (points, 2))
    rows[:, 2] = rng.normal(-1.5, 0.5, points)
    rows[:, 3] = rng.integers(0, 256, points)
    rows[:, 4] = np.arange(points) % 32
    rows[:2, :3] = 0
    return rows
