"""Reader of data sets that a ``dataset.yaml`` describes."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from elite.config import GridConfig
from elite.datasets.described.description import load_description
from elite.datasets.described.id_files import read_ids
from elite.datasets.described.listing import SequenceListing, find_sequences, list_sequence
from elite.datasets.described.poses import PoseTable, read_pose_table
from elite.datasets.formats import read_cameras
from elite.datasets.reader import GENERATED, Reader
from elite.datasets.records import FrameFiles, FrameTimes
from elite.datasets.scan_files import count_points, read_field, read_points, read_rings, read_scan
from elite.datasets.sequence_splits import states_kitti_splits
from elite.errors import DataError
from elite.layout import DESCRIPTION
from elite.paths import expanded
from elite.sensor import SensorSpec
from elite.shapes import Float64, Int64
from elite.taxonomy import Taxonomy
from elite.types import Camera, Scan


def description_path(root: Path) -> Path | None:
    """Return the description of a data set, given by its path or by its folder; None if there is none."""
    if root.suffix in (".yaml", ".yml"):
        return root if root.is_file() else None
    return path if (path := root / DESCRIPTION).is_file() else None


def is_described(root: Path) -> bool:
    """Return whether a path is a YAML file, or a folder with a ``dataset.yaml``, that describes files of any layout."""
    path = description_path(root)
    return path is not None and not states_kitti_splits(path)


def described_taxonomy(root: Path) -> Taxonomy:
    """Return the classes of a described data set."""
    return load_description(_require_description(root))[2]


def described_cameras(root: Path) -> tuple[str, ...]:
    """Return the names of the cameras of a described data set."""
    return tuple(load_description(_require_description(root))[0].cameras)


def described_grid(root: Path) -> GridConfig:
    """Return the student's volume and cells in a description."""
    return load_description(_require_description(root))[0].volume


def _require_description(root: Path) -> Path:
    if (path := description_path(root)) is None:
        raise DataError(f"{root}: expected a YAML file or a folder with {DESCRIPTION}, found neither. Check the path.")
    return path


