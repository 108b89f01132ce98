"""mcap files, one chunk in memory at a time; those without an index or an end too."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from elite.recordings.mcap_index import build_index, read_index
from elite.recordings.topics import Message, Span, Topic


class McapFile:
    """An mcap file; see ``RecordedFile``."""

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open("rb")
        self._index = index = read_index(self._file) or build_index(self._file)
        self._channels: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for channel, topic in index.topics.items():
            self._channels[topic.key].append(channel)
        self.topics = tuple(
            replace(index.topics[channels[0]], count=sum(index.counts[channel] for channel in channels))
            for channels in self._channels.values()
        )
        filled = [block for block in index.blocks if block.channels or block.last]  # empty chunks have the times 0
        self.span = Span(min(b.first for b in filled), max(b.last for b in filled)) if filled else None

    @property
    def faults(self) -> tuple[str, ...]:
        ends, damaged, name = self._index.ends, self._index.damaged, self.path.name
        found = [f"{name}: it ends {ends}; the messages before it are read"] if ends else []
        for place, reason in sorted(damaged.items())[:1]:
            found.append(f"{name}: {len(damaged)} damaged chunks are skipped, the first at byte {place} ({reason})")
        return tuple(found)

    def close(self) -> None:
        self._file.close()

    def messages(self, topics: Collection[Topic], start: int, stop: int) -> Iterator[Message]:
        """Yield the messages recorded in [start, stop), by time. Damaged chunks are skipped and become faults."""
        wanted = {channel: topic for topic in topics for channel in self._channels.get(topic.key, ())}
        queue: list[tuple[int, int, int, Any]] = [  # chunks that are not read yet, and the messages of those that are
            (block.first, block.start, -1, block)
            for block in self._index.blocks
            if block.first < stop and block.last >= start and not (block.channels and block.channels.isdisjoint(wanted))
        ]
        heapq.heapify(queue)
        while queue:
            time, place, number, item = heapq.heappop(queue)
            if number >= 0:
                yield Message(wanted[item.channel_id], time, item.data, published=item.publish_time)
                continue
            for i, record in enumerate(self._index.read(self._file, item)):
                channel, at = getattr(record, "channel_id", None), getattr(record, "log_time", 0)
                if channel in wanted and start <= at < stop:
                    heapq.heappush(queue, (at, place, i, record))
