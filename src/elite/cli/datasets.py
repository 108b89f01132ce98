"""Commands about data sets: check one, render one, submit predictions for one."""

import os
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from elite.cli.parsing import (
    FAULTY,
    add_json,
    add_labels,
    add_selection,
    add_strict,
    bar,
    names,
    save_json,
    underscored,
)
from elite.errors import ConfigError
from elite.terminal import say


def check_data(parser: ArgumentParser, argv: list[str]) -> int:
    """Check a data set file by file: a table per sequence, faults listed, exit status 1 if there are any."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    add_selection(parser)
    add_labels(parser)
    parser.add_argument("--cameras", type=str, default="image_2", help="image folders: image_2,image_3, or none")
    add_strict(parser)
    add_json(parser)
    args = parser.parse_args(argv)

    from elite.datasets import SemanticKITTI
    from elite.datasets.check import check

    dataset = SemanticKITTI(
        args.root, args.sequences, frames=args.frames, labels=args.labels, cameras=names(args.cameras)
    )
    reports = check(dataset, progress=lambda items, total: bar(items, total, name="checking"))
    doubtful = [line for report in reports for line in report.doubtful]
    faults = [fault for report in reports for fault in report.faults] + (doubtful if args.strict else [])
    _print_check(reports, dataset, faults)
    result = {
        "sequences": [r.to_dict() for r in reports],
        "stray_files": dataset.stray_files,
        "unused": dataset.unused,
        "faults": len(faults),
    }
    save_json(args.json, result, "check-data", argv)
    return FAULTY if faults else 0


def _print_check(reports: list[Any], dataset: Any, faults: list[str]) -> None:
    columns = ("scans", "labels", "images", "empty", "non_finite", "mismatches", "unknown_ids", "unreadable")
    heads = ("scans", "labels", "images", "empty", "NaN points", "mismatched", "unknown ids", "unreadable")
    say("sequence  calib  in volume  in image  " + "  ".join(heads))
    for r in reports:
        inside, projected = ("-" if s is None else f"{100 * s:.1f} %" for s in (r.share_inside, r.share_projected))
        cells = "  ".join(f"{getattr(r, c):>{len(h)}}" for c, h in zip(columns, heads, strict=True))
        say(f"{r.sequence:8s}  {'yes' if r.calibrated else '-':5s}  {inside:>9s}  {projected:>8s}  {cells}")
    _print_classes({r.sequence: r.classes for r in reports if r.classes.any()})
    _print_notes(reports, dataset)
    say(f"\n{len(faults)} faults" if faults else "\nno faults")
    for fault in faults[:20]:
        say(f"  {fault}")
    if len(faults) > 20:
        say(f"  ... and {len(faults) - 20} more (all of them in the --json file)")


def _print_notes(reports: list[Any], dataset: Any) -> None:
    """What need not be a fault: absent sequences, labels or images, unused files, doubtful inputs."""
    lines = [f"absent sequences: {', '.join(dataset.absent)}"] if dataset.absent else []
    for r in reports:
        images = r.scans * len(dataset.cameras)
        for what, wanted, found in (("labels", r.scans, r.labels), ("images", images, r.images)):
            if 0 < found < wanted:
                lines.append(f"{r.sequence}: {wanted - found} of {wanted} {what} are missing")
    lines += dataset.unused
    lines += [f"doubtful: {line}" for r in reports for line in r.doubtful]
    if lines:
        say("\n" + "\n".join(lines))


def _print_classes(histograms: dict[str, Any]) -> None:
    """Labelled points of each class, and its share in every sequence."""
    from elite.labels import CLASS_NAMES

    if not histograms:
        return
    say(f"\n{'labelled points':14s} {'all':>14s}" + "".join(f"{s:>8s}" for s in histograms))
    for i, name in enumerate(CLASS_NAMES):
        shares = "".join(f"{100 * h[i] / h.sum():6.2f} %" for h in histograms.values())
        say(f"  {name:14s} {sum(int(h[i]) for h in histograms.values()):>12,} {shares}")


def synth(parser: ArgumentParser, argv: list[str]) -> int:
    """Render a synthetic street drive in SemanticKITTI's layout: scans, labels, images, dense image labels."""
    from elite.synthetic import DriveConfig, render_drive

    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_class_arguments(DriveConfig)
    args = parser.parse_args(underscored(argv))
    out, workers = args.pop("out"), args.pop("workers")
    say(render_drive(out, DriveConfig(**vars(parser.instantiate(args))), workers=workers))
    return 0


def submit(parser: ArgumentParser, argv: list[str]) -> int:
    """Write the zip for the SemanticKITTI server from predictions, or check one (--check X.zip)."""
    parser.add_argument("predictions", type=Path | None, nargs="?", help="folder that 'elite predict' wrote")
    parser.add_argument("--data", type=Path, required=True, help="data set with the test scans")
    parser.add_argument("-o", "--out", type=Path | None, help="zip to write")
    parser.add_argument("--check", type=Path | None, help="check this zip instead of writing one")
    parser.add_argument("--partial", action="store_true", help="accept a data set that lacks test scans")
    add_json(parser)
    args = parser.parse_args(argv)

    from elite.submission import check_submission, write_submission

    if args.check:
        report = check_submission(args.check, args.data, partial=args.partial)
    elif args.predictions and args.out:
        report = write_submission(args.predictions, args.data, args.out, partial=args.partial)
    else:
        raise ConfigError(
            "expected 'elite submit PRED --data ROOT -o X.zip' or 'elite submit --check X.zip --data ROOT'."
        )
    say(f"{report.path}: {report.scans} scans, {report.points} labels, well-formed")
    for line in report.short:
        say(f"  {line}")
    say(
        "complete: fit for the server"
        if report.accepted
        else "NOT accepted by the server: the test split is not complete"
    )
    save_json(args.json, {"scans": report.scans, "points": report.points, "accepted": report.accepted}, "submit", argv)
    return 0
