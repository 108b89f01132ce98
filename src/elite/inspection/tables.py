"""An inspection as lines of text."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

import yaml

from elite.datasets.check.scan_measures import RANGES, REMISSIONS
from elite.datasets.check.sensor_guess import SensorGuess
from elite.datasets.check.tables import aligned, number_text, quantile_text
from elite.inspection.records import CameraReport, CloudReport, FieldReport, PoseReport, Report, TopicReport
from elite.inspection.timing import Timing

_UNKNOWN = "-"
_BEAMS = {
    "field": "numbered in a field",
    "rows": "rows of the cloud",
    "columns": "columns of the cloud",
    "points": "estimated from the points",
}


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report: topics, points, sensor, cameras, poses, remarks, description, next command."""
    yield _headline(report)
    for rows in (_topic_rows(report), _camera_rows(report.cameras), _pose_rows(report.poses)):
        if rows:
            yield from ("", *aligned(rows))
    for cloud in report.clouds:
        yield from ("", *_cloud_lines(cloud))
    notes = [
        *report.notes,
        *(f"{part.topic or 'scans'}: {note}" for part in (*report.clouds, *report.cameras) for note in part.notes),
        *(f"{report.path}: {fault}" for fault in report.faults if report.kind == "recording"),
    ]
    if notes:
        yield from ("", "look at:", *(f"  {note}" for note in notes))
    yield from _next_lines(report)


def _headline(report: Report) -> str:
    size = f"{report.bytes / 1e6:,.1f} MB"
    if report.kind == "scans":
        count = report.clouds[0].count
        return f"{report.path}: {count:,} file{'s' * (count != 1)} of points, {size}"
    starts = [topic.first for topic in report.topics if topic.first is not None]
    start = f", from {datetime.fromtimestamp(min(starts), UTC):%Y-%m-%d %H:%M:%S} UTC" if starts else ""
    seconds, sampled = report.seconds or 0.0, report.sampled_seconds or 0.0
    read = "all messages were read" if sampled >= seconds else f"{sampled:.0f} s of it, evenly spaced, were read"
    return f"{report.path}: recording of {seconds:,.1f} s{start}, {size}; {read}"


# ---- recordings --------------------------------------------------------------------------------------------------


def _topic_rows(report: Report) -> list[tuple[str, ...]]:
    if not report.topics:
        return []
    start = min((topic.first for topic in report.topics if topic.first is not None), default=0.0)
    head = ("topic", "type", "messages", "rate (Hz)", "first (s)", "last (s)")
    return [head, *(_topic_row(topic, start) for topic in report.topics)]


def _topic_row(topic: TopicReport, start: float) -> tuple[str, ...]:
    times = (number_text(None if time is None else time - start, "{:.2f}") for time in (topic.first, topic.last))
    kind = topic.type if topic.encoding in ("cdr", "ros1") else f"{topic.type} ({topic.encoding})"
    return topic.name, kind, f"{topic.count:,}", number_text(topic.rate, "{:.2f}"), *times


def _camera_rows(cameras: Sequence[CameraReport]) -> list[tuple[str, ...]]:
    head = ("camera", "pixels", "encoding", "CameraInfo", "distortion", "TF to LiDAR", "after scan (ms), largest")
    return [head, *map(_camera_row, cameras)] if cameras else []


def _camera_row(camera: CameraReport) -> tuple[str, ...]:
    times = _UNKNOWN
    if camera.offset is not None and camera.largest_offset is not None:
        times = f"{1000 * camera.offset:+.1f}, {1000 * camera.largest_offset:+.1f}"
    return (
        camera.topic,
        f"{camera.width} x {camera.height}" if camera.width else _UNKNOWN,
        camera.encoding or _UNKNOWN,
        camera.info_topic or "none",
        camera.model or _UNKNOWN,
        _yes(camera.has_transform),
        times,
    )


def _yes(value: bool | None) -> str:
    return _UNKNOWN if value is None else "yes" if value else "no"


def _pose_rows(poses: Sequence[PoseReport]) -> list[tuple[str, ...]]:
    head = ("poses", "of", "in", "TF to LiDAR", "largest speed (m/s)", "motion")
    rows = [
        (
            *(pose.topic, pose.child or _UNKNOWN, pose.frame or _UNKNOWN, _yes(pose.has_transform)),
            number_text(pose.speed, "{:.1f}", f"unknown: only {pose.seconds:.2f} s of poses"),
            number_text(pose.heading and round(pose.heading) + 0.0, "{:.0f} degrees to the left of x"),
        )
        for pose in poses
    ]
    return [head, *rows] if rows else []


# ---- points ------------------------------------------------------------------------------------------------------


