"""Commands about results: the report of a run, the environment it was made in."""

from pathlib import Path

from jsonargparse import ArgumentParser

from elite.cli.parsing import add_device, add_json, names, save_json
from elite.errors import ConfigError
from elite.terminal import say


def report(parser: ArgumentParser, argv: list[str]) -> int:
    """Make one self-contained page with curves, scores and pictures of a run: RUN/report/index.html, or of a score."""
    parser.add_argument("run", type=Path, help="folder of a training run, or a result of 'elite evaluate --json'")
    parser.add_argument("--data", type=Path | None, help="data set for the pictures (default: the run's own)")
    parser.add_argument("--predictions", type=Path | None, help="of an evaluation: the prediction files it scored")
    parser.add_argument("--checkpoint", type=Path | None, help="of an evaluation: the checkpoint it scored")
    parser.add_argument(
        "--cameras",
        type=str | None,
        help="image folders to show: image_2,image_3, or none (default: the teacher's, image_2 without one)",
    )
    parser.add_argument("--frames", type=int, default=3, help="how many scans to show")
    add_device(parser)
    args = parser.parse_args(argv)

    from elite.report import report_evaluation, report_run

    options = {"data": args.data, "frames": args.frames, "device": args.device}
    if args.cameras is not None:
        options["cameras"] = names(args.cameras)
    scored = {"predictions": args.predictions, "checkpoint": args.checkpoint}
    if args.run.is_file():
        say(report_evaluation(args.run, **options, **scored))
    elif any(scored.values()):
        raise ConfigError("--predictions and --checkpoint belong to an evaluation's JSON file; a run has its own.")
    else:
        say(report_run(args.run, **options))
    return 0


def env(parser: ArgumentParser, argv: list[str]) -> int:
    """Print versions, code state and hardware, for bug reports and result tables."""
    add_json(parser)
    args = parser.parse_args(argv)

    from elite.environment import describe

    for name, value in describe().items():
        say(f"{name:12s} {value}")
    save_json(args.json, {}, "env", argv)
    return 0
