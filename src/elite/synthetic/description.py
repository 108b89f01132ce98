"""The ``dataset.yaml`` of a drive whose cameras SemanticKITTI's layout lacks."""

from typing import Any

import numpy as np
import yaml

from elite.datasets.described import GENERATED
from elite.files import write_bytes
from elite.geometry import pinhole
from elite.layout import SPLITS, Layout
from elite.sensor import packaged_sensors
from elite.synthetic.config import DriveConfig
from elite.synthetic.sensors import camera

POSES = "lidar_poses.txt"


def labels_layout(layout: Layout, config: DriveConfig) -> Layout:
    """Return where the dense labels of the images belong: with a description, they are in the folder ``elite``."""
    return Layout(layout.sequences / GENERATED) if config.is_described else layout


def write_description(layout: Layout, config: DriveConfig) -> None:
    """Write ``dataset.yaml``: splits, scans, labels, sensor, cameras and poses."""
    counts = config.frame_counts()
    splits = {"val": SPLITS["valid"], "test": SPLITS["test"]}
    others = {sequence for names in splits.values() for sequence in names}
    train = [sequence for sequence in counts if sequence not in others]
    values: dict[str, Any] = {
        "name": "rendered streets",
        "path": layout.sequences.name,
        "train": train,
        **{split: [name for name in names if name in counts] for split, names in splits.items()},
        "scans": {"glob": "velodyne/*.bin", "labels": "labels/*.label", "times": layout.times("00").name},
        "sensor": _sensor(config),
        "names": "semantickitti",
        "poses": POSES,
        "cameras": {name: _camera(config, name) for name in config.cameras},
    }
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120)
    write_bytes(layout.root / "dataset.yaml", text.encode())


def _sensor(config: DriveConfig) -> dict[str, Any]:
    """Preset, and what differs from it; all values of a sensor of a file."""
    if (lidar := config.lidar) is None:
        return {"preset": "hdl-64e"}
    if lidar.name in packaged_sensors():
        return {"preset": lidar.name, "height": lidar.height}
    return lidar.to_settings()


def _camera(config: DriveConfig, name: str) -> dict[str, Any]:
    K, R_lidar_cam, centre = pinhole(camera(config, name))
    R = R_lidar_cam.T
    return {
        "images": f"{name}/*.png",
        "K": [round(float(value), 6) for value in (K[0, 0], K[1, 1], K[0, 2], K[1, 2])],
        "T_cam_lidar": np.column_stack([R, -R @ centre]).round(9).tolist(),
    }
