"""Reader of a data set in a format of its own: ``--data.format tram_reader:Trams``."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elite.datasets import FrameFiles, FrameId, Reader
from elite.sensor import SensorSpec
from elite.taxonomy import load_taxonomy
from elite.types import Camera

SPLITS = {"train": ("depot",), "valid": ("market",)}


class Trams(Reader):
    """Recordings of a tram.

    ::

        ROOT/DRIVE/scans/TOKEN.npy    (n, 5): x to the right, y forward, z up, intensity 0..255, ring
                   labels/TOKEN.npy   (n,) uint8
                   left/TOKEN.jpg  right/TOKEN.jpg
                   drive.json         calibration of the cameras, and pose of each TOKEN in the order of time
    """

    taxonomy = load_taxonomy(Path(__file__).with_name("trams.yaml"))
    sensor = SensorSpec(
        name="tram roof",
        columns=("x", "y", "z", "remission", "ring"),
        remission_max=255,
        axes=("y", "-x", "z"),  # forward, left, up
        height=3.2,
    )
    cameras = ("left", "right")
    splits = SPLITS

    def list_frames(self) -> Iterator[FrameFiles]:
        files = sorted(self.root.glob("*/drive.json"))
        self.drives = {path.parent.name: json.loads(path.read_text()) for path in files}
        for name, drive in self.drives.items():
            folder = self.root / name
            for token in drive["poses"]:
                yield FrameFiles(
                    FrameId(name, token),
                    scan=folder / "scans" / f"{token}.npy",
                    labels=folder / "labels" / f"{token}.npy",
                    images={camera: folder / camera / f"{token}.jpg" for camera in self.cameras},
                )

    def read_points(self, i: int) -> np.ndarray:
        return np.load(self.scan_path(i))

    def read_labels(self, i: int) -> np.ndarray:
        return np.load(self.label_path(i))

    def read_camera(self, i: int, camera: str) -> Camera:
        calibration = self.drives[self.ids[i].sequence][camera]
        return Camera(camera, np.array(calibration["K"]) @ np.array(calibration["T_camera_lidar"])[:3])

    def read_pose(self, i: int) -> list[list[float]]:
        sequence, token = self.ids[i]
        return self.drives[sequence]["poses"][token]
