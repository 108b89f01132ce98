"""The ``dataset.yaml`` of a drive: its splits, and all files if it has cameras that SemanticKITTI's layout lacks."""

from typing import Any

import numpy as np
import yaml

from elite.datasets.described import GENERATED
from elite.datasets.sequence_splits import KITTI_LAYOUT, SequenceSplits
from elite.files import write_bytes
from elite.geometry import pinhole
from elite.layout import DESCRIPTION, SPLITS, Layout
from elite.sensor import packaged_sensors
from elite.synthetic.config import DriveConfig
from elite.synthetic.sensors import camera

POSES = "lidar_poses.txt"


def labels_layout(layout: Layout, config: DriveConfig) -> Layout:
    """Return where the dense labels of the images belong: with a description, they are in the folder ``elite``."""
    return Layout(layout.sequences / GENERATED) if config.is_described else layout


def write_description(layout: Layout, config: DriveConfig) -> None:
    """Write ``dataset.yaml``: splits, and unless the drive is read as SemanticKITTI, all that describes its files."""
    splits = _splits(config)
    values = _described_values(layout, config, splits) if config.is_described else splits.to_plain()
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120)
    write_bytes(layout.root / DESCRIPTION, text.encode())


def _splits(config: DriveConfig) -> SequenceSplits:
    """All rendered sequences in their splits. SemanticKITTI's training split lacks those from 22 on."""
    valid, test = (
        tuple(name for name in SPLITS[split] if name in config.frame_counts()) for split in ("valid", "test")
    )
    train = tuple(name for name in config.frame_counts() if name not in (*valid, *test))
    return SequenceSplits(KITTI_LAYOUT, "rendered streets", train, valid, test)


def _described_values(layout: Layout, config: DriveConfig, splits: SequenceSplits) -> dict[str, Any]:
    values = splits.to_plain()
    del values["layout"]
    return {
        **values,
        "path": layout.sequences.name,
        "scans": {"glob": "velodyne/*.bin", "labels": "labels/*.label", "times": layout.times("00").name},
        "sensor": _sensor(config),
        "names": "semantickitti",
        "poses": POSES,
        "cameras": {name: _camera(config, name) for name in config.cameras},
    }


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
