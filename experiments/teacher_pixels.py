"""Accuracy of teachers at the pixels of LiDAR points, near them and elsewhere, against dense ground truth.

    python -m experiments.teacher_pixels RUN... --drives DRIVE...

Scores the last weights of each run folder on sequence 08 of rendered drives, which have a label for each pixel
(image_2_labels), within the validation crop. Prints mIoU of the classes present / accuracy. *At points* equals
teacher_miou_present of the validation.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml
from scipy.ndimage import distance_transform_edt

from elite.config import ImageConfig, StudentConfig, from_plain
from elite.data.views import frame_views
from elite.datasets import SemanticKITTI
from elite.datasets.dense_labels import DenseLabels
from elite.geometry import in_volume
from elite.metrics import confusion_matrix
from elite.teacher import load_teacher
from elite.teacher.prediction import predict_view
from experiments.classes import KITTI
from experiments.runs import report_score

NEAR = 4  # pixels
STRIDE = 2  # pixels between two scored ones
PARTS = ("at points", "within 4 pixels", "elsewhere")


def confusions(run: Path, drives: list[Path], every_frame: int) -> dict[str, np.ndarray]:
    """Confusion matrix of each part."""
    teacher = load_teacher(run / "checkpoints" / "last.ckpt")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    image, volume = from_plain(ImageConfig, settings["image"]), from_plain(StudentConfig, settings["student"]).volume
    at_points, near, elsewhere = np.zeros((3, len(KITTI), len(KITTI)), np.int64)
    for drive in drives:
        frames = SemanticKITTI(drive, "08")
        dense = DenseLabels(frames, "image_2_labels")
        for i in range(0, len(frames), every_frame):
            frame = frames[i]
            assert frame.labels is not None
            rows = np.flatnonzero(in_volume(frame.scan.points, volume))
            view = frame_views(frame, rows, image, labels=dense.read(i, frame.images))[0]
            assert view.labels is not None
            prediction = predict_view(teacher, view, stride=STRIDE)
            is_near = (distance_to_points(view.labels.shape, view.pairs.pixel) <= NEAR)[::STRIDE, ::STRIDE]
            predicted, truth = prediction.image[::STRIDE, ::STRIDE], view.labels[::STRIDE, ::STRIDE]
            at_points += confusion_matrix(prediction.points, frame.labels[rows[view.pairs.point]], len(at_points))
            near += confusion_matrix(predicted[is_near], truth[is_near], len(near))
            elsewhere += confusion_matrix(predicted[~is_near], truth[~is_near], len(near))
    return dict(zip(PARTS, (at_points, near, elsewhere), strict=True))


def distance_to_points(size: tuple[int, ...], pixel: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest pixel of a point."""
    without_point = np.ones(size, bool)
    without_point[tuple(pixel.T)] = False
    return np.asarray(distance_transform_edt(without_point))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--drives", type=Path, nargs="+", required=True)
    parser.add_argument("--every-frame", type=int, default=2, help="distance between scored frames (default: 2)")
    parser.add_argument("--results", type=Path, help="CSV file to append the scores to")
    args = parser.parse_args()
    for run in args.runs:
        for part, confusion in confusions(run, args.drives, args.every_frame).items():
            report_score(f"{run.name}, {part}", {"labels": run.name, "pixels": part}, confusion, args.results)


if __name__ == "__main__":
    main()
