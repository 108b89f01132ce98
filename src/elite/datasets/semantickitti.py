"""SemanticKITTI, and any data set in its layout."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from elite.beams import Beams
from elite.datasets.base import Dataset
from elite.datasets.formats import read_cam_velo, read_cameras, read_poses, read_seconds
from elite.datasets.frame_files import list_frames
from elite.datasets.point_label_files import read_point_labels
from elite.datasets.records import FrameTimes, ImageRef, PointLabels, Selection, point_labels
from elite.datasets.scan_files import count_points, read_points, read_rings, read_scan
from elite.datasets.selecting import check_cameras
from elite.datasets.sequence_splits import kitti_splits
from elite.errors import DataError
from elite.layout import (
    CAMERAS,
    DenseFiles,
    Layout,
    open_layout,
    parse_frames,
    parse_sequences,
    select_sequences,
)
from elite.metrics import SEMANTICKITTI_RULE
from elite.sensor import SensorSpec, load_sensor
from elite.shapes import Float32, Float64, Int64, UInt16
from elite.taxonomy import Taxonomy, load_taxonomy
from elite.types import Camera, Scan


class SemanticKITTI(Dataset):
    """Frames of a data set in SemanticKITTI's layout (see ``elite.layout``).

    Args:
        root: folder that contains ``sequences``. Its ``dataset.yaml`` may state other splits than the benchmark's.
        derived: root of generated labels that were written elsewhere (see ``layout_of``).
        taxonomy: classes of the labels; None = those of the single-scan benchmark.
        sensor: LiDAR of the scans; None = that of ``sensor.yaml`` in the root, or KITTI's HDL-64E. Without a stated
            sensor, the occlusion test uses constant patches, as in all earlier results.

    The other arguments are those of ``Selection``.

    Attributes:
        splits: names of the sequences of each split.
        sequences: names of the selected sequences.
        absent: sequences of a selected split that the data set lacks.
        unused: present files that are not read, one line for each kind.
        stray_files: number of files among the scans that are not scans.

    Raises:
        DataError: no data set, or nothing selected.
        ConfigError: an invalid selection, or an unknown camera.
    """

    rule = SEMANTICKITTI_RULE

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        frames: str | None = None,
        labels: str = "labels",
        cameras: Sequence[str] = ("image_2",),
        without: str = "none",
        frame_files: Literal["scans", "images"] = "scans",
        derived: Path | None = None,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
    ) -> None:
        self.taxonomy = taxonomy or load_taxonomy("semantickitti")
        self.layout = open_layout(root)
        self.splits = kitti_splits(self.layout.root)
        stated = sensor or (load_sensor(self.layout.sensor) if self.layout.sensor.exists() else None)
        self.sensor, self._has_beams = stated or load_sensor("hdl-64e"), stated is not None
        self.derived_layout = None if derived is None else open_derived(derived)
        self._open(Selection(sequences, frames, labels, tuple(cameras), without, frame_files))

    def _open(self, selection: Selection) -> None:
        """Check the selection and list its frames."""
        self.selection, self.cameras = selection, selection.cameras
        check_cameras(selection, CAMERAS)
        by_scan = selection.frame_files == "scans"
        found = self.layout.sequences_with("velodyne" if by_scan else "")
        named, self.absent = select_sequences(
            selection.sequences, found, self.layout.root, "scans for sequence" if by_scan else "sequence", self.splits
        )
        excluded = () if selection.without == "none" else parse_sequences(selection.without, found, self.splits)
        self.sequences = tuple(sequence for sequence in named if sequence not in excluded)
        self._layouts: dict[str, Layout] = {}
        self.labels_layout = self.layout_of(selection.labels)
        wanted = parse_frames(selection.frames)
        files = [list_frames(self.layout, self.labels_layout, s, selection, wanted) for s in self.sequences]
        self._files = [frame for sequence in files for frame in sequence.frames]
        self.ids = [frame.id for frame in self._files]
        self.unused = [line for sequence in files for line in sequence.unused]
        self.stray_files = sum(sequence.stray_files for sequence in files)
        if not self.ids:
            raise self._nothing_selected(found)

    def _nothing_selected(self, found: tuple[str, ...]) -> DataError:
        by_scan = self.selection.frame_files == "scans"
        files = "a scan" if by_scan else f"an image {' or '.join(self.cameras)}/N.png"
        return DataError(
            f"{self.layout.root}: expected {files} for sequences {self.selection.sequences or 'all'}"
            f"{'' if self.selection.without == 'none' else f' without {self.selection.without}'}, frames "
            f"{self.selection.frames or 'all'}, found no such file in the sequences {', '.join(found) or '(none)'}. "
            f"Check the archive and the selection.{''.join(f' {line}.' for line in self.unused)}"
        )

    def scan_path(self, i: int) -> Path:
        return self.layout.scan(*self.ids[i])

    def scan(self, i: int) -> Scan:
        return read_scan(self.scan_path(i), self.sensor)

    @property
    def label_files(self) -> str:
        return str(self.labels_layout.labels("*", "*", self.selection.labels))

    def label_path(self, i: int) -> Path:
        return self.labels_layout.labels(*self.ids[i], self.selection.labels)

    def stored_points(self, i: int) -> Float32[np.ndarray, "n 4"]:
        return read_points(self.scan_path(i), self.sensor)

    def count_points(self, i: int) -> int:
        return count_points(self.scan_path(i), self.sensor)

    def rings(self, i: int) -> Int64[np.ndarray, "n"] | None:
        return read_rings(self.scan_path(i), self.sensor)

    def has_labels(self, i: int) -> bool:
        return self._files[i].has_labels

    def labels(self, i: int) -> PointLabels | None:
        if not self.has_labels(i):
            return None
        return point_labels(self.taxonomy, *self._read_labels(i), self.label_path(i))

    def raw_labels(self, i: int) -> UInt16[np.ndarray, "n"]:
        return self._read_labels(i)[0]

    def _read_labels(self, i: int) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
        ids, instances = read_point_labels(self, i)
        if self.sensor.drops_points:
            scan = self.scan(i)
            ids, instances = scan.select(ids), scan.select(instances)
        return ids, instances

    def available_cameras(self) -> tuple[str, ...]:
        return self.layout.cameras_with_images(self.sequences)

    def unselected(self, used: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({*self.layout.found_sequences()} - {*used, *self.splits["test"]}))

    def unused_derived(self, dense_folders: Collection[str]) -> Path | None:
        layouts = [self.labels_layout, *(self.layout_of(folder) for folder in dense_folders)]
        return self.derived_layout.root if self.derived_layout and self.derived_layout not in layouts else None

    def image_cameras(self, i: int) -> tuple[str, ...]:
        return self._files[i].cameras

    def images(self, i: int) -> tuple[ImageRef, ...]:
        return tuple(ImageRef(camera, self.layout.image(*self.ids[i], camera)) for camera in self.image_cameras(i))

    def frame_cameras(self, i: int) -> tuple[Camera, ...]:
        path = self.layout.calibration(self.ids[i].sequence)
        if not self.cameras or not (self.image_cameras(i) or path.exists()):
            return ()
        cameras = _cached_cameras(path, self.cameras)
        return tuple(replace(c, projection=c.projection @ self.sensor.from_ours) for c in cameras)

    def calibration_path(self, i: int) -> Path | None:
        return self.layout.calibration(self.ids[i].sequence)

    @property
    def beams(self) -> Beams | None:
        return self.sensor.beams if self._has_beams else None

    def pose(self, i: int) -> Float64[np.ndarray, "4 4"] | None:
        """Return T_world_sensor: T_world_cam0 of poses.txt times T_cam0_sensor of calib.txt."""
        sequence, name = self.ids[i]
        path, calibration = self.layout.poses(sequence), self.layout.calibration(sequence)
        if not (path.exists() and calibration.exists()):
            return None
        poses = _cached_poses(path)
        if int(name) >= len(poses):
            raise DataError(
                f"{path}: expected at least {int(name) + 1} poses, since the sequence has a scan {name}, found "
                f"{len(poses)}. Copy poses.txt again."
            )
        return poses[int(name)] @ _cached_cam_velo(calibration) @ self.sensor.from_ours

    def times(self, i: int) -> FrameTimes | None:
        sequence, name = self.ids[i]
        path = self.layout.times(sequence)
        seconds = _cached_seconds(path) if path.exists() else ()
        return FrameTimes(float(seconds[int(name)])) if int(name) < len(seconds) else None

    def derived(self, i: int, kind: str, camera: str) -> DenseFiles:
        folder = f"{camera}_{kind}"
        return self.layout_of(folder).dense_files(*self.ids[i], folder)

    def label_record(self, i: int) -> Path:
        return self.labels_layout.dense_files(*self.ids[i], self.selection.labels).record

    def layout_of(self, folder: str) -> Layout:
        """Return the layout that has a folder of labels.

        It is the ``derived`` one if a selected sequence has the folder there. Ground truth (labels, image_2_labels) is
        always that of the data set.
        """
        if folder not in self._layouts:
            self._layouts[folder] = self._find_layout(folder)
        return self._layouts[folder]

    def _find_layout(self, folder: str) -> Layout:
        derived, is_truth = self.derived_layout, folder == "labels" or folder.endswith("_labels")
        if derived is None or is_truth or not any((derived.sequence(s) / folder).is_dir() for s in self.sequences):
            return self.layout
        return derived


_cached_cameras = lru_cache(maxsize=64)(read_cameras)
_cached_poses = lru_cache(maxsize=64)(read_poses)
_cached_seconds = lru_cache(maxsize=64)(read_seconds)
_cached_cam_velo = lru_cache(maxsize=64)(read_cam_velo)


def open_derived(root: Path) -> Layout:
    """Return the layout of a folder that ``elite pseudo-label -o`` wrote.

    Raises:
        DataError: no ``sequences`` folder.
    """
    layout = Layout(root)
    if not layout.sequences.is_dir():
        raise DataError(
            f"{root}: expected a folder that 'elite pseudo-label -o' wrote, found no folder 'sequences' in it. Check "
            "--data.derived."
        )
    return layout
