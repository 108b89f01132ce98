"""Commands about the student: train, score, predict, convert."""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from elite.cli.parsing import (
    FAULTY,
    add_device,
    add_json,
    add_labels,
    add_selection,
    bar,
    parse_config,
    percent,
    require_extra,
    save_json,
)
from elite.errors import ConfigError, EliteError


def train(parser: ArgumentParser, argv: list[str]) -> int:
    """Train the student: --config NAME|FILE and any setting of it, such as --data.root ROOT."""
    from elite.config import TrainConfig

    _, config = parse_config(parser, argv, TrainConfig)
    require_extra("lightning", "train")
    from elite.training import train as run

    result = run(config)
    score = "" if result.miou is None else f", validation mIoU {percent(result.miou).strip()}"
    print(f"best checkpoint {result.best}{score}")
    return 0


def evaluate(parser: ArgumentParser, argv: list[str]) -> int:
    """Score a checkpoint (CKPT ROOT) or prediction files (--predictions DIR ROOT) by the benchmark's rule."""
    parser.add_argument("paths", type=Path, nargs="+", help="[CKPT] ROOT")
    parser.add_argument("--predictions", type=Path | None, help="score these files instead of a checkpoint")
    add_selection(parser, split=True)
    add_labels(parser)
    add_device(parser)
    add_json(parser)
    args = parser.parse_args(argv)
    wanted = 1 if args.predictions else 2
    if len(args.paths) != wanted:
        raise ConfigError("expected 'elite evaluate CKPT ROOT' or 'elite evaluate --predictions DIR ROOT'.")

    from elite.data import SemanticKITTI
    from elite.evaluation import evaluate as run
    from elite.evaluation import saved_predictions

    dataset = SemanticKITTI(args.paths[-1], args.split, frames=args.frames, labels=args.labels, cameras=())
    if args.predictions:
        predict = saved_predictions(args.predictions)
    else:
        from elite.inference import Segmenter

        segmenter = Segmenter.load(args.paths[0], args.device)
        predict = lambda frame: segmenter.segment(frame.scan).labels  # noqa: E731
    result = run(dataset, predict, lambda items: bar(items, name="scoring"))
    _print_score(result)
    save_json(args.json, result, "evaluate", argv)
    return 0


def _print_score(result: dict[str, Any]) -> None:
    from elite.labels import CLASS_NAMES

    for i, (name, iou) in enumerate(zip(CLASS_NAMES, result["iou"], strict=True)):
        if i:
            print(f"  {name:14s} {percent(iou) if i in result['present'] else 'absent'}")
    bands = "  ".join(f"{b['from']:.0f}-{b['to']:.0f} m {percent(b['miou']).strip()}" for b in result["by_distance"])
    print(f"mIoU by distance: {bands}")
    print(
        f"mIoU {percent(result['miou']).strip()}   over the {len(result['present'])} classes present "
        f"{percent(result['miou_present']).strip()}   accuracy {percent(result['accuracy']).strip()}   "
        f"({result['frames']} scans)"
    )
    if result["unlabelled"]:
        print(f"{len(result['unlabelled'])} scans without labels were not scored: {result['unlabelled'][0]}, ...")


def predict(parser: ArgumentParser, argv: list[str]) -> int:
    """Label scans with a checkpoint; LiDAR only. INPUT is a data set, a folder of .bin files, or .bin files."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("input", type=Path, nargs="+", help="data set root, folder, or files")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    add_selection(parser)
    parser.add_argument("--confidence", action="store_true", help="also write N.confidence, float32 per point")
    parser.add_argument("--skip-existing", action="store_true", help="keep outputs that are whole already")
    add_device(parser)
    args = parser.parse_args(argv)

    from elite.files import make_folder
    from elite.inference import Segmenter, predict_files

    make_folder(args.out)
    jobs = _jobs(args.input, args.out, args.sequences, args.frames, args.confidence)
    todo = [job for job in jobs if not (args.skip_existing and job.done())]
    segmenter = Segmenter.load(args.checkpoint, args.device)
    failures: list[EliteError] = []
    written, failed = predict_files(segmenter, bar(todo, name="predicting"), lambda _, error: failures.append(error))
    print(f"{written} scans labelled in {args.out}, {len(jobs) - len(todo)} were there already, {failed} failed")
    for error in failures:
        print(f"  {error}", file=sys.stderr)
    return FAULTY if failed else 0


def _jobs(inputs: list[Path], out: Path, sequences: str | None, frames: str | None, confidence: bool) -> list[Any]:
    """What to predict and where to: a data set keeps its layout, loose scans become OUT/N.label."""
    from elite.data import SemanticKITTI
    from elite.errors import DataError
    from elite.inference import Job
    from elite.layout import Layout, is_root

    def job(scan: Path, labels: Path) -> Job:
        return Job(scan, labels, labels.with_suffix(".confidence") if confidence else None)

    if len(inputs) == 1 and is_root(inputs[0]):
        dataset, layout = SemanticKITTI(inputs[0], sequences, frames=frames, cameras=()), Layout(out)
        entries = enumerate(dataset.index)
        return [job(dataset.scan_path(i), layout.prediction(e.sequence, e.name)) for i, e in entries]
    if sequences or frames:
        raise ConfigError("--sequences and --frames select within a data set; loose scans are given one by one.")
    files = [f for path in inputs for f in (sorted(path.glob("*.bin")) if path.is_dir() else [path])]
    if not files:
        raise DataError(f"{inputs[0]} holds no .bin file and no folder 'sequences'; give scans to label.")
    if len({f.stem for f in files}) < len(files):
        raise DataError("two of the scans have the same name and would overwrite each other; predict them apart.")
    return [job(f, out / f"{f.stem}.label") for f in files]


def import_checkpoint(parser: ArgumentParser, argv: list[str]) -> int:
    """Convert a 2DPASS or released-ELiTe checkpoint into a student file, and tell what became of every key."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weight-layout", type=str | None, help="KRSC, RSKC (spconv 2.0, 2.1) or RSCK (spconv 1.x)")
    args = parser.parse_args(argv)
    if args.weight_layout not in (None, "KRSC", "RSKC", "RSCK"):
        raise ConfigError(f"--weight-layout is KRSC, RSKC or RSCK, found '{args.weight_layout}'.")

    from elite.student.checkpoint import import_published, save_student

    student, report = import_published(args.checkpoint, layout=args.weight_layout)
    save_student(student, args.out)
    print("\n".join(report.lines()))
    print(f"{sum(p.numel() for p in student.parameters()):,} parameters written to {args.out}")
    return 0


def export_student(parser: ArgumentParser, argv: list[str]) -> int:
    """Write the student of a training checkpoint alone, as safetensors with its configuration."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)

    from elite.student import load_student, save_student

    save_student(load_student(args.checkpoint), args.out)
    print(f"student written to {args.out}")
    return 0
