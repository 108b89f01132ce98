"""Commands about the student: train, score, predict, convert."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from elite.cli.parsing import (
    FAULTY,
    add_compute,
    add_json,
    add_labels,
    add_selection,
    bar,
    find_scans,
    load_segmenter,
    parse_config,
    percent,
    report_unused,
    save_json,
)
from elite.errors import ConfigError, DataError, EliteError, OutputError, require_extra
from elite.terminal import notice, say

if TYPE_CHECKING:
    from elite.inference import Job


def train(parser: ArgumentParser, argv: list[str]) -> int:
    """Train the student: --config NAME|FILE and any setting of it, such as --data.root ROOT."""
    from elite.config import TrainConfig

    _, config = parse_config(parser, argv, TrainConfig)
    require_extra("lightning", "train")
    from elite.training import train as run

    result = run(config)
    score = "" if result.miou is None else f", validation mIoU {percent(result.miou).strip()}"
    say(f"best checkpoint {result.best}{score}")
    return 0


def evaluate(parser: ArgumentParser, argv: list[str]) -> int:
    """Score a checkpoint (CKPT ROOT) or prediction files (--predictions DIR ROOT) by the benchmark's rule."""
    parser.add_argument("paths", type=Path, nargs="+", help="[CKPT] ROOT")
    parser.add_argument("--predictions", type=Path | None, help="score these files instead of a checkpoint")
    add_selection(parser, split=True)
    add_labels(parser)
    add_compute(parser)
    add_json(parser)
    args = parser.parse_args(argv)
    wanted = 1 if args.predictions else 2
    if len(args.paths) != wanted:
        raise ConfigError("expected 'elite evaluate CKPT ROOT' or 'elite evaluate --predictions DIR ROOT'.")
    if args.predictions and args.votes != 1:
        raise ConfigError("--votes is about a checkpoint; predictions are scored as they are: 'elite predict --votes'.")

    from elite.datasets import SemanticKITTI
    from elite.evaluation import by_segmenter, saved_predictions
    from elite.evaluation import evaluate as run

    dataset = SemanticKITTI(args.paths[-1], args.split, frames=args.frames, labels=args.labels, cameras=())
    report_unused(dataset)
    made_with: dict[str, Any] = {}
    if args.predictions:
        predict = saved_predictions(args.predictions)
        _report_unscored(args.predictions, dataset.sequences)
    else:
        made_with = {"votes": args.votes, "vote_by": args.vote_by, "seed": args.seed}
        segmenter = load_segmenter(args.paths[0], args)
        predict = by_segmenter(segmenter)
    result = run(dataset, predict, lambda items: bar(items, name="scoring"))
    if not args.predictions:
        segmenter.guard.finish()
    _print_score(result)
    save_json(args.json, result | made_with, "evaluate", argv)
    return 0


def _report_unscored(predictions: Path, scored: tuple[str, ...]) -> None:
    """Predictions of sequences that are not part of the split."""
    from elite.layout import Layout

    others = [s for s in Layout(predictions).sequences_with("predictions") if s not in scored]
    if others:
        notice(f"{predictions}: predictions of the sequences {', '.join(others)} are not scored; see --split.")


def _print_score(result: dict[str, Any]) -> None:
    from elite.labels import CLASS_NAMES

    for i, (name, iou) in enumerate(zip(CLASS_NAMES, result["iou"], strict=True)):
        if i:
            say(f"  {name:14s} {percent(iou) if i in result['present'] else 'absent'}")
    bands = "  ".join(f"{b['from']:.0f}-{b['to']:.0f} m {percent(b['miou']).strip()}" for b in result["by_distance"])
    say(f"mIoU by distance: {bands}")
    say(
        f"mIoU {percent(result['miou']).strip()}   over the {len(result['present'])} classes present "
        f"{percent(result['miou_present']).strip()}   accuracy {percent(result['accuracy']).strip()}   "
        f"({result['frames']} scans)"
    )
    if result["unlabelled"]:
        say(f"{len(result['unlabelled'])} scans without labels were not scored: {result['unlabelled'][0]}, ...")


