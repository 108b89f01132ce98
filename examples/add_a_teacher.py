"""Lesson 3: add a camera teacher.

    python examples/add_a_teacher.py --out taught

The teacher is a vision foundation model that reads camera images during training. The student learns to predict the
same classes at the points that the camera sees, and needs no camera afterwards. The data set needs images and a
calibration: docs/datasets/own-data.md. Here it is a rendered street.
"""

import argparse
import shlex
from pathlib import Path

from elite.cli import main as elite

SMALL = "--beams 16 --azimuths 256 --image-width 310 --image-height 94 --workers 1"


def run(command: str) -> None:
    print(f"\n$ elite {command}", flush=True)
    if status := elite(shlex.split(command)):
        raise SystemExit(status)


def main(out: Path, frames: int, steps: int) -> None:
    drive, teacher, student = out / "drive", out / "teacher", out / "run"
    run(f"synth -o {drive} --sequences 1 --frames {frames} {SMALL}")

    # A foundation model is trained on many images. For the lesson, a small one is trained on this street for a moment.
    # With SemanticKITTI, use a published one: Meta's SAM file, or a transformers folder of SAM, SAM 2, DINOv2, DINOv3,
    # Swin, ConvNeXt, ...
    fast = "--data.workers 0 --data.batch-size 2 --image.crop [64,64] --data.sequences 00"
    run(f"train-teacher {drive} -o {teacher} --config synthetic-teacher --steps {steps} --overwrite {fast}")

    # --teacher.weights adds the teacher; `none` trains the student without one. Its weights stay frozen, except for
    # low-rank updates (--teacher.adapter.method: adalora, lora, dora, full or frozen).
    length = f"--steps {steps} --val-every {steps} --overwrite --data.workers 0 --image.crop [64,288]"
    run(f"train {drive} -o {student} --config synthetic --teacher.weights {teacher} {length}")

    # The checkpoint contains the teacher, too; the exported student does not.
    exported = out / "student.safetensors"
    run(f"export {student / 'checkpoints' / 'best.ckpt'} -o {exported}")
    run(f"evaluate {exported} {drive}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("taught"))
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    main(**vars(parser.parse_args()))
