"""Commands about speed: time per scan, labels of arriving scans."""

from argparse import Namespace
from contextlib import nullcontext
from typing import TYPE_CHECKING

from elite.cli.arguments import (
    add_compute,
    add_fill_radius,
    add_format,
    add_json,
    add_model,
    add_output_format,
    add_scans,
    add_selection,
    add_sensor,
)
from elite.cli.outputs import FAULTY, save_json
from elite.cli.parser import Command, Flag, Parser, check_folder, count, duration
from elite.cli.scans import find_scans, load_segmenter, report_scans_below, require_no_past
from elite.cli.viewing import add_window, live_window
from elite.errors import ConfigError, DataError
from elite.paths import expanded
from elite.terminal import progress, say

if TYPE_CHECKING:
    from elite.inference import Segmenter


def bench(args: Namespace) -> int:
    """Measure the time from raw points to labels, by stage."""
    from elite.latency import measure

    segmenter = load_segmenter(args.model, args)
    if args.threads is not None:
        segmenter.use_threads(args.threads)
    jobs = find_scans(args, segmenter)
    report = measure(segmenter, jobs, args.rounds, progress=lambda jobs: progress(jobs, name="bench"))
    say("\n".join(report.lines()))
    save_json(args, report.to_dict())
    return 0


def _bench_arguments(parser: Parser) -> None:
    parser.add("quantity", choices=("latency",), metavar="latency", help="Quantity to measure: latency.")
    add_model(parser)
    add_scans(parser)
    add_selection(parser)
    add_format(parser)
    parser.add("--rounds", type=count, default=5, metavar="N", help="Number of runs per scan.")
    text = "Number of CPU threads (default: OMP_NUM_THREADS, or all processors)."
    parser.add("--threads", type=count, metavar="N", help=text)
    add_json(parser)
    add_compute(parser)


BENCH = Command(
    bench,
    _bench_arguments,
    "latency MODEL DATA [options]",
    "elite bench latency student.safetensors scans/ --threads 1",
)


def stream(args: Namespace) -> int:
    """Label scans as they appear in FOLDER. Ctrl-C ends it with a summary.

    Scans are .bin, .npy, .npz, .pcd, .ply, .las and .laz files. Write each one as NAME.tmp (or a hidden file) in the
    same file system, then rename it to FOLDER/NAME.bin (or .npy, ...). A file that is written in place is read when
    its writer closes it. On file systems that do not report this (network file systems), it is read when it has not
    changed for a moment. If it changes later, it is labelled again.

    SIGTERM and SIGHUP also end the command with a summary (exit status 143 and 129).
    """
    if args.once and args.idle is not None:
        raise ConfigError("--once, --idle: expected one of the two, found both. Give one of them.")

    if args.once and args.budget is not None:
        raise ConfigError(
            "--once, --budget: expected one of the two, found both: scans of the past are late. Give one."
        )

    from elite.latency_budget import LatencyBudget, budget_levels
    from elite.sensor import load_sensor
    from elite.streaming import Stream

    def notify(line: str) -> None:
        say(line, error=True)

    segmenter = load_segmenter(args.model, args, fill_radius=args.fill_radius)
    require_no_past(segmenter, "a folder of scans")
    sensor = segmenter.sensor if args.sensor is None else load_sensor(args.sensor)
    budget = None
    if args.budget is not None:
        levels = budget_levels(segmenter.faster_precisions, args.votes, skips=args.drop)
        budget = LatencyBudget(args.budget, levels, notify)
    with live_window(args, segmenter.taxonomy, notify) if args.view else nullcontext(lambda job: None) as show:
        run = Stream(
            segmenter,
            args.folder,
            args.out,
            sensor=sensor,
            format=args.format_of_output,
            budget=budget,
            drop=args.drop,
            notify=notify,
            on_labelled=show,
        )
        report_scans_below(args.folder, args.out)
        notify(f"labels of the scans that appear in {args.folder} go to {args.out}")
        try:
            run.run(once=args.once, idle=args.idle)
        except KeyboardInterrupt:
            pass  # the way to end it
        finally:  # SIGTERM, SIGHUP and errors end it with a summary, too
            say(run.summary.line())
            if budget is not None:
                say(budget.summary())
    return FAULTY if run.summary.failed or _is_doubtful(segmenter) else 0


def _is_doubtful(segmenter: "Segmenter") -> bool:
    """Check the properties of all scans together, which --strict makes errors, and report them."""
    try:
        segmenter.guard.finish()
    except DataError as error:
        say(str(error), error=True)
        return True
    return False


def _stream_arguments(parser: Parser) -> None:
    add_model(parser)
    text = "Folder that scans are renamed into."
    parser.add("folder", type=expanded, check=check_folder, metavar="FOLDER", help=text)
    text = "Folder to write NAME.label to (see --as)."
    parser.add("-o", "--out", type=expanded, required=True, metavar="OUT", help=text)
    add_sensor(parser, "that of MODEL")
    add_output_format(parser)
    text = "Time from the arrival of a scan to its labels, such as 100ms. If it is longer, the stream uses a lower "
    text += "precision, then fewer views, then skips scans (default: none)."
    parser.add("--budget", type=duration, metavar="TIME", help=text)
    parser.add("--drop", action=Flag, help="Label only the newest of the waiting scans.")
    text = "Seconds without a new scan after which the command ends (default: never)."
    parser.add("--idle", type=float, metavar="S", help=text)
    parser.add("--once", action=Flag, help="End when the scans that exist at the start are labelled.")
    parser.add("--view", action=Flag, help="Show each labelled scan in the browser.")
    add_window(parser)
    add_fill_radius(parser)
    add_compute(parser)


STREAM = Command(
    stream,
    _stream_arguments,
    "MODEL FOLDER -o OUT [options]",
    "elite stream student.safetensors incoming/ -o labels/",
)
