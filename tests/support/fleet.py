"""Recordings of a vehicle of one's own: an OS1-128 at 2.1 m, three cameras, eleven classes, in its own files.

A rendered drive, written as a user's recorder would: organised clouds whose missing returns are NaN, reflectivity
0..255 beside a signal in other units, labels as arrays of the shape of the cloud, JPEG images, one unlabelled sequence.
"""

import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from elite.datasets import open_dataset
from elite.point_files import PointFields, encode_points
from elite.synthetic import DriveConfig, render_drive
from tests.support.streets import short_streets

CLASSES = {
    0: ("void", ()),
    1: ("drivable", (40, 44, 49)),
    2: ("walkway", (48,)),
    3: ("soil", (72,)),
    4: ("building", (50,)),
    5: ("barrier", (51,)),
    6: ("plant", (70, 71)),
    7: ("post", (80, 81)),
    8: ("car", (10,)),
    9: ("large vehicle", (18, 20)),
    10: ("two-wheeler", (11, 15, 31, 32)),
    11: ("person", (30,)),
}
CAMERAS = ("front", "left", "right")
_ROWS, _COLUMNS = 128, 1024
_NAMES = {"00": "highway_01", "01": "harbour_02", "08": "city_09"}


def write_fleet(folder: Path, work: Path) -> Path:
    """Render two streets below ``work`` and write them to ``folder``; the second one without labels. Returns it."""
    size = {"image_width": 240, "image_height": 150}
    config = DriveConfig(sequences=2, frames=1, sensor="os1-128", height=2.1, cameras=CAMERAS, **size)
    with short_streets():
        render_drive(work / "drive", config, workers=1, progress=False)
    drive = open_dataset(work / "drive")
    to_id = np.zeros(260, np.uint8)
    for own, (_, raw) in CLASSES.items():
        to_id[list(raw)] = own
    for i, (sequence, name) in enumerate(drive.ids):
        target, time = folder / _NAMES[sequence], f"{100 + 0.1 * int(name):.1f}"
        scan, cells = drive.scan(i), _cells(drive.scan(i).points)
        _write_cloud(target / "lidar" / f"{time}.pcd", scan.points, scan.remission, cells)
        if sequence != "01":
            labels = np.zeros((_ROWS, _COLUMNS), np.uint8)
            labels.reshape(-1)[cells] = to_id[drive.raw_labels(i)]
            (target / "labels").mkdir(exist_ok=True)
            np.save(target / "labels" / f"{time}.npy", labels)
        for image in drive.images(i):
            path = target / f"cam_{image.camera}" / f"{float(time) + 0.01:.2f}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.open(image.path).save(path, quality=90)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(_description(work / "drive"), sort_keys=False))
    shutil.rmtree(work / "drive")
    return folder


def _cells(points: np.ndarray) -> np.ndarray:
    """Cell of each point in the organised cloud: beam by beam, by azimuth; a cell holds one point."""
    azimuth = ((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi)) % 1 * _COLUMNS).astype(int) % _COLUMNS
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    row = np.clip(np.round((22.5 - elevation) / 45 * (_ROWS - 1)).astype(int), 0, _ROWS - 1)
    return row * _COLUMNS + azimuth


def _write_cloud(path: Path, points: np.ndarray, remission: np.ndarray, cells: np.ndarray) -> None:
    values = {axis: np.full(_ROWS * _COLUMNS, np.nan, np.float32) for axis in "xyz"}
    for i, axis in enumerate("xyz"):
        values[axis][cells] = points[:, i]
    for name, scale, kind in (("signal", 4000, np.uint16), ("reflectivity", 255, np.uint16)):
        values[name] = np.zeros(_ROWS * _COLUMNS, kind)
        values[name][cells] = np.round(scale * remission)
    values["ring"] = np.repeat(np.arange(_ROWS, dtype=np.uint8), _COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_points(PointFields(values, (_ROWS, _COLUMNS)), ".pcd"))


def _description(drive: Path) -> dict:
    rendered = yaml.safe_load((drive / "dataset.yaml").read_text())["cameras"]
    return {
        "train": ["highway_*"],
        "val": ["city_*"],
        "scans": {"glob": "lidar/*.pcd", "labels": "labels/*.npy", "times": "name"},
        "sensor": {"preset": "os1-128", "height": 2.1, "intensity": {"field": "reflectivity", "max": 255}},
        "names": {own: name if own != 8 else {"name": name, "thing": True} for own, (name, _) in CLASSES.items()},
        "volume": {"range": 48, "below": 3.2, "above": 4.8, "cell": 0.5},
        "cameras": {
            name: camera | {"images": f"cam_{name}/*.jpg", "times": "name"} for name, camera in rendered.items()
        },
        "sync": {"tolerance": 0.03},
    }
