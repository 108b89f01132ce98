"""Recordings of ROS 2 as mcap files, which ``ros2 bag play`` reads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from elite.files import atomic_file
from elite.recordings.serialization import CDR, standard_definition
from elite.recordings.topics import Message, Topic
from elite.version import __version__

Compression = Literal["none", "lz4", "zstd"]


@contextmanager
def write_recording(path: Path, compression: Compression = "none") -> Iterator["RecordingWriter"]:
    """Write an mcap file that appears at ``path``, complete, when the block ends without an error.

    Args:
        path: .mcap file.
        compression: of its chunks. ROS 2 compresses none by default.

    Raises:
        OutputError: the folder is not writable or the disk is full.
    """
    with atomic_file(path) as file:
        writer = RecordingWriter(file, compression)
        yield writer
        writer.finish()


class RecordingWriter:
    """Messages in the encoding of ROS 2; see ``write_recording``."""

    def __init__(self, file: BinaryIO, compression: Compression) -> None:
        from mcap.writer import CompressionType, Writer

        self._writer = Writer(file, compression=CompressionType[compression.upper()])
        self._writer.start("ros2", f"elite {__version__}")
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[tuple[str, str, bytes], int] = {}

    def write(self, message: Message) -> None:
        """Append a message; its topic is one of ROS 2."""
        published = message.time if message.published is None else message.published
        self._writer.add_message(self._channel(message.topic), message.time, message.data, published)

    def describe(self, name: str, values: Mapping[str, str]) -> None:
        """Append a record of metadata."""
        self._writer.add_metadata(name, dict(values))

    def finish(self) -> None:
        """Append the index."""
        self._writer.finish()

    def _channel(self, topic: Topic) -> int:
        key = topic.name, topic.type
        if key not in self._channels:
            qos = {"offered_qos_profiles": topic.qos}
            self._channels[key] = self._writer.register_channel(topic.name, CDR, self._schema(topic), qos)
        return self._channels[key]

    def _schema(self, topic: Topic) -> int:
        schema = topic.type, topic.format, topic.definition
        if not topic.definition:  # databases of early versions of ROS 2 have none
            definition = standard_definition(topic.type, CDR)
            schema = topic.type, "ros2msg" if definition else "", definition.encode()
        if schema not in self._schemas:
            self._schemas[schema] = self._writer.register_schema(*schema)
        return self._schemas[schema]
