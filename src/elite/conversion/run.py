"""A recording as a data set: one pass over its messages, a few seconds of them in memory."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elite.config import plain
from elite.conversion.description import POSES, check_description, check_deskew, write_description
from elite.conversion.deskew import Sweep, deskewed, read_sweep
from elite.conversion.images import image_content, image_kind, is_truncated
from elite.conversion.journal import Counts, Entry, Journal, read_origin
from elite.conversion.lidar import sensor_values
from elite.conversion.pairing import Group, Grouping, Item, poses_after
from elite.conversion.pose_lines import pose_lines, pose_row
from elite.conversion.report import ConversionReport
from elite.conversion.settings import ConversionSettings
from elite.conversion.sources import Sources, find_sources
from elite.datasets.described import GENERATED
from elite.datasets.described.poses import OUTSIDE_S
from elite.errors import ConfigError, DataError, OutputError, require_extra
from elite.files import make_folder, temporary_pattern, write_bytes
from elite.layout import DESCRIPTION
from elite.point_files import encode_points
from elite.recordings import (
    LAST,
    CameraInfo,
    CompressedImage,
    Message,
    PointCloud2,
    Pose,
    RawImage,
    Recording,
    Topic,
    decode_cloud,
    open_recording,
)
from elite.recordings.point_times import MOST_OFFSET_S
from elite.taxonomy import load_taxonomy

Progress = Callable[[int | None], AbstractContextManager[Callable[[int], object]]]
_SCANS = "lidar"


def convert(
    recording: Path, out: Path, settings: ConversionSettings, progress: Progress = lambda total: nullcontext(int)
) -> ConversionReport:
    """Convert a recording to a sequence of the data set ``out``.

    A conversion that was stopped continues where it was; the result is the same. The sequence appears when it is
    complete, and ``dataset.yaml`` after the first one.

    Args:
        recording: a file or a folder, as in ``open_recording``.
        out: folder of the data set; other sequences in it stay.
        settings: what is converted, and how.
        progress: opened with the number of scans (None = unknown), called with numbers of new ones.

    Raises:
        EliteError: unusable settings or contents, or an output that is not the same conversion.
    """
    require_extra("pypcd4", "formats", needed_for=".pcd files")
    if settings.taxonomy is not None:
        load_taxonomy(settings.taxonomy)
    with open_recording(recording) as opened:
        _check_output(out)
        _check_start(settings.start, opened)
        check_deskew(out, settings)
        target = out / _sequence_name(recording, settings)
        origin = {"recording": recording.name, "span": [*(opened.span or ())], **plain(settings)}
        if (done := _complete_report(target, origin)) is not None:
            return replace(done, notes=(*done.notes, *opened.faults))
        sources = find_sources(opened, settings)
        sensor, notes = sensor_values(opened, sources.lidar, settings.sensor)
        kept = check_description(out, sources, settings)
        with closing(_open_journal(target, origin)) as journal:
            for left_over in _left_over(out, journal.path.parent, target):
                left_over.unlink()
            if journal.final is None:
                _Converter(opened, sources, settings, journal).run(progress)
            _finish(journal, target)
            report = ConversionReport.of(target, sources, settings, journal, notes)
            if journal.report is None:
                journal.add_report(report.to_record())
        if not (out / DESCRIPTION).exists():
            write_description(out, sources, settings, sensor)
        return replace(report, notes=(*report.notes, *kept, *opened.faults))


def _complete_report(target: Path, origin: dict[str, Any]) -> ConversionReport | None:
    """Read the report of a sequence that is complete, with its ``dataset.yaml``; None for others.

    Raises:
        OutputError: the sequence is another conversion.
        DataError: its record is damaged.
    """
    if not target.with_name(DESCRIPTION).exists() or read_origin(target) is None:
        return None
    with closing(Journal(target, origin)) as journal:
        return None if journal.report is None else ConversionReport.read(target, journal.report)


def _check_output(out: Path) -> None:
    """Check that a folder is new, a data set, or contains conversions only."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: expected a folder, found a file. Choose another output.")
    if not out.exists() or (out / DESCRIPTION).exists():
        return
    others = (path for path in out.iterdir() if not path.name.startswith("."))
    if foreign := [path.name for path in others if not path.is_dir() or read_origin(path) is None]:
        raise OutputError(f"{out}: expected a new folder or a data set, found '{min(foreign)}'. Choose another output.")


def _check_start(start: float, recording: Recording) -> None:
    """Check that a recording is not over before the part to convert."""
    if recording.span and start > (length := (recording.span.last - recording.span.first) / 1e9):
        raise ConfigError(
            f"--start: expected at most {length:.1f} s, the length of the recording, found {start:g} s. Change it."
        )


