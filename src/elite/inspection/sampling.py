"""A bounded sample of a recording: messages of evenly spaced stretches of time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from elite.datasets.check.sampled_scans import SampledScan, sampled_scan
from elite.errors import DataError
from elite.inspection.timing import Stamps
from elite.recordings import (
    CompressedImage,
    Message,
    PointCloud2,
    Pose,
    RawImage,
    Recording,
    Span,
    Topic,
    decode_cloud,
)
from elite.recordings.point_times import PointTimes, point_times

STRETCHES = 10
_PERIODS = 10  # scans per stretch
_SHORTEST_NS, _LONGEST_NS = 10**9, 5 * 10**9
MOST_POINTS = 10_000_000  # kept for measures; an OS1-128 has 131,072 per scan
Progress = Callable[[Iterable[Span], int], Iterable[Span]]


@dataclass
class CloudSample:
    """Messages of a point cloud topic.

    Attributes:
        first: the first one with points; its frame and its fields are those of the measured scans.
        times: of the points of the first one of ``scans``; None without a field of times.
        scans: evenly spaced ones.
        kinds: number of messages by frame and names of the fields.
        damaged: number of messages whose fields are not readable, with the first ``reason``.
        next_scan: place of the next scan to keep among the times at which one is due.
    """

    first: PointCloud2 | None = None
    times: PointTimes | None = None
    scans: list[SampledScan] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    damaged: int = 0
    reason: str = ""
    next_scan: int = 0

    def add(self, cloud: PointCloud2, time: int, source: object, due: Sequence[int]) -> None:
        """Count a message recorded at ``time``, and keep its scan if one of the times ``due`` has passed."""
        kind = cloud.frame, " ".join(f.name for f in cloud.fields)
        self.kinds[kind] += 1
        if self.first is None or not len(self.first):  # some drivers begin with empty clouds
            self.first = cloud
        is_due = len(cloud) and self.next_scan < len(due) and time >= due[self.next_scan]
        if not is_due or (cloud.frame, cloud.fields) != (self.first.frame, self.first.fields):
            return
        try:
            self._keep(cloud, source)
        except DataError as error:
            self.damaged += 1
            self.reason = self.reason or str(error)
            return
        self.next_scan = int(np.searchsorted(due, time, "right"))

    def _keep(self, cloud: PointCloud2, source: object) -> None:
        if sum(map(len, self.scans)) > MOST_POINTS:
            return
        fields = decode_cloud(cloud, source)
        scan = sampled_scan(fields, source)
        if not self.scans:
            self.times = point_times(fields, cloud.stamp)
        self.scans.append(scan)


@dataclass
class Sample:
    """Messages of the stretches of a recording.

    Attributes:
        stretches: their times.
        clouds: by topic.
        images: first image by topic.
        poses: by topic, each with its stretch.
        stamps: times of recording and stamps (ns) by topic and stretch.
    """

    stretches: tuple[Span, ...]
    clouds: dict[str, CloudSample] = field(default_factory=lambda: defaultdict(CloudSample))
    images: dict[str, RawImage | CompressedImage] = field(default_factory=dict)
    poses: dict[str, list[tuple[int, Pose]]] = field(default_factory=lambda: defaultdict(list))
    stamps: dict[str, list[list[tuple[int, int]]]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(stretch.last - stretch.first for stretch in self.stretches) * 1e-9

    def stamps_of(self, topic: Topic) -> list[Stamps]:
        """Stamps of a topic, per stretch."""
        rows = self.stamps.get(topic.name, [[] for _ in self.stretches])
        return [Stamps(*np.array(row, np.int64).reshape(-1, 2).T) for row in rows]

    def add(self, message: Message, stretch: int, due: Sequence[int]) -> None:
        """Add a decoded message."""
        name, record = message.topic.name, message.record
        if not isinstance(record, PointCloud2 | RawImage | CompressedImage | Pose):
            return
        rows = self.stamps.setdefault(name, [[] for _ in self.stretches])
        rows[stretch].append((message.time, record.stamp))
        if isinstance(record, PointCloud2):
            self.clouds[name].add(record, message.time, name, due)
        elif isinstance(record, Pose):
            self.poses[name].append((stretch, record))
        else:
            self.images.setdefault(name, record)


def take_sample(recording: Recording, clouds: Sequence[Topic], progress: Progress) -> Sample:
    """Read ten stretches of a recording of about ten scans each; all of a short one.

    Args:
        recording: with messages.
        clouds: point cloud topics to read; images and poses are read from all topics.
        progress: is given the stretches and their number.
    """
    span, period = _span_and_period(recording, clouds)
    stretches = _stretches(span, period)
    sample = Sample(stretches)
    due = [stretch.first for stretch in stretches] if len(stretches) > 1 else _starts(span, STRETCHES)
    topics = [*clouds, *recording.topics_of(RawImage, CompressedImage), *recording.topics_of(Pose)]
    for i, stretch in enumerate(progress(stretches, len(stretches))):
        for message in recording.messages(topics, start=stretch.first, stop=stretch.last + 1):
            sample.add(message, i, due)
    return sample


def _span_and_period(recording: Recording, clouds: Sequence[Topic]) -> tuple[Span, int]:
    """Times of the clouds, or of all messages without any, and the longest time between two of them (ns)."""
    spans = [span for topic in clouds if (span := recording.span_of(topic)) is not None]
    if not spans:
        return recording.span or Span(0, 0), 0
    rates = [rate for topic in clouds if (rate := recording.rate_of(topic))]
    return Span(min(s.first for s in spans), max(s.last for s in spans)), int(1e9 / min(rates, default=10.0))


def _stretches(span: Span, period: int) -> tuple[Span, ...]:
    length = int(np.clip(_PERIODS * period, _SHORTEST_NS, _LONGEST_NS))
    if span.last - span.first <= STRETCHES * length:
        margin = _SHORTEST_NS // 10  # images and poses around the first and the last scan
        return (Span(span.first - margin, span.last + margin),)
    return tuple(Span(start, start + length) for start in _starts(span, STRETCHES))


def _starts(span: Span, count: int) -> list[int]:
    """Times of equal distances from the first one on (ns); as floats, they would be rounded."""
    return [span.first + k * (span.last - span.first) // count for k in range(count)]
