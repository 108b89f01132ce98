"""Tables of nuScenes: JSON files of rows with tokens, of which this module keeps what LiDAR keyframes need.

::

    scene -> sample (keyframe) -> sample_data (a file of one sensor) -> ego_pose, calibrated_sensor -> sensor
    lidarseg, panoptic: label file of a sample_data

sample_data and ego_pose of v1.0-trainval have 2.6 million rows each, mostly of radars and of images between keyframes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64

from elite.datasets.nuscenes.json_rows import read_rows
from elite.errors import DataError

LIDAR = "LIDAR_TOP"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
CHANNELS = (LIDAR, *CAMERAS)
TABLES = ("sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose")
LABEL_TABLES = ("category", "lidarseg", "panoptic")  # which a download without labels lacks

# Categories of nuScenes-lidarseg in the order of the ids in its label files. The tables of the detection challenge have
# 23 of them without ids, in another order.
CATEGORIES = (
    *("noise", "animal", "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker"),
    *("human.pedestrian.personal_mobility", "human.pedestrian.police_officer", "human.pedestrian.stroller"),
    *("human.pedestrian.wheelchair", "movable_object.barrier", "movable_object.debris"),
    *("movable_object.pushable_pullable", "movable_object.trafficcone", "static_object.bicycle_rack"),
    *("vehicle.bicycle", "vehicle.bus.bendy", "vehicle.bus.rigid", "vehicle.car", "vehicle.construction"),
    *("vehicle.emergency.ambulance", "vehicle.emergency.police", "vehicle.motorcycle", "vehicle.trailer"),
    *("vehicle.truck", "flat.driveable_surface", "flat.other", "flat.sidewalk", "flat.terrain", "static.manmade"),
    *("static.other", "static.vegetation", "vehicle.ego"),
)

_LARGEST = 1e9  # limit of coordinates, so that their products are finite
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")  # of scenes, and tokens of scans: files are called by them
_UNIT = 1e-3  # largest deviation of the length of a quaternion from 1
_UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, AttributeError)
Pose = tuple[float, ...]  # translation x y z, rotation w x y z


@dataclass(frozen=True)
class Recordings:
    """Files of sensors. Rows without a file have the name b"".

    Attributes:
        files: paths below the root, as bytes.
        times: in microseconds.
        sensors: rows of ``Tables.sensor_poses``.
        ego_poses: T_global_ego at that time, as translation x y z (m) and rotation w x y z.
    """

    files: np.ndarray
    times: Int64[np.ndarray, "*rows"]
    sensors: Int32[np.ndarray, "*rows"]
    ego_poses: Float64[np.ndarray, "*rows 7"]


@dataclass(frozen=True)
class Tables:
    """Keyframes of one folder of tables, in the order of the scenes.

    Attributes:
        scenes: names.
        scene_of_frame: number of the scene of each keyframe.
        tokens: sample_data token of the scan of each keyframe, as bytes. Predictions are named by it.
        keyframes: files of each keyframe, one column for each of ``CHANNELS``.
        labels: lidarseg files of the keyframes, as bytes; b"" = none.
        panoptic: panoptic files of the keyframes, likewise.
        scene_of_scan: number of the scene of each of the ``scans``, ascending.
        scans: all scans, those between keyframes too, in each scene by time.
        sensor_poses: T_ego_sensor of the calibrated sensors, as translation x y z (m) and rotation w x y z.
        intrinsics: matrices of the cameras among them; zero for others.
    """

    scenes: np.ndarray
    scene_of_frame: Int32[np.ndarray, "f"]
    tokens: np.ndarray
    keyframes: Recordings
    labels: np.ndarray
    panoptic: np.ndarray
    scene_of_scan: Int32[np.ndarray, "w"]
    scans: Recordings
    sensor_poses: Float64[np.ndarray, "c 7"]
    intrinsics: Float64[np.ndarray, "c 3 3"]

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self.tokens)


def read_tables(folder: Path) -> Tables:
    """Read the tables of a folder such as v1.0-trainval.

    Raises:
        DataError: a table is missing, damaged or truncated; a token has no row; or a calibration is not a rotation.
    """
    reader = _TableReader(folder)
    for table in TABLES:
        reader.read(table)
    reader.check_keyframes()
    for table in ("lidarseg", "panoptic"):
        if (folder / f"{table}.json").exists():
            reader.read(table)
    if reader.labels or reader.panoptic:
        check_categories(folder)
    return reader.tables()


def read_scene_names(folder: Path) -> list[str]:
    """Read the names of the scenes.

    Raises:
        DataError: the table is missing or damaged.
    """
    names: list[str] = []
    _each_row(folder / "scene.json", lambda row: names.append(_name(row, "name")))
    return names


def check_categories(folder: Path) -> None:
    """Check that category.json has the categories of nuScenes-lidarseg, with their ids.

    Raises:
        DataError: it does not, as that of the detection challenge.
    """
    path, found = folder / "category.json", dict[int, str]()

    def add(row: dict[str, Any]) -> None:
        if "index" in row:
            found[row["index"]] = _text(row, "name")

    _each_row(path, add)
    if found != dict(enumerate(CATEGORIES)):
        wrong = [f"{i} is {found.get(i, 'missing')}" for i, name in enumerate(CATEGORIES) if found.get(i) != name]
        raise DataError(
            f"{path}: expected the {len(CATEGORIES)} categories of nuScenes-lidarseg with 'index', found {len(found)} "
            f"with 'index' ({', '.join(wrong[:3]) or 'more than these'}). Replace it by that of the nuScenes-lidarseg "
            "archive."
        )


class _TableReader:
    """Collects rows. Tables are read in the order of ``TABLES``; those that refer to others come after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.channels: dict[str, str] = {}  # sensor token -> channel
        self.sensors: dict[str, tuple[int, str]] = {}  # calibrated_sensor token -> its number, channel
        self.sensor_poses: list[Pose] = []
        self.intrinsics: list[Any] = []
        self.scenes: dict[str, tuple[int, str, str, int]] = {}  # scene token -> its number, name, first sample, samples
        self.samples: dict[str, tuple[str, str]] = {}  # sample token -> its scene, the next sample
        self.frames: dict[str, int] = {}  # sample token -> number of the keyframe
        self.scene_of_frame: list[int] = []
        self.lidar_frames: dict[str, int] = {}  # sample_data token of a keyframe's scan -> its number
        self.files: dict[tuple[int, int], _File] = {}  # keyframe, column -> its file
        self.scans: list[tuple[int, _File]] = []  # scene, file
        self.ego_numbers: dict[str, int] = {}  # ego_pose token -> its row in ego_poses
        self.ego_poses = np.empty((0, 7))
        self.labels: dict[int, str] = {}
        self.panoptic: dict[int, str] = {}

    def read(self, table: str) -> None:
        """Read one table, and check it as far as it depends on no later one."""
        if table == "sample_data":
            self._number_keyframes()
        if table == "ego_pose":
            self.ego_poses = np.full((len(self.ego_numbers), 7), np.nan)
        _each_row(self._path(table), getattr(self, f"_add_{table}"))
        if table == "ego_pose":
            self._check_ego_poses()

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.json"

    def _add_sensor(self, row: dict[str, Any]) -> None:
        self.channels[_text(row, "token")] = _text(row, "channel")

    def _add_calibrated_sensor(self, row: dict[str, Any]) -> None:
        token, channel = _text(row, "token"), self._of(self.channels, row, "sensor_token", "sensor")
        self.sensors[token] = (len(self.sensor_poses), channel)
        self.sensor_poses.append(_pose(row))
        self.intrinsics.append(_intrinsic(row["camera_intrinsic"]) if channel in CAMERAS else np.zeros((3, 3)))

    def _add_scene(self, row: dict[str, Any]) -> None:
        number, token, name = len(self.scenes), _text(row, "token"), _name(row, "name")
        if token in self.scenes:
            raise ValueError("a second row with its token")
        self.scenes[token] = (number, name, _text(row, "first_sample_token"), int(row["nbr_samples"]))

    def _add_sample(self, row: dict[str, Any]) -> None:
        self._of(self.scenes, row, "scene_token", "scene")
        self.samples[_text(row, "token")] = (row["scene_token"], _text(row, "next"))

    def _number_keyframes(self) -> None:
        """Follow the chain of samples in each scene."""
        for scene, (number, name, sample, count) in self.scenes.items():
            for _ in range(count):
                if sample not in self.samples:
                    raise self._no_row("sample", sample, f"the chain of {name}")
                if self.samples[sample][0] != scene or sample in self.frames:
                    raise DataError(
                        f"{self._path('sample')}: expected a chain of {count} samples in {name}, found one that "
                        f"enters another scene or itself at {sample}. Re-extract the metadata."
                    )
                self.frames[sample] = len(self.scene_of_frame)
                self.scene_of_frame.append(number)
                sample = self.samples[sample][1]
            if sample:
                raise DataError(
                    f"{self._path('scene')}: expected the chain of {name} to end after its {count} samples, found "
                    f"another, {sample}. Re-extract the metadata."
                )

    def _add_sample_data(self, row: dict[str, Any]) -> None:
        sensor, channel = self._of(self.sensors, row, "calibrated_sensor_token", "calibrated_sensor")
        is_key = row["is_key_frame"] is True
        if channel != LIDAR and not (is_key and channel in CAMERAS):
            return
        frame = self._of(self.frames, row, "sample_token", "sample")
        ego = self.ego_numbers.setdefault(_text(row, "ego_pose_token"), len(self.ego_numbers))
        file = _File(_file_name(row), _time(row), sensor, ego)
        if channel == LIDAR:
            self.scans.append((self.scene_of_frame[frame], file))
        if is_key:
            key = (frame, CHANNELS.index(channel))
            if self.files.setdefault(key, file) is not file:
                raise ValueError(f"a second keyframe of {channel} for sample {row['sample_token']}")
            if channel == LIDAR:
                self.lidar_frames[_name(row, "token")] = frame

    def check_keyframes(self) -> None:
        """Check that each keyframe has a scan."""
        missing = [sample for sample, frame in self.frames.items() if (frame, 0) not in self.files]
        if missing:
            raise DataError(
                f"{self._path('sample_data')}: expected a {LIDAR} keyframe for each sample, found none for "
                f"{len(missing)} of {len(self.frames)} ({missing[0]}). Re-extract the metadata."
            )

    def _add_ego_pose(self, row: dict[str, Any]) -> None:
        number = self.ego_numbers.get(row["token"])
        if number is not None:
            self.ego_poses[number] = _pose(row)

    def _check_ego_poses(self) -> None:
        absent = np.isnan(self.ego_poses).any(axis=1)  # poses in the table are finite
        if absent.any():
            token = list(self.ego_numbers)[int(absent.argmax())]
            raise self._no_row("ego_pose", token, self._path("sample_data"))

    def _add_lidarseg(self, row: dict[str, Any]) -> None:
        self.labels[self._of(self.lidar_frames, row, "sample_data_token", "sample_data")] = _file_name(row)

    def _add_panoptic(self, row: dict[str, Any]) -> None:
        self.panoptic[self._of(self.lidar_frames, row, "sample_data_token", "sample_data")] = _file_name(row)

    def _of(self, rows: dict[str, Any], row: dict[str, Any], key: str, table: str) -> Any:
        """Return what is known of the row of another ``table`` that a row refers to."""
        try:
            return rows[row[key]]
        except KeyError:
            if key not in row:
                raise
            raise self._no_row(table, row[key], f"{key} of {row.get('token')}") from None

    def _no_row(self, table: str, token: object, source: object) -> DataError:
        return DataError(
            f"{self._path(table)}: expected a row with the token {token!r:.80} (of {source}), found none. "
            "Re-extract the metadata: all tables are of one version."
        )

    def tables(self) -> Tables:
        """Return the arrays of all rows."""
        frames, columns = len(self.scene_of_frame), len(CHANNELS)
        absent = _File("", 0, -1, 0)
        files = [self.files.get((f, c), absent) for f in range(frames) for c in range(columns)]
        scans = sorted(self.scans, key=lambda scan: (scan[0], scan[1].time))
        return Tables(
            scenes=_names([name for _, name, _, _ in self.scenes.values()]),
            scene_of_frame=np.array(self.scene_of_frame, np.int32),
            tokens=_names(list(self.lidar_frames), list(self.lidar_frames.values())),
            keyframes=self._recordings(files, (frames, columns)),
            labels=_names([self.labels.get(f, "") for f in range(frames)]),
            panoptic=_names([self.panoptic.get(f, "") for f in range(frames)]),
            scene_of_scan=np.array([scene for scene, _ in scans], np.int32),
            scans=self._recordings([file for _, file in scans], (len(scans),)),
            sensor_poses=np.array(self.sensor_poses, np.float64).reshape(-1, 7),
            intrinsics=np.array(self.intrinsics, np.float64).reshape(-1, 3, 3),
        )

    def _recordings(self, files: "list[_File]", shape: tuple[int, ...]) -> Recordings:
        return Recordings(
            _names([file.name for file in files]).reshape(shape),
            np.array([file.time for file in files], np.int64).reshape(shape),
            np.array([file.sensor for file in files], np.int32).reshape(shape),
            self.ego_poses[np.array([file.ego for file in files], np.int64)].reshape(*shape, 7),
        )


