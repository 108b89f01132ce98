"""Does the camera teach? The same student, seeds and steps, with more and more of ELiTe, on the synthetic drive.

    python benchmarks/ablation.py --out ablation               # renders, pre-trains, trains every row, prints the table
    python benchmarks/ablation.py --out ablation --rows alone,adalora --labels points --seeds 0

Rows: the student alone; with heads of its own on its stages but no image (the gain of distillation is measured against
this row); taught by the pre-trained foundation model, frozen; by it, adapted with AdaLoRA; frozen, with dense
pseudo-labels (the watershed's) in place of sparse ones; and, a row apart, taught by one that was pre-trained on class
labels, with the heads it learnt there. Each with all LiDAR labels and with 1 % of them. The foundation models are
trained on images of many other streets, from segments without names (that other one from class labels), which takes
half an hour each on one core. Every finished run leaves a JSON file and is not run again; delete it to repeat it.
Scored on sequence 08, a street that nothing was trained on, by the official rule.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZE = "--image-width 620 --image-height 188"
DRIVE = f"--seed 0 --sequences 6 --frames 40 --beams 32 --azimuths 512 {SIZE}"
IMAGES = f"--seed 1000 --sequences 88 --frames 10 --beams 4 --azimuths 64 {SIZE}"
PRETRAINING = "--config synthetic-teacher --steps 5000"

# The published weight of the divergence (0.05) does nothing measurable in runs this short. With these two each point
# that the camera sees has a divergence of weight 1 in the usual mean over points, and the teacher's gradient, clipped
# apart, does not shorten the student's step.
TAUGHT = {"distill.kl": 2.0, "distill.logits": 20.0, "optim.clip_together": "false"}
ROWS: dict[str, dict[str, Any]] = {
    "alone": {"teacher.weights": "none", "distill.student_heads": 0.0},
    "heads": {"teacher.weights": "none"},
    "frozen": {"teacher.adapter.method": "frozen"} | TAUGHT,
    "adalora": {"teacher.adapter.method": "adalora"} | TAUGHT,
    "pseudo": {"teacher.adapter.method": "frozen", "data.dense_labels": "image_2_pseudo", "distill.dense_stride": 4}
    | TAUGHT,
    "classes": {"teacher.adapter.method": "frozen", "teacher.heads": "pretrained", "optim.teacher_lr": 0.01} | TAUGHT,
}
TITLES = {
    "alone": "student alone",
    "heads": "student, own stage heads, no image",
    "frozen": "ELiTe, foundation model frozen",
    "adalora": "ELiTe, foundation model with AdaLoRA",
    "pseudo": "ELiTe, foundation model frozen, pseudo-labels for its heads",
    "classes": "ELiTe, foundation model pre-trained on class labels, frozen, its heads kept",
}
LABELS: dict[str, dict[str, Any]] = {
    "all": {},
    "points": {"data.label_fraction": 0.01, "data.label_unit": "points", "distill.voxel_majority": "labelled"},
    "scans": {"data.label_fraction": 0.01, "data.label_unit": "scans"},
}
LABEL_TITLES = {"all": "all", "points": "1 % of the points of every scan", "scans": "1 % of the scans"}


def prepare(out: Path) -> None:
    """The drive, the images of other streets, and the foundation model trained on these; what is there is kept."""
    if not (out / "drive" / "synth.json").exists():
        elite(f"synth {out / 'drive'} {DRIVE}")
    elite(f"pseudo-label {out / 'drive'} --sequences train")
    for objective, folder in (("segments", "teacher"), ("classes", "teacher-classes")):
        if not (out / folder / "model.safetensors").exists():
            elite(f"synth {out / 'images'} {IMAGES}")
            images = f"--data.root {out / 'images'} --objective {objective}"
            elite(f"train-teacher {PRETRAINING} {images} --out {out / folder}")


def elite(command: str) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True)


def run_one(out: Path, labels: str, row: str, seed: int, steps: int | None, extra: list[str]) -> None:
    """Train and score one row; what was measured goes to OUT/runs/LABELS-ROW-SEED.json."""
    teacher = out / ("teacher-classes" if row == "classes" else "teacher")
    settings = {"teacher.weights": str(teacher), "seed": seed} | ROWS[row] | LABELS[labels]
    settings |= {} if steps is None else {"steps": steps, "val_every": steps}
    name = f"{labels}-{row}-{seed}"
    folder = out / "runs" / name
    began = time.monotonic()
    options = [f"--{key}={value}" for key, value in settings.items()]
    command = ["train", "--config", "synthetic", "--data.root", str(out / "drive"), "--out", str(folder)]
    overwrite = ["--overwrite", "true", "--data.workers", "0"]
    subprocess.run([sys.executable, "-m", "elite", *command, *overwrite, *options, *extra], check=True)
    result = score(folder / "checkpoints" / "last.ckpt", out / "drive")
    result |= {
        "seconds": time.monotonic() - began,
        "settings": settings,
        "extra": extra,
        "teacher": teacher_score(folder),
    }
    (out / "runs" / f"{name}.json").write_text(json.dumps(result, indent=1))


def score(checkpoint: Path, drive: Path) -> dict[str, Any]:
    """Official score on sequence 08, and the same apart for points inside and outside of the camera's view."""
    import numpy as np

    from elite.data import SemanticKITTI
    from elite.environment import describe
    from elite.geometry import in_image, project
    from elite.inference import Segmenter
    from elite.labels import NUM_CLASSES
    from elite.metrics import score as official

    segmenter = Segmenter.load(checkpoint)
    parts = {"all": 0, "in view": 0, "out of view": 0}
    for frame in SemanticKITTI(drive, "08"):
        uv, _ = project(frame.scan.points, frame.cameras[0])
        seen = in_image(uv, *frame.images["image_2"].shape[:2])
        prediction = segmenter.segment(frame.scan).labels.astype(np.int64)
        truth = frame.labels.astype(np.int64)
        for name, rows in (("all", slice(None)), ("in view", seen), ("out of view", ~seen)):
            cells = np.bincount(prediction[rows] * NUM_CLASSES + truth[rows], minlength=NUM_CLASSES**2)
            parts[name] = parts[name] + cells.reshape(NUM_CLASSES, NUM_CLASSES)
    scores = {name: official(matrix) for name, matrix in parts.items()}
    return {
        **{name: s.miou_present for name, s in scores.items()},
        "iou": [float(x) for x in scores["all"].iou],
        "accuracy": scores["all"].accuracy,
        "versions": describe(),
    }


