"""Nearest points by libelite."""

import numpy as np

from elite.native.loader import opened
from elite.shapes import Float32, Int64


def find_nearest(candidates: Float32[np.ndarray, "m 3"], queries: Float32[np.ndarray, "k 3"]) -> Int64[np.ndarray, "k"]:
    """Return the row of the candidate (at least one) that is nearest to each query; engine/nearest.h describes it.

    Raises:
        MemoryError: not enough memory.
    """
    candidates, queries = np.ascontiguousarray(candidates), np.ascontiguousarray(queries)
    rows = np.empty(len(queries), np.int64)
    arguments = candidates.ctypes.data, len(candidates), queries.ctypes.data, len(queries), rows.ctypes.data
    if opened().elite_nearest(*arguments):
        raise MemoryError("nearest points: expected memory for their trees, found too little. Split the scan.")
    return rows