class Described(Reader):
    """Data set in files of one's own, which a YAML file describes.

    Args:
        root: the YAML file, or a folder with ``dataset.yaml``.
        taxonomy, sensor: instead of those of the description.
        **options: arguments of ``Reader``.

    Attributes:
        description: contents of the file.

    Raises:
        ConfigError: an impossible description; the message has the line.
        DataError: files or folders that it names are missing.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
        **options: Any,
    ) -> None:
        path = _require_description(expanded(root))
        self.description, self.sensor, self.taxonomy = load_description(path)
        self.cameras = tuple(self.description.cameras)
        self._folders, splits = find_sequences(self.description, GENERATED)
        self.splits = splits | {"val": splits["valid"]}  # the key of the file, and the name of other data sets
        self._listings: dict[str, SequenceListing] = {}
        self._pose_tables: dict[str, PoseTable] = {}
        super().__init__(self.description.path, sequences, taxonomy=taxonomy, sensor=sensor, **options)
        self.unused = (*self.unused, *self._incomplete())
        self.unlabelled = tuple(self._without_labels())

    def list_frames(self) -> Iterable[FrameFiles]:
        for name, folder in self._folders.items():
            self._listings[name] = list_sequence(self.description, name, folder)
            yield from self._listings[name].frames

    def _by_sequence(self) -> Iterator[tuple[str, list[FrameFiles]]]:
        for sequence, frames in groupby(self.files, key=lambda frame: frame.id.sequence):
            yield sequence, list(frames)

    def _without_labels(self) -> Iterator[str]:
        in_splits = {name for split, names in self.splits.items() if split != "test" for name in names}
        if (pattern := self.description.scans.labels) is None or self.selection.labels != "labels":
            return
        for sequence, frames in self._by_sequence():
            without = [frame.id.name for frame in frames if frame.labels is None]
            if without and sequence in in_splits:
                file = pattern.replace("*", without[0])
                yield f"{sequence}: {len(without)} of {len(frames)} scans have no labels ({file}, ...)"

    def _incomplete(self) -> Iterator[str]:
        """Describe the images that scans lack, and absent poses."""
        for sequence, frames in self._by_sequence():
            poses = self.description.poses
            if poses is not None and not (self._folders[sequence] / poses).exists():
                yield f"{sequence}: no poses ({poses})"
            for camera in self.cameras:
                without = [frame.id.name for frame in frames if camera not in frame.images]
                if without:
                    yield f"{sequence}: {len(without)} of {len(frames)} scans have no image of {camera} " + (
                        f"within {self.description.sync.tolerance:g} s"
                        if self.description.cameras[camera].times and self._listings[sequence].scan_times
                        else f"({self.description.cameras[camera].images.replace('*', without[0])}, ...)"
                    )

    @cached_property
    def _row(self) -> dict[tuple[str, str], int]:
        """Number of each scan in its sequence."""
        return {frame.id: i for listing in self._listings.values() for i, frame in enumerate(listing.frames)}

    # ---- scans and labels ----

    @property
    def label_files(self) -> str:
        pattern = self.description.scans.labels
        if self.selection.labels != "labels":
            return super().label_files
        if pattern is None:
            return f"none, since {self.description.path} has no 'scans: {{labels: PATTERN}}'"
        own = self.description.scans.label_field is None
        return str(self._folders[self.sequences[0]] / pattern) if own else f"'{pattern}' of the scans"

    def stored_points(self, i: int) -> np.ndarray:
        return read_points(self.scan_path(i), self.sensor)

    def scan(self, i: int) -> Scan:
        return read_scan(self.scan_path(i), self.sensor)

    def count_points(self, i: int) -> int:
        return count_points(self.scan_path(i), self.sensor)

    def rings(self, i: int) -> Int64[np.ndarray, "n"] | None:
        return read_rings(self.scan_path(i), self.sensor)

    def read_labels(self, i: int) -> ArrayLike:
        return self.read_labels_and_instances(i)[0]

    def read_labels_and_instances(self, i: int) -> tuple[ArrayLike, ArrayLike | None]:
        """Read both: a .label file has instances too, unless the description names other files for them."""
        scans = self.description.scans
        labels, instances = self._ids(i, self.label_path(i), scans.label_field)
        if scans.instances is not None:
            path = self._listings[self.ids[i].sequence].folder / scans.instances.replace("*", self.ids[i].name)
            instances = self._ids(i, path, scans.instance_field)[0]
        return labels, instances

    def _ids(self, i: int, path: Path, field: str | None) -> tuple[np.ndarray, np.ndarray | None]:
        if field is not None:
            return read_field(self.scan_path(i), self.sensor, field), None
        return read_ids(path, self.scan_path(i), self.count_points(i))

    # ---- cameras and poses ----

    def read_camera(self, i: int, camera: str) -> Camera:
        settings, (sequence, name) = self.description.cameras[camera], self.ids[i]
        if settings.calibration is not None:
            path = self._listings[sequence].folder / settings.calibration.replace("*", name)
            still = read_cameras(path, ("image_2",))[0].projection
            return Camera(camera, still @ self._motion(i, camera))
        lens, transform = settings.lens, settings.transform @ self._motion(i, camera)
        return Camera(camera, lens.K @ transform[:3], lens if lens.is_distorted else None)

    def _motion(self, i: int, camera: str) -> Float64[np.ndarray, "4 4"]:
        """Transform of the points of the scan to the LiDAR at the time of the image."""
        sequence, name = self.ids[i]
        listing, table = self._listings[sequence], self._poses(sequence)
        time = listing.image_times.get(camera, {}).get(name)
        if table is None or time is None:
            return np.eye(4)
        table = table.timed([listing.scan_times[frame.id.name] for frame in listing.frames])
        return np.linalg.inv(table.at(time)) @ table.at(listing.scan_times[name])

    def read_pose(self, i: int) -> ArrayLike | None:
        sequence, name = self.ids[i]
        if (table := self._poses(sequence)) is None:
            return None
        return table.of(self._row[self.ids[i]], self._listings[sequence].scan_times.get(name))

    def times(self, i: int) -> FrameTimes | None:
        sequence, name = self.ids[i]
        listing = self._listings[sequence]
        if name not in listing.scan_times:
            return None
        images = {camera: times[name] for camera, times in listing.image_times.items() if name in times}
        return FrameTimes(listing.scan_times[name], images)

    def _poses(self, sequence: str) -> PoseTable | None:
        if self.description.poses is None:
            return None
        if sequence not in self._pose_tables:
            path = self._listings[sequence].folder / self.description.poses
            if not path.exists():
                return None
            table = read_pose_table(path)
            table.require_scans(len(self._listings[sequence].frames))
            self._pose_tables[sequence] = table
        return self._pose_tables[sequence]
