"""Inspection of a recording: its topics, and a sample of its clouds, images and poses."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from elite.datasets.check.orientation import heading, mean_direction
from elite.datasets.check.sampled_scans import SampledScan
from elite.datasets.check.sensor_guess import guess_sensor
from elite.inspection.cameras import camera_reports
from elite.inspection.layouts import fields_of_cloud, layout_of
from elite.inspection.records import CloudReport, PoseReport, Report, TopicReport
from elite.inspection.sampling import CloudSample, Progress, Sample, take_sample
from elite.inspection.timing import Timing, measure_timing
from elite.recordings import PointCloud2, Pose, Recording, Topic, open_recording
from elite.recordings.calibration import FrameTree, read_frame_tree
from elite.sensor import SensorSpec

_S = 1e-9  # seconds per nanosecond
_POSES_APART_NS = 5 * 10**8  # between poses whose difference is the direction of motion
_LATE_S = 0.1  # between stamp and recording


def inspect_recording(
    path: Path,
    *,
    topic: str | None = None,
    sensor: SensorSpec | None = None,
    progress: Progress = lambda items, total: items,
) -> tuple[Report, list[SampledScan]]:
    """Inspect a recording. The time does not depend on its length: ten stretches of it are read.

    Args:
        path: .mcap, .db3, .bag, or a folder of ROS 2.
        topic: of the point clouds to read; None = all.
        sensor: what is known of their LiDAR.
        progress: is given the stretches and their number, and yields them.

    Returns:
        The report, whose first cloud has the most points, and the measured scans of it.

    Raises:
        DataError: it is not readable, or has no such topic.
    """
    with open_recording(path) as recording:
        clouds = recording.topics_of(PointCloud2) if topic is None else (recording.topic(topic, PointCloud2),)
        sample = take_sample(recording, clouds, progress)
        tree = read_frame_tree(recording)
        main = max(clouds, key=lambda cloud: _points(sample.clouds[cloud.name]), default=None)
        ordered = sorted(clouds, key=lambda cloud: (cloud is not main, cloud.name))
        frame = _frame(sample.clouds[main.name]) if main else None
        poses = tuple(_pose_report(recording, pose, sample, tree, frame) for pose in recording.topics_of(Pose))
        known = next((pose.heading for pose in poses if pose.heading is not None), None)
        reports = tuple(_cloud_report(cloud, sample, known if cloud is main else None, sensor) for cloud in ordered)
        report = Report(
            path=path,
            kind="recording",
            bytes=_size(path),
            seconds=(recording.span.last - recording.span.first) * _S if recording.span else None,
            sampled_seconds=sample.seconds,
            topics=tuple(_topic_report(recording, found) for found in recording.topics),
            clouds=reports,
            cameras=camera_reports(recording, sample, tree, main, frame),
            poses=poses,
            faults=recording.faults,
            notes=tuple(_notes(path, reports)),
            description={"sensor": reports[0].sensor.settings} if reports and reports[0].sensor else {},
            next_command=_command(path, main),
        )
    return report, sample.clouds[main.name].scans if main else []


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder."""
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _points(sample: CloudSample) -> int:
    return len(sample.first) if sample.first else 0


def _frame(sample: CloudSample) -> str | None:
    return sample.first.frame if sample.first else None


def _topic_report(recording: Recording, topic: Topic) -> TopicReport:
    span = recording.span_of(topic)
    return TopicReport(
        *(topic.name, topic.type, topic.encoding, topic.count, recording.rate_of(topic)),
        first=span.first * _S if span else None,
        last=span.last * _S if span else None,
    )


def _notes(path: Path, clouds: Sequence[CloudReport]) -> Iterator[str]:
    if not clouds:
        yield f"{path}: expected point clouds, found no topic of sensor_msgs/msg/PointCloud2. Record one."


def _command(path: Path, main: Topic | None) -> str:
    """Command that converts a recording. The data set has the name of the guide: further recordings may join it."""
    words = "elite", "convert", str(path), "--topic", main.name if main else "", "-o", "fleet"
    return shlex.join(words) if main else ""


# ---- clouds ------------------------------------------------------------------------------------------------------


