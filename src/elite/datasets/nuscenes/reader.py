"""nuScenes with the labels of nuScenes-lidarseg."""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.listing import Listing
from elite.datasets.nuscenes import files, poses
from elite.datasets.nuscenes.folders import read_scene_names, table_folders
from elite.datasets.nuscenes.splits import existing, select_scenes, splits
from elite.datasets.nuscenes.table_cache import open_tables
from elite.datasets.nuscenes.tables import CAMERAS, CHANNELS, Tables
from elite.datasets.past_scans import PastScan
from elite.datasets.point_label_files import read_point_labels
from elite.datasets.records import FrameId, FrameTimes, ImageRef, PointLabels, Selection, object_ids
from elite.datasets.scan_files import count_points, read_points, read_rings, read_scan
from elite.datasets.selecting import check_cameras
from elite.errors import ConfigError, DataError
from elite.geometry import moved
from elite.layout import Layout, parse_frames
from elite.metrics import NUSCENES_RULE
from elite.paths import expanded
from elite.sensor import SensorSpec, load_sensor
from elite.shapes import Float32, Float64, Int64, UInt16, UInt32
from elite.taxonomy import Taxonomy, load_taxonomy
from elite.types import Camera, Scan

_DERIVED = "elite"  # folder below the root for what the library writes
_MOST_SWEEPS = 10  # past ones, 0.5 s: the limit of the challenge
_NEAR = 2.7  # metres: points of the car itself and missing returns, which would leave a trace in moved sweeps


class _Keyframe(NamedTuple):
    """A row of tables, and the properties that depend on files."""

    tables: Tables
    row: int
    label: str  # path below the root; "" = none
    panoptic: str  # likewise
    cameras: tuple[str, ...]