def _sequence_name(recording: Path, settings: ConversionSettings) -> str:
    name = settings.sequence or re.sub(r"[^\w.-]+", "_", recording.absolute().stem).strip("._") or "drive"
    if not re.fullmatch(r"\w[\w.-]*", name) or name == GENERATED:
        raise OutputError(f"--sequence: expected letters, digits, '-' and '_', found '{name:.60}'. Rename it.")
    return name


def _open_journal(target: Path, origin: dict[str, Any]) -> Journal:
    """Open the record of a complete sequence, or that of one in progress."""
    if not target.exists():
        return Journal(make_folder(target.with_name(f".{target.name}.part")), origin)
    if read_origin(target) is None:
        raise OutputError(f"{target}: expected a new sequence, found other files. Give another --sequence.")
    return Journal(target, origin)


def _left_over(out: Path, folder: Path, target: Path) -> list[Path]:
    """Temporary files of a process that was killed; a complete sequence has none."""
    inside = folder.rglob(temporary_pattern("*")) if folder != target else ()
    return [path for path in (*out.glob(temporary_pattern(DESCRIPTION)), *inside) if path.is_file()]


def _finish(journal: Journal, target: Path) -> None:
    """Write the poses, and give the sequence its name; remove one without scans."""
    folder = journal.path.parent
    if not any(entry.is_converted for entry in journal.entries):
        shutil.rmtree(folder)
        with suppress(OSError):  # it contains other sequences
            target.parent.rmdir()
        return
    if folder != target:
        if any(entry.poses for entry in journal.entries):
            write_bytes(folder / POSES, pose_lines(journal).encode())
        folder.rename(target)