@dataclass(frozen=True, slots=True)
class _File:
    """A row of sample_data."""

    name: str
    time: int
    sensor: int
    ego: int


def _each_row(path: Path, use: Callable[[dict[str, Any]], object]) -> None:
    """Pass each row of a table to ``use``, and name the row of an error."""
    number = 0
    for number, row in enumerate(read_rows(path), 1):
        try:
            use(row)
        except _UNREADABLE as error:
            found = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)[:160]
            raise DataError(
                f"{path}, row {number}: expected a row of nuScenes, found {found}. Re-extract the metadata."
            ) from error


def _text(row: dict[str, Any], key: str) -> str:
    if not isinstance(value := row[key], str):
        raise ValueError(f"'{key}' that is not a text")
    return value


def _name(row: dict[str, Any], key: str) -> str:
    if not _NAME.fullmatch(name := _text(row, key)):
        raise ValueError(f"the {key} {name[:80]!r}, expected letters, digits and hyphens")
    return name


def _time(row: dict[str, Any]) -> int:
    if not 0 <= (time := int(row["timestamp"])) < 2**63:
        raise ValueError("a timestamp that is not in microseconds")
    return time


def _file_name(row: dict[str, Any]) -> str:
    """Path of a file below the root."""
    name = _text(row, "filename")
    if not name or not name.isprintable() or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"the filename {name[:64]!r}, which is not a path below the root")
    return name


