"""Labels of points from the dense labels of images."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from elite.shapes import Float32, UInt8, UInt16
from elite.taxonomy import IGNORE
from elite.types import PointPixelPairs


def lift(
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    instance: UInt16[np.ndarray, "n"],
    cameras: Sequence[tuple[PointPixelPairs, UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]],
) -> tuple[UInt8[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Return (train ids, instance ids) of all points.

    Labelled points keep their label. An unlabelled point gets the label of its pixel, in the first camera that has one,
    if the nearest labelled point in space has the same class; otherwise 0. Image and space fail in different places: in
    the image, a region leaks from an object to the background; in space, the ground is close to the objects on it.

    Args:
        points: sensor frame, metres.
        labels: train ids, 0 = no label.
        instance: instance ids.
        cameras: point-pixel pairs, dense train ids and dense instance ids of each camera.
    """
    known = np.flatnonzero(labels != IGNORE)
    labels, instance = labels.copy(), instance.copy()
    if not len(known):
        return labels, instance
    given, tree = labels[known], KDTree(points[known])
    for pairs, dense, objects in cameras:
        row, column = pairs.pixel.T
        new = np.flatnonzero((labels[pairs.point] == IGNORE) & (dense[row, column] != IGNORE))
        _, nearest = tree.query(points[pairs.point[new]])
        new = new[given[nearest] == dense[row[new], column[new]]]
        point = pairs.point[new]
        labels[point], instance[point] = dense[row, column][new], objects[row, column][new]
    return labels, instance
