"""Does a teacher know what its student does not? Both asked about the points that the camera sees, apart and together.

    python -m experiments.complement STUDENT OTHER TEACHER... --drives DRIVE...

Each is a folder of elite train: STUDENT and OTHER are runs of one row with two seeds, and of every TEACHER's run its
teacher answers. Prints mIoU / accuracy on one sequence of the drives, over the points that have a pixel in validation's
crop of the image; *with* means that the probabilities of both are averaged. Any two that err differently gain by that:
STUDENT with OTHER tells how much. All runs must have one crop and one volume.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml

from elite.config import ImageConfig, from_plain
from elite.data.views import View, frame_views
from elite.datasets import SemanticKITTI
from elite.geometry import in_volume
from elite.inference import Segmenter
from elite.metrics import confusion_matrix, score
from elite.teacher import Teacher, load_teacher
from elite.types import Frame, Pixels


def seen(
    drives: list[Path], sequence: str, every: int, image: ImageConfig, segmenter: Segmenter
) -> Iterator[tuple[Frame, View]]:
    """Frames with their view; its pairs name rows of the whole scan, all inside the student's volume."""
    for drive in drives:
        frames = SemanticKITTI(drive, sequence)
        for i in range(0, len(frames), every):
            frame = frames[i]
            rows = np.flatnonzero(in_volume(frame.scan.points, segmenter.student.config.volume))
            view = frame_views(frame, rows, image)[0]
            yield frame, replace(view, pairs=replace(view.pairs, point=rows[view.pairs.point]))


@torch.inference_mode()
def of_student(segmenter: Segmenter, frame: Frame, view: View) -> np.ndarray:
    """Probabilities (m, 19) of the classes 1..19 at the view's pairs."""
    logits = torch.from_numpy(segmenter.logits(frame.scan.points, frame.scan.remission)[view.pairs.point])
    return logits[:, 1:].softmax(dim=1).numpy()


@torch.inference_mode()
def of_teacher(teacher: Teacher, view: View) -> np.ndarray:
    """The same, by the head on all stages."""
    maps = teacher(torch.from_numpy(view.image.copy()).permute(2, 0, 1)[None])
    position = torch.from_numpy(view.pairs.pixel)
    said = teacher.at(maps, Pixels(torch.zeros_like(position[:, 0]), position), view.image.shape[:2])
    return said.multi_stage[:, 1:].softmax(dim=1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("teachers", type=Path, nargs="+")
    parser.add_argument("--drives", type=Path, nargs="+", required=True)
    parser.add_argument("--sequence", default="08")
    parser.add_argument("--every-frame", type=int, default=2, help="look at every so many frames")
    args = parser.parse_args()
    student, other = (Segmenter.load(run / "checkpoints" / "last.ckpt", "cpu") for run in (args.student, args.other))
    teachers = {run.name: load_teacher(run / "checkpoints" / "last.ckpt") for run in args.teachers}
    image = from_plain(ImageConfig, yaml.safe_load((args.teachers[0] / "config.yaml").read_text())["image"])

    found: dict[str, np.ndarray] = {}
    for frame, view in seen(args.drives, args.sequence, args.every_frame, image, student):
        assert frame.labels is not None
        own, its = of_student(student, frame, view), of_student(other, frame, view)
        said = {"student": own, "student with other": own + its}
        for name, teacher in teachers.items():
            asked = of_teacher(teacher, view)
            said |= {name: asked, f"student with {name}": own + asked}
        for name, share in said.items():
            labels = (share.argmax(axis=1) + 1).astype(np.uint8)
            matrix = confusion_matrix(labels, frame.labels[view.pairs.point])
            found[name] = found.get(name, 0) + matrix
    for name, matrix in found.items():
        whole = score(matrix)
        print(f"{name}: {100 * whole.miou_present:.1f} / {100 * whole.accuracy:.1f}", flush=True)


if __name__ == "__main__":
    main()
