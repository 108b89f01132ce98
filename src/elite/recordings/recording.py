"""A recording: its topics, and their messages by time."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from elite.errors import DataError
from elite.recordings.messages import Record
from elite.recordings.serialization import CDR, RECORDS, ROS1, decode_record, has_standard_definition
from elite.recordings.topics import Message, RecordedFile, Span, Topic, seconds

LAST = 2**63 - 1  # ns, later than any message
_FIRST_WINDOW = 10**8  # ns before the end in which the last message of a topic is looked for first
_Key = tuple[str, str, str]


@dataclass
class _Undecodable:
    count: int
    first: str


class Recording:
    """Messages of one or several files as one sequence, by time of recording. Close it, or use it as a context.

    Attributes:
        path: of the file or the folder.
        topics: all topics, by name.
        span: times of the first and the last message (ns); None without messages.

    Raises:
        DataError: without topics.
    """

    def __init__(self, path: Path, files: Sequence[RecordedFile], faults: Sequence[str] = ()) -> None:
        self.path, self._files, self._faults = path, tuple(files), list(faults)
        self.topics = _merged(files)
        spans = [file.span for file in files if file.span]
        self.span = Span(min(s.first for s in spans), max(s.last for s in spans)) if spans else None
        self._undecodable: dict[_Key, _Undecodable] = {}
        self._spans: dict[_Key, Span | None] = {}
        self._records = {topic.key: record for topic in self.topics if (record := self._record_of(topic))}
        if not self.topics:
            self.close()
            found = "; ".join(self.faults) or "none"
            raise DataError(f"{path}: expected topics, found {found}. Record it again, or copy it again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for file in self._files:
            file.close()

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences about parts and messages that are not readable, as far as they have been read."""
        damaged = [
            f"{name}: {found.count} messages are not readable, {found.first}"
            for (name, _, _), found in sorted(self._undecodable.items())
        ]
        return (*self._faults, *(fault for file in self._files for fault in file.faults), *damaged)

    # ---- topics ----------------------------------------------------------------------------------------------

    def topics_of(self, *records: type[Record]) -> tuple[Topic, ...]:
        """Topics whose messages are decoded as one of these records."""
        return tuple(topic for topic in self.topics if self._records.get(topic.key) in records)

    def topic(self, name: str | None, record: type[Record], *, option: str = "--topic") -> Topic:
        """Return the topic ``name`` of this record, or the only one of this record for None.

        Args:
            name: with or without its first slash.
            record: required contents.
            option: names the choice in errors.

        Raises:
            DataError: there is none, or several for None.
        """
        found = self.topics_of(record)
        named = [topic for topic in found if name is None or topic.name.strip("/") == name.strip("/")]
        if len(named) == 1:
            return named[0]
        subject, names = f"{self.path}: expected", ", ".join(topic.name for topic in found)
        if not found:
            types = ", ".join(kind for kind, known in RECORDS.items() if known.record is record)
            raise DataError(f"{subject} a topic of {types}, found {self._listed()}. Record such a topic.")
        if name is None:
            raise DataError(f"{subject} one topic of {found[0].type}, found {names}. Choose one with {option}.")
        near = get_close_matches(name, [topic.name for topic in found], 1, cutoff=0.5)
        remedy = f"Did you mean {near[0]}?" if near else "Choose one of them."
        raise DataError(f"{subject} the topic {name!r:.100} of {found[0].type}, found {names}. {remedy}")

    def span_of(self, topic: Topic) -> Span | None:
        """Times of the first and the last message of a topic (ns); None without messages."""
        if topic.key not in self._spans:
            self._spans[topic.key] = self._find_span(topic)
        return self._spans[topic.key]

    def rate_of(self, topic: Topic) -> float | None:
        """Messages per second of a topic; None with less than two, or without a count."""
        span = self.span_of(topic)
        is_known = span is not None and topic.count > 1 and span.last > span.first
        return (topic.count - 1) / (span.last - span.first) * 1e9 if span and is_known else None

    def _find_span(self, topic: Topic) -> Span | None:
        first = next(self.raw_messages([topic]), None)
        if first is None or self.span is None:
            return None
        window = _FIRST_WINDOW
        while True:
            last = deque(self.raw_messages([topic], start=self.span.last + 1 - window), maxlen=1)
            if last or window > self.span.last - first.time:
                return Span(first.time, (last or [first])[0].time)
            window *= 4

    def _listed(self) -> str:
        return ", ".join(f"{topic.name} ({topic.type})" for topic in self.topics[:10]) or "none"

    def _record_of(self, topic: Topic) -> type[Record] | None:
        """Record of the messages of a topic; None for other types, encodings and definitions."""
        if topic.type not in RECORDS or topic.encoding not in (CDR, ROS1):
            return None
        try:
            is_standard = not topic.definition or topic.format[4:] != "msg" or has_standard_definition(topic)
        except DataError as error:
            self._faults.append(f"{topic.name}: the standard definition is used, because its own is damaged ({error})")
            is_standard = True
        if not is_standard:
            self._faults.append(f"{topic.name}: it is skipped, because its {topic.type} differs from that of ROS")
        return RECORDS[topic.type].record if is_standard else None

    # ---- messages --------------------------------------------------------------------------------------------

    def messages(self, topics: Iterable[Topic] | None = None, *, start: int = 0, stop: int = LAST) -> Iterator[Message]:
        """Yield the messages recorded in [start, stop) (ns), decoded, by time.

        Memory holds one chunk of each file that overlaps in time. Messages that are not readable become faults.

        Args:
            topics: of ``topics_of`` or ``topic``; None = all that are decoded.
            start: time of the first message.
            stop: time after the last message.
        """
        chosen = self.topics if topics is None else topics
        for message in self.raw_messages([t for t in chosen if t.key in self._records], start=start, stop=stop):
            if (record := self.decode(message)) is not None:
                yield replace(message, record=record)

    def raw_messages(
        self, topics: Iterable[Topic] | None = None, *, start: int = 0, stop: int = LAST
    ) -> Iterator[Message]:
        """Yield messages of any type as recorded; arguments as ``messages``."""
        chosen = self.topics if topics is None else tuple(topics)
        first, after = max(start, 0), min(stop, LAST)
        files = [(file.span.first, file.messages(chosen, first, after)) for file in self._files if file.span]
        return _by_time(files)

    def decode(self, message: Message) -> Record | None:
        """Decode a message of ``raw_messages``; None for other types and for damaged ones, which become faults."""
        topic = message.topic
        if topic.key not in self._records:
            return None
        try:
            return decode_record(message.data, topic.type, topic.encoding)
        except DataError as error:
            first = f"the first at {seconds(message.time)} ({error})"
            self._undecodable.setdefault(topic.key, _Undecodable(0, first)).count += 1
            return None


def _by_time(files: Iterable[tuple[int, Iterator[Message]]]) -> Iterator[Message]:
    """Merge the messages of files. A file is read from the time of its first message on, since each costs memory."""
    queue: list[tuple[int, int, Message | None, Iterator[Message]]] = [
        (first, i, None, messages) for i, (first, messages) in enumerate(files)
    ]
    heapq.heapify(queue)
    while queue:
        _, i, message, messages = queue[0]
        if message is not None:
            yield message
        if (following := next(messages, None)) is None:
            heapq.heappop(queue)
        else:
            heapq.heapreplace(queue, (following.time, i, following, messages))


def _merged(files: Sequence[RecordedFile]) -> tuple[Topic, ...]:
    """Topics of all files, each once, with the sum of their counts."""
    by_key: dict[_Key, list[Topic]] = defaultdict(list)
    for topic in (topic for file in files for topic in file.topics):
        by_key[topic.key].append(topic)
    return tuple(replace(by_key[key][0], count=sum(t.count for t in by_key[key])) for key in sorted(by_key))
