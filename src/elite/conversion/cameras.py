"""Cameras of a recording with their calibration, as ``dataset.yaml`` contains them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.config import from_plain
from elite.conversion.images import ImageKind, image_content, image_kind
from elite.conversion.settings import ConversionSettings
from elite.datasets.described.cameras import CameraSettings
from elite.descriptions import read_yaml_file
from elite.errors import ConfigError, DataError, EliteError
from elite.lenses import Lens
from elite.recordings import CameraInfo, CompressedImage, RawImage, Record, Recording, Topic
from elite.recordings.calibration import (
    COMPRESSED,
    FrameTree,
    TopicInfo,
    first_infos,
    image_size,
    info_of,
    is_rectified,
    lens_of,
    looks_up,
)

_OPTIONAL = "Correct it with --calibration, or choose other cameras with --cameras."


@dataclass(frozen=True)
class CameraSource:
    """A camera of a recording.

    Attributes:
        name: in the data set.
        topic: of its images.
        info_topic: of its calibration; None = it is not recorded, or not used.
        info: its first calibration.
        kind: of the files of its images.
        settings: its values in ``dataset.yaml``.
        notes: sentences for the user.
    """

    name: str
    topic: Topic
    info_topic: Topic | None
    info: CameraInfo | None
    kind: ImageKind
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def described(self) -> CameraSettings:
        """Its settings as a record.

        Raises:
            ConfigError: impossible values.
        """
        try:
            return from_plain(CameraSettings, self.settings)
        except ConfigError as error:
            raise ConfigError(f"camera {self.name}: {error}") from error


def find_cameras(
    recording: Recording, settings: ConversionSettings, tree: FrameTree, lidar_frame: str
) -> tuple[tuple[CameraSource, ...], list[str]]:
    """Find the cameras of a recording, and the reasons why some are omitted.

    Raises:
        EliteError: a camera of ``settings.cameras`` has no usable images or no calibration.
    """
    given, omitted, found = _given_calibrations(settings), [], []
    chosen = _chosen_topics(recording, settings) if settings.cameras is not None else _all_topics(recording)
    if unknown := given.keys() - chosen.keys():
        raise ConfigError(
            f"{settings.calibration}: expected the cameras {', '.join(chosen) or '(none)'}, found "
            f"'{min(unknown)}'. Correct the name, or give --cameras."
        )
    infos = first_infos(recording)
    for name, topics in chosen.items():
        finder = _Finder(recording, settings, tree, lidar_frame, infos, given.get(name, {}))
        try:
            found.append(_first_usable(finder, name, topics))
        except EliteError as error:
            if settings.cameras is not None:
                raise
            omitted.append(f"camera {name} is omitted: {error}")
    return tuple(found), omitted


def _first_usable(finder: "_Finder", name: str, topics: Sequence[Topic]) -> CameraSource:
    """Return the camera of the first usable topic: a namespace may have depth images, too.

    Raises:
        EliteError: there is none; that of the first topic.
    """
    errors = []
    for topic in topics:
        try:
            return finder.find(name, topic)
        except EliteError as error:
            errors.append(error)
    raise errors[0]


def _given_calibrations(settings: ConversionSettings) -> Mapping[str, Any]:
    if settings.calibration is None:
        return {}
    values = read_yaml_file(settings.calibration, "calibration").values
    if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
        raise ConfigError(f"{settings.calibration}: expected 'NAME: {{K: ..., T_cam_lidar: ...}}'. Correct the file.")
    return values


def _chosen_topics(recording: Recording, settings: ConversionSettings) -> dict[str, list[Topic]]:
    topics = {topic.name.strip("/"): topic for topic in recording.topics_of(RawImage, CompressedImage)}
    found: dict[str, list[Topic]] = {}
    for name, wanted in (settings.cameras or {}).items():
        if not wanted:
            found |= _named_camera(recording, name)
            continue
        if (topic := topics.get(wanted.strip("/"))) is None:
            listed = ", ".join(f"/{known}" for known in topics) or "none"
            raise DataError(
                f"{recording.path}: expected the image topic '{wanted}', found {listed}. Correct --cameras."
            )
        found[name] = [topic]
    return found


def _named_camera(recording: Recording, wanted: str) -> dict[str, list[Topic]]:
    """Find a camera by its name, or by the topic of its images, and return its name and topics."""
    cameras = _all_topics(recording)
    for name, topics in cameras.items():
        if name == wanted:
            return {name: topics}
        if chosen := [topic for topic in topics if topic.name.strip("/") == wanted.strip("/")]:
            return {name: chosen}
    listed = ", ".join(cameras) or "none"
    raise DataError(f"{recording.path}: expected the camera '{wanted}', found {listed}. Correct --cameras.")


def _all_topics(recording: Recording) -> dict[str, list[Topic]]:
    """Image topics by namespace, the best first: as recorded before rectified, compressed before pixels."""
    by_space: dict[str, list[Topic]] = {}
    for topic in recording.topics_of(RawImage, CompressedImage):
        base = topic.name.removesuffix(COMPRESSED).strip("/")
        by_space.setdefault(base.rpartition("/")[0] or base, []).append(topic)
    names = camera_names([*by_space])
    return {names[space]: sorted(topics, key=_rank) for space, topics in sorted(by_space.items())}


def _rank(topic: Topic) -> tuple[bool, bool, str]:
    return is_rectified(topic.name), topic.type != "sensor_msgs/msg/CompressedImage", topic.name


def camera_names(spaces: Sequence[str]) -> dict[str, str]:
    """Name the cameras by the last word of their namespace, or by all of it if two would be the same."""
    short = {space: _identifier(space.rpartition("/")[2]) for space in spaces}
    count, found = Counter(short.values()), dict[str, str]()
    for space, name in short.items():
        name = name if count[name] == 1 else _identifier(space)
        while name in found.values():  # a/b_c and a_b/c
            name += "_2"
        found[space] = name
    return found


def _identifier(text: str) -> str:
    name = re.sub(r"\W", "_", text)
    return name if name.isidentifier() else f"cam_{name}"


@dataclass(frozen=True)
class _Finder:
    """Images and calibration of a camera."""

    recording: Recording
    settings: ConversionSettings
    tree: FrameTree
    lidar_frame: str
    infos: Sequence[TopicInfo]
    given: Mapping[str, Any]

    def find(self, name: str, topic: Topic) -> CameraSource:
        first, kind = self._first_image(topic)
        info_topic, info = (None, None) if self.given.get("K") else self._info(topic, first.frame)
        values: dict[str, Any] = {"images": f"cameras/{name}/*{kind.suffix}", **self.given, "times": "name"}
        notes = [*stamp_notes(topic, first)]
        if info is not None:
            values |= _lens_values(lens_of(info, kind.size, topic.name, rectified=is_rectified(topic.name)))
            if image_size(info) != kind.size:
                notes.append(_scaled(name, image_size(info), kind.size))
        if not {"T_cam_lidar", "T_lidar_cam"} & values.keys():
            T_cam_lidar = self._transform(first.frame, info if is_rectified(topic.name) else None)
            values["T_cam_lidar"] = T_cam_lidar[:3].round(9).tolist()
            if looks_up(T_cam_lidar):
                notes.append(
                    f"camera {name}: its frame '{first.frame}' looks along the LiDAR's z axis, as if it were not an "
                    "optical frame. See the pictures of elite check, and give --calibration if it is not"
                )
        camera = CameraSource(name, topic, info_topic, info, kind, values, tuple(notes))
        _ = camera.described  # impossible values are errors now
        return camera

    def _first_image(self, topic: Topic) -> tuple[RawImage | CompressedImage, ImageKind]:
        """First message with an image that can be written."""
        reason = "no messages"
        for message in self.recording.messages([topic]):
            record = message.record
            assert isinstance(record, RawImage | CompressedImage)
            try:
                kind = image_kind(record, self.settings.image_format, topic.name)
                image_content(record, self.settings.image_format, topic.name)
                return record, kind
            except DataError as error:
                reason = str(error)
                if isinstance(record, RawImage) and record.height:
                    break  # an encoding that is not read; the other images have it too
        raise DataError(f"{topic.name}: expected images, found none that can be written ({reason}). {_OPTIONAL}")

    def _info(self, topic: Topic, frame: str) -> TopicInfo:
        if (found := info_of(topic.name, frame, self.infos)) is None:
            listed = ", ".join(info.name for info, _ in self.infos) or "none in the recording"
            raise DataError(f"{topic.name}: expected a CameraInfo topic of these images, found {listed}. {_OPTIONAL}")
        return found

    def _transform(self, frame: str, rectified: CameraInfo | None) -> np.ndarray:
        T_cam_lidar = self.tree.between(self.tree.optical(frame), self.lidar_frame)
        if rectified is not None:
            T_cam_lidar[:3] = rectified.R @ T_cam_lidar[:3]
        return T_cam_lidar


def stamp_notes(topic: Topic, first: Record) -> tuple[str, ...]:
    """State that the first message of a topic has no stamp, if so."""
    is_stamped = getattr(first, "stamp", 0) != 0
    return () if is_stamped else (f"{topic.name}: expected stamps, found 0. The times of recording are used instead",)


def _lens_values(lens: Lens) -> dict[str, Any]:
    values: dict[str, Any] = {"K": lens.K.round(6).tolist()}
    if lens.is_distorted:
        values |= {"model": lens.model, "dist": list(lens.coefficients)}
    return values


def _scaled(name: str, known: tuple[int, int], size: tuple[int, int]) -> str:
    return f"camera {name}: its calibration of {known[1]} x {known[0]} pixels is scaled to {size[1]} x {size[0]}"
