"""Recordings of a vehicle of one's own: an OS1-128 at 2.1 m, three cameras, eleven classes, in its own files.

A rendered drive, written as a user's recorder would: organised clouds whose missing returns are NaN, reflectivity
0..255 beside a signal in other units, labels as arrays of the shape of the cloud, JPEG images, one unlabelled sequence.
"""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from elite.datasets import open_dataset
from elite.point_files import PointFields, encode_points
from tests.support.rendered_recordings import COLUMNS, ROWS, organised_cells, rendered_drive

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
_NAMES = {("00", "000000"): "highway_01", ("00", "000001"): "harbour_02", ("08", "000000"): "city_09"}


def write_fleet(folder: Path) -> Path:
    """Write three rendered scans as sequences of their own to ``folder``, harbour_02 without labels. Returns it."""
    drive = open_dataset(rendered_drive())
    to_id = np.zeros(260, np.uint8)
    for own, (_, raw) in CLASSES.items():
        to_id[list(raw)] = own
    for i, frame in enumerate(drive.ids):
        if frame not in _NAMES:
            continue
        target, scan = folder / _NAMES[frame], drive.scan(i)
        cells = organised_cells(scan.points)
        _write_cloud(target / "lidar" / "100.0.pcd", scan.points, scan.remission, cells)
        if target.name != "harbour_02":
            labels = np.zeros((ROWS, COLUMNS), np.uint8)
            labels.reshape(-1)[cells] = to_id[drive.raw_labels(i)]
            (target / "labels").mkdir(exist_ok=True)
            np.save(target / "labels" / "100.0.npy", labels)
        for image in drive.images(i):
            path = target / f"cam_{image.camera}" / "100.01.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.open(image.path).save(path, quality=90)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(_description(rendered_drive()), sort_keys=False))
    return folder


def _write_cloud(path: Path, points: np.ndarray, remission: np.ndarray, cells: np.ndarray) -> None:
    values = {axis: np.full(ROWS * COLUMNS, np.nan, np.float32) for axis in "xyz"}
    for i, axis in enumerate("xyz"):
        values[axis][cells] = points[:, i]
    for name, scale, kind in (("signal", 4000, np.uint16), ("reflectivity", 255, np.uint16)):
        values[name] = np.zeros(ROWS * COLUMNS, kind)
        values[name][cells] = np.round(scale * remission)
    values["ring"] = np.repeat(np.arange(ROWS, dtype=np.uint8), COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_points(PointFields(values, (ROWS, COLUMNS)), ".pcd"))


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
