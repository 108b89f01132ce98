"""Lesson 1: label one LiDAR scan.

    python examples/label_one_scan.py STUDENT SCAN.bin --out labels.label

STUDENT is a checkpoint of ``elite train`` or a student written by ``elite export`` or ``elite import``. Without one,
``examples/train_on_own_data.py`` trains a small one in a minute.
"""

import argparse
from pathlib import Path

import numpy as np

import elite


def main(student: Path, scan: Path, out: Path) -> None:
    # A scan is a list of points: x forward, y left, z up in metres, seen from the sensor, and remission in 0..1.
    # Your own sensor gives the same two arrays; they need not come from a file.
    values = np.fromfile(scan, "<f4").reshape(-1, 4)
    points, remission = values[:, :3], values[:, 3]

    # Load once, then call it with each scan. `votes=12` averages twelve rotated views: slower, often more accurate.
    segmenter = elite.Segmenter.load(student)
    result = segmenter(points, remission)

    # One class per point, and the probability of that class.
    for class_id in np.unique(result.labels):
        chosen = result.labels == class_id
        confidence = result.confidence[chosen].mean()
        print(f"{result.names[class_id]:15} {chosen.sum():7,} points, mean confidence {confidence:.2f}")

    # Label files store the raw ids of the data set, as one uint32 per point: SemanticKITTI's car is 10.
    segmenter.taxonomy.to_raw(result.labels).astype("<u4").tofile(out)
    print(f"labels: {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--out", type=Path, default=Path("labels.label"))
    main(**vars(parser.parse_args()))
