"""Value of a camera teacher in rendered streets for real scans.

    python -m experiments.camera_teacher ROOT --out camera-teacher [--steps 300] [--seeds 0,1]

Students learn from the same rendered streets of world 2 for the same number of steps: without a teacher, and with a
foundation model that learned from segments in images of other rendered streets (experiments.ablation's ``adalora``).
They are scored on unseen rendered streets, and on the real frames of ROOT (experiments.real_scores). Students have 32
channels and cells of 0.2 m. No setting was chosen by the scores on real frames.

OUT/results.csv gets one row per run; runs that it contains are skipped.
"""

import argparse
from pathlib import Path

from elite.datasets import open_dataset
from elite.environment import describe
from elite.inference import Segmenter
from experiments import real_scores
from experiments.ablation.data import elite, render
from experiments.ablation.rows import adapted
from experiments.ablation.sizes import HALF_IMAGE, Settings
from experiments.few_real import read_results, table_of
from experiments.runs import append_row

STREETS = {
    "streets": f"--seed 100 --sequences 16 --frames 6 --sensor hdl-64e --rare 3 {HALF_IMAGE}",
    "images": f"--seed 5000 --sequences 30 --frames 6 --beams 4 --azimuths 64 --rare 3 {HALF_IMAGE}",
    "unseen": "--seed 900 --sequences 2 --frames 6 --sensor hdl-64e --cameras none",
}
TEACHER_STEPS = 2000
SETTINGS: Settings = {
    "data.val_sequences": "none",
    "student.channels": 32,
    "student.cells": "[500,500,30]",
    "optim.warmup_steps": 20,
    "optim.average": 0.98,
    "image.crop": "[160,608]",
    "distill.stages": "[0,1,2]",
    "accelerator": "cpu",
}
HEADS: Settings = {"distill.student_heads": 0.5}
ROWS: dict[str, Settings] = {
    "student": {"distill.student_heads": 0},
    "stage heads": HEADS,
    "camera teacher": HEADS | adapted("adalora"),
}
SCORES = ("unseen", "unseen_accuracy", "real", "real_big", "real_accuracy", "others_accuracy", "pandaset_accuracy")


def prepare(out: Path) -> None:
    """Render the streets, and train the foundation model."""
    for name, options in STREETS.items():
        render(out / name, f"--world 2 {options}")
    if not (out / "teacher" / "model.safetensors").exists():
        elite(f"train-teacher {out / 'images'} -o {out / 'teacher'} --config synthetic-teacher --steps {TEACHER_STEPS}")


def train(out: Path, row: str, seed: int, steps: int) -> Path:
    """Train or resume a student, and return its checkpoint."""
    run = out / f"{row.replace(' ', '-')}-{seed}"
    weights = out / "teacher" if row == "camera teacher" else "none"
    settings = SETTINGS | {"seed": seed, "steps": steps, "teacher.weights": weights} | ROWS[row]
    options = " ".join(f"--{name}={value}" for name, value in settings.items())
    elite(f"train {out / 'streets'} -o {run} --config zero-shot --resume last {options}")
    return run / "checkpoints" / "last.ckpt"


def scores(root: Path, out: Path, checkpoint: Path) -> dict[str, float]:
    """mIoU of the classes present and accuracy in % on unseen rendered streets, frames 1-2, frames 3-4 and PandaSet."""
    segmenter = Segmenter.load(checkpoint, "cpu")
    unseen = real_scores.scores_of(segmenter, open_dataset(out / "unseen", cameras=()))
    real, others, pandaset = (real_scores.scores(segmenter, part, root) for part in real_scores.SETS.values())
    return {
        "unseen": unseen["miou_present"],
        "unseen_accuracy": unseen["accuracy"],
        "real": real["miou_present"],
        "real_big": real["miou_big"],
        "real_accuracy": real["accuracy"],
        "others_accuracy": others["accuracy"],
        "pandaset_accuracy": pandaset["accuracy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("camera-teacher"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", default="0,1")
    args = parser.parse_args()
    out, results = args.out.resolve(), args.out / "results.csv"
    out.mkdir(parents=True, exist_ok=True)
    prepare(out)
    for seed in map(int, args.seeds.split(",")):
        for row in ROWS:
            if (row, seed) not in read_results(results):
                found = scores(args.root, out, train(out, row, seed, args.steps))
                machine = describe()
                run = {"row": row, "seed": seed, "steps": args.steps, **found}
                append_row(results, run | {"commit": machine["commit"], "hardware": machine["hardware"]})
    print(table_of(results, "student", ROWS, SCORES))


if __name__ == "__main__":
    main()
