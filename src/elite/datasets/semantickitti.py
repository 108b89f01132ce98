"""SemanticKITTI, and any data set laid out like it: files in, frames out."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from elite.datasets.formats import count_points, read_cameras, read_image, read_labels, read_poses, read_scan
from elite.errors import ConfigError, DataError
from elite.labels import object_ids, to_train
from elite.layout import CAMERAS, Layout, open_layout, parse_frames, select_sequences
from elite.types import Camera, Frame

_SCAN_NAME = re.compile(r"\d+\.bin")


@dataclass(frozen=True)
class FrameIndex:
    """One entry of the index: which frame, and what lies beside its scan."""

    sequence: str
    name: str
    has_labels: bool
    images: tuple[str, ...]


class SemanticKITTI:
    """The frames of some sequences, read when asked for.

    ``sequences`` is a selection (``"train"``, ``"00,08"``, ``"0-7"``), ``frames`` another within each sequence
    (``"0-2"``); ``labels`` names the label folder, ``cameras`` the image folders (none = LiDAR only), and ``poses``
    asks for poses.txt to be read. ``derived`` is another root, for generated labels (see ``layout_of``). A frame
    without labels or image is legal: the field is None, or the image missing.

    Attributes:
        absent: sequences of a split that are not on disk.
        unused: files that are present and not read, one line each.
        stray_files: how many of them lie among the scans.

    Raises:
        DataError: no such data, or nothing selected.
        ConfigError: a selection or camera that cannot be understood.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        frames: str | None = None,
        labels: str = "labels",
        cameras: Sequence[str] = ("image_2",),
        poses: bool = False,
        derived: Path | None = None,
    ) -> None:
        self.layout = open_layout(root)
        self.derived = None if derived is None else open_derived(derived)
        self.labels_folder = labels
        self.cameras = tuple(cameras)
        self.poses = poses
        for camera in self.cameras:
            if camera not in CAMERAS:
                raise ConfigError(f"'{camera}' is not a camera; expected some of {', '.join(CAMERAS)}.")
        found = self.layout.found_sequences()
        self.sequences, self.absent = select_sequences(sequences, found, self.layout.root, "scans for sequence")
        self.labels_layout = self.layout_of(labels)
        self.stray_files = 0
        self.unused: list[str] = []
        wanted = parse_frames(frames)
        self.index = [entry for sequence in self.sequences for entry in self._index_sequence(sequence, wanted)]
        if not self.index:
            raise DataError(
                f"{self.layout.root} has no scan for sequences {sequences or 'all'}, frames {frames or 'all'}; "
                f"found sequences {', '.join(found) or 'none'}.{''.join(f' {line}.' for line in self.unused)}"
            )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Frame:
        return self.read(i, self.index[i].images)

    def read(self, i: int, images: Sequence[str]) -> Frame:
        """A frame with some of its images only."""
        entry = self.index[i]
        scan = read_scan(self.scan_path(i))
        labels, objects = self._labels(entry, len(scan))
        return Frame(
            sequence=entry.sequence,
            name=entry.name,
            scan=scan,
            labels=labels,
            objects=objects,
            pose=self._pose(entry),
            cameras=self._cameras(entry),
            images={c: read_image(self.layout.image(entry.sequence, entry.name, c)) for c in images},
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))

    def scan_path(self, i: int) -> Path:
        return self.layout.scan(self.index[i].sequence, self.index[i].name)

    def label_path(self, i: int) -> Path:
        return self._label_path(self.index[i])

    def _label_path(self, entry: FrameIndex) -> Path:
        return self.labels_layout.labels(entry.sequence, entry.name, self.labels_folder)

    def layout_of(self, folder: str) -> Layout:
        """Where a folder of labels is: below ``derived`` if a selected sequence has it there, else in the data set.

        True labels (labels, image_2_labels) are always those of the data set.
        """
        derived, is_true = self.derived, folder == "labels" or folder.endswith("_labels")
        if derived is None or is_true or not any((derived.sequence(s) / folder).is_dir() for s in self.sequences):
            return self.layout
        return derived

    def read_labels(self, i: int) -> UInt8[np.ndarray, "n"]:
        """Train ids of a labelled frame, without reading its scan."""
        path, scan = self.label_path(i), self.scan_path(i)
        raw, _ = read_labels(path, scan, count_points(scan))
        return to_train(raw, source=path)

    def labelled(self) -> list[int]:
        """Positions of the frames that have a label file."""
        return [i for i, entry in enumerate(self.index) if entry.has_labels]

    def _index_sequence(self, sequence: str, wanted: frozenset[int] | None) -> list[FrameIndex]:
        files = file_names(self.layout.scans(sequence))
        scans = sorted(name[:-4] for name in files if _SCAN_NAME.fullmatch(name))
        self.stray_files += len(files) - len(scans)
        labels = file_names(self.labels_layout.sequence(sequence) / self.labels_folder)
        images = {camera: file_names(self.layout.sequence(sequence) / camera) for camera in self.cameras}
        names = set(scans)
        self._note_unused(sequence, "velodyne", files, names, ".bin")
        self._note_unused(sequence, self.labels_folder, labels, names, ".label")
        for camera in images:
            self._note_unused(sequence, camera, images[camera], names, ".png")
        return [
            FrameIndex(
                sequence,
                name,
                f"{name}.label" in labels,
                tuple(camera for camera, files in images.items() if f"{name}.png" in files),
            )
            for name in scans
            if wanted is None or int(name) in wanted
        ]

    def _note_unused(self, sequence: str, folder: str, files: set[str], scans: set[str], suffix: str) -> None:
        """Files of another type or name than is read, and files that belong to no scan."""
        read = {name for name in files if name.endswith(suffix) and name.removesuffix(suffix).isdecimal()}
        if odd := sorted(name for name in files - read if not name.startswith(".")):
            self.unused.append(
                f"{sequence}/{folder}: {len(odd)} files are not read ({odd[0]}, ...); expected names such as "
                f"000000{suffix}"
            )
        if alone := sorted(name for name in read if name.removesuffix(suffix) not in scans):
            self.unused.append(f"{sequence}/{folder}: {len(alone)} files have no scan ({alone[0]}, ...)")

    def _labels(self, entry: FrameIndex, points: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        if not entry.has_labels:
            return None, None
        path = self._label_path(entry)
        raw, instance = read_labels(path, self.layout.scan(entry.sequence, entry.name), points)
        labels = to_train(raw, source=path)
        return labels, object_ids(labels, instance)

    def _cameras(self, entry: FrameIndex) -> tuple[Camera, ...]:
        """Cameras are read if this frame has an image, or if there is a calibration anyway."""
        path = self.layout.calibration(entry.sequence)
        if not self.cameras or not (entry.images or path.exists()):
            return ()
        return _cached_cameras(path, self.cameras)

    def _pose(self, entry: FrameIndex) -> np.ndarray | None:
        path = self.layout.poses(entry.sequence)
        if not self.poses or not path.exists():
            return None
        poses = _cached_poses(path)
        if int(entry.name) >= len(poses):
            raise DataError(
                f"{path} has {len(poses)} poses but the sequence has a scan {entry.name}; copy poses.txt again."
            )
        return poses[int(entry.name)]


_cached_cameras = lru_cache(maxsize=64)(read_cameras)
_cached_poses = lru_cache(maxsize=64)(read_poses)


def open_derived(root: Path) -> Layout:
    """The layout of a folder that ``elite pseudo-label --out`` wrote.

    Raises:
        DataError: no ``sequences`` folder there.
    """
    layout = Layout(root)
    if not layout.sequences.is_dir():
        raise DataError(
            f"{root}: expected a folder that 'elite pseudo-label --out' wrote, found no folder 'sequences' in it. "
            "Check --data.derived."
        )
    return layout


def file_names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(
            f"{folder}: cannot list the folder ({error.strerror}); expected a folder of files, check the archive."
        ) from error
