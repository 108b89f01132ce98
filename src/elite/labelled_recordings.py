"""Label the clouds of a recording of ROS into another recording."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from elite.datasets.scan_files import intensity_candidates, points_of
from elite.errors import DataError
from elite.inference import Segmenter
from elite.point_files import ANSWER_FIELDS
from elite.prediction_files import PredictionSummary, failure_of, label_threads, with_name
from elite.prediction_formats import NO_ANSWER, answer_fields
from elite.recordings import (
    CDR,
    LAST,
    Compression,
    Message,
    PointCloud2,
    Record,
    Recording,
    RecordingWriter,
    Topic,
    decode_cloud,
    encode_cloud,
    encode_label_info,
    is_latched,
    label_info_topic,
    require_no_fields,
    ros2_topic,
    standard_definition,
    to_ros2,
    with_fields,
    write_recording,
)
from elite.recordings.topics import seconds
from elite.segmentation_result import SegmentationResult
from elite.sensor import SensorSpec
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Scan
from elite.version import __version__

METADATA = "elite"  # name of the record of the classes


@dataclass(frozen=True)
class RecordingJob:
    """Clouds of a recording, and the recording of their labels.

    Attributes:
        out: .mcap file to write.
        topic: clouds to label.
        labelled: name of the topic of labelled clouds; ``labelled``/label_info has the names of the classes.
        sensor: LiDAR of the clouds.
        copied: topics to copy.
        start, stop: first time of recording, and the one after the last (ns).
        every: 2 = label every second cloud, and so on.
        compression: of the output.
        provenance: further values of the record of the classes.
    """

    out: Path
    topic: Topic
    labelled: str
    sensor: SensorSpec
    copied: tuple[Topic, ...] = ()
    start: int = 0
    stop: int = LAST
    every: int = 1
    compression: Compression = "none"
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def label_info(self) -> str:
        """Name of the topic of the names of the classes."""
        return f"{self.labelled}/label_info"

    def messages(self, recording: Recording) -> Iterator[Message]:
        """Yield the messages to label and to copy, by time. Latched ones of before ``start`` come at ``start``."""
        latched = [topic for topic in self.copied if is_latched(topic.qos)] if self.start else []
        before = recording.raw_messages(latched, stop=self.start)
        topics = {topic.key: topic for topic in (self.topic, *self.copied)}
        after = recording.raw_messages(topics.values(), start=self.start, stop=self.stop)
        return chain((replace(message, time=self.start) for message in before), after)


@dataclass
class RecordingSummary(PredictionSummary):
    """Number of clouds by outcome, as ``PredictionSummary``.

    Attributes:
        damaged: clouds that are not readable, which are faults of the recording.
        copied: messages of copied topics.
        frames: coordinate frames of the clouds.
    """

    damaged: int = 0
    copied: int = 0
    frames: set[str] = field(default_factory=set)


def label_recording(
    segmenter: Segmenter,
    recording: Recording,
    job: RecordingJob,
    failed: Callable[[DataError], object],
    advance: Callable[[int], object] = lambda count: None,
) -> RecordingSummary:
    """Write a recording of ROS 2 with labelled clouds and copied topics. It appears when it is complete.

    Several clouds are labelled at once (``label_threads``), while another thread writes those before them.

    Args:
        segmenter: its student labels the clouds.
        recording: of ROS 2 or ROS 1.
        job: topics, times and output.
        failed: called for each readable cloud that is not labelled; the others are still labelled.
        advance: called with 1 for each cloud.

    Raises:
        DataError: no cloud was labelled.
        OutputError: the output is not writable.
    """
    labeller = _Labeller(segmenter, recording, job, failed, advance)
    with write_recording(job.out, job.compression) as file:
        file.describe(METADATA, _description(segmenter.taxonomy, job))
        _write_all(file, labeller.outputs())
        if not labeller.summary.written:
            raise labeller.without_clouds()
    return labeller.summary


def label_cloud(
    segmenter: Segmenter, cloud: PointCloud2, sensor: SensorSpec, source: object = "the cloud"
) -> tuple[PointCloud2, SegmentationResult]:
    """Append ``class_id``, ``probability`` and ``entropy`` to the points of a cloud; all other bytes stay.

    Args:
        segmenter: its student labels the cloud.
        cloud: of any layout. Points at the origin and those with NaN are beams without a return: they have no answer.
        sensor: LiDAR of the cloud.
        source: name of the cloud in messages.

    Returns:
        The cloud (see ``answer_fields``), and the prediction of its measured points.

    Raises:
        DataError: damaged, already labelled, or as a call of the segmenter.
    """
    require_no_fields(cloud, ANSWER_FIELDS, source)
    scan = scan_of_cloud(cloud, sensor, source)
    result = segmenter.segment(scan, source) if len(scan) else _without_points(segmenter.taxonomy)
    return with_fields(cloud, answer_fields(result, scan), source), result


def scan_of_cloud(cloud: PointCloud2, sensor: SensorSpec, source: object) -> Scan:
    """Find the measured points of a cloud; arguments and errors as ``label_cloud``."""
    fields = decode_cloud(cloud, source)
    points, remission = points_of(fields, sensor, source)
    kept = replace(sensor, no_return="drop").measured(points, remission)
    points, remission = points.compress(kept, axis=0), remission.compress(kept)  # 4 times as fast as points[kept]
    return Scan(points, remission, kept, candidates=intensity_candidates(fields, sensor))


def evenly_spaced_scans(
    recording: Recording, topic: Topic, sensor: SensorSpec, most: int
) -> Iterator[tuple[str, Scan]]:
    """Yield (name, scan) of readable clouds at most ``most`` equally distant times; errors as ``label_cloud``."""
    span = recording.span_of(topic)
    starts = [span.first + k * (span.last - span.first) // most for k in range(most)] if span else []
    found: set[int] = set()
    for start in starts:
        message = next(recording.messages([topic], start=start), None)
        if message is None or message.time in found or not isinstance(message.record, PointCloud2):
            continue
        found.add(message.time)
        yield _source(message), scan_of_cloud(message.record, sensor, _source(message))


def class_names(taxonomy: Taxonomy) -> dict[int, str]:
    """Name of each ``class_id``."""
    return dict(enumerate(taxonomy.names[1:], 1)) | {NO_ANSWER: taxonomy.names[IGNORE]}


@dataclass(frozen=True)
class _LabelledCloud:
    stamp: int
    frame: str
    data: bytes
    result: SegmentationResult


class _Labeller:
    """Messages of the output, and their summary so far; see ``label_recording``."""

    def __init__(
        self,
        segmenter: Segmenter,
        recording: Recording,
        job: RecordingJob,
        failed: Callable[[DataError], object],
        advance: Callable[[int], object],
    ) -> None:
        self._segmenter, self._recording, self._job = segmenter, recording, job
        self._failed, self._advance = failed, advance
        definition = standard_definition(job.topic.type, CDR).encode()
        self._topic = Topic(job.labelled, job.topic.type, CDR, "ros2msg", definition, job.topic.qos)
        self._copies = {topic.key: copy for topic in job.copied if (copy := ros2_topic(topic))}
        self.summary = RecordingSummary()
        self._first_failure: DataError | None = None

    def without_clouds(self) -> DataError:
        """The error of an output without clouds."""
        if self._first_failure is not None:
            return with_name(self._first_failure, self._recording.path)
        found = f"{self.summary.damaged} damaged ones" if self.summary.damaged else "none at these times"
        return DataError(
            f"{self._recording.path}: expected readable clouds of {self._job.topic.name}, found {found}. Check the "
            "topic and the times."
        )

    def outputs(self) -> Iterator[Message]:
        """Yield labelled clouds and copies, by time of recording. Names of the classes precede the first cloud."""
        for message, labelled in self._ahead():
            if (copy := self._copies.get(message.topic.key)) is not None:
                yield from self._copied(message, copy)
            if labelled is not None:
                yield from self._labelled(message, labelled)

    def _ahead(self) -> Iterator[tuple[Message, "Future[_LabelledCloud | None] | None"]]:
        """Yield the messages in order, and of those to label their future clouds, which are some clouds ahead."""
        clouds = 0
        waiting: deque[tuple[Message, Future[_LabelledCloud | None] | None]] = deque()
        with label_threads(self._segmenter) as (threads, count):
            for message in self._job.messages(self._recording):
                labelled, is_cloud = None, message.topic.key == self._job.topic.key
                if is_cloud and clouds % self._job.every == 0:
                    labelled = threads.submit(self._label, message, self._recording.decode(message))
                clouds += is_cloud
                waiting.append((message, labelled))
                while sum(future is not None for _, future in waiting) > count:
                    yield waiting.popleft()
            yield from waiting

    def _copied(self, message: Message, topic: Topic) -> Iterator[Message]:
        is_same = message.topic.encoding == topic.encoding
        try:
            data = message.data if is_same else to_ros2(message.data, topic.type)
        except DataError as error:
            return self._fail(message, error)
        self.summary.copied += 1
        yield replace(message, topic=topic, data=data)

    def _label(self, message: Message, cloud: Record | None) -> "_LabelledCloud | None":
        """Label a cloud, in any thread; None if it was not readable."""
        if not isinstance(cloud, PointCloud2):
            return None
        cloud, result = label_cloud(self._segmenter, cloud, self._job.sensor, _source(message))
        return _LabelledCloud(cloud.stamp, cloud.frame, encode_cloud(cloud, CDR), result)

    def _labelled(self, message: Message, labelled: "Future[_LabelledCloud | None]") -> Iterator[Message]:
        try:
            cloud = labelled.result()
        except (DataError, MemoryError, RuntimeError) as error:
            self._advance(1)
            self.summary.failed += 1
            return self._fail(message, error)
        self._advance(1)
        if cloud is None:
            self.summary.damaged += 1
            return
        if not self.summary.written:
            names = encode_label_info(class_names(self._segmenter.taxonomy), cloud.stamp, cloud.frame)
            yield Message(label_info_topic(self._job.label_info), message.time, names)
        self.summary.add(cloud.result)
        self.summary.frames.add(cloud.frame)
        yield replace(message, topic=self._topic, data=cloud.data)

    def _fail(self, message: Message, error: Exception) -> None:
        failure = failure_of(_source(message), error)
        self._first_failure = self._first_failure or failure
        self._failed(failure)


def _without_points(taxonomy: Taxonomy) -> SegmentationResult:
    probabilities = np.zeros((0, len(taxonomy) - 1), np.float32)
    empty = np.zeros(0, np.uint8), np.zeros(0, np.float32)
    return SegmentationResult(*empty, taxonomy.names, distinct=(probabilities, np.zeros(0, np.int64)))


def _source(message: Message) -> str:
    return f"{message.topic.name} at {seconds(message.time)}"


def _description(taxonomy: Taxonomy, job: RecordingJob) -> dict[str, str]:
    """Record of the classes, for programs that read the metadata of the file."""
    classes = [
        {"class_id": i, "name": spec.name, "color": taxonomy.colors[i].tolist(), "raw_ids": spec.raw_ids}
        for i, spec in enumerate(taxonomy.classes)
        if i != IGNORE
    ]
    return {
        "version": __version__,
        "taxonomy": taxonomy.name,
        "classes": json.dumps(classes),
        "no_answer": str(NO_ANSWER),
        "clouds": job.topic.name,
        "labelled_clouds": job.labelled,
        "sensor": json.dumps(job.sensor.to_settings()),
        **job.provenance,
    }


def _write_all(file: RecordingWriter, messages: Iterator[Message]) -> None:
    """Write each message in another thread while the next one is computed."""
    with ThreadPoolExecutor(1) as thread:
        written: list[Future[None]] = []
        for message in messages:
            while written:
                written.pop().result()
            written.append(thread.submit(file.write, message))
        for last in written:
            last.result()