def _cloud_report(topic: Topic, sample: Sample, direction: float | None, sensor: SensorSpec | None) -> CloudReport:
    found = sample.clouds[topic.name]
    first, timing = found.first, measure_timing(sample.stamps_of(topic))
    guess = guess_sensor(found.scans, heading=direction, stated=sensor) if found.scans else None
    fields = fields_of_cloud(first) if first else ()
    return CloudReport(
        topic=topic.name,
        count=topic.count,
        read=found.kinds.total(),
        damaged=found.damaged,
        frame=_frame(found),
        fields=fields,
        layout=layout_of(field.name for field in fields),
        height=first.height if first else 0,
        width=first.width if first else 0,
        point_step=first.point_step if first else None,
        big_endian=first.is_bigendian if first else None,
        is_dense=first.is_dense if first else None,
        bytes=len(first.data) if first else 0,
        timing=timing,
        point_times=found.times,
        sensor=guess,
        notes=(*_cloud_notes(topic, found, timing), *(guess.notes if guess else ())),
    )


def _cloud_notes(topic: Topic, found: CloudSample, timing: Timing | None) -> Iterator[str]:
    if found.first is None:
        yield "expected messages, found none in the sample. Record it again, or choose another --topic."
    if found.damaged:
        yield f"expected readable points, found {found.damaged} damaged messages, which are skipped: {found.reason}"
    if len({frame for frame, _ in found.kinds}) > 1:
        frames = _counted([(frame or "''", count) for (frame, _), count in found.kinds.most_common()])
        yield f"expected one sensor per topic, found the frames {frames}. Split the topic; the first frame is measured."
    elif len(found.kinds) > 1:
        layouts = _counted([(f"({names})", count) for (_, names), count in found.kinds.most_common()])
        yield f"expected one layout, found the fields {layouts}. The first layout is measured."
    if found.first is not None and not found.scans and not found.damaged:
        yield "expected points with a return, found none in the sample. Check the driver."
    if timing is not None:
        yield from _timing_notes(timing)


def _counted(kinds: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{kind} in {count}" for kind, count in kinds[:4]) + (" messages" if kinds else "")


def _timing_notes(timing: Timing) -> Iterator[str]:
    if not timing.is_stamped:
        yield "expected stamps, found 0 in all headers. Images are paired by the time of recording."
    if timing.backwards:
        yield f"expected stamps that rise, found {timing.backwards} that do not. Check the clock of the sensor."
    if timing.gaps:
        yield (
            f"expected a scan every {timing.interval:.3f} s, found {timing.gaps} gaps of up to {timing.longest:.2f} "
            f"s in {timing.intervals} intervals. Check the network and the disk of the recorder."
        )
    if abs(timing.delay) > _LATE_S:
        yield (
            f"expected stamps near the time of recording, found them {timing.delay:.2f} s before it. Synchronise the "
            "clocks of sensor and recorder, if cameras have another clock."
        )


# ---- poses -------------------------------------------------------------------------------------------------------


def _pose_report(recording: Recording, topic: Topic, sample: Sample, tree: FrameTree, lidar: str | None) -> PoseReport:
    poses = sample.poses[topic.name]
    first = poses[0][1] if poses else None
    child = first.child if first else ""
    T_child_lidar = tree.find(child, lidar) if child and lidar is not None else None
    speeds, directions, times = [], [], []
    for stretch in sorted({stretch for stretch, _ in poses}):
        found = [pose for i, pose in poses if i == stretch]
        moved = _apart(found)
        times.append((found[-1].stamp - found[0].stamp) * _S)
        for a, b in pairwise(moved):
            speeds.append(float(np.linalg.norm((b.matrix - a.matrix)[:3, 3])) / ((b.stamp - a.stamp) * _S))
        if T_child_lidar is not None:
            directions.append(heading([pose.matrix @ T_child_lidar for pose in moved]))
    return PoseReport(
        *(topic.name, topic.type, topic.count, recording.rate_of(topic)),
        frame=first.parent if first else "",
        child=child,
        has_transform=None if lidar is None else T_child_lidar is not None,
        speed=max(speeds, default=None),
        heading=mean_direction(directions),
        seconds=max(times, default=0.0),
    )


def _apart(poses: list[Pose]) -> list[Pose]:
    """Poses of at least half a second between each other."""
    kept: list[Pose] = []
    for pose in poses:
        if not kept or pose.stamp - kept[-1].stamp >= _POSES_APART_NS:
            kept.append(pose)
    return kept
