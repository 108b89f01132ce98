"""Accuracy of bf16 and int8 inference: mIoU of a trained student in each precision on the same scans.

    python benchmarks/precision.py                                    # renders a street, trains a student on it
    python benchmarks/precision.py CKPT ROOT [--split 08] [--frames 0-2]

The goals are differences below 0.1 points of mIoU in bf16 and 0.3 in int8.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _timing import conditions

from elite.datasets import SemanticKITTI
from elite.evaluation import Prediction, evaluate
from elite.inference import Segmenter
from elite.native import Precision, multiplies
from elite.student.engine import PRECISIONS
from elite.types import Frame

GOALS: dict[Precision, float] = {"bf16": 0.1, "int8": 0.3}  # mIoU points
DRIVE = "--sequences 4 --frames 20 --beams 32 --azimuths 512 --image-width 160 --image-height 48"


def trained(folder: Path) -> tuple[Path, Path]:
    """Render a data set and train a student in ``folder``; return checkpoint and data set."""
    root, run = folder / "drive", folder / "run"
    elite(f"synth -o {root} {DRIVE}")
    elite(f"train {root} -o {run} --config synthetic-student --accelerator cpu")
    return run / "checkpoints" / "last.ckpt", root


def elite(command: str) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True, stdout=subprocess.DEVNULL)


def main(checkpoint: Path, root: Path, split: str, frames: str | None) -> None:
    dataset = SemanticKITTI(root, split, frames=frames, cameras=())
    predictions: dict[Precision, list[np.ndarray]] = {name: [] for name in PRECISIONS if multiplies(name)}
    miou = {}
    for precision, labels in predictions.items():
        segmenter = Segmenter.load(checkpoint, "cpu", precision=precision)

        def predict(frame: Frame, segmenter: Segmenter = segmenter, labels: list[np.ndarray] = labels) -> Prediction:
            labels.append(segmenter.segment(frame.scan).labels)
            return Prediction(labels[-1])

        miou[precision] = 100 * evaluate(dataset, predict)["miou_present"]
    expected = np.concatenate(predictions.pop("fp32"))
    print(f"{split}: {len(expected):,} points, mIoU over the classes present: {miou['fp32']:.3f} in fp32")
    for precision, labels in predictions.items():
        difference, same = miou[precision] - miou["fp32"], np.mean(np.concatenate(labels) == expected)
        verdict = f"|difference| < {GOALS[precision]}: {'met' if abs(difference) < GOALS[precision] else 'MISSED'}"
        print(f"{precision}: {difference:+.3f} points ({verdict}), {100 * same:.2f} % of the labels equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--split", default="08")
    parser.add_argument("--frames")
    given = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    print(conditions())
    if given.root is not None:
        main(given.checkpoint, given.root, given.split, given.frames)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(*trained(Path(folder)), given.split, given.frames)
