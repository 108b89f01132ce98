"""Value of a student of rendered streets for training on one labelled real scan.

    python -m experiments.fine_tuning ROOT STUDENT --out fine-tuning [--steps 200] [--seeds 0,1]

ROOT contains SemanticKITTI's sequence 00 with ``labels`` for frames 0-2 and ``labels_partial`` for 3-4. Students of the
shape of STUDENT learn from frame 0, with the same remission gain and the same number of steps: from the weights of
STUDENT, and from new ones. They are scored on frames 1-2, and on the labelled points of frames 3-4. These frames are
one place. The row ``before`` is STUDENT itself, without training. No setting was chosen by these scores.

OUT/results.csv gets one row per run; runs that it contains are skipped.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elite.datasets import SemanticKITTI
from elite.environment import describe
from elite.evaluation import ScoreCounts, by_segmenter
from elite.inference import Segmenter
from elite.packaged_students import student_path
from elite.student import load_student
from experiments.ablation.data import elite
from experiments.few_real import SEQUENCE, read_results, table_of
from experiments.runs import append_row

GAIN, FEW_POINTS = 20, 1000
RATES = {"scratch": 0.24, "scratch, low rate": 0.06, "fine-tuned": 0.06}
ROWS = ("before", *RATES)
SCORES = ("miou", "miou_large", "accuracy", "others_accuracy")


@dataclass(frozen=True)
class Task:
    """Data set, student to start from, output folder, number of steps."""

    root: Path
    student: Path
    out: Path
    steps: int


def fit(task: Task, row: str, seed: int) -> Path:
    """Train one student on frame 0 and return its checkpoint; for ``before``, the given student."""
    if row == "before":
        return task.student
    run, config = task.out / f"{row.replace(', ', '-').replace(' ', '-')}-{seed}", load_student(task.student).config
    shape = f"--student.channels {config.channels} --student.cells {list(config.cells)}".replace(", ", ",")
    data = f"--data.sequences {SEQUENCE} --data.frames 0 --data.val-sequences none --data.batch-size 1"
    average = f"--optim.average {1 - 10 / task.steps}"  # of the last steps: a new student changes fast
    settings = (
        f"--steps {task.steps} --optim.lr {RATES[row]} {average} --loss.class-weights taxonomy --seed {seed} {shape}"
    )
    start = f"--init {task.student}" if row == "fine-tuned" else ""
    gain = f"--student.remission-gain {GAIN}"
    elite(f"train {task.root} -o {run} --config zero-shot --overwrite {data} {settings} {gain} {start}")
    return run / "checkpoints" / "last.ckpt"


def scores(task: Task, student: Path) -> dict[str, float]:
    """Scores in % on frames 1-2, and accuracy on the labelled points of frames 3-4.

    ``miou`` is over the classes present, ``miou_large`` over those of more than 1000 points.
    """
    segmenter = Segmenter.load(student, "cpu")
    counts = [_counts(task, segmenter, *part) for part in (("1-2", "labels"), ("3-4", "labels_partial"))]
    (result, confusion), (others, _) = ((c.report(), c.total) for c in counts)
    large = [i for i in result["present"] if confusion[:, i].sum() > FEW_POINTS]
    found = {
        "miou": result["miou_present"],
        "miou_large": float(np.mean([result["iou"][i] for i in large])),
        "accuracy": result["accuracy"],
        "others_accuracy": others["accuracy"],
    }
    return {name: 100 * value for name, value in found.items()}


def _counts(task: Task, segmenter: Segmenter, frames: str, labels: str) -> ScoreCounts:
    counts, predict = ScoreCounts(segmenter.taxonomy), by_segmenter(segmenter, segmenter.taxonomy)
    for frame in SemanticKITTI(task.root, SEQUENCE, frames=frames, labels=labels, cameras=()):
        assert frame.labels is not None
        counts.add(predict(frame), frame.labels, frame.scan.points)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("student", type=student_path)
    parser.add_argument("--out", type=Path, default=Path("fine-tuning"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", default="0,1")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    task, results = Task(args.root, args.student, args.out, args.steps), args.out / "results.csv"
    for seed in map(int, args.seeds.split(",")):
        for row in ROWS:
            if (row, seed) not in read_results(results):
                machine = describe()
                run = {"row": row, "seed": seed, "steps": args.steps, **scores(task, fit(task, row, seed))}
                append_row(results, run | {"commit": machine["commit"], "hardware": machine["hardware"]})
    print(table_of(results, "student", ROWS, SCORES))


if __name__ == "__main__":
    main()
