"""Few labels on real scans: 1 % of the labelled points, with and without labels lifted from images.

    python -m experiments.few_real ROOT --out few-real [--frames 0-2] [--others 3-4] [--seeds 0,1,2]

ROOT contains SemanticKITTI's sequence 00 with ``labels`` for the frames and ``labels_partial`` for the others. A
student with stage heads and without a teacher is fitted to 1 % of the labelled points of the frames: without lifted
labels, and with the labels that points in view get from the watershed's pseudo-labels. It is scored on the hidden
labels of the same scans, and on the partial labels of the other frames.

OUT/results.csv gets one row per run; runs that it contains are skipped. Three scans and their neighbours do not
measure generalisation.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elite.data.label_budget import usable_labels
from elite.datasets import SemanticKITTI
from elite.environment import describe
from elite.inference import Segmenter
from elite.metrics import confusion_matrix, score
from experiments.ablation.data import elite
from experiments.ablation.table import cell, markdown
from experiments.classes import KITTI
from experiments.runs import append_row

SEQUENCE, SHARE = "00", 0.01
ROWS = ("one-percent", "lifted")
SCORES = ("hidden_miou", "hidden_accuracy", "others_miou", "others_accuracy")
FIT = {
    "data.sequences": SEQUENCE,
    "data.val_sequences": "none",
    "data.batch_size": 1,
    "augment.enabled": "false",
    "distill.student_heads": 1.0,
    "distill.voxel_majority": "labelled",
    "steps": 300,
    "accelerator": "cpu",
}


@dataclass(frozen=True)
class Task:
    """Data set, output folder, fitted and other frames, cameras of the pseudo-labels."""

    root: Path
    out: Path
    frames: str
    others: str
    cameras: str


def linked(root: Path, out: Path) -> Path:
    """Data set of links to the files of ROOT, so that pseudo-labels are written to OUT."""
    source, target = root.resolve() / "sequences" / SEQUENCE, out / "root" / "sequences" / SEQUENCE
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if not (target / path.name).exists():
            (target / path.name).symlink_to(path)
    return out / "root"


def fit(task: Task, row: str, seed: int) -> Path:
    """Train one student and return its checkpoint."""
    run = task.out / f"{row}-{seed}"
    settings = FIT | {"data.frames": task.frames, "seed": seed}
    if row == "lifted":
        labels = f"--label-fraction {SHARE} --label-unit points --seed {seed}"
        frames = f"--frames {task.frames} --sequences {SEQUENCE} --cameras {task.cameras}"
        elite(f"pseudo-label {task.root} {labels} {frames} --folder few{seed} --lift")
        settings |= {"data.labels": f"labels_few{seed}"}
    else:
        settings |= {"data.label_fraction": SHARE, "data.label_unit": "points"}
    options = " ".join(f"--{key}={value}" for key, value in settings.items())
    elite(f"train {task.root} -o {run} --config semantickitti-student --overwrite {options}")
    return run / "checkpoints" / "last.ckpt"


def scores(task: Task, checkpoint: Path, seed: int) -> dict[str, float]:
    """mIoU and accuracy in % on hidden labels and on the other frames."""
    segmenter, found = Segmenter.load(checkpoint, "cpu"), {}
    for part, frames, folder in (("hidden", task.frames, "labels"), ("others", task.others, "labels_partial")):
        confusion = np.zeros((len(KITTI), len(KITTI)), np.int64)
        for frame in SemanticKITTI(task.root, SEQUENCE, frames=frames, labels=folder, cameras=()):
            assert frame.labels is not None
            known = usable_labels(frame.labels, frame.id, SHARE, seed) if part == "hidden" else 0
            truth = np.where(known == 0, frame.labels, 0)
            confusion += confusion_matrix(segmenter.segment(frame.scan).labels, truth, len(confusion))
        result = score(confusion)
        found |= {f"{part}_miou": 100 * result.miou_present, f"{part}_accuracy": 100 * result.accuracy}
    return found


def read_results(path: Path) -> dict[tuple[str, int], dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {(row["row"], int(row["seed"])): row for row in csv.DictReader(file)}


def table_of(path: Path, head: str, rows: Iterable[str], scores: Sequence[str]) -> str:
    """Table of mean and standard deviation of scores over the seeds, by row."""
    runs = read_results(path).values()
    values = {row: [[float(run[name]) for run in runs if run["row"] == row] for name in scores] for row in rows}
    return markdown([head, *scores], [[row, *(cell(value, 1) for value in found)] for row, found in values.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("few-real"))
    parser.add_argument("--frames", default="0-2")
    parser.add_argument("--others", default="3-4")
    parser.add_argument("--cameras", default="image_3")
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    task, results = Task(linked(args.root, out), out, args.frames, args.others, args.cameras), out / "results.csv"
    for seed in map(int, args.seeds.split(",")):
        for row in ROWS:
            if (row, seed) not in read_results(results):
                run = {"row": row, "seed": seed, **scores(task, fit(task, row, seed), seed)}
                machine = describe()
                append_row(results, run | {"commit": machine["commit"], "hardware": machine["hardware"]})
    print(table_of(results, "labels", ROWS, SCORES))


if __name__ == "__main__":
    main()
