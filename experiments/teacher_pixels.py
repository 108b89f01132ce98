"""Where a run's teacher is right: at the pixels of points, around them, and where no point is; by dense truth.

    python -m experiments.teacher_pixels RUN... --drives DRIVE...

Scores the last weights of every RUN (a folder of elite train) on sequence 08 of rendered drives, whose image_2_labels
know each pixel: mIoU of the classes there, accuracy. *At points* is what validation calls teacher_miou_present;
*beside* are pixels at most 4 from such a one, *away* all others. The crop is validation's.
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
from elite.metrics import confusion_matrix, score
from elite.teacher import load_teacher
from elite.teacher.prediction import predict_view

BESIDE, EVERY = 4, 2  # pixels
PARTS = ("at points", "beside", "away")


def confusions(run: Path, drives: list[Path], every_frame: int) -> dict[str, np.ndarray]:
    teacher = load_teacher(run / "checkpoints" / "last.ckpt")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    image, volume = from_plain(ImageConfig, settings["image"]), from_plain(StudentConfig, settings["student"]).volume
    found = {part: np.zeros((20, 20), np.int64) for part in PARTS}
    for drive in drives:
        frames = SemanticKITTI(drive, "08")
        dense = DenseLabels(frames, "image_2_labels")
        for i in range(0, len(frames), every_frame):
            frame = frames[i]
            assert frame.labels is not None
            rows = np.flatnonzero(in_volume(frame.scan.points, volume))
            view = frame_views(frame, rows, image, labels=dense.read(frames.index[i], frame.images))[0]
            assert view.labels is not None
            predicted = predict_view(teacher, view, stride=EVERY)
            bare = np.ones(view.labels.shape, bool)
            bare[tuple(view.pairs.pixel.T)] = False
            near = (np.asarray(distance_transform_edt(bare)) <= BESIDE)[::EVERY, ::EVERY]
            said, truth = predicted.image[::EVERY, ::EVERY], view.labels[::EVERY, ::EVERY]
            found["at points"] += confusion_matrix(predicted.points, frame.labels[rows[view.pairs.point]])
            found["beside"] += confusion_matrix(said[near], truth[near])
            found["away"] += confusion_matrix(said[~near], truth[~near])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--drives", type=Path, nargs="+", required=True)
    parser.add_argument("--every-frame", type=int, default=2, help="look at every so many frames")
    args = parser.parse_args()
    for run in args.runs:
        scores = {part: score(matrix) for part, matrix in confusions(run, args.drives, args.every_frame).items()}
        told = (f"{part} {100 * s.miou_present:.1f} / {100 * s.accuracy:.1f}" for part, s in scores.items())
        print(f"{run.name}: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