def _cloud_lines(cloud: CloudReport) -> Iterator[str]:
    yield f"{cloud.name}: {_shape(cloud)}, {'layout ' + cloud.layout if cloud.layout else 'unknown layout'}"
    if cloud.fields:
        yield f"  fields: {_fields(cloud.fields)}"
    rows = [*_message_rows(cloud), *_time_rows(cloud), *(_sensor_rows(cloud.sensor) if cloud.sensor else ())]
    if rows:
        yield ""
        yield from aligned([("measure", _measured(cloud)), *rows])


def _measured(cloud: CloudReport) -> str:
    scans = cloud.sensor.scans if cloud.sensor else 0
    noun = "messages" if cloud.topic else "files"
    return f"found in {scans} of {cloud.count:,} {noun}"


def _shape(cloud: CloudReport) -> str:
    points = f"{cloud.height} x {cloud.width}" if cloud.height > 1 else f"{cloud.height * cloud.width:,}"
    step = "" if cloud.point_step is None else f" of {cloud.point_step} bytes"
    return f"{points} points{step}"


def _fields(fields: Iterable[FieldReport]) -> str:
    """Fields with their types and offsets; neighbours of one type share it."""
    groups = []
    for kind, members in groupby(fields, key=lambda field: field.type):
        group = [*members]
        names = " ".join(field.name + (f"[{field.count}]" if field.count > 1 else "") for field in group)
        offsets = " ".join(str(field.offset) for field in group if field.offset is not None)
        groups.append(f"{names} {kind}" + (f" at {offsets}" if offsets else ""))
    return ", ".join(groups)


def _message_rows(cloud: CloudReport) -> Iterator[tuple[str, str]]:
    if cloud.topic is None or cloud.frame is None:
        return
    order = "big-endian" if cloud.big_endian else "little-endian"
    dense = "is_dense" if cloud.is_dense else "not is_dense"
    yield "message", f"frame {cloud.frame or '(none)'}, {cloud.bytes:,} bytes, {order}, {dense}"


def _time_rows(cloud: CloudReport) -> Iterator[tuple[str, str]]:
    if (timing := cloud.timing) is not None:
        yield "interval", _intervals(timing)
        if timing.is_stamped:
            delay, largest = 1000 * timing.delay, 1000 * timing.largest_delay
            yield "recorded after stamp", f"{delay:.1f} ms (largest: {largest:.1f} ms)"
    if (times := cloud.point_times) is not None:
        if times.unit is None:
            yield "times of points", f"{times.field}: a span of {times.span:g} in an unknown unit"
        else:
            first = "" if times.first is None else f", the first {1000 * times.first:+.1f} ms from the stamp"
            yield "times of points", f"{times.field} in {times.unit}: {1000 * times.span:.1f} ms{first}"


def _intervals(timing: Timing) -> str:
    return (
        f"{1000 * timing.interval:.1f} ms (jitter in 95 %: {1000 * timing.jitter:.1f} ms, longest: "
        f"{1000 * timing.longest:.1f} ms, gaps: {timing.gaps} of {timing.intervals})"
    )


def _sensor_rows(guess: SensorGuess) -> Iterator[tuple[str, str]]:
    scan = guess.measures
    yield "points", f"{scan.stored:,.0f}, of which {scan.no_return:.1%} have no return"
    yield "distance (m)", quantile_text(scan.ranges, RANGES)
    for field in guess.intensities:
        yield field.name, f"{quantile_text(field.quantiles, REMISSIONS, digits=_digits(field.max))}, {field.scale}"
    yield "ground (m)", number_text(scan.ground, "{:.2f}") + number_text(scan.tilt, ", tilted by {:.1f} degrees", "")
    if guess.beams is not None:
        yield "beams", f"{guess.beams.described()}, {_BEAMS[guess.beams.source]}"
    yield "azimuth step", number_text(scan.azimuth_step, "{:.3f} degrees")
    yield "axes", guess.axes or ("forward-left-up" if guess.heading is not None else "z up, x not known without poses")
    yield "preset", guess.reason


def _digits(largest: float) -> int:
    return 0 if largest >= 100 else 3 if largest >= 1 else 5


# ---- next --------------------------------------------------------------------------------------------------------


def _next_lines(report: Report) -> Iterator[str]:
    if report.description:
        folder = report.path if report.path.is_dir() else report.path.parent
        yield from ("", f"save as {folder / 'dataset.yaml'}:" if report.kind == "scans" else "for dataset.yaml:")
        for key, value in report.description.items():
            yield f"  {yaml_line(key, value)}"
    if report.next_command:
        yield from ("", f"next: {report.next_command}")


def yaml_line(key: str, value: object) -> str:
    """A key and its value in one line of YAML."""
    return yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=True, width=float("inf")).strip()[1:-1]
