"""Dense labels of images back to the points that the cameras see."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from scipy.spatial import KDTree

from elite.labels import IGNORE
from elite.types import PointPixelPairs


def lift(
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    instance: UInt16[np.ndarray, "n"],
    seen: Sequence[tuple[PointPixelPairs, UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]],
) -> tuple[UInt8[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Train ids and instance ids of all points: their own where they have one; else those of their pixel in the first
    camera that knows it, where the nearest labelled point in space is of the same class; else 0.

    Image and space err in different places: a region runs over from an object to what is behind it, in space the
    ground is near to what stands on it. Where both agree, they are seldom wrong.

    ``seen`` holds, for every camera, its pairs and the dense train ids and instance ids of its image.
    """
    known = np.flatnonzero(labels != IGNORE)
    labels, instance = labels.copy(), instance.copy()
    if not len(known):
        return labels, instance
    given, tree = labels[known], KDTree(points[known])
    for pairs, dense, objects in seen:
        row, column = pairs.pixel.T
        fresh = np.flatnonzero((labels[pairs.point] == IGNORE) & (dense[row, column] != IGNORE))
        _, nearest = tree.query(points[pairs.point[fresh]])
        fresh = fresh[given[nearest] == dense[row[fresh], column[fresh]]]
        point = pairs.point[fresh]
        labels[point], instance[point] = dense[row, column][fresh], objects[row, column][fresh]
    return labels, instance