def teacher_score(folder: Path) -> float | None:
    """The teacher's own last mIoU on validation pixels."""
    import csv

    with (folder / "metrics.csv").open() as file:
        values = [value for row in csv.DictReader(file) if (value := row.get("val/teacher_miou_present"))]
    return float(values[-1]) if values else None


def table(out: Path) -> str:
    """Mean and spread (standard deviation over seeds) of every row that has been run, in %."""
    lines = ["| labels | row | seeds | mIoU | in view | out of view | teacher |", "|---|---|---|---|---|---|---|"]
    for labels in LABELS:
        for row in ROWS:
            runs = [json.loads(p.read_text()) for p in sorted((out / "runs").glob(f"{labels}-{row}-*.json"))]
            if len({json.dumps([r["settings"] | {"seed": None}, r["extra"]]) for r in runs}) > 1:
                raise SystemExit(f"{out} holds runs of {labels}-{row} with different settings; give another --out")
            if runs:
                cells = " | ".join(
                    _cell([r[key] for r in runs]) for key in ("all", "in view", "out of view", "teacher")
                )
                lines.append(f"| {LABEL_TITLES[labels]} | {TITLES[row]} | {len(runs)} | {cells} |")
    return "\n".join(lines)


def _cell(values: list[float | None]) -> str:
    numbers = [100 * v for v in values if v is not None]
    if not numbers:
        return ""
    mean = sum(numbers) / len(numbers)
    spread = (sum((x - mean) ** 2 for x in numbers) / max(1, len(numbers) - 1)) ** 0.5
    return f"{mean:.1f} ± {spread:.1f}" if len(numbers) > 1 else f"{mean:.1f}"


def chosen(text: str, known: dict[str, Any]) -> list[str]:
    names = list(known) if text == "every" else text.split(",")
    if unknown := [n for n in names if n not in known]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; expected some of {', '.join(known)}")
    return names


def todo(out: Path, rows: list[str], labels: list[str], seeds: list[int]) -> Iterator[tuple[str, str, int]]:
    """Seed by seed, so that every row has been run once before one is repeated."""
    for seed in seeds:
        for label in labels:
            for row in rows:
                if not (out / "runs" / f"{label}-{row}-{seed}.json").exists():
                    yield label, row, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("ablation"))
    parser.add_argument("--rows", default="every", help="every, or some of: " + ", ".join(ROWS))
    parser.add_argument("--labels", default="all,scans", help="every, or some of: " + ", ".join(LABELS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, help="optimiser steps of every run (default: those of the configuration)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time, one thread each")
    parser.add_argument("--one", nargs=3, metavar=("LABELS", "ROW", "SEED"), help="run just this one, here")
    args, extra = parser.parse_known_args()
    if args.one:
        label, row, seed = args.one
        return run_one(args.out, label, row, int(seed), args.steps, extra)
    (args.out / "runs").mkdir(parents=True, exist_ok=True)
    prepare(args.out)
    seeds = [int(s) for s in args.seeds.split(",")]
    queue = list(todo(args.out, chosen(args.rows, ROWS), chosen(args.labels, LABELS), seeds))
    run_all(args, queue, extra)
    text = table(args.out)
    (args.out / "table.md").write_text(text + "\n")
    print(text)
    return None


def run_all(args: argparse.Namespace, queue: list[tuple[str, str, int]], extra: list[str]) -> None:
    """``args.jobs`` processes at a time; each writes to a log of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running: dict[subprocess.Popen, str] = {}
    failed = []
    while queue or running:
        while queue and len(running) < args.jobs:
            name = [str(part) for part in queue.pop(0)]
            log = (args.out / "runs" / f"{'-'.join(name)}.log").open("w")
            steps = [] if args.steps is None else ["--steps", str(args.steps)]
            command = [sys.executable, __file__, "--out", str(args.out), *steps, "--one", *name, *extra]
            running[subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)] = "-".join(name)
        done = [process for process in running if process.poll() is not None]
        for process in done:
            name = running.pop(process)
            failed += [name] if process.returncode else []
            print(f"{name}: {'FAILED, see its log' if process.returncode else 'done'}", flush=True)
        time.sleep(0.5)
    if failed:
        raise SystemExit(f"{len(failed)} runs failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
