"""Commands about the student: train, evaluate, predict."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elite.cli.arguments import (
    add_compute,
    add_data,
    add_fill_radius,
    add_format,
    add_json,
    add_labels,
    add_model,
    add_output_format,
    add_scans,
    add_selection,
    open_data,
)
from elite.cli.labelled_recordings import (
    add_recording_options,
    is_recording,
    predict_recording,
    refuse_recording_options,
)
from elite.cli.outputs import FAULTY, percent, save_json
from elite.cli.parser import SAME_COMMAND, Command, Flag, Parser, check_model
from elite.cli.scans import find_scans, load_segmenter, report_unused
from elite.cli.settings import add_settings, configuration
from elite.config import TrainConfig
from elite.errors import ConfigError, DataError, EliteError, OutputError, require_extra
from elite.files import make_folder
from elite.formatting import sequence_list
from elite.layout import Layout
from elite.packaged_students import student_path
from elite.paths import expanded, require_existing
from elite.terminal import notice, progress, say

if TYPE_CHECKING:
    from elite.inference import Segmenter
    from elite.prediction_files import PredictionJob

_TRAIN_SETTINGS = {
    "Run": ("out", "overwrite", "resume", "init", "init_classes", "epochs", "steps", "val_every", "seed"),
    "Data": (
        *("data.sequences", "data.val_sequences", "data.labels", "data.label_fraction", "data.dense_labels"),
        *("data.batch_size", "data.workers"),
    ),
    "Teacher and optimiser": ("teacher.weights", "teacher.adapter.method", "optim.lr"),
    "Hardware": ("accelerator", "devices", "precision"),
}


# ---- train --------------------------------------------------------------------------------------------------------


def train(args: Namespace) -> int:
    """Train the student, with or without a camera teacher.

    Settings come from --config files and from options. Options override files.
    """
    config = configuration(args, TrainConfig)
    if config.data.root is not None:
        require_existing(config.data.root, "a file or folder")
    if config.init is not None:
        check_model(student_path(config.init))
    require_extra("lightning", "train")
    from elite.training import train as run

    result = run(config)
    score = "" if result.miou is None else f", validation mIoU {percent(result.miou)}"
    say(f"best checkpoint {result.best}{score}")
    return 0


def _train_arguments(parser: Parser) -> None:
    add_data(parser, optional=True)
    add_settings(parser, TrainConfig, _TRAIN_SETTINGS, data="data.root")


TRAIN = Command(
    train,
    _train_arguments,
    "DATA -o RUN --config NAME [options]",
    "elite train kitti -o runs/first --config semantickitti --teacher.weights sam_vit_b_01ec64.pth",
)


# ---- evaluate -----------------------------------------------------------------------------------------------------


def evaluate(args: Namespace) -> int:
    """Score a student, or prediction files, by the rule of the benchmark of the data set."""
    if (args.model is None) == (args.predictions is None):
        raise ConfigError(
            "expected 'elite evaluate MODEL DATA' or 'elite evaluate DATA --predictions FOLDER', found "
            f"{'neither' if args.model is None else 'both'}. Give one of the two."
        )
    if args.predictions and (args.votes != 1 or args.fill_radius is not None):
        name = "--fill-radius" if args.votes == 1 else "--votes"
        raise ConfigError(f"{name}: expected a MODEL, found --predictions. Use 'elite predict {name}' instead.")

    from elite.evaluation import by_segmenter, saved_predictions
    from elite.evaluation import evaluate as run

    dataset = open_data(args.data, args, sequences=args.split, frames=args.frames, labels=args.labels, cameras=())
    report_unused(dataset)
    made_with: dict[str, Any] = {}
    if args.predictions:
        predict = saved_predictions(args.predictions, dataset.taxonomy)
        _report_unscored(args.predictions, dataset.sequences)
    else:
        made_with = {"votes": args.votes, "vote_by": args.vote_by, "seed": args.seed}
        given = {"fill_radius": None, "height": None, "intensity": "scale"}
        made_with |= {name: getattr(args, name) for name, default in given.items() if getattr(args, name) != default}
        segmenter = load_segmenter(args.model, args, fill_radius=args.fill_radius)
        predict = by_segmenter(segmenter, dataset.taxonomy)
        dataset = dataset.with_past_scans(segmenter.past_scans)
    result = run(dataset, predict, lambda items: progress(items, name="evaluate"))
    if not args.predictions:
        segmenter.guard.finish()
    _print_score(result)
    save_json(args, result | made_with)
    return 0


def _evaluate_arguments(parser: Parser) -> None:
    add_model(parser, optional=True)
    add_data(parser)
    text = "Folder written by 'elite predict', to score instead of a MODEL."
    parser.add("--predictions", type=expanded, metavar="FOLDER", help=text)
    add_selection(parser, split=True)
    add_labels(parser)
    add_format(parser)
    add_json(parser)
    add_fill_radius(parser)
    add_compute(parser)


def _report_unscored(predictions: Path, scored: tuple[str, ...]) -> None:
    """Report predictions of sequences that are not part of the split."""
    others = [s for s in Layout(predictions).sequences_with("predictions") if s not in scored]
    if others:
        notice(f"{predictions}: predictions of the sequences {sequence_list(others)} are not scored; see --split.")


def _print_score(result: dict[str, Any]) -> None:
    width = max(14, *map(len, result["classes"]))
    for i, (name, iou) in enumerate(zip(result["classes"], result["iou"], strict=True)):
        if i:
            say(f"  {name:{width}s} {percent(iou) if i in result['present'] else 'absent':>5s}")
    bands = "  ".join(f"{b['from']:.0f}-{b['to']:.0f} m {percent(b['miou'])}" for b in result["by_distance"])
    say(f"mIoU by distance: {bands}")
    say(
        f"mIoU {percent(result['miou'])}   over the {len(result['present'])} classes present "
        f"{percent(result['miou_present'])}   accuracy {percent(result['accuracy'])}   "
        f"({result['frames']} scans)"
    )
    if result["unlabelled"]:
        say(f"{len(result['unlabelled'])} scans without labels were not scored: {result['unlabelled'][0]}, ...")


EVALUATE = Command(
    evaluate,
    _evaluate_arguments,
    "[MODEL] DATA [options]",
    "elite evaluate student.safetensors kitti --split valid --json score.json",
)


# ---- predict ------------------------------------------------------------------------------------------------------


def predict(args: Namespace) -> int:
    """Label scans, or the clouds of a recording of ROS, with a student. Reads scans only.

    A recording (.mcap, .db3, .bag, or a folder of ROS 2) becomes another one (-o OUT.mcap): its clouds with the further
    fields class_id, probability and entropy, and the names of the classes.
    """
    if is_recording(args.data):
        return predict_recording(args)
    refuse_recording_options(args)

    from elite.label_records import record_classes
    from elite.prediction_files import predict_files

    segmenter = load_segmenter(args.model, args, fill_radius=args.fill_radius)
    jobs = _jobs(args, segmenter)
    make_folder(args.out)
    todo = [job for job in jobs if not (args.skip_existing and job.is_done())]
    _refuse_ground_truth(todo, args.out)
    record_classes(args.out, segmenter.taxonomy)
    failures: list[EliteError] = []
    done = predict_files(segmenter, progress(todo, name="predict"), lambda _, error: failures.append(error))
    kept = len(jobs) - len(todo)
    say(f"{done.written} scans labelled in {args.out}, {kept} skipped, {done.failed} failed")
    if done.outside:
        say(done.outside_summary())
    if done.past_skipped:
        say(f"{done.past_skipped} past scans could not be read and were skipped")
    try:
        segmenter.guard.finish()
    except DataError as error:
        failures.append(error)
    for error in failures:
        say(f"  {error}", error=True)
    return FAULTY if failures else 0


def _predict_arguments(parser: Parser) -> None:
    add_model(parser)
    add_scans(parser, "; or a recording")
    text = "Folder to write labels to: the layout of the data set, or NAME.label (see --as). Of a recording: "
    text += "OUT.mcap."
    parser.add("-o", "--out", type=expanded, required=True, metavar="OUT", help=text)
    add_selection(parser)
    add_format(parser)
    add_output_format(parser)
    parser.add("--confidence", action=Flag, help="Also write NAME.confidence: float32 per point.")
    parser.add("--skip-existing", action=Flag, help="Skip scans that have complete outputs.")
    add_recording_options(parser)
    add_fill_radius(parser)
    add_compute(parser)


def _jobs(args: Namespace, segmenter: "Segmenter") -> list["PredictionJob"]:
    """Pair the scans with their output files."""
    from elite.prediction_files import require_own_outputs

    jobs = find_scans(args, segmenter, args.out)
    require_own_outputs(jobs)
    return [
        replace(
            job,
            labels=job.labels.with_suffix(f".{args.format_of_output}"),
            confidence=job.labels.with_suffix(".confidence") if args.confidence else None,
        )
        for job in jobs
    ]


def _refuse_ground_truth(jobs: list["PredictionJob"], out: Path) -> None:
    """Check that no prediction replaces labels in a data set or in the folder of the scans: these may be ground truth.

    Raises:
        OutputError: a label file would replace one of these.
    """
    in_data_set = (out.resolve().parent / "velodyne").is_dir() and out.name != "predictions"
    if in_data_set and out.name == "labels":
        raise OutputError(f"{out}: expected an output folder, found the ground truth of a data set. Choose another -o.")
    for job in jobs:
        if job.labels.exists() and (in_data_set or job.labels.resolve().parent == job.scan.resolve().parent):
            raise OutputError(
                f"{job.labels}: expected a new file, found labels in the folder of the scans, which may be ground "
                "truth. Choose another -o, or move them away."
            )


def _after_stop(args: Namespace) -> str:
    if is_recording(args.data):
        return ""
    return SAME_COMMAND if args.skip_existing else "Run the same command with --skip-existing to continue."


PREDICT = Command(
    predict,
    _predict_arguments,
    "MODEL DATA -o OUT [options]",
    "elite predict student.safetensors scans/ -o labels/",
    after_stop=_after_stop,
)
