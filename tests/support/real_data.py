"""Descriptions of real frames of other data sets: RELLIS-3D and PandaSet."""

from pathlib import Path

import pytest

# RELLIS-3D: an Ouster OS1-64 on a robot that looks along -x; the ground is 1.25 m below the sensor.
_RELLIS = """
sequences: ['.']
train: ['.']
scans: {glob: '0*.bin', labels: '0*.label'}
names: rellis
sensor: {name: os1-64, axes: backward-right-up, height: 1.25, intensity: {max: 0.0116}}
cameras:
  front:
    images: 'frame0*-1581624663_149.jpg'
    K: [2813.643275, 2808.326079, 969.285772, 624.049972]
    dist: [-0.134313, -0.025905, 0.002181, 0.00084]
    T_lidar_cam: {rotation: [-0.50507811, 0.51206185, 0.49024953, -0.49228464],
                  translation: [-0.13165462, 0.03870398, -0.17253834]}
"""
# PandaSet: planes through the points labelled as road are 2.10 to 2.17 m below the sensor.
_PANDASET = """
train: ['91']
val: ['92']
names: semantickitti
scans: {glob: 'velodyne/*.bin', labels: 'labels/*.label'}
sensor: {name: pandar64, height: 2.1}
cameras: {front: {images: 'image_2/*.jpg', calibration: 'calib/*.txt'}}
"""


def describe_rellis(real_data: Path, folder: Path) -> Path:
    """Write the dataset.yaml of the RELLIS-3D frame into ``folder`` and return its path."""
    return _write(folder / "rellis.yaml", real_data / "rellis", _RELLIS)


def describe_pandaset(real_data: Path, folder: Path) -> Path:
    """Write the dataset.yaml of the PandaSet frames into ``folder`` and return its path."""
    return _write(folder / "pandaset.yaml", real_data / "pandaset" / "sequences", _PANDASET)


def _write(path: Path, data: Path, text: str) -> Path:
    if not data.is_dir():
        pytest.skip(f"real frames not found at {data}")
    path.write_text(f"path: {data}\n{text}")
    return path
