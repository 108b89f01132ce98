"""SemanticKITTI, and any data set laid out like it: files in, frames out."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from PIL import Image

from elite.data.calibration import decode_text, parse_matrix, read_calibration
from elite.data.scan_layout import layout_fault
from elite.errors import ConfigError, DataError
from elite.files import SCAN_BYTES, TEXT_BYTES, open_image, read_file
from elite.labels import object_ids, split_label, to_train
from elite.layout import CAMERAS, Layout, open_layout, parse_frames, select_sequences
from elite.types import Camera, Frame, Scan

_SCAN_NAME = re.compile(r"\d+\.bin")


def read_points(path: Path) -> Float32[np.ndarray, "n 4"]:
    """x y z remission as stored; NaN and implausible single points pass.

    Raises:
        DataError: the file is missing, not a whole number of float32 quadruples, or its numbers only make sense in
            another layout.
    """
    data = _read(path, "a scan", SCAN_BYTES)
    if (found := layout_fault(data)) is not None:
        raise DataError(
            f"{path}: expected float32 x y z remission (16 bytes a point), found {found}. Convert it: write "
            "points[:, :4] as float32, with remission in 0..1."
        )
    if len(data) % 16:
        raise DataError(
            f"{path} is {len(data)} bytes long, expected a multiple of 16 (float32 x y z remission); "
            "it is truncated, copy it again."
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


def read_labels(
    path: Path, scan_path: Path, points: int, *, remedy: str = "re-extract the labels archive"
) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """(raw semantic ids, instance ids), one each per point of the scan; ``remedy`` ends the error message.

    Raises:
        DataError: missing, truncated, or another number of labels than points.
    """
    data = _read(path, "labels", SCAN_BYTES)
    if len(data) != 4 * points:
        size = len(data) / points if points else 0
        if size in (1, 2, 8):
            raise DataError(
                f"{path}: expected uint32 labels (4 bytes a point), found {size:g} bytes for each of the {points} "
                f"points of {scan_path}. Write them as uint32."
            )
        raise DataError(f"{path} has {len(data) / 4:g} labels but {scan_path} has {points} points; {remedy}.")
    return split_label(np.frombuffer(data, "<u4"))


def read_cameras(path: Path, names: Sequence[str]) -> tuple[Camera, ...]:
    """The named cameras (image_2, image_3, ...) of a calib.txt: P_k @ Tr.

    Raises:
        DataError: a matrix is missing or impossible; see ``elite.data.calibration``.
    """
    calibration = read_calibration(path, _read(path, "calibration", TEXT_BYTES))
    T_cam_velo = np.vstack([calibration.T_cam_velo, (0, 0, 0, 1)])
    return tuple(Camera(name, _frozen(calibration.projection(CAMERAS[name]) @ T_cam_velo)) for name in names)


def read_cam_velo(path: Path) -> Float[np.ndarray, "3 4"]:
    """T_cam0_velo of a calib.txt.

    Raises:
        DataError: it is missing or impossible.
    """
    return read_calibration(path, _read(path, "calibration", TEXT_BYTES)).T_cam_velo


def read_poses(path: Path) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_cam0 of every frame of a sequence."""
    lines = decode_text(_read(path, "poses", TEXT_BYTES), path).splitlines()
    rows = [parse_matrix(line, f"line {i + 1} of {path}") for i, line in enumerate(lines) if line.strip()]
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
        return np.asarray(_upright(through.convert("RGB"), image))


# EXIF orientation -> what turns the stored pixels upright, as viewers and OpenCV do on reading.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """``pixels`` of ``image`` as its EXIF orientation asks for them."""
    orientation = image.getexif().get(_ORIENTATION) if "exif" in image.info else None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return pixels if turn is None else pixels.transpose(turn)


def _read(path: Path, what: str, limit: int) -> bytes:
    try:
        return read_file(path, limit)
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
                raise ConfigError(f"'{camera}' is no camera; expected some of {', '.join(CAMERAS)}.")
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
        names = {Path(name).stem for name in scans}
        self._note_unused(sequence, "velodyne", entries, names, ".bin")
        self._note_unused(sequence, self.labels_folder, labels, names, ".label")
        for camera, found in images.items():
            self._note_unused(sequence, camera, found, names, ".png")
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
