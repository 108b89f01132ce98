"""Labels of a recording of ROS, which ``elite predict`` writes as another recording."""

import re
import time
from argparse import Namespace
from collections.abc import Sequence
from difflib import get_close_matches
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from elite.cli.arguments import add_overwrite
from elite.cli.outputs import FAULTY, refuse_existing
from elite.cli.parser import Parser, count, duration
from elite.cli.scans import OF_DATA_SETS, load_segmenter, require_no_past
from elite.errors import ConfigError, DataError, EliteError, OutputError
from elite.files import refuse_inputs
from elite.inspection.sources import has_recording_suffix, is_recording_folder
from elite.terminal import notice, progress_bar, say

if TYPE_CHECKING:
    from elite.inference import Segmenter
    from elite.labelled_recordings import RecordingJob, RecordingSummary
    from elite.recordings import Recording, Topic

_HEADING = "Recordings"
_OF_RECORDINGS = ("topic", "output_topic", "copy", "compression", "every", "start", "stop", "overwrite")
_OF_FILES = ("confidence", "skip_existing")
_TOPIC = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)
_MOST_FAILURES = 10  # of one kind that are listed


def add_recording_options(parser: Parser) -> None:
    """Add the options of ``predict_recording``."""
    text = "Point clouds to label (default: the only such topic)."
    parser.add("--topic", metavar="TOPIC", heading=_HEADING, help=text)
    text = "Topic of the labelled clouds (default: that of the clouds with _labelled)."
    parser.add("--output-topic", metavar="TOPIC", heading=_HEADING, help=text)
    text = "Further topics to copy: all, none, or their names with commas (default: none)."
    parser.add("--copy", metavar="TOPICS", heading=_HEADING, help=text)
    text = "Compression of the output: none, as ROS 2 records; lz4; zstd (default: none)."
    parser.add("--compression", choices=("none", "lz4", "zstd"), heading=_HEADING, help=text)
    text = "Number of clouds of which one is labelled (default: 1)."
    parser.add("--every", type=count, metavar="N", heading=_HEADING, help=text)
    text = "First part to leave out, such as 10s (default: none)."
    parser.add("--start", type=duration, metavar="TIME", heading=_HEADING, help=text)
    text = "End, from the start of the recording (default: its end)."
    parser.add("--stop", type=duration, metavar="TIME", heading=_HEADING, help=text)
    add_overwrite(parser, heading=_HEADING)


def is_recording(paths: Sequence[Path]) -> bool:
    """Whether DATA are recordings. Those of ROS 2 may be folders without scans or a data set."""
    return any(is_recording_folder(path) if path.is_dir() else has_recording_suffix(path) for path in paths)


def refuse_recording_options(args: Namespace) -> None:
    """Raises ConfigError if options or the output of a recording are given, since DATA are scans."""
    if has_recording_suffix(args.out):
        raise ConfigError(
            f"{args.out}: expected a folder for the labels of scans, found the name of a recording. Rename it."
        )
    if given := _given(args, _OF_RECORDINGS):
        raise ConfigError(f"{given}: expected a recording (.mcap, .db3, .bag), found scans. Leave the options out.")


def predict_recording(args: Namespace) -> int:
    """Label the clouds of a recording; see ``elite predict``."""
    _check(args)

    from elite.labelled_recordings import label_recording
    from elite.recordings import open_recording

    with open_recording(args.data[0]) as recording:
        segmenter = load_segmenter(args.model, args, fill_radius=args.fill_radius)
        require_no_past(segmenter, "a recording")
        job, failures = _job(args, recording, segmenter), list[EliteError]()
        started = time.monotonic()
        with progress_bar(_expected_clouds(recording, job), unit="cloud", name="predict") as advance:
            done = label_recording(segmenter, recording, job, failures.append, advance)
        _report(recording, job, done, time.monotonic() - started)
        try:
            segmenter.guard.finish()
        except DataError as error:
            failures.append(error)
        faults = [*failures[:_MOST_FAILURES], *recording.faults]
        if len(failures) > _MOST_FAILURES:
            faults.append(f"... and {len(failures) - _MOST_FAILURES} more that are not listed")
    for fault in faults:
        say(f"  {fault}", error=True)
    return FAULTY if faults else 0


def _check(args: Namespace) -> None:
    """Check the options before anything slow is imported.

    Raises:
        ConfigError: options of files, several recordings, or impossible values.
        OutputError: the output would become a part of the recording.
    """
    recording, out = args.data[0], args.out
    require_one_recording(args)
    if given := _given(args, _OF_FILES) or ("--as" if args.format_of_output != "label" else ""):
        raise ConfigError(f"{given}: expected scans, found the recording {recording}. Leave the options out.")
    if out.suffix != ".mcap":
        raise ConfigError(
            f"{out}: expected a name that ends in .mcap, found '{out.name}'. Rename the output; 'ros2 bag convert' "
            "converts it to other formats."
        )
    if args.output_topic is not None and not _TOPIC.fullmatch(args.output_topic):
        raise ConfigError(
            f"--output-topic: expected a name such as /ouster/points_labelled, found '{args.output_topic}'. Correct it."
        )
    if args.stop is not None and args.stop <= (args.start or 0):
        raise ConfigError(f"--stop: expected more than --start, found {args.stop:g} s. Change one of them.")
    if recording.is_dir():
        refuse_inputs(out, *recording.iterdir())
        if out.resolve().parent == recording.resolve():
            raise OutputError(f"{out}: expected a file outside of the recording {recording}. Choose another -o.")
    refuse_existing(out, overwrite=args.overwrite)


