"""Upper bound of the stage heads: scores of the majority label of each voxel, stage by stage.

    python -m experiments.voxel_labels ROOT --split 00 --frames 0-2 --cells 1000,1000,60

Stage heads are trained with the majority labels. A stage that predicted all of them correctly would have this score.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from elite.config import StudentConfig
from elite.datasets import SemanticKITTI
from elite.geometry import in_volume
from elite.losses import voxel_majority
from elite.metrics import confusion_matrix, score
from experiments.classes import KITTI
from experiments.runs import append_row


def confusions(frames: SemanticKITTI, config: StudentConfig) -> dict[int, np.ndarray]:
    """Confusion matrix of the majority labels for each stride of the student."""
    low, high = (np.array(corner) for corner in config.volume)
    matrices = {stride: np.zeros((len(KITTI), len(KITTI)), np.int64) for stride in config.strides[:-1]}
    for frame in frames:
        assert frame.labels is not None
        inside = in_volume(frame.scan.points, config.volume)
        points, labels = frame.scan.points[inside], frame.labels[inside]
        for stride, matrix in matrices.items():
            size = (high - low) / config.cells * stride
            voxels, of_point = np.unique((points - low) // size, axis=0, return_inverse=True)
            point_labels, voxel = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(of_point.ravel())
            majority = voxel_majority(point_labels, voxel, len(voxels), len(KITTI)).numpy()[of_point.ravel()]
            matrix += confusion_matrix(majority, labels, len(matrix))
    return matrices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="data set in the layout of SemanticKITTI")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--frames", help="such as 0-2,7 (default: all)")
    parser.add_argument("--cells", default="1000,1000,60", help="finest grid along x, y, z (default: 1000,1000,60)")
    parser.add_argument("--results", type=Path, help="CSV file to append the scores to")
    args = parser.parse_args()
    x, y, z = (int(n) for n in args.cells.split(","))
    config = StudentConfig(cells=(x, y, z))
    width = (config.volume[1][0] - config.volume[0][0]) / x
    frames = SemanticKITTI(args.root, args.split, frames=args.frames, cameras=())
    print("stage  voxel, m   mIoU  accuracy  IoU of poles")
    for stage, (stride, matrix) in enumerate(confusions(frames, config).items()):
        result = score(matrix)
        miou, accuracy, pole = (
            100 * result.miou_present,
            100 * result.accuracy,
            100 * result.iou[KITTI.train_id["pole"]],
        )
        print(f"{stage:5d} {width * stride:9.1f} {miou:6.1f} {accuracy:9.1f} {pole:13.1f}")
        if args.results:
            row = {"scans": args.root, "stage": stage, "voxel_m": f"{width * stride:.1f}"}
            append_row(args.results, row | {"miou": f"{miou:.1f}", "accuracy": f"{accuracy:.1f}"})


if __name__ == "__main__":
    main()
