"""Commands about data sets: check one, render one, submit predictions."""

from argparse import Namespace
from functools import partial
from typing import Any

from elite.cli.arguments import (
    add_cameras,
    add_data,
    add_format,
    add_format_name,
    add_json,
    add_labels,
    add_output,
    add_selection,
    add_strict,
    open_data,
    output_path,
)
from elite.cli.outputs import FAULTY, save_json
from elite.cli.parser import Command, Flag, Parser, check_data, count
from elite.cli.settings import add_settings, configuration, list_settings
from elite.errors import ConfigError
from elite.formatting import sequence_list
from elite.layout import parse_names
from elite.paths import expanded, require_existing
from elite.terminal import notice, progress, say

_MAX_FAULTS = 20  # printed; --json has all


# ---- check --------------------------------------------------------------------------------------------------------


def check(args: Namespace) -> int:
    """Check all files of a data set. Exit status 1 if there are faults."""
    from elite.datasets.check import check as run

    cameras: dict[str, Any] = {} if args.cameras is None else {"cameras": parse_names(args.cameras)}
    dataset = open_data(args.data, args, sequences=args.sequences, frames=args.frames, labels=args.labels, **cameras)
    reports = run(dataset, progress=lambda items, total: progress(items, total, name="check"))
    doubtful = [line for report in reports for line in report.doubtful]
    faults = [fault for report in reports for fault in report.faults] + (doubtful if args.strict else [])
    _print_check(reports, dataset, faults)
    result = {
        "sequences": [r.to_dict() for r in reports],
        "stray_files": dataset.stray_files,
        "unused": dataset.unused,
        "faults": len(faults),
    }
    save_json(args, result)
    return FAULTY if faults else 0


def _check_arguments(parser: Parser) -> None:
    add_data(parser)
    add_selection(parser)
    add_labels(parser)
    add_format(parser)
    add_cameras(parser, None, " (default: image_2 of SemanticKITTI, all six of nuScenes)")
    add_strict(parser)
    add_json(parser)


def _print_check(reports: list[Any], dataset: Any, faults: list[str]) -> None:
    columns = ("scans", "labels", "images", "empty", "non_finite", "mismatches", "unknown_ids", "unreadable")
    heads = ("scans", "labels", "images", "empty", "NaN points", "mismatched", "unknown ids", "unreadable")
    width = max(8, *(len(r.sequence) for r in reports))
    say(f"{'sequence':{width}s}  calib  in volume  in image  " + "  ".join(heads))
    for r in reports:
        inside, projected = ("-" if s is None else f"{100 * s:.1f} %" for s in (r.share_inside, r.share_projected))
        cells = "  ".join(f"{getattr(r, c):>{len(h)}}" for c, h in zip(columns, heads, strict=True))
        say(f"{r.sequence:{width}s}  {'yes' if r.calibrated else '-':5s}  {inside:>9s}  {projected:>8s}  {cells}")
    _print_classes({r.sequence: r.classes for r in reports if r.classes.any()}, dataset.taxonomy.names)
    _print_notes(reports, dataset)
    say(f"\n{len(faults)} faults" if faults else "\nno faults")
    for fault in faults[:_MAX_FAULTS]:
        say(f"  {fault}")
    if len(faults) > _MAX_FAULTS:
        say(f"  ... and {len(faults) - _MAX_FAULTS} more (use --json for all)")


def _print_notes(reports: list[Any], dataset: Any) -> None:
    """Print findings that need not be faults: absent sequences, labels or images, unused files, doubtful inputs."""
    lines = [f"absent sequences: {sequence_list(dataset.absent)}"] if dataset.absent else []
    for r in reports:
        images = r.scans * len(dataset.cameras)
        for kind, expected, found in (("labels", r.scans, r.labels), ("images", images, r.images)):
            if 0 < found < expected:
                lines.append(f"{r.sequence}: {expected - found} of {expected} {kind} are missing")
    lines += dataset.unused
    lines += [f"doubtful: {line}" for r in reports for line in r.doubtful]
    if lines:
        say("\n" + "\n".join(lines))


def _print_classes(histograms: dict[str, Any], names: tuple[str, ...]) -> None:
    """Print the labelled points per class, and the share of each class per sequence."""
    if not histograms:
        return
    width = max(14, *map(len, names))
    say(f"\n{'labelled points':{width}s} {'all':>14s}" + "".join(f"  {s:>8s}" for s in histograms))
    for i, name in enumerate(names):
        shares = "".join(f"  {f'{100 * h[i] / h.sum():.2f} %':>{max(8, len(s))}s}" for s, h in histograms.items())
        say(f"  {name:{width}s} {sum(int(h[i]) for h in histograms.values()):>12,} {shares}")


CHECK = Command(check, _check_arguments, "DATA [options]", "elite check kitti --sequences train,valid")


# ---- synth --------------------------------------------------------------------------------------------------------


def synth(args: Namespace) -> int:
    """Render a synthetic street drive in the layout of SemanticKITTI.

    It contains scans, labels, camera images and dense image labels.
    """
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


SYNTH = Command(synth, _synth_arguments, "-o OUT [options]", "elite synth -o drive --sequences 3 --frames 40")


# ---- submit -------------------------------------------------------------------------------------------------------


def submit(args: Namespace) -> int:
    """Write or check the zip file of a submission to the server of SemanticKITTI or nuScenes-lidarseg."""
    from elite.submission import check_submission, write_submission

    if args.check and not args.predictions:
        report = check_submission(args.check, args.data, format=args.format, split=args.split, partial=args.partial)
    elif args.predictions and args.out and not args.check:
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
        say("complete: ready for the server")
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
    parser.add("--check", type=expanded, metavar="ZIP", help="Zip file to check, instead of writing one.")
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
