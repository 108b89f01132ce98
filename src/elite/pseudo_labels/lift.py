"""Dense labels of images back to the points that the cameras see."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8, UInt16

from elite.labels import IGNORE
from elite.types import PointPixelPairs


def lift(
    labels: UInt8[np.ndarray, "n"],
    instance: UInt16[np.ndarray, "n"],
    seen: Sequence[tuple[PointPixelPairs, UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]],
) -> tuple[UInt8[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Train ids and instance ids of all points: their own where they have one, else those of their pixel in the first
    camera that knows it, else 0.

    ``seen`` holds, for every camera, its pairs and the dense train ids and instance ids of its image.
    """
    labels, instance = labels.copy(), instance.copy()
    for pairs, dense, objects in seen:
        row, column = pairs.pixel.T
        fresh = (labels[pairs.point] == IGNORE) & (dense[row, column] != IGNORE)
        point = pairs.point[fresh]
        labels[point], instance[point] = dense[row, column][fresh], objects[row, column][fresh]
    return labels, instance