def predict(parser: ArgumentParser, argv: list[str]) -> int:
    """Label scans with a checkpoint; LiDAR only. INPUT is a data set, a folder of .bin files, or .bin files."""
    parser.add_argument("checkpoint", type=Path, help="the student: .ckpt or .safetensors")
    parser.add_argument("input", type=Path, nargs="+", help="data set root, folder, or files")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    add_selection(parser)
    parser.add_argument("--confidence", action="store_true", help="also write N.confidence, float32 per point")
    parser.add_argument("--skip-existing", action="store_true", help="keep outputs that are whole already")
    add_compute(parser)
    args = parser.parse_args(argv)

    from elite.files import make_folder
    from elite.inference import predict_files

    jobs = _jobs(args.input, args.out, args.sequences, args.frames, args.confidence)
    make_folder(args.out)
    todo = [job for job in jobs if not (args.skip_existing and job.done())]
    _refuse_ground_truth(todo, args.out)
    segmenter = load_segmenter(args.checkpoint, args)
    failures: list[EliteError] = []
    done = predict_files(segmenter, bar(todo, name="predicting"), lambda _, error: failures.append(error))
    kept = len(jobs) - len(todo)
    say(f"{done.written} scans labelled in {args.out}, {kept} were there already, {done.failed} failed")
    if done.outside:
        say(done.line())
    try:
        segmenter.guard.finish()
    except DataError as error:
        failures.append(error)
    for error in failures:
        say(f"  {error}", error=True)
    return FAULTY if failures else 0


def _jobs(inputs: list[Path], out: Path, sequences: str | None, frames: str | None, confidence: bool) -> list["Job"]:
    """What to predict and where to."""
    from elite.inference import Job

    scans = find_scans(inputs, sequences, frames)
    if len({labels for _, labels in scans}) < len(scans):
        raise DataError("two of the scans have the same name and would overwrite each other; predict them apart.")
    targets = [(scan, out / labels) for scan, labels in scans]
    return [Job(scan, to, to.with_suffix(".confidence") if confidence else None) for scan, to in targets]


def _refuse_ground_truth(jobs: list["Job"], out: Path) -> None:
    """Labels in a data set, or beside the scans, may be ground truth, which no prediction may replace.

    Raises:
        OutputError: a label file would replace one of these.
    """
    in_data_set = (out.resolve().parent / "velodyne").is_dir() and out.name != "predictions"
    if in_data_set and out.name == "labels":
        raise OutputError(f"{out} is the folder of the ground truth of a data set; choose another -o.")
    for job in jobs:
        if job.labels.exists() and (in_data_set or job.labels.resolve().parent == job.scan.resolve().parent):
            raise OutputError(
                f"{job.labels} exists beside the scans and may be ground truth; choose another -o, or move it away."
            )


def _check_suffix(out: Path) -> None:
    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: expected a name that ends in .safetensors, found '{out.suffix}'. Rename the output.")


def import_checkpoint(parser: ArgumentParser, argv: list[str]) -> int:
    """Convert a 2DPASS or released-ELiTe checkpoint into a student file, and tell what became of every key."""
    parser.add_argument("checkpoint", type=Path, help="a published .ckpt")
    parser.add_argument("out", type=Path, help="file to write: .safetensors")
    parser.add_argument("--weight-layout", type=str | None, help="KRSC, RSKC (spconv 2.0, 2.1) or RSCK (spconv 1.x)")
    args = parser.parse_args(argv)
    if args.weight_layout not in (None, "KRSC", "RSKC", "RSCK"):
        raise ConfigError(f"--weight-layout is KRSC, RSKC or RSCK, found '{args.weight_layout}'.")

    _check_suffix(args.out)

    from elite.student.checkpoint import import_published, save_student

    student, report = import_published(args.checkpoint, layout=args.weight_layout)
    save_student(student, args.out)
    say("\n".join(report.lines()))
    say(f"{sum(p.numel() for p in student.parameters()):,} parameters written to {args.out}")
    return 0


def export_student(parser: ArgumentParser, argv: list[str]) -> int:
    """Write the student of a training checkpoint alone, as safetensors with its configuration."""
    parser.add_argument("checkpoint", type=Path, help="of a training run: .ckpt")
    parser.add_argument("out", type=Path, help="file to write: .safetensors")
    args = parser.parse_args(argv)

    _check_suffix(args.out)

    from elite.student import load_student, save_student

    save_student(load_student(args.checkpoint), args.out)
    say(f"student written to {args.out}")
    return 0
