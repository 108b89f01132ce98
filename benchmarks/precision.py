"""What bf16 costs in accuracy: mIoU of the same trained student in float32 and in bf16, on the same scans.

    python benchmarks/precision.py                                    # renders a street, trains a student on it
    python benchmarks/precision.py CKPT ROOT [--split 08] [--frames 0-2]

bf16 is fit to be a default only where the difference is below 0.1 mIoU points.
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
from elite.native import has_bf16
from elite.student.engine import Precision
from elite.types import Frame

GOAL = 0.1  # mIoU points
DRIVE = "--sequences 4 --frames 20 --beams 32 --azimuths 512 --image-width 160 --image-height 48"


def trained(folder: Path) -> tuple[Path, Path]:
    """(checkpoint, data set), both made in ``folder``."""
    root, run = folder / "drive", folder / "run"
    elite(f"synth {root} {DRIVE}")
    elite(f"train --config synthetic-student --data.root {root} --out {run} --accelerator cpu")
    return run / "checkpoints" / "last.ckpt", root


def elite(command: str) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True, stdout=subprocess.DEVNULL)


def main(checkpoint: Path, root: Path, split: str, frames: str | None) -> None:
    dataset = SemanticKITTI(root, split, frames=frames, cameras=())
    answers: dict[Precision, list[np.ndarray]] = {"fp32": [], "bf16": []}
    miou = {}
    for precision, kept in answers.items():
        segmenter = Segmenter.load(checkpoint, "cpu", precision=precision)

        def predict(frame: Frame, segmenter: Segmenter = segmenter, kept: list[np.ndarray] = kept) -> Prediction:
            kept.append(segmenter.segment(frame.scan).labels)
            return Prediction(kept[-1])

        miou[precision] = 100 * evaluate(dataset, predict)["miou_present"]
    same = np.mean(np.concatenate(answers["fp32"]) == np.concatenate(answers["bf16"]))
    difference = miou["bf16"] - miou["fp32"]
    verdict = "met" if abs(difference) < GOAL else "MISSED"
    print(f"{len(answers['fp32'])} scans of {split}, mIoU over the classes present: {miou['fp32']:.3f} in fp32")
    print(f"bf16: {difference:+.3f} points (|difference| < {GOAL}: {verdict}), {100 * same:.2f} % of the labels equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--split", default="08")
    parser.add_argument("--frames")
    given = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    print(conditions())
    if not has_bf16():
        print("this processor does not multiply bfloat16, or there are no native kernels: nothing to compare.")
    elif given.root is not None:
        main(given.checkpoint, given.root, given.split, given.frames)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(*trained(Path(folder)), given.split, given.frames)
