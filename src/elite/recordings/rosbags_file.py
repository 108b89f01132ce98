"""Bags of ROS 1, and databases and compressed folders of ROS 2, which rosbags reads."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from elite.errors import first_line
from elite.recordings.qos import qos_text
from elite.recordings.serialization import CDR, ROS1, normal_type
from elite.recordings.topics import Message, Span, Topic, seconds


class RosbagsFile:
    """A .bag, a .db3, or a folder of ROS 2; see ``RecordedFile``.

    Raises:
        Exception: of any kind; it is damaged.
    """

    def __init__(self, path: Path) -> None:
        from rosbags import rosbag1, rosbag2

        self.path, self._ends = path, ""
        with ExitStack() as stack:
            opened = stack.enter_context(_path_for_rosbags(path))
            reader = rosbag1.Reader(opened) if opened.suffix == ".bag" else rosbag2.Reader(opened)
            self._reader: Any = stack.enter_context(reader)
            self._close = stack.pop_all().close
        self._connections: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        for connection in self._reader.connections:
            topic = _topic(connection)
            self._connections[topic.key].append(connection)
        self.topics = tuple(
            _topic(connections[0], sum(connection.msgcount for connection in connections))
            for connections in self._connections.values()
        )
        first, last = self._reader.start_time, self._reader.end_time - 1  # it counts one nanosecond more
        self.span = Span(first, last) if first <= last else None

    @property
    def faults(self) -> tuple[str, ...]:
        log = Path(f"{self.path}-wal")  # of a recorder that was killed; rosbags does not read it
        unmerged = log.exists() and log.stat().st_size > 0
        found = [f"{log.name}: its messages are not read; open {self.path.name} with sqlite3 to merge them"] * unmerged
        return (*found, self._ends) if self._ends else tuple(found)

    def close(self) -> None:
        self._close()

    def messages(self, topics: Collection[Topic], start: int, stop: int) -> Iterator[Message]:
        """Yield the messages recorded in [start, stop), by time, up to a damaged one, which becomes a fault."""
        wanted = {c.id: topic for topic in topics for c in self._connections.get(topic.key, ())}
        connections = [c for c in self._reader.connections if c.id in wanted]
        at = start
        try:
            for connection, time, data in self._reader.messages(connections, start, stop) if connections else ():
                at = time
                yield Message(wanted[connection.id], time, bytes(data))
        except Exception as error:  # of rosbags
            name, found = self.path.name, first_line(error)
            self._ends = f"{name}: the messages after {seconds(at)} are not readable ({found}); those before are read"


@contextmanager
def _path_for_rosbags(path: Path) -> Iterator[Path]:
    """Path of the same recording with a suffix in lower case, none of a folder, and without ``?``, ``#`` and ``%``.

    rosbags passes the path of a database to SQLite as a part of a URL.
    """
    suffix = "" if path.is_dir() else path.suffix.lower()
    if path.suffix == suffix and not set("?#%") & set(str(path)):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"recording{suffix}"
        link.symlink_to(path.absolute())
        yield link


def _topic(connection: Any, count: int = 0) -> Topic:
    encoding = getattr(connection.ext, "serialization_format", ROS1)  # ROS 2 states it
    kind = connection.msgdef.format.name.lower()  # none, msg or idl
    return Topic(
        *(connection.topic, normal_type(connection.msgtype), encoding),
        "" if kind == "none" else f"ros{2 if encoding == CDR else 1}{kind}",
        connection.msgdef.data.encode(),
        qos_text(connection),
        count,
    )
