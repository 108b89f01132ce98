"""The command ``elite``. One function per command; what is heavy is imported when its command runs."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from elite.errors import ConfigError, EliteError, MissingExtraError
from elite.version import __version__

FAULTY, USAGE = 1, 2


def main(argv: list[str] | None = None) -> int:
    """Run one command. 0 = done; 1 = ran, and found faults; 2 = could not run, the reason in one line on stderr."""
    # Idle threads spin only for a moment: beside loader processes on few cores, long spinning costs several times the
    # work itself, and sleeping at once costs half as much again. Read when torch starts.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"elite {__version__}")
        return 0
    try:
        if argv[0] not in COMMANDS:
            raise ConfigError(f"'{argv[0]}' is no command; expected one of {', '.join(COMMANDS)}.")
        command = COMMANDS[argv[0]]
        parser = _Parser(prog=f"elite {argv[0]}", description=command.__doc__)
        return command(parser, argv[1:])
    except EliteError as error:
        print(f"elite: error: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("elite: interrupted", file=sys.stderr)
        return 130


class _Parser(ArgumentParser):
    """Errors of the arguments leave as one line, like every other error."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if isinstance(ex, EliteError):
            raise ex
        raise ConfigError(f"{' '.join(message.split())} (see '{self.prog} --help')")


def _overview() -> str:
    lines = [f"elite {__version__}: teach a small LiDAR network from camera images", "", "usage: elite COMMAND ..."]
    lines += ["", *(f"  {name:18s} {(f.__doc__ or '').splitlines()[0]}" for name, f in COMMANDS.items())]
    return "\n".join([*lines, "", "elite COMMAND --help tells the arguments of each."])


# ---- arguments and output that several commands share -----------------------------------------------------------


def _underscored(argv: list[str]) -> list[str]:
    """Settings that come from a configuration class may be typed with dashes too: --test-frames, --val-every."""
    return [_dash_to_underscore(a) if a.startswith("--") else a for a in argv]