def _pose(row: dict[str, Any]) -> Pose:
    """Translation and unit quaternion (w x y z)."""
    pose = tuple(map(float, (*row["translation"], *row["rotation"])))
    if len(row["translation"]) != 3 or len(pose) != 7:
        raise ValueError("a translation and a rotation of other than 3 and 4 numbers")
    length = sum(value * value for value in pose[3:]) ** 0.5
    if not all(abs(value) < _LARGEST for value in pose):  # nor NaN
        raise ValueError("a pose that is not finite")
    if abs(length - 1) > _UNIT:
        raise ValueError(f"a rotation {row['rotation']} of length {length:.4g} instead of 1, which is not a rotation")
    return pose


def _intrinsic(values: Any) -> Float64[np.ndarray, "3 3"]:
    matrix = np.array(values, np.float64)
    if matrix.shape != (3, 3) or not (np.abs(matrix) < _LARGEST).all():
        raise ValueError("a camera_intrinsic that is not 3 x 3 finite numbers")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or not np.array_equal(matrix[2], (0, 0, 1)):
        raise ValueError(f"a camera_intrinsic without focal lengths or with the last row {matrix[2]}")
    return matrix


def _names(names: list[str], order: list[int] | None = None) -> np.ndarray:
    """Names as one array of bytes, in the given ``order``."""
    encoded = [name.encode() for name in names]
    if order is not None:
        encoded = [encoded[i] for i in np.argsort(order)]
    return np.array(encoded, f"S{max(map(len, encoded), default=1) or 1}")
