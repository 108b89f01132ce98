"""Rendered streets as recordings of ROS, with known classes."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from elite.datasets import open_dataset
from elite.datasets.dense_labels import read_dense_files
from elite.synthetic import DriveConfig, render_drive
from elite.synthetic.sensors import camera
from tests.support.recordings import (
    PERIOD,
    START,
    Item,
    camera_info_item,
    cloud,
    cloud_item,
    compressed_item,
    odometry_item,
    tf_item,
    write_recording,
)
from tests.support.shared import built_once
from tests.support.streets import short_streets

CAMERAS = ("front", "left", "right")


@dataclass(frozen=True)
class RenderedScan:
    """A scan of a rendered street as an OS1-128 publishes it: 128 rows, the highest beam first, of 1024 columns.

    Attributes:
        stamp: of the scan and of its images (ns).
        values: fields of the layout ``ouster``; cells without a return are NaN.
        labels: raw ids of SemanticKITTI; 0 without a return.
        pose: of the LiDAR in the frame of its first scan.
        images: RGB, by camera.
        semantic: raw ids of the pixels of the images.
    """

    stamp: int
    values: dict[str, np.ndarray]
    labels: np.ndarray
    pose: np.ndarray
    images: dict[str, np.ndarray]
    semantic: dict[str, np.ndarray]


ROWS, COLUMNS = 128, 1024


def rendered_drive() -> Path:
    """Two frames of each of the streets 00 and 08: an OS1-128 at 2.1 m with three cameras."""
    return built_once("os1-128", _render)


def _render(root: Path) -> None:
    size = {"image_width": 240, "image_height": 150}
    config = DriveConfig(sequences=1, frames=2, sensor="os1-128", height=2.1, cameras=CAMERAS, **size)
    with short_streets():
        render_drive(root, config, workers=1, progress=False)


@cache
def rendered_scans() -> dict[str, tuple[RenderedScan, ...]]:
    """Scans of ``rendered_drive``, by street."""
    drive, scans = open_dataset(rendered_drive()), dict[str, list[RenderedScan]]()
    for i, (sequence, _) in enumerate(drive.ids):
        of_street = scans.setdefault(sequence, [])
        of_street.append(_rendered_scan(drive, i, START + PERIOD * len(of_street)))
    return {sequence: tuple(of_street) for sequence, of_street in scans.items()}


@cache
def rendered_cameras() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Camera -> its matrix K, and its pose in the frame of the LiDAR, of ``rendered_scans``."""
    config = DriveConfig(sensor="os1-128", cameras=CAMERAS, image_width=240, image_height=150)
    found = {}
    for name in CAMERAS:
        K = np.array([[144.0, 0, 120], [0, 144, 75], [0, 0, 1]])
        T_cam_lidar = np.vstack([np.linalg.inv(K) @ camera(config, name).projection, (0, 0, 0, 1)])
        found[name] = K, np.linalg.inv(T_cam_lidar)
    return found


def _rendered_scan(drive: Any, i: int, stamp: int) -> RenderedScan:
    scan = drive.scan(i)
    cells = organised_cells(scan.points)
    values: dict[str, np.ndarray] = {axis: np.full(ROWS * COLUMNS, np.nan, np.float32) for axis in "xyz"}
    for k, axis in enumerate("xyz"):
        values[axis][cells] = scan.points[:, k]
    for name, scale in (("intensity", 4000), ("reflectivity", 255)):
        values[name] = np.zeros(ROWS * COLUMNS, np.float32)
        values[name][cells] = np.round(scale * scan.remission)
    values["ring"] = np.repeat(np.arange(ROWS), COLUMNS)
    values["t"] = np.tile(np.arange(COLUMNS) * (PERIOD // COLUMNS), ROWS)
    values["range"] = np.zeros(ROWS * COLUMNS)
    values["range"][cells] = np.round(1000 * np.linalg.norm(scan.points, axis=1))
    labels = np.zeros(ROWS * COLUMNS, np.uint32)
    labels[cells] = drive.raw_labels(i)
    images = {image.camera: np.asarray(Image.open(image.path).convert("RGB")) for image in drive.images(i)}
    semantic = {camera: read_dense_files(drive.derived(i, "labels", camera))[0] for camera in images}
    return RenderedScan(stamp, values, labels, drive.pose(i), images, semantic)


def organised_cells(points: np.ndarray) -> np.ndarray:
    """Cell of each point of an OS1-128 in the organised cloud; a cell holds one point."""
    azimuth = ((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi)) % 1 * COLUMNS).astype(int) % COLUMNS
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    row = np.clip(np.round((22.5 - elevation) / 45 * (ROWS - 1)).astype(int), 0, ROWS - 1)
    return row * COLUMNS + azimuth


def rendered_items(sequence: str = "00", *, ros1: bool = False, delay: int = 10_000_000) -> list[Item]:
    """Messages of a rendered street: /points, /cam_NAME/image (JPEG) and camera_info, /tf_static, /odom.

    Images are recorded ``delay`` ns after the scans, although they show the same moment, and odometry 5 ms before them.
    base_link is on the road below the LiDAR.
    """
    scans, cameras = rendered_scans()[sequence], rendered_cameras()
    mount = np.eye(4)
    mount[2, 3] = 2.1
    static = {("base_link", "lidar"): mount} | {("lidar", f"cam_{name}"): pose for name, (_, pose) in cameras.items()}
    items = [tf_item("/tf_static", static, START - PERIOD, ros1=ros1)]
    for scan in scans:
        stamp, vehicle = scan.stamp, mount @ scan.pose @ np.linalg.inv(mount)
        items += [
            odometry_item("/odom", vehicle, stamp - 5_000_000, ros1=ros1),
            cloud_item("/points", cloud("ouster", scan.values, height=ROWS, stamp=stamp), ros1=ros1),
        ]
        for name, image in scan.images.items():
            frame, later = f"cam_{name}", stamp + delay
            K, _ = cameras[name]
            items += [
                compressed_item(f"/{frame}/image", image, later, frame, ros1=ros1),
                camera_info_item(f"/{frame}/camera_info", K, image.shape[:2], later, frame, ros1=ros1),
            ]
    return sorted(items, key=lambda item: item.time)


def rendered_recording(path: Path, sequence: str = "00", *, delay: int = 10_000_000) -> Path:
    """Write a rendered street as a recording, whose kind is the suffix of ``path``; see ``rendered_items``."""
    return write_recording(path, rendered_items(sequence, ros1=path.suffix == ".bag", delay=delay))