def _dash_to_underscore(option: str) -> str:
    name, equals, value = option[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def _resolve_config(argv: list[str]) -> list[str]:
    """``--config NAME``: a packaged configuration if no file of that name is there."""
    resolved = list(argv)
    for i, option in enumerate(argv):
        if option == "--config" and i + 1 < len(argv):
            resolved[i + 1] = _config_path(argv[i + 1])
        elif option.startswith("--config="):
            resolved[i] = f"--config={_config_path(option.partition('=')[2])}"
    return resolved


def _config_path(name: str) -> str:
    packaged = Path(__file__).parent / "configs"
    if Path(name).is_file():
        return name
    if (packaged / f"{name}.yaml").is_file():
        return str(packaged / f"{name}.yaml")
    names = ", ".join(sorted(p.stem for p in packaged.glob("*.yaml")))
    raise ConfigError(
        f"'{name}' is neither a configuration file nor a packaged configuration; expected one of {names}."
    )


def _require_extra(package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


def _add_selection(parser: ArgumentParser, *, split: bool = False) -> None:
    if split:
        parser.add_argument("--split", default="valid", help="train, valid, test or sequence numbers: 00,08")
    else:
        parser.add_argument("--sequences", type=str | None, help="split names or numbers (default: all there are)")
    parser.add_argument("--frames", type=str | None, help="frames of each sequence: 0-2,7 (default: all)")


def _add_labels(parser: ArgumentParser) -> None:
    parser.add_argument("--labels", type=str, default="labels", help="label folder: labels, labels_partial, ...")


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", type=Path | None, help="also write the result to this file")


def _add_device(parser: ArgumentParser) -> None:
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda")


def _write_json(path: Path | None, result: dict[str, Any], command: str, argv: list[str]) -> None:
    if path is None:
        return
    from elite.environment import describe
    from elite.files import write_json

    write_json(path, {**result, "command": shlex.join(["elite", command, *argv]), "versions": describe()})


def _bar(items: Iterable[Any], total: int | None = None, *, unit: str = "scan", name: str = "") -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, desc=name, file=sys.stderr)


def _percent(value: float) -> str:
    return f"{100 * value:5.1f}"


# ---- commands ---------------------------------------------------------------------------------------------------


def check_data(parser: ArgumentParser, argv: list[str]) -> int:
    """Check a data set file by file: a table per sequence, faults listed, exit status 1 if there are any."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    _add_selection(parser)
    _add_labels(parser)
    parser.add_argument("--cameras", type=str, default="image_2", help="image folders: image_2,image_3, or none")
    _add_json(parser)
    args = parser.parse_args(argv)

    from elite.data import SemanticKITTI
    from elite.data.check import check

    dataset = SemanticKITTI(
        args.root, args.sequences, frames=args.frames, labels=args.labels, cameras=_names(args.cameras)
    )
    reports = check(dataset, progress=lambda items, total: _bar(items, total, name="checking"))
    _print_check(reports, dataset)
    faults = [fault for report in reports for fault in report.faults]
    result = {"sequences": [r.to_dict() for r in reports], "stray_files": dataset.stray_files, "faults": len(faults)}
    _write_json(args.json, result, "check-data", argv)
    return FAULTY if faults else 0


def _names(text: str) -> tuple[str, ...]:
    return () if text in ("", "none") else tuple(name.strip() for name in text.split(","))


def _print_check(reports: list[Any], dataset: Any) -> None:
    import numpy as np

    from elite.labels import CLASS_NAMES

    columns = ("scans", "labels", "images", "empty", "non_finite", "mismatches", "unknown_ids", "unreadable")
    heads = ("scans", "labels", "images", "empty", "NaN points", "mismatched", "unknown ids", "unreadable")
    print("sequence  calib  in image  " + "  ".join(heads))
    for r in reports:
        share = "-" if r.share_projected is None else f"{100 * r.share_projected:.1f} %"
        cells = "  ".join(f"{getattr(r, c):>{len(h)}}" for c, h in zip(columns, heads, strict=True))
        print(f"{r.sequence:8s}  {'yes' if r.calibrated else '-':5s}  {share:>8s}  {cells}")
    total = np.sum([r.classes for r in reports], axis=0)
    if total.sum():
        print("\nlabelled points per class (share of all labels)")
        for name, count in zip(CLASS_NAMES, total, strict=True):
            print(f"  {name:14s} {count:>12,}  {100 * count / total.sum():6.2f} %")
    if dataset.stray_files:
        print(f"\n{dataset.stray_files} stray files among the scans were ignored")
    faults = [fault for r in reports for fault in r.faults]
    print(f"\n{len(faults)} faults" if faults else "\nno faults")
    for fault in faults[:20]:
        print(f"  {fault}")
    if len(faults) > 20:
        print(f"  ... and {len(faults) - 20} more (all of them in the --json file)")


def synth(parser: ArgumentParser, argv: list[str]) -> int:
    """Render a synthetic street drive in SemanticKITTI's layout: scans, labels, images, dense image labels."""
    from elite.synthetic import DriveConfig, render_drive

    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_class_arguments(DriveConfig)
    args = parser.parse_args(_underscored(argv))
    out, workers = args.pop("out"), args.pop("workers")
    print(render_drive(out, DriveConfig(**vars(parser.instantiate(args))), workers=workers))
    return 0


def train(parser: ArgumentParser, argv: list[str]) -> int:
    """Train the student: --config NAME|FILE and any setting of it, such as --data.root ROOT."""
    from elite.config import TrainConfig

    parser.add_argument("--config", action="config", help="a packaged name or a YAML file of differences")
    parser.add_class_arguments(TrainConfig)
    args = parser.parse_args(_underscored(_resolve_config(argv)))
    args.pop("config")
    config = TrainConfig(**vars(parser.instantiate(args)))

    _require_extra("lightning", "train")
    from elite.training import train as run

    result = run(config)
    score = "" if result.miou is None else f", validation mIoU {_percent(result.miou).strip()}"
    print(f"best checkpoint {result.best}{score}")
    return 0


def evaluate(parser: ArgumentParser, argv: list[str]) -> int:
    """Score a checkpoint (CKPT ROOT) or prediction files (--predictions DIR ROOT) by the benchmark's rule."""
    parser.add_argument("paths", type=Path, nargs="+", help="[CKPT] ROOT")
    parser.add_argument("--predictions", type=Path | None, help="score these files instead of a checkpoint")
    _add_selection(parser, split=True)
    _add_labels(parser)
    _add_device(parser)
    _add_json(parser)
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
    result = run(dataset, predict, lambda items: _bar(items, name="scoring"))
    _print_score(result)
    _write_json(args.json, result, "evaluate", argv)
    return 0


def _print_score(result: dict[str, Any]) -> None:
    from elite.labels import CLASS_NAMES

    for i, (name, iou) in enumerate(zip(CLASS_NAMES, result["iou"], strict=True)):
        if i:
            print(f"  {name:14s} {_percent(iou) if i in result['present'] else 'absent'}")
    bands = "  ".join(f"{b['from']:.0f}-{b['to']:.0f} m {_percent(b['miou']).strip()}" for b in result["by_distance"])
    print(f"mIoU by distance: {bands}")
    print(
        f"mIoU {_percent(result['miou']).strip()}   over the {len(result['present'])} classes present "
        f"{_percent(result['miou_present']).strip()}   accuracy {_percent(result['accuracy']).strip()}   "
        f"({result['frames']} scans)"
    )
    if result["unlabelled"]:
        print(f"{len(result['unlabelled'])} scans without labels were not scored: {result['unlabelled'][0]}, ...")


def predict(parser: ArgumentParser, argv: list[str]) -> int:
    """Label scans with a checkpoint; LiDAR only. INPUT is a data set, a folder of .bin files, or .bin files."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("input", type=Path, nargs="+", help="data set root, folder, or files")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    _add_selection(parser)
    parser.add_argument("--confidence", action="store_true", help="also write N.confidence, float32 per point")
    parser.add_argument("--skip-existing", action="store_true", help="keep outputs that are whole already")
    _add_device(parser)
    args = parser.parse_args(argv)

    from elite.files import make_folder
    from elite.inference import Segmenter, predict_files

    make_folder(args.out)
    jobs = _jobs(args.input, args.out, args.sequences, args.frames, args.confidence)
    todo = [job for job in jobs if not (args.skip_existing and job.done())]
    segmenter = Segmenter.load(args.checkpoint, args.device)
    failures: list[EliteError] = []
    written, failed = predict_files(segmenter, _bar(todo, name="predicting"), lambda _, error: failures.append(error))
    print(f"{written} scans labelled in {args.out}, {len(jobs) - len(todo)} were there already, {failed} failed")
    for error in failures:
        print(f"  {error}", file=sys.stderr)
    return FAULTY if failed else 0


def _jobs(inputs: list[Path], out: Path, sequences: str | None, frames: str | None, confidence: bool) -> list[Any]:
    """What to predict and where to: a data set keeps its layout, loose scans become OUT/N.label."""
    from elite.data import SemanticKITTI
    from elite.errors import DataError
    from elite.inference import Job
    from elite.layout import Layout

    def job(scan: Path, labels: Path) -> Job:
        return Job(scan, labels, labels.with_suffix(".confidence") if confidence else None)

    if len(inputs) == 1 and ((inputs[0] / "sequences").is_dir() or (inputs[0] / "dataset").is_dir()):
        dataset, layout = SemanticKITTI(inputs[0], sequences, frames=frames, cameras=()), Layout(out)
        entries = enumerate(dataset.index)
        return [job(dataset.scan_path(i), layout.prediction(e.sequence, e.name)) for i, e in entries]
    files = [f for path in inputs for f in (sorted(path.glob("*.bin")) if path.is_dir() else [path])]
    if not files:
        raise DataError(f"{inputs[0]} holds no .bin file and no folder 'sequences'; give scans to label.")
    if len({f.stem for f in files}) < len(files):
        raise DataError("two of the scans have the same name and would overwrite each other; predict them apart.")
    return [job(f, out / f"{f.stem}.label") for f in files]


def submit(parser: ArgumentParser, argv: list[str]) -> int:
    """Write the zip for the SemanticKITTI server from predictions, or check one (--check X.zip)."""
    parser.add_argument("predictions", type=Path | None, nargs="?", help="folder that 'elite predict' wrote")
    parser.add_argument("--data", type=Path, required=True, help="data set with the test scans")
    parser.add_argument("-o", "--out", type=Path | None, help="zip to write")
    parser.add_argument("--check", type=Path | None, help="check this zip instead of writing one")
    parser.add_argument("--partial", action="store_true", help="accept a data set that lacks test scans")
    _add_json(parser)
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
    print(f"{report.path}: {report.scans} scans, {report.points} labels, well-formed")
    for line in report.short:
        print(f"  {line}")
    print(
        "complete: fit for the server"
        if report.accepted
        else "NOT accepted by the server: the test split is not complete"
    )
    _write_json(
        args.json, {"scans": report.scans, "points": report.points, "accepted": report.accepted}, "submit", argv
    )
    return 0


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


def report(parser: ArgumentParser, argv: list[str]) -> int:
    """Make RUN/report/index.html, one self-contained page with curves, scores and pictures of a training run."""
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--data", type=Path | None, help="data set for the pictures (default: the run's own)")
    parser.add_argument(
        "--cameras", type=str, default="image_2", help="image folders to show: image_2,image_3, or none"
    )
    parser.add_argument("--frames", type=int, default=3, help="how many scans to show")
    _add_device(parser)
    args = parser.parse_args(argv)

    from elite.report import report_run

    print(report_run(args.run, data=args.data, cameras=_names(args.cameras), frames=args.frames, device=args.device))
    return 0


def env(parser: ArgumentParser, argv: list[str]) -> int:
    """Print versions, code state and hardware, for bug reports and result tables."""
    _add_json(parser)
    args = parser.parse_args(argv)

    from elite.environment import describe

    for name, value in describe().items():
        print(f"{name:12s} {value}")
    _write_json(args.json, {}, "env", argv)
    return 0


COMMANDS: dict[str, Callable[[ArgumentParser, list[str]], int]] = {
    "check-data": check_data,
    "synth": synth,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "submit": submit,
    "import-checkpoint": import_checkpoint,
    "export-student": export_student,
    "report": report,
    "env": env,
}