def require_one_recording(args: Namespace) -> None:
    """Check that DATA is one recording, without options of data sets.

    Raises:
        ConfigError: there are several, or such options are given.
    """
    if len(args.data) > 1:
        raise ConfigError(f"DATA: expected one recording, found {len(args.data)} paths. Give them one by one.")
    if given := _given(args, OF_DATA_SETS):
        raise ConfigError(f"{given}: expected scans, found the recording {args.data[0]}. Leave the options out.")


def _given(args: Namespace, names: Sequence[str]) -> str:
    given = (name for name in names if getattr(args, name) not in (None, False))
    return ", ".join(f"--{name.replace('_', '-')}" for name in given)


def _job(args: Namespace, recording: "Recording", segmenter: "Segmenter") -> "RecordingJob":
    from elite.labelled_recordings import RecordingJob
    from elite.recordings import LAST, PointCloud2
    from elite.sensor import load_sensor

    topic = recording.topic(args.topic, PointCloud2)
    first = recording.span.first if recording.span else 0
    job = RecordingJob(
        out=args.out,
        topic=topic,
        labelled=args.output_topic or f"/{topic.name.strip('/')}_labelled",
        sensor=segmenter.sensor if args.sensor is None else load_sensor(args.sensor),
        copied=_copied(recording, topic, args.copy or "none"),
        start=first + round(1e9 * args.start) if args.start else 0,
        stop=LAST if args.stop is None else first + round(1e9 * args.stop),
        every=args.every or 1,
        compression=args.compression or "none",
        provenance=_provenance(args),
    )
    for name in {job.labelled, job.label_info} & {copied.name for copied in job.copied}:
        raise ConfigError(f"--output-topic: expected a new topic, found {name} of the recording. Choose another name.")
    return job


def _copied(recording: "Recording", clouds: "Topic", names: str) -> tuple["Topic", ...]:
    """Topics to copy, without those that ROS 2 cannot represent, which are reported.

    Raises:
        DataError: an unknown name.
    """
    from elite.recordings import ros2_topic

    if names == "none":
        return ()
    chosen = [topic for topic in recording.topics if topic != clouds]
    if names != "all":
        chosen = [topic for name in names.split(",") for topic in _named(recording, name.strip())]
    for topic in chosen:
        if ros2_topic(topic) is None:
            notice(f"{topic.name}: it is not copied, because ROS 2 lacks its type {topic.type or 'without a name'}.")
    return tuple(topic for topic in chosen if ros2_topic(topic) is not None)


def _named(recording: "Recording", name: str) -> list["Topic"]:
    found = [topic for topic in recording.topics if topic.name.strip("/") == name.strip("/")]
    if not found:
        names = [topic.name for topic in recording.topics]
        near = get_close_matches(name, names, 1, cutoff=0.5)
        remedy = f"Did you mean {near[0]}?" if near else "Choose some of them."
        raise DataError(f"--copy: expected topics of {recording.path}, found '{name}'. {remedy}")
    return found


def _provenance(args: Namespace) -> dict[str, str]:
    """The student, and the options of its predictions, as text."""
    from hashlib import file_digest

    with args.model.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    options = ("precision", "votes", "vote_by", "seed", "intensity", "height", "fill_radius")
    given = {name: str(getattr(args, name)) for name in options if getattr(args, name) is not None}
    return {"student": args.model.name, "student_sha256": digest, **given}


def _expected_clouds(recording: "Recording", job: "RecordingJob") -> int | None:
    """Number of clouds, estimated for a part of the recording; None if it is unknown."""
    span = recording.span
    if span is None or not job.topic.count:
        return None
    duration = span.last + 1 - span.first
    part = max(0, min(job.stop, span.last + 1) - max(job.start, span.first))
    return ceil(job.topic.count * part / duration / job.every)


def _report(recording: "Recording", job: "RecordingJob", done: "RecordingSummary", seconds: float) -> None:
    rate = recording.rate_of(job.topic)
    recorded = f" (recorded at {rate:.3g})" if rate else ""
    clouds = f"{done.written:,} clouds of {job.topic.name} labelled in {job.out}"
    say(f"{clouds}, {done.failed} failed, {done.damaged} damaged; {done.written / seconds:.3g} clouds/s{recorded}")
    if done.copied:
        say(f"{done.copied:,} messages of {len(job.copied)} other topics copied")
    if done.outside:
        say(done.outside_summary())
    if len(done.frames) > 1:
        frames = ", ".join(sorted(done.frames))
        notice(f"{job.topic.name}: the clouds have the frames {frames}; all were labelled as those of one sensor.")
