"""Scores of students and teachers, separately and combined, at the points in the camera's view.

    python -m experiments.complement STUDENT OTHER TEACHER... --drives DRIVE...

STUDENT and OTHER are run folders of one row with two seeds; of each TEACHER's run the teacher is scored. *Combined*
means the mean of the probabilities. Two models with different errors gain by that, which STUDENT + OTHER measures.
Prints mIoU / accuracy over the points that have a pixel in the validation crop. All runs must have the same crop and
volume.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml
from jaxtyping import Float32

from elite.batches import Pixels
from elite.config import ImageConfig, from_plain
from elite.data.views import View, frame_views
from elite.datasets import SemanticKITTI
from elite.geometry import in_volume
from elite.inference import Segmenter
from elite.metrics import confusion_matrix
from elite.teacher import Teacher, load_teacher
from elite.types import Frame
from experiments.classes import KITTI
from experiments.runs import report_score

Probabilities = Float32[np.ndarray, "pairs classes"]  # of classes 1..19


def frames_and_views(
    drives: list[Path], sequence: str, every: int, image: ImageConfig, segmenter: Segmenter
) -> Iterator[tuple[Frame, View]]:
    """Yield every n-th frame and its view, whose pairs index points of the scan inside the student's volume."""
    for drive in drives:
        frames = SemanticKITTI(drive, sequence)
        for i in range(0, len(frames), every):
            frame = frames[i]
            rows = np.flatnonzero(in_volume(frame.scan.points, segmenter.student.config.volume))
            view = frame_views(frame, rows, image)[0]
            yield frame, replace(view, pairs=replace(view.pairs, point=rows[view.pairs.point]))


@torch.inference_mode()
def student_probabilities(segmenter: Segmenter, frame: Frame, view: View) -> Probabilities:
    logits = torch.from_numpy(segmenter.logits(frame.scan)[view.pairs.point])
    return logits[:, 1:].softmax(dim=1).numpy()


@torch.inference_mode()
def teacher_probabilities(teacher: Teacher, view: View) -> Probabilities:
    """Probabilities by the head on all stages."""
    maps = teacher(torch.from_numpy(view.image.copy()).permute(2, 0, 1)[None])
    position = torch.from_numpy(view.pairs.pixel)
    logits = teacher.logits_at(maps, Pixels(torch.zeros_like(position[:, 0]), position), view.image.shape[:2])
    return logits.multi_stage[:, 1:].softmax(dim=1).numpy()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("teachers", type=Path, nargs="+")
    parser.add_argument("--drives", type=Path, nargs="+", required=True)
    parser.add_argument("--sequence", default="08")
    parser.add_argument("--every-frame", type=int, default=2, help="distance between scored frames (default: 2)")
    parser.add_argument("--results", type=Path, help="CSV file to append the scores to")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    student, other = (Segmenter.load(run / "checkpoints" / "last.ckpt", "cpu") for run in (args.student, args.other))
    teachers = {run.name: load_teacher(run / "checkpoints" / "last.ckpt") for run in args.teachers}
    image = from_plain(ImageConfig, yaml.safe_load((args.teachers[0] / "config.yaml").read_text())["image"])
    confusions: dict[str, np.ndarray] = defaultdict(lambda: np.zeros((len(KITTI), len(KITTI)), np.int64))
    for frame, view in frames_and_views(args.drives, args.sequence, args.every_frame, image, student):
        assert frame.labels is not None
        of_student = student_probabilities(student, frame, view)
        predictions = {"student": of_student, "student + other": of_student + student_probabilities(other, frame, view)}
        for name, teacher in teachers.items():
            of_teacher = teacher_probabilities(teacher, view)
            predictions |= {name: of_teacher, f"student + {name}": of_student + of_teacher}
        for name, probabilities in predictions.items():
            labels = (probabilities.argmax(axis=1) + 1).astype(np.uint8)
            confusions[name] += confusion_matrix(labels, frame.labels[view.pairs.point], len(KITTI))
    scans = " ".join(f"{drive.name}:{args.sequence}" for drive in args.drives)
    for name, confusion in confusions.items():
        report_score(name, {"prediction": name, "scans": scans}, confusion, args.results)


if __name__ == "__main__":
    main()
