"""Commands about results: the report of a run, the environment it was made in."""

from argparse import Namespace
from functools import partial

from elite.cli.arguments import add_cameras, add_device, add_format, add_json, add_strict
from elite.cli.outputs import save_json
from elite.cli.parser import Command, Parser, check_data, count
from elite.errors import ConfigError
from elite.layout import parse_names
from elite.packaged_students import packaged_students, student_path, summary_of_card
from elite.paths import expanded, require_existing
from elite.terminal import say


def report(args: Namespace) -> int:
    """Write a self-contained page with curves, scores and pictures to RUN/report/index.html."""
    from elite.report import report_evaluation, report_run
    from elite.taxonomy import load_taxonomy

    names = ("data", "format", "sensor", "frames", "device", "strict")
    options = {name: getattr(args, name) for name in names}
    options["taxonomy"] = None if args.taxonomy is None else load_taxonomy(args.taxonomy)
    if args.cameras is not None:
        options["cameras"] = parse_names(args.cameras)
    scored = {"predictions": args.predictions, "checkpoint": args.model}
    if args.run.is_file():
        say(report_evaluation(args.run, **options, **scored))
    elif any(scored.values()):
        raise ConfigError(
            f"{args.run}: expected the JSON file of 'elite evaluate' with --predictions or --model, found a run. "
            "Leave the option out."
        )
    else:
        say(report_run(args.run, **options))
    return 0


def _report_arguments(parser: Parser) -> None:
    text = "Folder of a training run, or JSON file of 'elite evaluate'."
    check = partial(require_existing, expected="a run or the JSON file of an evaluation")
    parser.add("run", type=expanded, check=check, metavar="RUN", help=text)
    text = "Data set for the pictures (default: that of the run)."
    parser.add("--data", type=expanded, check=check_data, metavar="DATA", help=text)
    text = "Predictions that the evaluation has scored."
    parser.add("--predictions", type=expanded, metavar="FOLDER", help=text)
    parser.add("--model", type=student_path, metavar="MODEL", help="Student that the evaluation has scored.")
    add_format(parser, "those of the student, otherwise of the evaluation")
    text = " (default: those of the teacher, otherwise image_2 of SemanticKITTI, all six of nuScenes)"
    add_cameras(parser, None, text)
    parser.add("--frames", type=count, default=3, metavar="N", help="Number of frames with pictures.")
    add_device(parser)
    add_strict(parser)


REPORT = Command(report, _report_arguments, "RUN [options]", "elite report runs/first")


def env(args: Namespace) -> int:
    """Print versions, code state, backends, hardware and packaged students, for bug reports and result tables."""
    from elite.environment import describe

    for name, value in describe().items():
        say(f"{name:12s} {value}")
    for name in packaged_students():
        say(f"{'student':12s} {name}: {summary_of_card(name)}")
    save_json(args, {})
    return 0


ENV = Command(env, add_json, "[--json FILE]", "elite env")
