"""Topics of a recording, their messages, and the files that contain them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from elite.recordings.messages import Record


@dataclass(frozen=True, order=True)
class Topic:
    """Messages of one type under one name.

    Attributes:
        name: such as /ouster/points.
        type: such as sensor_msgs/msg/PointCloud2, also for ROS 1.
        encoding: of the messages: cdr (ROS 2), ros1, or another one that mcap files contain.
        format: of ``definition``: ros2msg, ros2idl, ros1msg, ...; empty without a definition.
        definition: of the type, as recorded.
        qos: offered_qos_profiles of ROS 2 as YAML; empty if unknown.
        count: number of messages, 0 if unknown.
    """

    name: str
    type: str
    encoding: str = "cdr"
    format: str = ""
    definition: bytes = b""
    qos: str = ""
    count: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Topics of several files are the same if this is equal."""
        return self.name, self.type, self.encoding


@dataclass(frozen=True)
class Message:
    """A message of a recording.

    Attributes:
        topic: where it was published.
        time: when it was recorded (ns).
        data: its bytes.
        record: its contents; None if they were not decoded.
        published: when it was published (ns); None if it was not recorded.
    """

    topic: Topic
    time: int
    data: bytes
    record: Record | None = None
    published: int | None = None

    @property
    def taken(self) -> int:
        """When its record was taken (ns): the stamp of its header, or the time of recording if that is 0."""
        return getattr(self.record, "stamp", 0) or self.time


class Span(NamedTuple):
    """Times of the first and the last message (ns)."""

    first: int
    last: int


class RecordedFile(Protocol):
    """A file of a recording.

    Attributes:
        topics: one for each key.
        span: None without messages.
    """

    topics: tuple[Topic, ...]
    span: Span | None

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences about parts that are not readable, as far as they have been read."""
        ...

    def messages(self, topics: Collection[Topic], start: int, stop: int) -> Iterator[Message]:
        """Yield the messages recorded in [start, stop), by time."""
        ...

    def close(self) -> None: ...


def seconds(time: int) -> str:
    """Time (ns) as text."""
    return f"{time // 10**9}.{time // 10**6 % 1000:03d} s"
