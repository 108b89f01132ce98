"""Labels that a training may use: those of a fraction of the scans, or of a fraction of the points of every scan.

All other labels count as missing, everywhere.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np

from elite.data.random_streams import RandomStream
from elite.datasets import Dataset
from elite.errors import DataError
from elite.shapes import Bool, Int64, UInt8


class LabelBudget:
    """Share of the labels of a data set that a training may use.

    Args:
        frames: the data set.
        fraction: share of the scans, evenly spaced (0.01: indices 0, 100, 200, ...), or of the labelled points of each
            scan, the same ones in every epoch.
        unit: ``scans`` or ``points``.
        unlabelled: scans without usable labels that take part: none of them, those with an image, or all.
        seed: of the selection of points.
        sequences: those whose labels may be used; None = all.

    Attributes:
        available: number of labelled scans in these sequences.
        labelled: indices of the frames with usable labels.
        unlabelled: indices of the frames that take part without labels.

    Raises:
        DataError: no scan has labels.
    """

    def __init__(
        self,
        frames: Dataset,
        fraction: float,
        unit: Literal["scans", "points"],
        *,
        unlabelled: Literal["none", "with_image", "all"],
        seed: int,
        sequences: Collection[str] | None = None,
    ) -> None:
        self.seed, self.point_fraction = seed, fraction if unit == "points" else 1.0
        everything = labelled_scans(frames, 1.0, sequences)
        self.available = len(everything)
        self.labelled = [everything[i] for i in evenly_spaced(self.available, fraction if unit == "scans" else 1.0)]
        others = sorted(set(range(len(frames))) - set(self.labelled)) if unlabelled != "none" else []
        self.unlabelled = others if unlabelled == "all" else [i for i in others if frames.image_cameras(i)]
        self._unlabelled = frozenset(self.unlabelled)

    @property
    def frames(self) -> list[int]:
        """Indices of the frames that take part, each once."""
        return [*self.labelled, *self.unlabelled]

    def epoch(self, least: int = 0) -> Int64[np.ndarray, "n"]:
        """Indices of the frames of an epoch: the labelled ones, repeated as a block, then each unlabelled one once.

        The labelled ones are repeated as often as they fit into the number of unlabelled ones, so they are about half
        of the epoch. Without unlabelled ones, they are repeated as often as they fit into ``least``. Each is present
        at least once.
        """
        repeats = max(1, (len(self.unlabelled) or least) // len(self.labelled))
        return np.array([*self.labelled * repeats, *self.unlabelled])

    def is_unlabelled(self, i: int) -> bool:
        """Return whether a frame takes part without usable labels."""
        return i in self._unlabelled

    def usable(
        self, i: int, frame_id: str, labels: UInt8[np.ndarray, "n"] | None, points: int
    ) -> UInt8[np.ndarray, "n"]:
        """Train ids of the points of a frame, 0 where the label is missing or hidden."""
        if labels is None or self.is_unlabelled(i):
            return np.zeros(points, np.uint8)
        return usable_labels(labels, frame_id, self.point_fraction, self.seed)


def labelled_scans(frames: Dataset, fraction: float, sequences: Collection[str] | None = None) -> list[int]:
    """Indices of a fraction of the labelled scans (of some sequences), evenly spaced in the order of sequence and time.

    Names of frames need not have the order of time, but the frames of a sequence have it.

    Raises:
        DataError: no scan has labels.
    """
    usable = [i for i in frames.labelled() if sequences is None or frames.ids[i].sequence in sequences]
    order = sorted(usable, key=lambda i: (frames.ids[i].sequence, i))
    if not order:
        raise DataError(
            f"sequences {frames.selection.sequences or 'all'}: expected labels of at least one scan (files: "
            f"{frames.label_files}), found none; training needs labels, and so do pseudo-labels. Add such files, or "
            "select another label folder or other sequences."
        )
    return [order[i] for i in evenly_spaced(len(order), fraction)]


def usable_labels(labels: UInt8[np.ndarray, "n"], frame_id: str, fraction: float, seed: int) -> UInt8[np.ndarray, "n"]:
    """Train ids of a scan, 0 except for a fraction of its labelled points: the same ones each time."""
    if fraction == 1:
        return labels
    rng = np.random.default_rng((seed, RandomStream.LABELS, *frame_id.encode()))
    return np.where(_keep_labels(labels, fraction, rng), labels, np.uint8(0))


def evenly_spaced(count: int, fraction: float) -> Int64[np.ndarray, "chosen"]:
    """A fraction of the numbers 0 .. count - 1, always with 0; the multiples of k for a fraction of 1 / k."""
    due = np.floor(np.arange(-1, count) * fraction + 1e-9)  # 49 * (1 / 49) must not fall short of 1
    due[0] = -1  # includes number 0, however small the fraction
    return np.flatnonzero(np.diff(due))


def _keep_labels(labels: UInt8[np.ndarray, "n"], fraction: float, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Mask of the points that keep their label, drawn independently; at least one labelled point, if there is any."""
    chance = rng.random(len(labels))
    smallest = chance[labels > 0].min(initial=1)
    return (chance < fraction) | (chance == smallest)
