"""A share of the labels: which scans, or which points, show theirs. The rest counts as unlabelled everywhere."""

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError


def labelled_scans(frames: SemanticKITTI, fraction: float) -> list[int]:
    """Positions of a fraction of the scans that have labels, evenly spaced in the order of sequence and name.

    Raises:
        DataError: no scan has labels.
    """
    order = sorted(frames.labelled(), key=lambda i: (frames.index[i].sequence, frames.index[i].name))
    if not order:
        raise DataError(
            f"no scan of sequences {','.join(frames.sequences)} has a file in '{frames.labels_folder}'; training needs "
            "labels, and so do pseudo-labels: give another label folder or other sequences."
        )
    return [order[i] for i in evenly_spaced(len(order), fraction)]


def shown_labels(labels: UInt8[np.ndarray, "n"], frame_id: str, fraction: float, seed: int) -> UInt8[np.ndarray, "n"]:
    """Train ids of a scan, 0 but for a fraction of its labelled points: the same ones each time."""
    if fraction == 1:
        return labels
    rng = np.random.default_rng((seed, 2, *frame_id.encode()))
    return np.where(keep_labels(labels, fraction, rng), labels, np.uint8(0))


def evenly_spaced(count: int, fraction: float) -> Int64[np.ndarray, "chosen"]:
    """A fraction of the numbers 0 .. count - 1, 0 always among them; k, 2 k, ... for a fraction of 1 / k."""
    due = np.floor(np.arange(-1, count) * fraction + 1e-9)  # 49 * (1 / 49) must not fall short of 1
    due[0] = -1  # of any fraction, however small
    return np.flatnonzero(np.diff(due))


def keep_labels(labels: UInt8[np.ndarray, "n"], fraction: float, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Which points keep their label, each by chance; at least one labelled point, if there is any."""
    chance = rng.random(len(labels))
    luckiest = chance[labels > 0].min(initial=1)
    return (chance < fraction) | (chance == luckiest)
