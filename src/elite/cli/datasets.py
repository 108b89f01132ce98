"""Commands about data sets: render one, submit predictions."""

from argparse import Namespace
from functools import partial

from elite.cli.arguments import (
    add_format_name,
    add_json,
    add_output,
    add_overwrite,
    output_path,
)
from elite.cli.outputs import refuse_existing, save_json
from elite.cli.parser import Command, Flag, Parser, check_data, count, resumes
from elite.cli.settings import add_settings, configuration, list_settings
from elite.errors import ConfigError, require_extra
from elite.layout import parse_names
from elite.paths import expanded, require_existing
from elite.terminal import notice, say

# ---- synth --------------------------------------------------------------------------------------------------------


def synth(args: Namespace) -> int:
    """Render a synthetic street drive in the layout of SemanticKITTI.

    It contains scans, labels, camera images and dense image labels.
    """
    for package in ("trimesh", "embreex", "scipy"):
        require_extra(package, "synth", needed_for="'elite synth'")
    from elite.synthetic import DriveConfig, render_drive

    out = output_path(args.out, args.positional_out)
    done = render_drive(out, configuration(args, DriveConfig), workers=args.workers)
    say(f"{done.rendered} frames rendered, {done.skipped} skipped; sequences {', '.join(done.sequences)} in {done.out}")
    return 0


def _synth_arguments(parser: Parser) -> None:
    from elite.synthetic.config import DriveConfig

    add_output(parser, "Folder to write the data set to.", "OUT")
    parser.add("--workers", type=count, metavar="N", help="Number of processes (default: one per CPU core).")
    drive = tuple(setting.name for setting in list_settings(DriveConfig()))
    add_settings(parser, DriveConfig, {"Drive and sensors": drive}, from_files=False)


SYNTH = Command(
    synth, _synth_arguments, "-o OUT [options]", "elite synth -o drive --sequences 3 --frames 40", after_stop=resumes
)


# ---- submit -------------------------------------------------------------------------------------------------------


def submit(args: Namespace) -> int:
    """Write or check the zip file of a submission to the server of SemanticKITTI or nuScenes-lidarseg."""
    from elite.submission import check_submission, write_submission

    if args.check and not args.predictions:
        report = check_submission(args.check, args.data, format=args.format, split=args.split, partial=args.partial)
    elif args.predictions and args.out and not args.check:
        refuse_existing(args.out, overwrite=args.overwrite)
        report = write_submission(
            args.predictions,
            args.data,
            args.out,
            format=args.format,
            split=args.split,
            inputs=parse_names(args.inputs),
            partial=args.partial,
        )
    else:
        raise ConfigError(
            "expected 'elite submit PREDICTIONS DATA -o ZIP' or 'elite submit DATA --check ZIP', found another "
            "combination. Give one of the two."
        )
    for line in report.unused:
        notice(line)
    say(f"{report.path}: {report.scans} scans, {report.points} labels, well-formed")
    for line in report.missing:
        say(f"  {line}")
    if report.accepted:
        say(f"complete: ready for the server{f' (classes of {report.classes})' if report.classes else ''}")
    else:
        say("NOT accepted by the server: the split is not complete")
    save_json(args, {"scans": report.scans, "points": report.points, "accepted": report.accepted})
    return 0


def _submit_arguments(parser: Parser) -> None:
    text = "Folder written by 'elite predict'."
    check = partial(require_existing, expected="a folder of predictions")
    parser.add("predictions", type=expanded, check=check, nargs="?", metavar="PREDICTIONS", help=text)
    parser.add("data", type=expanded, check=check_data, metavar="DATA", help="Data set with the test scans.")
    parser.add("-o", "--out", type=expanded, metavar="ZIP", help="Zip file to write.")
    add_overwrite(parser)
    check = partial(require_existing, expected="a zip file")
    parser.add("--check", type=expanded, check=check, metavar="ZIP", help="Zip file to check, instead of writing one.")
    add_format_name(parser)
    text = "Split of the predictions, nuScenes only: test, val, train, mini_val, mini_train (default: test)."
    parser.add("--split", metavar="SPLIT", help=text)
    text = "Inputs of the network, nuScenes only: some of camera, lidar, radar, map, external (default: lidar)."
    parser.add("--inputs", default="lidar", metavar="NAMES", help=text)
    parser.add("--partial", action=Flag, help="Accept a data set that lacks scans of the split.")
    add_json(parser)


SUBMIT = Command(
    submit, _submit_arguments, "[PREDICTIONS] DATA -o ZIP [options]", "elite submit predictions kitti -o submission.zip"
)
