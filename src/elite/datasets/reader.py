"""Base class of readers: data sets in a format of yours, with one file for the points of each frame."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from elite.datasets.base import Dataset
from elite.datasets.listing import Listing
from elite.datasets.point_label_files import read_point_labels
from elite.datasets.records import FrameFiles, ImageRef, PointLabels, Selection, point_labels
from elite.datasets.selecting import Splits, by_sequence, check_cameras, select_frames
from elite.datasets.stored_values import (
    camera_in_our_axes,
    damaged_files,
    instance_ids,
    point_ids,
    point_rows,
    pose_in_our_axes,
    scan_of_rows,
)
from elite.errors import ConfigError, DataError
from elite.formatting import some_of
from elite.layout import Layout
from elite.metrics import PRESENT_RULE
from elite.paths import expanded
from elite.sensor import SensorSpec
from elite.shapes import Float32, Float64, Int64, Integer, UInt16
from elite.taxonomy import Taxonomy
from elite.types import Camera, Frame, Scan

GENERATED = "elite"  # folder below the root for what the library writes
RawLabels = tuple[Integer[np.ndarray, "n"], UInt16[np.ndarray, "n"]]  # raw ids, instance ids


class Reader(Dataset):
    """Data set whose files a subclass lists and reads.

    A subclass defines ``taxonomy``, ``sensor``, ``list_frames``, ``read_points``, ``read_labels``, and for images
    ``cameras`` and ``read_camera``. Its methods return what the files contain, with columns, axes and ids of the files;
    this class selects and converts. Errors of damaged contents in ``read_...``, such as ``OSError``, ``ValueError`` and
    ``KeyError``, become a ``DataError`` that names the file.

    Args:
        root: folder of the data set.
        sequences: splits and names of sequences, separated by commas; None = all.
        cameras: names; None = all.
        derived: root of generated labels, in the layout of ``elite.layout``; None = the folder ``elite`` of the root.
        taxonomy: classes of the labels; None = those of the class.
        sensor: LiDAR of the scans; None = that of the class.

    The other arguments are those of ``Selection``.

    Attributes:
        cameras: names of the cameras: all of them in the class, the selected ones in an instance.
        splits: names of sequences by split. Training selects ``train`` and ``valid`` by default.
        root: folder of the data set.
        files: existing files of each selected frame.

    Raises:
        DataError: no frames, or none selected.
        ConfigError: an invalid selection, an unknown camera, or a subclass that lacks a part.
    """

    rule = PRESENT_RULE
    cameras = ()
    splits: Splits = MappingProxyType({})
    root: Path
    files: list[FrameFiles]

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        frames: str | None = None,
        labels: str = "labels",
        cameras: Iterable[str] | None = None,
        without: str = "none",
        frame_files: Literal["scans", "images"] = "scans",
        derived: Path | None = None,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
    ) -> None:
        if taxonomy is not None:
            self.taxonomy = taxonomy
        if sensor is not None:
            self.sensor = sensor
        self._require_parts()
        self.root = expanded(root)
        self.layout = Layout((self.root / GENERATED if derived is None else expanded(derived)).absolute())
        self._all_cameras = self.cameras
        with damaged_files(self.root, f"a data set for {type(self).__name__}"):
            self._listed = by_sequence(self.list_frames(), self.root)
        chosen = self.cameras if cameras is None else tuple(cameras)
        self._open(Selection(sequences, frames, labels, chosen, without, frame_files))

    # ---- defined by a subclass ----

    @abstractmethod
    def list_frames(self) -> Iterable[FrameFiles]:
        """List all frames of the data set, each sequence in the order of time."""

    def read_points(self, i: int) -> ArrayLike:
        """Read the points of a frame: (n, columns) numbers in the columns of ``sensor``.

        A subclass that replaces ``scan``, ``stored_points``, ``count_points`` and ``rings`` requires no such method.
        """
        raise NotImplementedError

    @abstractmethod
    def read_labels(self, i: int) -> ArrayLike:
        """Read the labels of the points of a frame that has some: (n,) ids of ``taxonomy``."""

    def read_instances(self, i: int) -> ArrayLike | None:
        """Read the instance ids (0..65535) of the points of a frame, 0 = none; None without such ids."""
        return None

    def read_labels_and_instances(self, i: int) -> tuple[ArrayLike, ArrayLike | None]:
        """Read both at once. A method that reads a file with both of them once may replace this one."""
        return self.read_labels(i), self.read_instances(i)

    def read_camera(self, i: int, camera: str) -> Camera:
        """Read a camera at the time of a frame. Its ``projection`` applies to the points of the file.

        (x, y, z, 1) becomes (u d, v d, d): u pixels to the right and v down, and the depth d in metres.
        """
        raise NotImplementedError

    def read_pose(self, i: int) -> ArrayLike | None:
        """Read the 4 x 4 transform of the points of the file to a map; None without poses."""
        return None

    # ---- selection ----

    def _open(self, selection: Selection) -> None:
        check_cameras(selection, self._all_cameras)
        self.selection, self.cameras = selection, selection.cameras
        chosen, self.absent = select_frames(selection, self._listed, self.splits, self.root)
        listing = Listing(Path())  # paths of frames are not relative to the root
        found = [self._existing(frame, listing) for frames in chosen.values() for frame in frames]
        self.files = [frame for frame in found if self._is_complete(frame, listing)]
        self.ids, self.sequences = [frame.id for frame in self.files], tuple(chosen)
        what = "scan" if selection.frame_files == "scans" else "image"
        missing = len(found) - len(self.files)
        self.unused = (f"{missing} of {len(found)} frames have no {what} and are skipped",) if missing else ()
        if not self.files:
            raise DataError(
                f"{self.root}: expected frames with a {what} in sequences {selection.sequences or 'all'}, frames "
                f"{selection.frames or 'all'}, found none of {len(found)}. Select some of "
                f"{some_of(self._listed)}, or extract the files."
            )

    def _existing(self, frame: FrameFiles, listing: Listing) -> FrameFiles:
        """Return the files of a frame that exist; its labels are those of the selection."""
        labels = frame.labels
        if self.selection.labels != "labels":
            labels = self.layout.labels(*frame.id, self.selection.labels)
        has_labels = labels is not None and listing.has(str(labels))
        images = {camera: path for camera, path in frame.images.items() if listing.has(str(path))}
        return FrameFiles(frame.id, frame.scan, labels if has_labels else None, images)

    def _is_complete(self, frame: FrameFiles, listing: Listing) -> bool:
        if self.selection.frame_files == "images":
            return any(camera in frame.images for camera in self.cameras)
        return listing.has(str(frame.scan))

    def _require_parts(self) -> None:
        """Raises ConfigError if the subclass lacks a part that is not a method of every reader."""
        missing = [name for name in ("taxonomy", "sensor") if not hasattr(self, name)]
        if type(self).read_points is Reader.read_points and type(self).scan is Reader.scan:
            missing.append("read_points")
        if self.cameras and type(self).read_camera is Reader.read_camera:
            missing.append("read_camera")
        if missing:
            parts = " and ".join(missing)
            raise ConfigError(f"{type(self).__name__}: expected a reader with {parts}, found none. Add it.")

    def unselected(self, used: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({*self._listed} - {*used, *self.splits.get("test", ())}))

    # ---- scans and labels ----

    def scan_path(self, i: int) -> Path:
        return self.files[i].scan

    def scan(self, i: int) -> Scan:
        return scan_of_rows(self._rows(i), self.sensor, self.scan_path(i))

    def stored_points(self, i: int) -> Float32[np.ndarray, "n 4"]:
        rows = self._rows(i)
        return np.column_stack([self.sensor.points_of(rows), self.sensor.remission_of(rows)])

    def count_points(self, i: int) -> int:
        """Count the points of the scan by reading it. A faster method may replace this one."""
        return len(self._rows(i))

    def rings(self, i: int) -> Int64[np.ndarray, "n"] | None:
        return self.sensor.rings_of(self._rows(i)) if "ring" in self.sensor.columns else None

    def _rows(self, i: int) -> Float32[np.ndarray, "n columns"]:
        path = self.scan_path(i)
        with damaged_files(path, "a scan"):
            found = np.asarray(self.read_points(i))
        return point_rows(found, self.sensor, path)

    def has_labels(self, i: int) -> bool:
        return self.files[i].labels is not None

    @property
    def label_files(self) -> str:
        return super().label_files if self.selection.labels != "labels" else "FrameFiles.labels of list_frames"

    def label_path(self, i: int) -> Path:
        path = self.files[i].labels
        assert path is not None  # the frame has labels
        return path

    def labels(self, i: int) -> PointLabels | None:
        if not self.has_labels(i):
            return None
        return point_labels(self.taxonomy, *self._raw_labels(i), self.label_path(i))

    def raw_labels(self, i: int) -> Integer[np.ndarray, "n"]:
        return self._raw_labels(i)[0]

    def _raw_labels(self, i: int) -> RawLabels:
        """Raw ids and instance ids of the points of the scan."""
        found = self._stored_labels(i)
        if not self.sensor.drops_points:
            return found
        scan = self.scan(i)
        if len(found[0]) != scan.stored:
            raise self._other_count(i, scan.stored, len(found[0]))
        return scan.select(found[0]), scan.select(found[1])

    def _stored_labels(self, i: int) -> RawLabels:
        """Read raw ids and instance ids of the points of the file. Generated labels are in SemanticKITTI's format."""
        if self.selection.labels != "labels":
            return read_point_labels(self, i)
        path = self.label_path(i)
        with damaged_files(path, "labels"):
            labels, instances = self.read_labels_and_instances(i)
            labels = np.asarray(labels)
            instances = np.zeros(labels.shape, np.uint16) if instances is None else np.asarray(instances)
        raw = point_ids(labels, path)
        return raw, instance_ids(instances, len(raw), path)

    def frame(self, i: int, cameras: Sequence[str] | None = None) -> Frame:
        frame = super().frame(i, cameras)
        if frame.labels is not None and len(frame.labels) != len(frame.scan):
            raise self._other_count(i, len(frame.scan), len(frame.labels))
        return frame

    def _other_count(self, i: int, points: int, labels: int) -> DataError:
        return DataError(
            f"{self.label_path(i)}: expected {points} labels, one for each point of {self.scan_path(i)}, found "
            f"{labels}. Extract both files again."
        )

    # ---- cameras ----

    def available_cameras(self) -> tuple[str, ...]:
        return tuple(camera for camera in self._all_cameras if any(camera in frame.images for frame in self.files))

    def image_cameras(self, i: int) -> tuple[str, ...]:
        return tuple(camera for camera in self.cameras if camera in self.files[i].images)

    def images(self, i: int) -> tuple[ImageRef, ...]:
        return tuple(ImageRef(camera, self.files[i].images[camera]) for camera in self.image_cameras(i))

    def frame_cameras(self, i: int) -> tuple[Camera, ...]:
        return tuple(self._camera(i, name) for name in self.image_cameras(i))

    def _camera(self, i: int, name: str) -> Camera:
        source = f"camera {name} of {self.ids[i]}"
        with damaged_files(source, "a calibration"):
            found = self.read_camera(i, name)
        return camera_in_our_axes(replace(found, name=name), self.sensor, source)

    def pose(self, i: int) -> Float64[np.ndarray, "4 4"] | None:
        source = f"pose of {self.ids[i]}"
        with damaged_files(source, "a pose"):
            found = self.read_pose(i)
            found = None if found is None else np.asarray(found)
        return None if found is None else pose_in_our_axes(found, self.sensor, source)
