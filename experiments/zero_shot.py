"""Students of rendered streets, scored on unseen streets of other units: what each augmentation is worth.

    python -m experiments.zero_shot --out zero-shot [--rows base,response] [--seeds 0,1] [--world 1] [--steps 300]

Every row of ROWS is a student that is trained on the streets TRAINING, scans only, and scored on those of UNITS with
the remission of each of RESPONSES. Real scans have no part in it. OUT/results.csv gets a line for each student and
unit; students that it contains are skipped, and a stopped run resumes.
"""

import argparse
import csv
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
from jaxtyping import Float32

from elite.datasets import open_dataset
from elite.environment import describe
from elite.inference import Segmenter
from elite.metrics import confusion_matrix, score
from elite.types import Scan
from experiments.ablation.data import elite, render
from experiments.ablation.table import markdown
from experiments.runs import append_row

Settings = dict[str, object]
TRAINING = "--seed 100 --sequences 14 --frames 7{unit}"
UNITS = {
    "hdl-64e": "--seed 900 --sequences 2 --frames 6{unit}",
    "os1-128": "--seed 901 --sequences 2 --frames 6 --sensor os1-128 --height 2.0",
    "hdl-32e": "--seed 902 --sequences 2 --frames 6 --sensor hdl-32e --height 1.84",
}
SETTINGS: Settings = {
    "data.val_sequences": "none",
    "data.batch_size": 2,
    "data.workers": 1,
    "student.channels": 32,
    "student.cells": "[500,500,30]",
    "student.remission_gain": 20,
    "optim.warmup_steps": 20,
    "accelerator": "cpu",
}
MOUNTING: Settings = {"augment.sensor.tilt": 0.5, "augment.sensor.height": 0.15}
JITTER: Settings = {"augment.sensor.jitter": 0.01}
RETURNS: Settings = {"augment.sensor.beams": 0.3, "augment.sensor.far": 0.2}
RESPONSE: Settings = {
    "augment.remission.gain": "[0.2,1.25]",
    "augment.remission.offset": "[-0.04,0.04]",
    "augment.remission.slope": "[-0.006,0.003]",
}
ZEROS: Settings = {"augment.remission.zeros": 0.2, "augment.remission.blank": 0.1}
ALL = MOUNTING | JITTER | RETURNS | RESPONSE | ZEROS
ROWS: dict[str, Settings] = {
    "base": {},
    "gain-1": {"student.remission_gain": 1},
    "mounting": MOUNTING,
    "jitter": JITTER,
    "returns": RETURNS,
    "response": RESPONSE,
    "zeros": ZEROS,
    "all": ALL,
    "balance": {"data.balance": 0.5},
    "cutmix": {"augment.cutmix.objects": 10},
    "average": {"optim.average": 0.98},
    "heads": {"distill.student_heads": 1},
}


def falling(remission: Float32[np.ndarray, "n"], scan: Scan) -> Float32[np.ndarray, "n"]:
    """Remission of a unit that does not correct it beyond 18 m."""
    beyond = np.maximum(np.linalg.norm(scan.points, axis=1) - 18, 0)
    return np.clip(remission - 0.009 * beyond, 0, 1).astype(np.float32)


RESPONSES: dict[str, Callable[[Float32[np.ndarray, "n"], Scan], Float32[np.ndarray, "n"]]] = {
    "same": lambda remission, _: remission,
    "dark": lambda remission, _: np.float32(0.25) * remission,
    "falling": falling,
}
COLUMNS = [f"{unit} {response}" for unit, response in product(UNITS, RESPONSES)]


def train(out: Path, row: str, seed: int, steps: int) -> Path:
    """Train or resume a student, and return its checkpoint."""
    run = out / f"{row}-{seed}"
    settings = SETTINGS | {"seed": seed, "steps": steps} | ROWS[row]
    options = " ".join(f"--{name}={value}" for name, value in settings.items())
    elite(f"train {out / 'train'} -o {run} --config semantickitti-student --resume last {options}")
    return run / "checkpoints" / "last.ckpt"


def scores(out: Path, checkpoint: Path) -> dict[str, tuple[float, float]]:
    """mIoU of the classes present and accuracy, in %, by unit and response."""
    segmenter, found = Segmenter.load(checkpoint, "cpu", report=lambda _: None), {}
    classes = len(segmenter.taxonomy)
    for unit in UNITS:
        confusion = {name: np.zeros((classes, classes), np.int64) for name in RESPONSES}
        for frame in open_dataset(out / unit, cameras=()):
            assert frame.labels is not None
            for name, change in RESPONSES.items():
                labels = segmenter(frame.scan.points, change(frame.scan.remission, frame.scan)).labels
                confusion[name] += confusion_matrix(labels, frame.labels, classes)
        for name, counts in confusion.items():
            result = score(counts)
            found[f"{unit} {name}"] = 100 * result.miou_present, 100 * result.accuracy
    return found


def add_results(path: Path, student: dict[str, str], found: dict[str, tuple[float, float]]) -> None:
    """Append a line for each unit."""
    commit = describe()["commit"]
    for unit, (miou, accuracy) in found.items():
        append_row(
            path, student | {"unit": unit, "miou": f"{miou:.2f}", "accuracy": f"{accuracy:.2f}", "commit": commit}
        )


def read_results(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(results: list[dict[str, str]], rows: list[str]) -> str:
    """Mean over seeds of mIoU / accuracy of each row."""
    lines = []
    for row in rows:
        cells = [_cell([r for r in results if (r["row"], r["unit"]) == (row, unit)]) for unit in COLUMNS]
        lines.append([row, *cells, _cell([r for r in results if r["row"] == row])])
    return markdown(["row", *COLUMNS, "mean"], lines)


def _cell(results: list[dict[str, str]]) -> str:
    if not results:
        return ""
    return " / ".join(f"{fmean(float(result[name]) for result in results):.1f}" for name in ("miou", "accuracy"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("zero-shot"))
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--world", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    out, rows = args.out.resolve(), args.rows.split(",")
    out.mkdir(parents=True, exist_ok=True)
    for name, options in {"train": TRAINING, **UNITS}.items():
        unit = " --sensor hdl-64e" if args.world > 1 else ""  # the sensor of world 1 by default has its own fan
        render(out / name, f"--cameras none --world {args.world} {options.format(unit=unit)}")
    results = out / "results.csv"
    for seed in args.seeds.split(","):
        for row in rows:
            if not any((r["row"], r["seed"]) == (row, seed) for r in read_results(results)):
                add_results(results, {"row": row, "seed": seed}, scores(out, train(out, row, int(seed), args.steps)))
    print(table(read_results(results), rows))


if __name__ == "__main__":
    main()
