"""Repetition of scans with rare classes: repeat-factor sampling (Gupta et al., LVIS, CVPR 2019)."""

import numpy as np

from elite.shapes import Float, Int64
from elite.taxonomy import IGNORE

_FEWEST = 10  # points of a class that is present in a scan


def repeat_factors(counts: Int64[np.ndarray, "scans classes"], share: float) -> Float[np.ndarray, "scans"]:
    """Number of times that each scan is drawn on average, at least 1.

    A class that is present in a share f of the scans has the factor sqrt(share / f); a scan has that of its rarest
    class.

    Args:
        counts: labelled points of each class.
        share: classes below it are rare.
    """
    present = np.delete(counts >= _FEWEST, IGNORE, axis=1)
    frequency = np.maximum(present.mean(axis=0), 1 / len(counts))
    return np.where(present, np.maximum(1, np.sqrt(share / frequency)), 1).max(axis=1)


def repeated(entries: Int64[np.ndarray, "n"], factors: Float[np.ndarray, "n"]) -> Int64[np.ndarray, "m"]:
    """Entries, each as often as its factor on average: fractions add up over the entries."""
    return np.repeat(entries, np.diff(np.floor(np.cumsum(factors) + 1e-9), prepend=0).astype(np.int64))
