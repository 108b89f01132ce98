"""Prediction of one scan."""

from dataclasses import dataclass, replace

import numpy as np

from elite.shapes import Float32, Int64, UInt8
from elite.types import Scan

_MOST_NAMED = 3  # classes in the text of a result


@dataclass(frozen=True)
class SegmentationResult:
    """Prediction of one scan.

    Attributes:
        labels: train ids 1...; 0 for points that have no answer.
        confidence: softmax probability of the label.
        names: name of each train id; ``names[labels[i]]`` is the class of point i.
        outside: number of points outside the student's volume, which have the label of their nearest neighbour inside.
        unfilled: number of those farther from it than the fill radius, which have label 0 and confidence 0 instead.
        distinct: probabilities of the classes 1.. of each group of points, and the group of each point (-1 = no
            answer), for ``probabilities``.
        group_entropy: entropy of each group; None = that of ``distinct``.
    """

    labels: UInt8[np.ndarray, "n"]
    confidence: Float32[np.ndarray, "n"]
    names: tuple[str, ...]
    outside: int = 0
    unfilled: int = 0
    distinct: tuple[Float32[np.ndarray, "groups trained"], Int64[np.ndarray, "n"]] | None = None
    group_entropy: Float32[np.ndarray, "groups"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        """Number of points, and the share of the most frequent classes."""
        counts = np.bincount(self.labels, minlength=len(self.names))
        order = np.argsort(-counts, kind="stable")[:_MOST_NAMED]
        shares = [f"{self.names[i]} {counts[i] / len(self):.0%}" for i in order if counts[i]]
        more = ["..."] if (counts > 0).sum() > len(shares) else []
        return f"<{type(self).__name__} of {len(self)} points: {', '.join([*shares, *more])}>"

    def probabilities(self) -> Float32[np.ndarray, "n classes"]:
        """Probability of each class, by train id; all 0 for points without an answer. Class 0 has probability 0."""
        assert self.distinct is not None
        rows, group = self.distinct
        every = np.zeros((len(group), len(self.names)), np.float32)
        has_answer = group >= 0
        every[has_answer, 1:] = rows[group[has_answer]]
        return every

    @property
    def entropy(self) -> Float32[np.ndarray, "n"]:
        """Entropy of the probabilities over its largest value: 0 = certain, 1 = all equal, or without an answer."""
        assert self.distinct is not None
        rows, group = self.distinct
        if self.group_entropy is not None:
            return np.append(self.group_entropy, np.float32(1))[group]  # the last one is that of group -1
        nats = -(rows * np.log(np.maximum(rows, np.finfo(np.float32).tiny))).sum(axis=1)
        each = np.clip(nats / np.float32(np.log(max(rows.shape[1], 2))), 0, 1)
        return np.append(each, np.float32(1))[group]

    def spread(self, scan: Scan) -> "SegmentationResult":
        """Prediction for every point of the file of the scan, in its order."""
        if scan.kept is None:
            return self
        groups = None if self.distinct is None else (self.distinct[0], scan.spread(self.distinct[1], -1))
        return replace(self, labels=scan.spread(self.labels), confidence=scan.spread(self.confidence), distinct=groups)