class NuScenes(Dataset):
    """Keyframes of nuScenes, by scene and by the sample_data token of their scan.

    Axes are turned to x forward, y left, z up, and intensities scaled to 0..1. Objects come from the panoptic labels.
    Projections include the motion of the car between the times of scan and image.

    Args:
        root: folder that contains ``samples`` and folders of tables such as ``v1.0-trainval``.
        sequences: splits (train, val, test, mini_train, mini_val) and scenes, separated by commas; None = all.
        frames: numbers of the keyframes within each scene.
        labels: ``labels`` for lidarseg, otherwise the name of a folder below ``derived``.
        cameras: names such as CAM_FRONT; None = all six.
        derived: root of generated labels, in the layout of ``elite.layout``; None = the folder ``elite`` of the root.
        sweeps: past scans between keyframes to append, moved into the keyframe; their points have no labels.
        taxonomy: classes of the labels; None = those of the nuScenes-lidarseg challenge.
        sensor: LiDAR of the scans; only the HDL-32E of nuScenes is possible.

    The other arguments are those of ``Selection``.

    Attributes:
        sequences: names of the selected scenes.
        absent: scenes of a selected split that the tables lack.
        unused: files that the tables name and the root lacks, one line for each kind. Keyframes without a scan are not
            part of the data set.
        keyframes: number of keyframes of the selected scenes, those without a scan too.

    Raises:
        DataError: no tables, or damaged ones; nothing selected.
        ConfigError: an invalid selection, an unknown camera, or another sensor.
    """

    rule = NUSCENES_RULE

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        frames: str | None = None,
        labels: str = "labels",
        cameras: Sequence[str] | None = None,
        without: str = "none",
        frame_files: Literal["scans", "images"] = "scans",
        derived: Path | None = None,
        sweeps: int = 0,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
    ) -> None:
        self.taxonomy = taxonomy or load_taxonomy("nuscenes-lidarseg")
        self.sensor = load_sensor("nuscenes-hdl-32e")
        if sensor not in (None, self.sensor):
            raise ConfigError(
                f"sensor: expected {self.sensor.name}, which is part of the format of nuScenes, found {sensor.name}. "
                "Remove the setting."
            )
        self.root = expanded(root)
        self.layout = Layout((self.root / _DERIVED if derived is None else expanded(derived)).absolute())
        _require_sweeps("sweeps", sweeps)
        self.sweeps, self.stray_files = sweeps, 0
        self._scenes = {folder.name: read_scene_names(folder) for folder in table_folders(self.root)}
        self._tables: dict[str, Tables] = {}
        chosen = CAMERAS if cameras is None else tuple(cameras)
        self._open(Selection(sequences, frames, labels, chosen, without, frame_files))

    def _open(self, selection: Selection) -> None:
        """Check the selection and list its keyframes."""
        self.selection, self.cameras = selection, selection.cameras
        check_cameras(selection, CAMERAS)
        folders, self.absent = select_scenes(selection.sequences, self._scenes, self.root)
        if selection.without != "none":
            excluded, unknown = select_scenes(selection.without, self._scenes, self.root)
            folders = {scene: folders[scene] for scene in folders if scene not in {*excluded, *unknown}}
        self.sequences = tuple(folders)
        listing = Listing(self.root)
        wanted = parse_frames(selection.frames)
        rows = [row for scene, folder in folders.items() for row in self._rows(folder, scene, wanted)]
        self.keyframes = len(rows)
        found = [(row, self._keyframe(*row, listing)) for row in rows]
        self._frames = [keyframe for _, keyframe in found if keyframe is not None]
        self.ids = [FrameId(_scene(k), _text(k.tables.tokens[k.row])) for k in self._frames]
        self.unused = listing.missing()
        if not self.ids:
            raise self._nothing_selected()

    def _rows(self, folder: str, scene: str, wanted: frozenset[int] | None) -> Iterator[tuple[Tables, int]]:
        if folder not in self._tables:
            self._tables[folder] = open_tables(self.root / folder)
        tables = self._tables[folder]
        number = int(np.flatnonzero(tables.scenes == scene.encode())[0])
        first, end = np.searchsorted(tables.scene_of_frame, [number, number + 1])
        return ((tables, row) for row in range(first, end) if wanted is None or row - first in wanted)

    def _keyframe(self, tables: Tables, row: int, listing: Listing) -> _Keyframe | None:
        """Return a keyframe with the files that exist; None without a scan (or image, if these make a frame)."""
        names = tables.keyframes.files[row]
        cameras = tuple(c for c in self.cameras if listing.has(_text(names[CHANNELS.index(c)])))
        has_scan = listing.has(_text(names[0]))
        if not (cameras if self.selection.frame_files == "images" else has_scan):
            return None
        panoptic = _text(tables.panoptic[row])
        return _Keyframe(
            tables, row, self._label_file(tables, row, listing), panoptic if listing.has(panoptic) else "", cameras
        )

    def _label_file(self, tables: Tables, row: int, listing: Listing) -> str:
        if self.selection.labels == "labels":
            name = _text(tables.labels[row])
        else:
            scene, token = _text(tables.scenes[tables.scene_of_frame[row]]), _text(tables.tokens[row])
            name = str(self.layout.labels(scene, token, self.selection.labels))
        return name if listing.has(name) else ""

    def _nothing_selected(self) -> DataError:
        by_scan = self.selection.frame_files == "scans"
        absent, remedy = "", "change the selection"
        if self.absent:
            absent = f" ({', '.join(self._scenes)} lack {len(self.absent)} scenes, such as {self.absent[0]})"
            remedy = f"select some of {existing(self._scenes)}"
        return DataError(
            f"{self.root}: expected keyframes with {'a scan' if by_scan else 'an image'} in "
            f"{self.selection.sequences or 'all scenes'}"
            f"{'' if self.selection.without == 'none' else f' without {self.selection.without}'}, frames "
            f"{self.selection.frames or 'all'}, found none among {self.keyframes} keyframes{absent}. Extract the "
            f"archives with their files, or {remedy}.{''.join(f' {line}.' for line in self.unused)}"
        )

    # ---- scans and labels ----

    def scan_path(self, i: int) -> Path:
        return self._path(self._frames[i], 0)

    def scan(self, i: int) -> Scan:
        scan = read_scan(self.scan_path(i), self.sensor)
        past = [self._moved(i, row) for row in self._past_rows(i, self.sweeps)]
        points, remission = zip((scan.points, scan.remission), *past, strict=True)
        return Scan(np.concatenate(points), np.concatenate(remission)) if past else scan

    def stored_points(self, i: int) -> Float32[np.ndarray, "n 4"]:
        return read_points(self.scan_path(i), self.sensor)

    def count_points(self, i: int) -> int:
        """Count the points of the scan without sweeps: the first ones of ``scan``, and those that predictions need."""
        return count_points(self.scan_path(i), self.sensor)

    def rings(self, i: int) -> Int64[np.ndarray, "n"] | None:
        """Read the rings of the points of the scan without sweeps."""
        return read_rings(self.scan_path(i), self.sensor)

    def label_path(self, i: int) -> Path:
        return self.root / self._frames[i].label

    def raw_labels(self, i: int) -> UInt16[np.ndarray, "n"]:
        return self._read_labels(i)[0]

    def _read_labels(self, i: int) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"] | None]:
        """Read raw ids and, in the layout of ``elite.layout``, instance ids."""
        if self.selection.labels == "labels":
            return files.read_lidarseg(self.label_path(i), self.count_points(i)).astype(np.uint16), None
        return read_point_labels(self, i)

    @property
    def label_files(self) -> str:
        return super().label_files if self.selection.labels != "labels" else f"{self.root}/lidarseg/*/*_lidarseg.bin"

    def has_labels(self, i: int) -> bool:
        return bool(self._frames[i].label)

    def labels(self, i: int) -> PointLabels | None:
        if not self.has_labels(i):
            return None
        raw, objects = self._read_labels(i)
        classes = self.taxonomy.to_train(raw, source=self.label_path(i))
        labels = PointLabels(classes, self._panoptic(i, classes) if objects is None else object_ids(classes, objects))
        past = len(self.scan(i)) - len(classes) if self.sweeps else 0
        return PointLabels(*(np.pad(values, (0, past)) for values in labels))

    def _panoptic(self, i: int, classes: np.ndarray) -> UInt32[np.ndarray, "n"]:
        if not (name := self._frames[i].panoptic):
            return np.zeros(len(classes), np.uint32)
        return object_ids(classes, files.instances_of(files.read_panoptic(self.root / name, len(classes))))

    # ---- cameras ----

    def available_cameras(self) -> tuple[str, ...]:
        return tuple(camera for camera in CAMERAS if any((self.root / "samples" / camera).glob("*.jpg")))

    def unselected(self, used: Collection[str]) -> tuple[str, ...]:
        return tuple(
            sorted({s for scenes in self._scenes.values() for s in scenes} - {*used, *splits()["test"].scenes})
        )

    def image_cameras(self, i: int) -> tuple[str, ...]:
        return self._frames[i].cameras

    def images(self, i: int) -> tuple[ImageRef, ...]:
        keyframe = self._frames[i]
        return tuple(ImageRef(c, self._path(keyframe, CHANNELS.index(c))) for c in keyframe.cameras)

    def frame_cameras(self, i: int) -> tuple[Camera, ...]:
        tables, row = self._frames[i].tables, self._frames[i].row
        T_global_lidar, cameras = self.pose(i), []
        for name in self.cameras:
            column = CHANNELS.index(name)
            sensor = tables.keyframes.sensors[row, column]
            if sensor >= 0:
                T_cam_global = poses.inverse(tables.pose_at(tables.keyframes, (row, column)))
                cameras.append(Camera(name, tables.intrinsics[sensor] @ (T_cam_global @ T_global_lidar)[:3]))
        return tuple(cameras)

    def pose(self, i: int) -> Float64[np.ndarray, "4 4"]:
        """Return T_world_sensor; the world is the map of the location."""
        keyframe = self._frames[i]
        return keyframe.tables.pose_at(keyframe.tables.keyframes, (keyframe.row, 0)) @ self.sensor.from_ours

    # ---- sweeps ----

    def with_past_scans(self, count: int) -> Self:
        _require_sweeps("past_scans", count)
        if count and self.sweeps:
            raise ConfigError(f"past_scans: expected sweeps 0, found {self.sweeps}. Give one of the two.")
        return super().with_past_scans(count)

    def times(self, i: int) -> FrameTimes:
        keyframe = self._frames[i]
        seconds = keyframe.tables.keyframes.times[keyframe.row] / 1e6
        return FrameTimes(float(seconds[0]), {c: float(seconds[CHANNELS.index(c)]) for c in keyframe.cameras})

    def scans_before(self, i: int) -> Iterator[PastScan]:
        """Yield scans between keyframes too: 20 a second."""
        for row in reversed(self._past_rows(i, self.past_scans)):
            yield self._past_scan(i, row)

    def _past_rows(self, i: int, count: int) -> range:
        """Rows of the scans before the keyframe, in its scene; the latest last."""
        tables, row = self._frames[i].tables, self._frames[i].row
        scene = tables.scene_of_frame[row]
        first, end = np.searchsorted(tables.scene_of_scan, [scene, scene + 1])
        now = first + np.searchsorted(tables.scans.times[first:end], tables.keyframes.times[row, 0])
        return range(max(int(first), int(now) - count), int(now))

    def _past_scan(self, i: int, row: int) -> PastScan:
        tables = self._frames[i].tables
        path, pose = self.root / _text(tables.scans.files[row]), tables.pose_at(tables.scans, row)
        seconds = float(tables.scans.times[row]) / 1e6
        return PastScan(str(path), partial(self._read_sweep, path), pose @ self.sensor.from_ours, seconds)

    def _moved(self, i: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Points and remission of a scan between keyframes, in the frame of the keyframe."""
        past = self._past_scan(i, row)
        scan = past.read()
        return moved(scan.points, poses.inverse(self.pose(i)) @ past.pose), scan.remission

    def _read_sweep(self, path: Path) -> Scan:
        """Read a scan between keyframes, without points of the car and missing returns."""
        if not path.exists():
            raise DataError(
                f"{path}: expected a sweep, found none. Extract the archives of sweeps, or set sweeps to 0 "
                "(past_scans of a training)."
            )
        scan = read_scan(path, self.sensor)
        far = np.linalg.norm(scan.points, axis=1) > _NEAR
        return Scan(scan.points[far], scan.remission[far])

    def _path(self, keyframe: _Keyframe, column: int) -> Path:
        return self.root / _text(keyframe.tables.keyframes.files[keyframe.row, column])


def _require_sweeps(name: str, count: int) -> None:
    if not 0 <= count <= _MOST_SWEEPS:
        raise ConfigError(
            f"{name}: expected 0 to {_MOST_SWEEPS}, the limit of the challenge, found {count}. Change the value."
        )


def _scene(keyframe: _Keyframe) -> str:
    return _text(keyframe.tables.scenes[keyframe.tables.scene_of_frame[keyframe.row]])


def _text(name: Any) -> str:
    """Name in an array of bytes."""
    return bytes(name).decode()
