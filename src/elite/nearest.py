"""The nearest of many points, by the native kernels where available, otherwise by SciPy."""

import numpy as np

from elite.errors import require_extra
from elite.native import find_nearest, library
from elite.shapes import Float32, Int64


def nearest_rows(targets: Float32[np.ndarray, "m 3"], queries: Float32[np.ndarray, "k 3"]) -> Int64[np.ndarray, "k"]:
    """Return the row of the target (at least one) that is nearest to each query.

    Raises:
        MissingExtraError: no native kernels, and SciPy is not installed.
    """
    if library() is not None:
        return find_nearest(targets, queries)
    require_extra("scipy", "train", needed_for="scans without native kernels")
    from elite.kd_tree import nearest_rows

    return nearest_rows(targets, queries)