class _Converter:
    """One pass over the messages of a recording."""

    def __init__(self, recording: Recording, sources: Sources, settings: ConversionSettings, journal: Journal) -> None:
        self._recording, self._sources, self._settings = recording, sources, settings
        self._journal, self._folder = journal, journal.path.parent
        self._cameras = {camera.name: camera for camera in sources.cameras}
        reach = round(MOST_OFFSET_S * 1e9) if settings.deskew else 0
        self._groups = Grouping(tuple(self._cameras), sources.poses is not None, round(settings.sync * 1e9), reach)
        self._resume_at = journal.entries[-1] if journal.entries else None
        self._counts = self._resume_at.counts.copy() if self._resume_at else Counts()

    def run(self, progress: Progress) -> None:
        """Convert all scans that the record lacks."""
        with progress(self._expected_scans()) as advance:
            for now in self._read():
                for group in self._groups.complete(now):
                    self._write(group)
                    advance(1)
        self._journal.finish(self._counts)

    def _expected_scans(self) -> int | None:
        """Number of scans that remain, from the number of messages and the part of the time."""
        count, span = self._sources.lidar.topic.count, self._recording.span
        if not count or span is None:
            return None
        start, stop = self._window(span.first)
        share = (min(stop, span.last + 1) - max(start, span.first)) / (span.last + 1 - span.first)
        return max(round(count * share / self._settings.every) - len(self._journal.entries), 0)

    def _window(self, first: int) -> tuple[int, int]:
        start, stop = self._settings.start, self._settings.stop
        return first + round(start * 1e9), LAST if stop is None else first + round(stop * 1e9)

    def _read(self) -> Iterator[int | None]:
        """Sort all messages into groups; yields the time after each, and None at the end."""
        sorters = self._sorters()
        start, stop = self._window(self._recording.span.first if self._recording.span else 0)
        if self._resume_at is not None:
            start = max(start, self._resume_at.time - self._groups.patience_ns)
        topics = {topic.key: topic for topic, _ in sorters}
        for message in self._recording.messages(topics.values(), start=start, stop=stop):
            for topic, sort in sorters:
                if topic.key == message.topic.key:
                    sort(message)
            yield message.time
        yield None

    def _sorters(self) -> list[tuple[Topic, Callable[[Message], None]]]:
        """Topics, and what is done with their messages. Cameras may share one."""
        found: list[tuple[Topic, Callable[[Message], None]]] = [(self._sources.lidar.topic, self._add_cloud)]
        for camera in self._sources.cameras:
            found.append((camera.topic, partial(self._add_image, camera.name)))
            if camera.info_topic is not None:
                found.append((camera.info_topic, partial(self._compare_info, camera.name)))
        return found + ([(self._sources.poses.topic, self._add_pose)] if self._sources.poses else [])

    # ---- messages --------------------------------------------------------------------------------------------

    def _count(self, fault: str) -> None:
        """Count a fault, unless it was counted before the conversion stopped."""
        if self._resume_at is None:
            self._counts.add(fault)

    def _add_cloud(self, message: Message) -> None:
        cloud, last = message.record, self._resume_at
        assert isinstance(cloud, PointCloud2)
        if last is not None:
            if (message.time, message.taken) == (last.time, last.stamp):
                self._resume_at = None
            return
        if fault := self._sources.lidar.fault(cloud):
            return self._count(fault)
        if message.taken <= self._counts.last_stamp:
            return self._count("clouds whose time does not increase")
        try:
            points = decode_cloud(cloud, self._sources.lidar.topic.name)
        except DataError:
            return self._count("clouds that are not readable")
        sweep = read_sweep(points, message.taken) if self._settings.deskew else None
        if self._settings.deskew and sweep is None:
            return self._count("clouds whose times of points are doubtful, or more than 1 s from their stamp")
        self._counts.last_stamp = message.taken
        self._counts.clouds += 1
        if (self._counts.clouds - 1) % self._settings.every == 0:
            content = sweep or encode_points(points, ".pcd"), self._counts.copy()
            self._groups.add_scan(Item(message.time, message.taken, content, sweep.after_ns if sweep else 0))

    def _add_image(self, camera: str, message: Message) -> None:
        record, source = message.record, self._cameras[camera]
        assert isinstance(record, RawImage | CompressedImage)
        try:
            kind = image_kind(record, self._settings.image_format, source.topic.name)
        except DataError:
            return self._count(f"images of {camera} without pixels, or neither JPEG nor PNG")
        if kind != source.kind:
            return self._count(f"images of {camera} of another size or format")
        if is_truncated(record):
            return self._count(f"truncated images of {camera}")
        if message.taken < 0:
            return self._count(f"images of {camera} with a negative time")
        self._groups.add_image(camera, Item(message.time, message.taken, record))

    def _compare_info(self, camera: str, message: Message) -> None:
        first, info = self._cameras[camera].info, message.record
        assert isinstance(info, CameraInfo)
        assert first is not None
        if info.D != first.D or not np.array_equal(info.K, first.K) or not np.array_equal(info.P, first.P):
            self._count(f"calibrations of {camera} that differ from the first one, which is used")

    def _add_pose(self, message: Message) -> None:
        pose, source = message.record, self._sources.poses
        assert isinstance(pose, Pose)
        assert source is not None
        if (pose.parent, pose.child) != source.frames:
            return self._count(f"poses of '{pose.child}' in '{pose.parent}', not of the frames of the first one")
        self._groups.add_pose(Item(message.time, message.taken, pose))

    # ---- files -----------------------------------------------------------------------------------------------

    def _write(self, group: Group) -> None:
        """Write the files of a scan, then the line that records it."""
        scan = group.scan
        content, counts = self._points_of(group), scan.content[1]
        poses = self._poses_of(group)
        if poses is None or content is None:
            return self._journal.add(Entry(scan.time, scan.stamp, {}, [], False, counts))
        images = {}
        for camera, image in group.images.items():
            if name := self._write_image(camera, image):
                images[camera] = name
        path = self._folder / _SCANS / f"{scan.stamp:019d}.pcd"
        if not path.exists():
            write_bytes(path, content)
        self._journal.add(Entry(scan.time, scan.stamp, images, poses, True, counts))

    def _write_image(self, camera: str, image: Item[Any]) -> str | None:
        """Write an image; returns its name, None if its pixels are not readable."""
        source = self._cameras[camera]
        path = self._folder / "cameras" / camera / f"{image.stamp:019d}{source.kind.suffix}"
        if not path.exists():
            try:
                content = image_content(image.content, self._settings.image_format, source.topic.name)
            except DataError:
                return None
            write_bytes(path, content)
        return path.name

    def _points_of(self, group: Group) -> bytes | None:
        """File of the points of a scan; None if the pose of one is unknown."""
        content, source = group.scan.content[0], self._sources.poses
        if not isinstance(content, Sweep):
            return content
        assert source is not None
        points = deskewed(content, group.scan.stamp, group.poses, source.T_child_lidar)
        return None if points is None else encode_points(points, ".pcd")

    def _poses_of(self, group: Group) -> list[list[float]] | None:
        """Poses of the LiDAR at the times of a scan and of its images; None if one is unknown."""
        source = self._sources.poses
        if source is None:
            return []
        stamps = sorted({group.scan.stamp, *(image.stamp for image in group.images.values())})
        offsets = (np.array(stamps) - group.scan.stamp) * 1e-9
        found = poses_after(group.poses, group.scan.stamp, offsets, OUTSIDE_S)
        if found is None:
            return None
        return [pose_row(stamp, pose) for stamp, pose in zip(stamps, found @ source.T_child_lidar, strict=True)]
