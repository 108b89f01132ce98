"""A tiny data set that is nothing like SemanticKITTI, in the format of ``examples/tram_reader.py``.

A tram drives between two platforms. Rays meet the ground and boxes exactly, so scans, labels and images agree.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from elite.datasets.dense_labels import write_dense
from elite.layout import Layout

# Names of frames in the order of time, which is not that of the names.
DRIVES = {"depot": ("f3a-0007", "09c-0002", "b71-0000"), "harbour": ("e00-0001",), "market": ("c5d-0004", "17f-0009")}
NAMES = ("nothing", "track", "platform", "tram", "person", "mast")
RAW = np.array([255, 0, 7, 20, 21, 90])  # id in the files of each class
SIZES = {"left": (64, 176), "right": (80, 144)}  # rows and columns
HEIGHT, STEP = 3.2, 3.0  # metres: of the sensor, and between frames
_ALBEDO = np.array([0.0, 0.25, 0.5, 0.8, 0.6, 0.95])
_COLORS = np.array([(150, 190, 235), (95, 85, 80), (165, 160, 150), (205, 60, 40), (40, 60, 160), (60, 200, 90)])
_FARTHEST = 45.0  # metres


@dataclass(frozen=True)
class Street:
    """Boxes of a drive (x to the right, y along the track, z up), and their classes."""

    low: np.ndarray
    high: np.ndarray
    classes: np.ndarray

    def hit(self, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance and class of the first surface along each ray; infinity and 0 in the sky."""
        with np.errstate(divide="ignore", invalid="ignore"):
            near, far = ((side - origin) / directions[:, None] for side in (self.low, self.high))
            enter, leave = np.fmin(near, far).max(axis=2), np.fmax(near, far).min(axis=2)
            distance = np.where((enter > 0) & (enter < leave), enter, np.inf)
            ground = np.where(directions[:, 2] < 0, -origin[2] / directions[:, 2], np.inf)
            x = origin[0] + ground * directions[:, 0]
        first = distance.argmin(axis=1)
        boxes = distance[np.arange(len(first)), first]
        kinds = np.where(boxes < ground, self.classes[first], np.where(np.abs(x) < 2.2, 1, 2))
        nearest = np.minimum(boxes, ground)
        return nearest, np.where(np.isfinite(nearest), kinds, 0)


def make_street(rng: np.random.Generator) -> Street:
    """Trams on the other track, people on the platforms, and masts at both sides."""
    boxes = []
    for y in np.arange(-30.0, 50.0, 16.0):
        side = rng.choice([-1, 1])
        boxes.append((3, (side * 5.5, y, 1.6), (2.4, 8.0, 3.2)))
        boxes += [(5, (s * 3.3, y + 7.0, 3.0), (0.35, 0.35, 6.0)) for s in (-1, 1)]
        boxes += [(4, (-side * rng.uniform(3.5, 6.0), y + rng.uniform(-4, 4), 0.9), (0.7, 0.6, 1.8)) for _ in range(2)]
    centres, sizes = (np.array([box[part] for box in boxes]) for part in (1, 2))
    return Street(centres - sizes / 2, centres + sizes / 2, np.array([kind for kind, _, _ in boxes]))


def write_trams(root: Path) -> Path:
    """Write the drives of ``DRIVES``, and dense ground truth where the library expects it."""
    for number, (name, tokens) in enumerate(DRIVES.items()):
        rng = np.random.default_rng(number)
        street, poses = make_street(rng), {}
        for i, token in enumerate(tokens):
            position = np.array([0.0, STEP * i, HEIGHT])
            poses[token] = np.block([[np.eye(3), position[:, None]], [np.zeros((1, 3)), 1]]).tolist()
            _write_scan(root / name, token, street, position, rng)
            for camera in SIZES:
                _write_image(root, name, token, camera, street, position, rng)
        cameras = {
            camera: {"K": _intrinsics(camera).tolist(), "T_camera_lidar": _pose(camera).tolist()} for camera in SIZES
        }
        (root / name / "drive.json").write_text(json.dumps({**cameras, "poses": poses}))
    return root


