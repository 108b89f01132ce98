"""Tables of nuScenes: JSON files of rows with tokens, of which this module keeps what LiDAR keyframes need.

::

    scene -> sample (keyframe) -> sample_data (a file of one sensor) -> ego_pose, calibrated_sensor -> sensor
    lidarseg, panoptic: label file of a sample_data

sample_data and ego_pose of v1.0-trainval have 2.6 million rows each, mostly of radars and of images between keyframes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elite.datasets.nuscenes import poses
from elite.datasets.nuscenes.categories import check_categories
from elite.datasets.nuscenes.table_rows import (
    Pose,
    as_bytes,
    each_row,
    file_of,
    intrinsic_of,
    name_of,
    pose_of,
    text_of,
    time_of,
)
from elite.errors import DataError
from elite.shapes import Float64, Int32, Int64

LIDAR = "LIDAR_TOP"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
CHANNELS = (LIDAR, *CAMERAS)
TABLES = ("sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose")
LABEL_TABLES = ("category", "lidarseg", "panoptic")  # which a download without labels lacks


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

    def pose_at(self, recordings: Recordings, at: int | tuple[int, int]) -> Float64[np.ndarray, "4 4"]:
        """T_global_sensor at the time of one of the ``recordings``, in the axes of the sensor."""
        return poses.matrix(recordings.ego_poses[at]) @ poses.matrix(self.sensor_poses[recordings.sensors[at]])


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
        each_row(self._path(table), getattr(self, f"_add_{table}"))
        if table == "ego_pose":
            self._check_ego_poses()

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.json"

    def _add_sensor(self, row: dict[str, Any]) -> None:
        self.channels[text_of(row, "token")] = text_of(row, "channel")

    def _add_calibrated_sensor(self, row: dict[str, Any]) -> None:
        token, channel = text_of(row, "token"), self._of(self.channels, row, "sensor_token", "sensor")
        self.sensors[token] = (len(self.sensor_poses), channel)
        self.sensor_poses.append(pose_of(row))
        self.intrinsics.append(intrinsic_of(row["camera_intrinsic"]) if channel in CAMERAS else np.zeros((3, 3)))

    def _add_scene(self, row: dict[str, Any]) -> None:
        number, token, name = len(self.scenes), text_of(row, "token"), name_of(row, "name")
        if token in self.scenes:
            raise ValueError("a second row with its token")
        self.scenes[token] = (number, name, text_of(row, "first_sample_token"), int(row["nbr_samples"]))

    def _add_sample(self, row: dict[str, Any]) -> None:
        self._of(self.scenes, row, "scene_token", "scene")
        self.samples[text_of(row, "token")] = (row["scene_token"], text_of(row, "next"))

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
        ego = self.ego_numbers.setdefault(text_of(row, "ego_pose_token"), len(self.ego_numbers))
        file = _File(file_of(row), time_of(row), sensor, ego)
        if channel == LIDAR:
            self.scans.append((self.scene_of_frame[frame], file))
        if is_key:
            key = (frame, CHANNELS.index(channel))
            if self.files.setdefault(key, file) is not file:
                raise ValueError(f"a second keyframe of {channel} for sample {row['sample_token']}")
            if channel == LIDAR:
                self.lidar_frames[name_of(row, "token")] = frame

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
            self.ego_poses[number] = pose_of(row)

    def _check_ego_poses(self) -> None:
        absent = np.isnan(self.ego_poses).any(axis=1)  # poses in the table are finite
        if absent.any():
            token = list(self.ego_numbers)[int(absent.argmax())]
            raise self._no_row("ego_pose", token, self._path("sample_data"))

    def _add_lidarseg(self, row: dict[str, Any]) -> None:
        self.labels[self._of(self.lidar_frames, row, "sample_data_token", "sample_data")] = file_of(row)

    def _add_panoptic(self, row: dict[str, Any]) -> None:
        self.panoptic[self._of(self.lidar_frames, row, "sample_data_token", "sample_data")] = file_of(row)

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
            scenes=as_bytes([name for _, name, _, _ in self.scenes.values()]),
            scene_of_frame=np.array(self.scene_of_frame, np.int32),
            tokens=as_bytes(list(self.lidar_frames), list(self.lidar_frames.values())),
            keyframes=self._recordings(files, (frames, columns)),
            labels=as_bytes([self.labels.get(f, "") for f in range(frames)]),
            panoptic=as_bytes([self.panoptic.get(f, "") for f in range(frames)]),
            scene_of_scan=np.array([scene for scene, _ in scans], np.int32),
            scans=self._recordings([file for _, file in scans], (len(scans),)),
            sensor_poses=np.array(self.sensor_poses, np.float64).reshape(-1, 7),
            intrinsics=np.array(self.intrinsics, np.float64).reshape(-1, 3, 3),
        )

    def _recordings(self, files: "list[_File]", shape: tuple[int, ...]) -> Recordings:
        return Recordings(
            as_bytes([file.name for file in files]).reshape(shape),
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
