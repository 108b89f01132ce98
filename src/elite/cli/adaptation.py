"""The command ``elite adapt``."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from elite.cli.arguments import (
    add_conversion,
    add_device,
    add_format,
    add_model,
    add_scans,
    add_selection,
    add_student_output,
    student_output,
)
from elite.cli.labelled_recordings import is_recording, require_one_recording
from elite.cli.parser import Command, Parser, count
from elite.cli.scans import find_scans, require_no_past
from elite.errors import ConfigError
from elite.terminal import notice, progress, say

if TYPE_CHECKING:
    from elite.inference import Segmenter
    from elite.types import Scan


def adapt(args: Namespace) -> int:
    """Adapt a student to a few scans of your sensor, without labels.

    Statistics of its batch norms become (1 - weight) x its own + weight x those of evenly spaced scans.
    """
    out = student_output(args)
    is_recorded = is_recording(args.data)
    if args.topic is not None and not is_recorded:
        raise ConfigError("--topic: expected a recording (.mcap, .db3, .bag), found scans. Leave the option out.")

    from elite.adaptation import adapt_batch_norms
    from elite.inference import Segmenter
    from elite.student import save_student

    conversion = {"intensity": args.intensity, "height": args.height}
    segmenter = Segmenter.load(args.model, args.device, report=notice, strict=args.strict, **conversion)
    scans = _recorded_scans(args, segmenter) if is_recorded else _scans(args, segmenter)
    adapted = adapt_batch_norms(segmenter, progress(scans, args.scans, name="adapt"), args.weight)
    segmenter.guard.finish()
    save_student(adapted.student, out)
    if adapted.scans < args.scans:
        notice(f"DATA has {adapted.scans} of {args.scans} scans; all are used.")
    say(f"means of {adapted.scans} scans differ by {adapted.shift:.2f} standard deviations from those of the student")
    say(f"student written to {out}")
    return 0


def _scans(args: Namespace, segmenter: "Segmenter") -> Iterator[tuple[object, "Scan"]]:
    from elite.datasets.check.survey import evenly_spaced

    jobs = find_scans(args, segmenter)
    return ((jobs[i].scan, jobs[i].read()) for i in evenly_spaced(len(jobs), args.scans))


def _recorded_scans(args: Namespace, segmenter: "Segmenter") -> Iterator[tuple[object, "Scan"]]:
    require_one_recording(args)

    from elite.labelled_recordings import evenly_spaced_scans
    from elite.recordings import PointCloud2, open_recording
    from elite.sensor import load_sensor

    require_no_past(segmenter, "a recording")
    sensor = segmenter.sensor if args.sensor is None else load_sensor(args.sensor)
    with open_recording(args.data[0]) as recording:
        yield from evenly_spaced_scans(recording, recording.topic(args.topic, PointCloud2), sensor, args.scans)


def _share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"expected a share from 0 to 1, found '{text}'")
    return value


def _arguments(parser: Parser) -> None:
    add_model(parser)
    add_scans(parser, "; or a recording")
    add_student_output(parser)
    text = "Method: bn = statistics of the batch norms."
    parser.add("--method", choices=("bn",), default="bn", help=text)
    parser.add("--scans", type=count, default=5, metavar="N", help="Number of evenly spaced scans.")
    parser.add("--weight", type=_share, default=0.5, metavar="W", help="Weight of the scans, 0 to 1.")
    add_selection(parser)
    add_format(parser)
    text = "Point clouds of a recording (default: the only such topic)."
    parser.add("--topic", metavar="TOPIC", help=text)
    add_conversion(parser)
    add_device(parser)


ADAPT = Command(
    adapt,
    _arguments,
    "MODEL DATA -o STUDENT [options]",
    "elite adapt student.safetensors scans/ -o adapted.safetensors",
)
