"""Commands about speed: how long a scan takes, and labels as scans come."""

from contextlib import nullcontext
from pathlib import Path

from jsonargparse import ArgumentParser

from elite.cli.parsing import (
    FAULTY,
    add_compute,
    add_json,
    add_selection,
    bar,
    find_scans,
    load_segmenter,
    save_json,
)
from elite.cli.viewing import add_window, live_window
from elite.errors import ConfigError
from elite.terminal import say


def bench(parser: ArgumentParser, argv: list[str]) -> int:
    """Time from raw points to labels, by stage: latency CKPT SCANS, a data set, a folder of .bin files, or files."""
    if argv and not argv[0].startswith("-") and argv[0] != "latency":
        raise ConfigError(f"'elite bench {argv[0]}' measures nothing; expected 'elite bench latency CKPT SCANS'.")
    parser.add_argument("what", help="latency")
    parser.add_argument("checkpoint", type=Path, help="the student: .ckpt or .safetensors")
    parser.add_argument("scans", type=Path, nargs="+", help="data set root, folder, or files")
    add_selection(parser)
    parser.add_argument("--rounds", type=int, default=5, help="how often each scan is labelled")
    parser.add_argument("--threads", type=int | None, help="processor threads (default: as many as torch takes)")
    add_compute(parser)
    add_json(parser)
    args = parser.parse_args(argv)
    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads must be at least 1, found {args.threads}.")
    scans = [scan for scan, _ in find_scans(args.scans, args.sequences, args.frames)]

    import torch

    from elite.latency import measure

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    segmenter = load_segmenter(args.checkpoint, args)
    report = measure(segmenter, scans, args.rounds, progress=lambda paths: bar(paths, name="timing"))
    say("\n".join(report.lines()))
    save_json(args.json, report.to_dict(), "bench", argv)
    return 0


def stream(parser: ArgumentParser, argv: list[str]) -> int:
    """Label scans as they appear in FOLDER: --checkpoint CKPT -o OUT; Ctrl-C ends it with a summary.

    Hand a scan over by renaming: write NAME.tmp (or a hidden file) in the same file system, then rename it to
    FOLDER/NAME.bin. A file that is written in place is read when its writer closes it, or, where the system does not
    report this (network file systems), when it has not changed for a moment. If it changes later, it is labelled again.

    SIGTERM and SIGHUP end the command with a summary, too (exit status 143 and 129).
    """
    parser.add_argument("folder", type=Path, help="folder that .bin scans are renamed into")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the student: .ckpt or .safetensors")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write NAME.label to")
    parser.add_argument("--drop", action="store_true", help="label only the newest of the scans that wait")
    parser.add_argument("--idle", type=float | None, help="seconds without a new scan after which the command ends")
    parser.add_argument("--once", action="store_true", help="end when the scans that exist at the start are labelled")
    parser.add_argument("--view", action="store_true", help="show each scan in the browser as it is labelled")
    add_window(parser)
    add_compute(parser)
    args = parser.parse_args(argv)
    if args.once and args.idle is not None:
        raise ConfigError("--once ends when all is labelled and --idle when nothing comes; give one of them.")

    from elite.streaming import Stream

    def notify(line: str) -> None:
        say(line, error=True)

    segmenter = load_segmenter(args.checkpoint, args)
    with live_window(args, notify) if args.view else nullcontext(lambda job: None) as show:
        run = Stream(segmenter, args.folder, args.out, drop=args.drop, notify=notify, on_labelled=show)
        notify(f"labelling what appears in {args.folder} into {args.out}")
        try:
            run.run(once=args.once, idle=args.idle)
        except KeyboardInterrupt:
            pass  # the way to end it
        finally:  # SIGTERM, SIGHUP and errors end it with a summary, too
            say(run.summary.line())
    return FAULTY if run.summary.failed else 0
