"""What the label of a voxel can tell of its points: the score of the majority labels that each stage is taught with.

    python -m experiments.voxel_labels ROOT --split 00 --frames 0-2 --cells 1000,1000,60

A stage that knew the majority label of every voxel would score this; one that is taught with them is pulled there.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from elite.config import StudentConfig
from elite.datasets import SemanticKITTI
from elite.geometry import in_volume
from elite.labels import CLASS_ID, NUM_CLASSES
from elite.losses import voxel_majority
from elite.metrics import confusion_matrix, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--frames", help="such as 0-2,7 (default: all)")
    parser.add_argument("--cells", default="1000,1000,60", help="of the finest grid, along x, y, z")
    args = parser.parse_args()
    x, y, z = (int(n) for n in args.cells.split(","))
    config = StudentConfig(cells=(x, y, z))
    low, high = (np.array(corner) for corner in config.volume)
    found = {stride: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64) for stride in config.strides[:-1]}
    for frame in SemanticKITTI(args.root, args.split, frames=args.frames, cameras=()):
        assert frame.labels is not None
        inside = in_volume(frame.scan.points, config.volume)
        points, labels = frame.scan.points[inside], frame.labels[inside]
        for stride, matrix in found.items():
            cell = (high - low) / config.cells * stride
            voxels, of_point = np.unique((points - low) // cell, axis=0, return_inverse=True)
            told = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(of_point.ravel())
            majority = voxel_majority(*told, len(voxels), NUM_CLASSES).numpy()[of_point.ravel()]
            matrix += confusion_matrix(majority, labels)
    print("voxels of, m   mIoU   accuracy   IoU of poles")
    for i, (stride, matrix) in enumerate(found.items()):
        size, result = (high - low)[0] / config.cells[0] * stride, score(matrix)
        pole = result.iou[CLASS_ID["pole"]]
        numbers = (100 * n for n in (result.miou_present, result.accuracy, pole))
        print(f"stage {i}: {size:4.1f}   " + "   ".join(f"{n:5.1f}" for n in numbers))


if __name__ == "__main__":
    main()
