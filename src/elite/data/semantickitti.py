"""SemanticKITTI, and any data set laid out like it: files in, frames out."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from elite.errors import ConfigError, DataError
from elite.files import open_image
from elite.labels import object_ids, split_label, to_train
from elite.layout import CAMERAS, Layout, open_layout, parse_frames, select_sequences
from elite.types import Camera, Frame, Scan

_LARGEST = 1e9  # of a calibration's or a pose's numbers: their products stay finite
_SCAN_NAME = re.compile(r"\d+\.bin")


def read_points(path: Path) -> Float32[np.ndarray, "n 4"]:
    """x y z remission as stored; only the file's size is checked.

    Raises:
        DataError: the file is missing, or not a whole number of float32 quadruples.
    """
    data = _read(path, "a scan")
    if len(data) % 16:
        raise DataError(
            f"{path} is {len(data)} bytes long, expected a multiple of 16 (float32 x y z remission); "
            "it is truncated or of another format, copy it again."
        )
    return np.frombuffer(data, "<f4").reshape(-1, 4)


def read_scan(path: Path) -> Scan:
    """A scan fit for use.

    Raises:
        DataError: unreadable, truncated, empty, or with NaN or infinite numbers.
    """
    values = read_points(path)
    if not len(values):
        raise DataError(f"{path} holds no point, expected at least one; leave the scan out or copy it again.")
    finite = np.isfinite(values)
    if not finite.all():
        bad = int((~finite).any(axis=1).sum())
        raise DataError(
            f"{path} holds {bad} of {len(values)} points with NaN or infinite numbers, expected none; "
            "remove them from the scan and its labels."
        )
    return Scan(np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 3]))


def count_points(scan_path: Path) -> int:
    """Points of a scan, by the size of its file.

    Raises:
        DataError: the file is missing.
    """
    try:
        return scan_path.stat().st_size // 16
    except OSError as error:
        raise _unreadable(scan_path, "a scan", error) from error


def read_labels(path: Path, scan_path: Path, points: int) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """(raw semantic ids, instance ids), one each per point of the scan.

    Raises:
        DataError: missing, truncated, or another number of labels than points.
    """
    data = _read(path, "labels")
    if len(data) != 4 * points:
        raise DataError(
            f"{path} has {len(data) / 4:g} labels but {scan_path} has {points} points; re-extract the labels archive."
        )
    return split_label(np.frombuffer(data, "<u4"))


def read_calibration(path: Path) -> dict[str, Float[np.ndarray, "3 4"]]:
    """Every line ``NAME: 12 numbers`` of a calib.txt, as (3, 4) matrices.

    Raises:
        DataError: missing, or a line without 12 numbers.
    """
    matrices = {}
    for line in _read(path, "calibration").decode(errors="replace").splitlines():
        name, colon, numbers = line.partition(":")
        if not colon:
            continue
        matrices[name.strip()] = _matrix(numbers, f"the line '{name}' of {path}")
    return matrices


def read_cameras(path: Path, names: Sequence[str]) -> tuple[Camera, ...]:
    """The named cameras (image_2, image_3, ...) of a calib.txt: P_k @ Tr.

    Raises:
        DataError: a matrix is missing.
    """
    matrices = read_calibration(path)
    for key in ("Tr", *(CAMERAS[name] for name in names)):
        if key not in matrices:
            raise DataError(
                f"{path} has no line '{key}:', found {sorted(matrices)}; re-extract the calibration archive."
            )
    T_cam_velo = np.vstack([matrices["Tr"], (0, 0, 0, 1)])
    return tuple(Camera(name, _frozen(matrices[CAMERAS[name]] @ T_cam_velo)) for name in names)


def read_poses(path: Path) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_cam0 of every frame of a sequence."""
    lines = _read(path, "poses").decode(errors="replace").splitlines()
    rows = [_matrix(line, f"line {i + 1} of {path}") for i, line in enumerate(lines) if line.strip()]
    poses = np.zeros((len(rows), 4, 4))
    poses[:, 3, 3] = 1
    if rows:
        poses[:, :3] = rows
    return _frozen(poses)


def _frozen(array: np.ndarray) -> np.ndarray:
    """Read-only, since frames share it."""
    array.setflags(write=False)
    return array


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB.

    Raises:
        DataError: missing, damaged, or neither PNG nor JPEG.
    """
    with open_image(path, "PNG", "JPEG", remedy="re-extract the image archive") as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"pixel mode {image.mode}, expected 8 bits a channel")
        through = image.convert("RGBA") if "transparency" in image.info else image
        return np.asarray(through.convert("RGB"))


def _matrix(numbers: str, source: str) -> Float[np.ndarray, "3 4"]:
    try:
        values = np.array([float(x) for x in numbers.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != 12 or not (np.abs(values) < _LARGEST).all():  # nor NaN
        raise DataError(f"{source} should hold 12 numbers, found '{numbers.strip()[:40]}'; re-extract the archive.")
    return values.reshape(3, 4)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, what, error) from error


def _unreadable(path: Path, what: str, error: OSError) -> DataError:
    return DataError(f"{path}: cannot read {what} ({error.strerror}); check the path and the archive.")


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
    without labels or image is legal: the field is None, or the image missing. ``stray_files`` counts what lies
    among the scans and is no scan; ``absent`` lists sequences of a split that are not on disk.

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
                raise ConfigError(f"'{camera}' is no camera; expected some of {', '.join(CAMERAS)}.")
        found = self.layout.found_sequences()
        self.sequences, self.absent = select_sequences(sequences, found, self.layout.root, "scans for sequence")
        self.labels_layout = self.layout_of(labels)
        self.stray_files = 0
        wanted = parse_frames(frames)
        self.index = [entry for sequence in self.sequences for entry in self._index_sequence(sequence, wanted)]
        if not self.index:
            raise DataError(
                f"{self.layout.root} has no scan for sequences {sequences or 'all'}, frames {frames or 'all'}; "
                f"found sequences {', '.join(found) or 'none'}.{self._misnamed()}"
            )

    def _misnamed(self) -> str:
        return (
            f" {self.stray_files} files there are no scans: names are 000000.bin and so on." if self.stray_files else ""
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
        entries = file_names(self.layout.scans(sequence))
        scans = sorted(name[:-4] for name in entries if _SCAN_NAME.fullmatch(name))
        self.stray_files += len(entries) - len(scans)
        labels = file_names(self.labels_layout.sequence(sequence) / self.labels_folder)
        images = {camera: file_names(self.layout.sequence(sequence) / camera) for camera in self.cameras}
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
