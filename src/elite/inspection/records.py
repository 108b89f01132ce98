"""Results of an inspection, as frozen records with plain values for JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elite.config import plain
from elite.datasets.check.sensor_guess import SensorGuess
from elite.inspection.sources import Kind
from elite.inspection.timing import Timing
from elite.recordings.point_times import PointTimes


@dataclass(frozen=True)
class FieldReport:
    """Field of the points: its type, such as float32, its first byte in a point, and its count of numbers.

    Attributes:
        offset: None in files, whose decoders do not report it.
    """

    name: str
    type: str
    offset: int | None = None
    count: int = 1


@dataclass(frozen=True)
class TopicReport:
    """Topic of a recording.

    Attributes:
        count: number of messages, 0 if unknown.
        rate: messages per second; None = unknown.
        first, last: times of recording (s since 1970); None without messages.
    """

    name: str
    type: str
    encoding: str
    count: int
    rate: float | None
    first: float | None
    last: float | None


@dataclass(frozen=True)
class CloudReport:
    """Point clouds of a topic, or the files of a folder.

    Attributes:
        topic: None for files.
        count: number of messages or files.
        read: number of those that were read.
        damaged: number of those that are not readable.
        frame: coordinate frame; None for files.
        fields: of the first one.
        layout: name of its fields, such as ``Ouster``; None = an unknown one.
        height, width: its points: 1 row of an unorganised cloud.
        point_step: bytes per point; None for files.
        big_endian, is_dense: of a message; None for files.
        bytes: of the first message or file.
        timing: None for files, or with less than two messages.
        point_times: None without times of the points.
        sensor: guess from the measured scans; None = none is readable.
        notes: sentences about properties to look at.
    """

    topic: str | None
    count: int
    read: int
    damaged: int
    frame: str | None
    fields: tuple[FieldReport, ...]
    layout: str | None
    height: int
    width: int
    point_step: int | None
    big_endian: bool | None
    is_dense: bool | None
    bytes: int
    timing: Timing | None
    point_times: PointTimes | None
    sensor: SensorGuess | None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.topic or "scans"

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"sensor": None if self.sensor is None else self.sensor.to_dict()}


@dataclass(frozen=True)
class CameraReport:
    """Images of a topic.

    Attributes:
        topic: of the images.
        type: of its messages.
        count, rate: as in ``TopicReport``.
        frame: coordinate frame of the first image.
        height, width: pixels of the first image; 0 if it is not readable.
        encoding: of the first image, such as bgr8 or jpeg.
        info_topic: of its calibration; None = not recorded.
        model: of its distortion; None = not calibrated.
        has_transform: whether static transforms connect it with the first LiDAR; None without a LiDAR.
        offset, largest_offset: median and largest difference (s) to the nearest scan; None without pairs.
        notes: sentences about properties to look at.
    """

    topic: str
    type: str
    count: int
    rate: float | None
    frame: str
    height: int
    width: int
    encoding: str
    info_topic: str | None
    model: str | None
    has_transform: bool | None
    offset: float | None
    largest_offset: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PoseReport:
    """Poses of a topic.

    Attributes:
        frame, child: of the first pose.
        has_transform: whether static transforms connect ``child`` with the first LiDAR; None without a LiDAR.
        speed: largest one between sampled poses (m/s); None for too short a time.
        heading: direction of motion in the axes of the LiDAR, in degrees to the left of x; None = unknown.
        seconds: longest time of sampled poses without interruption.
    """

    topic: str
    type: str
    count: int
    rate: float | None
    frame: str
    child: str
    has_transform: bool | None
    speed: float | None
    heading: float | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """Result of an inspection.

    Attributes:
        path: of the recording, the file or the folder.
        kind: of the data at ``path``.
        bytes: of all its files.
        seconds: between the first and the last message; None for files.
        sampled_seconds: of which messages were read; None for files.
        topics, clouds, cameras, poses: of a recording; files have one entry of ``clouds``.
        faults: sentences about parts that are not readable.
        notes: sentences about properties to look at.
        description: plain values for ``dataset.yaml``.
        next_command: the next one to type; empty without scans.
    """

    path: Path
    kind: Kind
    bytes: int
    clouds: tuple[CloudReport, ...]
    topics: tuple[TopicReport, ...] = ()
    cameras: tuple[CameraReport, ...] = ()
    poses: tuple[PoseReport, ...] = ()
    seconds: float | None = None
    sampled_seconds: float | None = None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    description: dict[str, Any] = field(default_factory=dict)
    next_command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain(self) | {"clouds": [cloud.to_dict() for cloud in self.clouds]}
