"""Lesson 2: train a student on your own scans.

    python examples/train_on_own_data.py --out own

Replace ``read_my_scans`` by a reader of your recordings. Here it draws a road with cars and poles.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elite.cli import main as elite

# Your classes, as raw ids of SemanticKITTI (all ids: docs/datasets/own-data.md). 0 = not labelled.
RAW_IDS = {"unknown": 0, "car": 10, "road": 40, "pole": 80}
SMALL = ["--student.channels=16", "--student.cells=[125,125,8]", "--data.workers=0", "--accelerator=cpu"]


def read_my_scans(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, list[str]]]:
    """Points (n, 3) in metres, x forward, y left, z up; intensity (n,) in 0..255; class name of each point."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        road = np.column_stack([rng.uniform(-20, 20, (3000, 2)), np.full(3000, -1.7)])
        car, pole = box(rng, (4, 2, 1.5), 600), box(rng, (0.2, 0.2, 3), 150)
        names = ["road"] * 3000 + ["car"] * 600 + ["pole"] * 150
        yield np.concatenate([road, car, pole]), rng.uniform(0, 255, len(names)), names


def box(rng: np.random.Generator, size: tuple[float, float, float], count: int) -> np.ndarray:
    """Points in a box of this size (m) somewhere on the road."""
    corner = np.array([*rng.uniform(-15, 15, 2), -1.7])
    return rng.uniform(corner, corner + size, (count, 3))


def write_sequence(root: Path, sequence: str, scans: Iterator[tuple[np.ndarray, np.ndarray, list[str]]]) -> None:
    """Write scans and labels in the layout of SemanticKITTI."""
    folder = root / "sequences" / sequence
    (folder / "velodyne").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    for number, (points, intensity, names) in enumerate(scans):
        scan = np.column_stack([points, intensity / 255])
        scan.astype("<f4").tofile(folder / "velodyne" / f"{number:06}.bin")
        labels = np.array([RAW_IDS[name] for name in names])
        labels.astype("<u4").tofile(folder / "labels" / f"{number:06}.label")


def main(out: Path, scans: int, steps: int) -> int:
    data, run = out / "data", out / "run"
    write_sequence(data, "00", read_my_scans(scans, seed=0))  # for training
    write_sequence(data, "01", read_my_scans(2, seed=1))  # for validation

    # `check` reports wrong sizes, ids, axes and heights before a long training does. Cameras are not needed here.
    status = elite(["check", str(data), "--cameras", "none"])

    # `semantickitti-student` trains without a teacher. The other options make it small enough for a minute on a CPU.
    sequences = ["--data.sequences=00", "--data.val-sequences=01", "--loss.class-weights=data"]
    length = [f"--steps={steps}", f"--val-every={steps}", "--data.batch-size=2", "--optim.warmup-steps=1"]
    train = ["train", str(data), "-o", str(run), "--config", "semantickitti-student", "--overwrite"]
    status = status or elite([*train, *sequences, *length, *SMALL])
    return status or elite(["evaluate", str(run / "checkpoints" / "best.ckpt"), str(data), "--split", "01"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("own"))
    parser.add_argument("--scans", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    raise SystemExit(main(**vars(parser.parse_args())))
