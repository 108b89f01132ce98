"""Time of a training sample by part, and the share of a run's time in which its steps wait for data.

    python benchmarks/loader.py [--root ROOT] [--rounds 7] [--threads 2]

ROOT has the layout of SemanticKITTI with image_2 or image_3 and instance ids (default: a rendered street, full size).
Samples are prepared as in a loader process, on one core; each row includes the rows above. The step is a training step
of the student on one sample, on all threads. Then ``elite train`` runs with 0, 1 and 2 loader processes, which share
the cores with the step. The share of waiting is read from metrics.csv.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from _timing import conditions, fair_rounds, ratio, restart, spread, table

from elite.config import AugmentConfig, CutmixConfig, StudentConfig
from elite.data.collate import collate
from elite.data.dataset import TrainingSet
from elite.datasets import SemanticKITTI
from elite.layout import CAMERAS
from elite.student import SPVCNN
from elite.synthetic import DriveConfig, render_drive
from elite.types import Sample

READ, AUGMENTED, CUTMIX, IMAGE, COLLATED = "scan, labels", "+ augmentation", "+ cutmix", "+ image, pairs", "+ collate"
STEP = "training step"
STEPS, WORKERS = 20, (0, 1, 2)


def samples(root: Path, cameras: tuple[str, ...]) -> dict[str, Callable[[int], Sample]]:
    """Functions from a number to its sample. A repeated number has the same augmentation, with a warm disk cache."""

    def made(augment: AugmentConfig, cameras: tuple[str, ...] = ()) -> TrainingSet:
        return TrainingSet(SemanticKITTI(root, "train", cameras=cameras), StudentConfig().volume, augment, 0)

    cutmix = AugmentConfig(cutmix=CutmixConfig(objects=10))
    sets = {
        READ: made(AugmentConfig(enabled=False)),
        AUGMENTED: made(AugmentConfig()),
        CUTMIX: made(cutmix),
        IMAGE: made(cutmix, cameras),
    }
    return {name: lambda i, of=of: of[0, i % len(of)] for name, of in sets.items()}


def training_step(root: Path) -> Callable[[int], object]:
    """Training step of the student without a teacher, with cross entropy: a lower bound for a step of ELiTe."""
    student = SPVCNN().train()
    optimiser = torch.optim.SGD(student.parameters(), lr=1e-3, momentum=0.9)
    sample = samples(root, ())[AUGMENTED]
    batches = [collate([sample(i)]) for i in range(4)]

    def step(i: int) -> None:
        batch = batches[i % len(batches)]
        logits = student(batch.points, batch.remission, batch.batch_index).logits
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits, batch.labels, ignore_index=0).backward()
        optimiser.step()

    return step


def waiting(root: Path, workers: int) -> str:
    """Share of the time in which the steps of a short run waited for data, mostly without its start."""
    with tempfile.TemporaryDirectory() as out:
        options = {"data.workers": workers, "data.batch_size": 1, "data.val_sequences": "none"}
        options |= {"augment.cutmix.objects": 10, "steps": STEPS, "out": out, "accelerator": "cpu"}
        command = [sys.executable, "-m", "elite", "train", str(root), "--config", "semantickitti-student"]
        done = subprocess.run([*command, *(f"--{k}={v}" for k, v in options.items())], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"elite train: expected exit status 0, found {done.returncode}.\n{done.stderr}")
        with (Path(out) / "metrics.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["waiting"]]
    (begun, first), (ended, last) = (_waited(row) for row in (rows[0], rows[-1]))
    return f"{100 * (last - first) / (ended - begun):.1f} %"


def _waited(row: dict[str, str]) -> tuple[float, float]:
    """Seconds since the start of the run, and seconds of waiting."""
    passed = (int(row["step"]) + 1) / float(row["scans/s"])  # one scan per step
    return passed, float(row["waiting"]) * passed


def main(root: Path, rounds: int) -> None:
    camera = max(CAMERAS, key=lambda name: len(list(root.glob(f"sequences/*/{name}/*"))))
    made = samples(root, (camera,))
    complete = {COLLATED: lambda i: collate([made[IMAGE](i)]), STEP: training_step(root)}
    seconds = fair_rounds(made | complete, range(rounds + 1), rounds)
    lines = [
        [name, f"{1000 * median(values):.0f}", spread(values, seconds[STEP]) if name != STEP else "1"]
        for name, values in seconds.items()
    ]
    print(table(["one scan", "median ms", "of a step (lowest-highest)"], lines))
    print(f"one loader process prepares {ratio(seconds[STEP], seconds[COLLATED]):.1f} samples in the time of a step")
    for workers in WORKERS:
        print(f"elite train, {workers} loader processes: {waiting(root, workers)} of the time waits for data")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="data set (default: a rendered street)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else all cores")
    given = parser.parse_args()
    restart(given.threads)
    print(conditions())
    if given.root:
        main(given.root, given.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            render_drive(Path(folder), DriveConfig(sequences=1, frames=8), workers=os.cpu_count() or 1)
            main(Path(folder), given.rounds)