def _write_scan(folder: Path, token: str, street: Street, position: np.ndarray, rng: np.random.Generator) -> None:
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, 300, endpoint=False), np.radians(np.linspace(-28, 8, 24))
    )
    directions = np.stack(
        [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)], -1
    )
    directions = directions.reshape(-1, 3)
    distance, kinds = street.hit(position, directions)
    seen = distance < _FARTHEST
    rows = np.empty((seen.sum(), 5), np.float32)
    rows[:, :3] = directions[seen] * (distance[seen] + rng.normal(0, 0.01, seen.sum()))[:, None]
    rows[:, 3] = np.clip(255 * _ALBEDO[kinds[seen]] + rng.normal(0, 8, len(rows)), 0, 255).round()
    rows[:, 4] = np.repeat(np.arange(24), 300)[seen]
    kinds = np.where(rng.random(len(rows)) < 0.02, 0, kinds[seen])  # some points have no label
    for part, values in (("scans", rows), ("labels", RAW[kinds].astype(np.uint8))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        np.save(folder / part / f"{token}.npy", values)


def _write_image(
    root: Path, name: str, token: str, camera: str, street: Street, position: np.ndarray, rng: np.random.Generator
) -> None:
    rows, columns = SIZES[camera]
    u, v = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    T_lidar_camera = np.linalg.inv(_pose(camera))
    pixels = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3)
    directions = pixels @ np.linalg.inv(_intrinsics(camera)).T @ T_lidar_camera[:3, :3].T
    distance, kinds = street.hit(position + T_lidar_camera[:3, 3], directions)
    shade = 0.65 + 0.35 * np.exp(-np.minimum(distance, 80) / 40)
    colors = _COLORS[kinds] * shade[:, None] + rng.normal(0, 5, (len(kinds), 1))
    image = Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8).reshape(rows, columns, 3))
    path = root / name / camera / f"{token}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=92)
    semantic = RAW[kinds].astype(np.uint16).reshape(rows, columns)
    write_dense(Layout(root / "elite"), name, token, f"{camera}_labels", semantic=semantic, instance=0 * semantic)


def _intrinsics(camera: str) -> np.ndarray:
    rows, columns = SIZES[camera]
    focal = 0.75 * columns
    return np.array([[focal, 0, columns / 2], [0, focal, rows / 2 - 8], [0, 0, 1.0]])


def _pose(camera: str) -> np.ndarray:
    """T_camera_lidar: points of the files to x right, y down, z forward; the cameras look 20 degrees to the sides."""
    angle = np.radians({"left": -20, "right": 20}[camera])
    forward, right = np.array([np.sin(angle), np.cos(angle), 0]), np.array([np.cos(angle), -np.sin(angle), 0])
    rotation = np.stack([right, (0, 0, -1), forward])
    centre = np.array([{"left": -0.8, "right": 0.8}[camera], 0.6, -0.4])
    return np.block([[rotation, -(rotation @ centre)[:, None]], [np.zeros((1, 3)), 1]])


# The same files in words: contents of a dataset.yaml. The frames then follow in the order of their names.
TRAMS_YAML = {
    "name": "trams",
    "train": ["depot"],
    "val": ["market"],
    "scans": {"glob": "scans/*.npy", "labels": "labels/*.npy"},
    "sensor": {
        "name": "tram roof",
        "columns": ["x", "y", "z", "remission", "beam"],
        "axes": "right-forward-up",
        "intensity": {"max": 255},
        "height": HEIGHT,
    },
    "names": {
        0: {"name": "track", "color": [230, 90, 170], "ground": True},
        7: {"name": "platform", "color": [120, 170, 200], "ground": True},
        20: {"name": "tram", "color": [255, 160, 60], "thing": True},
        21: {"name": "person", "color": [240, 80, 80], "thing": True},
        90: {"name": "mast", "color": [90, 220, 200]},
        255: "nothing",
    },
    "ignore": [255],
    "cameras": {
        camera: {
            "images": f"{camera}/*.jpg",
            "K": _intrinsics(camera).ravel().tolist(),
            "T_cam_lidar": _pose(camera)[:3].tolist(),
        }
        for camera in SIZES
    },
}
