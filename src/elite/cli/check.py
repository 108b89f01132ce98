"""The command ``elite check``: faults of all files, a survey of sensors and cameras, and a verdict in words."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elite.cli.arguments import (
    add_cameras,
    add_data,
    add_format,
    add_json,
    add_labels,
    add_selection,
    add_strict,
    open_data,
)
from elite.cli.outputs import FAULTY, save_json
from elite.cli.parser import Command, Parser, check_model, count
from elite.files import make_folder
from elite.formatting import sequence_list
from elite.layout import parse_names
from elite.packaged_students import student_path
from elite.paths import expanded
from elite.terminal import progress, say

if TYPE_CHECKING:
    from elite.datasets import Dataset
    from elite.datasets.check import SequenceReport, TrainedInput

_MAX_FAULTS = 20  # printed; --json has all


def check(args: Namespace) -> int:
    """Check all files of a data set, and measure its sensors. Exit status 1 if there are faults."""
    from elite.datasets.check import (
        advise,
        judge,
        sequence_advice,
        survey,
        survey_tables,
        trained_advice,
        unlabelled_splits,
    )
    from elite.datasets.check import check as check_files
    from elite.datasets.input_guard import GUARDED

    cameras: dict[str, Any] = {} if args.cameras is None else {"cameras": parse_names(args.cameras)}
    dataset = open_data(args.data, args, sequences=args.sequences, frames=args.frames, labels=args.labels, **cameras)
    trained = None if args.model is None else _trained_input(args.model)
    if args.pictures is not None:
        from elite.datasets.check.pictures import write_pictures  # needs the extra report

        make_folder(args.pictures)
    reports = check_files(dataset, most=args.sample, progress=lambda items, total: progress(items, total, name="check"))
    found = survey(dataset, progress=lambda items, total: progress(items, total, name="measure"))
    advice = [
        *advise(found, dataset.sensor, dataset.taxonomy),
        *sequence_advice(reports),
        *unlabelled_splits(reports, dataset.splits),
    ]
    doubtful = [line for report in reports for line in report.doubtful]
    faults = [fault for report in reports for fault in report.faults]
    if trained is not None:
        reported = {a.kind for a in advice} | {kind for report in reports for kind in report.doubts}
        advice += trained_advice(dataset, found.scans, trained, reported)
    verdict = judge(reports, advice, len(faults))
    if args.strict:
        faults += dict.fromkeys([*doubtful, *(a.message for a in advice if a.is_certain and a.kind not in GUARDED)])
    _print_files(reports, dataset)
    for line in survey_tables(found, dataset.sensor, trained):
        say(line)
    if args.pictures is not None:
        paths = [str(path) for path in write_pictures(args.pictures, dataset, found)]
        say(f"\npictures: {', '.join(paths) or 'none, since no scan is readable'}")
    _print_faults(faults, sum(report.scans for report in reports), len(dataset))
    for line in ("", *verdict.lines()):
        say(line)
    result = {
        "sequences": [r.to_dict() for r in reports],
        "stray_files": dataset.stray_files,
        "unused": [*dataset.unused, *dataset.unlabelled],
        "faults": len(faults),
        "survey": found.to_dict(),
        "student": None if trained is None else trained.to_dict(),
        "verdict": verdict.to_dict(),
    }
    save_json(args, result)
    return FAULTY if faults else 0


def _trained_input(path: Path) -> "TrainedInput":
    """Training scans of a student; errors as ``open_student``."""
    from elite.datasets.check import TrainedInput
    from elite.student.opening import open_student

    student = open_student(path)
    return TrainedInput(path.name, student.config.volume, student.sensor, student.remission)


def _check_arguments(parser: Parser) -> None:
    add_data(parser)
    add_selection(parser)
    add_labels(parser)
    add_format(parser)
    add_cameras(parser, None, " (default: image_2 of SemanticKITTI, all six of nuScenes)")
    text = "Student whose training scans the data is compared with."
    parser.add("--model", type=student_path, check=check_model, metavar="MODEL", help=text)
    text = "Number of evenly spaced frames whose files are read (default: all)."
    parser.add("--sample", type=count, metavar="N", help=text)
    add_strict(parser)
    text = "Folder for pictures: the points on an image of each camera, and a scan from above."
    parser.add("--pictures", type=expanded, metavar="FOLDER", help=text)
    add_json(parser)


def _print_files(reports: "list[SequenceReport]", dataset: "Dataset") -> None:
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


def _print_faults(faults: list[str], checked: int, frames: int) -> None:
    where = f" in {checked:,} of {frames:,} frames" if checked < frames else ""
    say(f"\n{len(faults) or 'no'} faults{where}")
    for fault in faults[:_MAX_FAULTS]:
        say(f"  {fault}")
    if len(faults) > _MAX_FAULTS:
        say(f"  ... and {len(faults) - _MAX_FAULTS} more (use --json for all)")


def _print_notes(reports: "list[SequenceReport]", dataset: "Dataset") -> None:
    """Print findings that need not be faults: absent sequences, labels or images, unused files, doubtful inputs."""
    lines = [f"absent sequences: {sequence_list(dataset.absent)}"] if dataset.absent else []
    for r in reports:
        images = r.scans * len(dataset.cameras)
        for kind, expected, found in (("labels", r.scans, r.labels), ("images", images, r.images)):
            if 0 < found < expected:
                lines.append(f"{r.sequence}: {expected - found} of {expected} {kind} are missing")
    lines += [*dataset.unused, *dataset.unlabelled]
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
