"""What is known of every point of a frame, and what follows from it. Pure: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt32
from scipy.special import softmax

from elite.evaluation import Prediction
from elite.labels import IGNORE, NUM_CLASSES
from elite.metrics import Score, confusion_matrix, score


@dataclass(frozen=True)
class Answer(Prediction):
    """What a student says of every point, perhaps with the logits of all classes."""

    logits: Float32[np.ndarray, "n classes"] | None = None

    @classmethod
    def of_logits(cls, logits: Float32[np.ndarray, "n classes"]) -> "Answer":
        """The best class but the ignored one."""
        shares = softmax(logits[:, IGNORE + 1 :], axis=1)
        return cls((shares.argmax(axis=1) + IGNORE + 1).astype(np.uint8), shares.max(axis=1), logits)

    def shares(self, class_id: int) -> Float32[np.ndarray, "n"] | None:
        """The softmax share of one class, the ignored one left out; None without logits."""
        if self.logits is None:
            return None
        return softmax(self.logits[:, IGNORE + 1 :], axis=1)[:, class_id - 1]


@dataclass(frozen=True)
class Cloud:
    """Points in the sensor frame (m) and what is known of each of them; None = not known.

    ``truth`` are train ids, ``objects`` (class << 16 | instance).
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    truth: UInt8[np.ndarray, "n"] | None = None
    objects: UInt32[np.ndarray, "n"] | None = None
    answer: Answer | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def score(self) -> Score | None:
        """The benchmark's score of this frame alone; None if there is nothing to compare."""
        if self.truth is None or self.answer is None or not (self.truth != IGNORE).any():
            return None
        return score(confusion_matrix(self.answer.labels, self.truth))


def counts(labels: UInt8[np.ndarray, "n"] | None) -> Int64[np.ndarray, "classes"]:
    """Points of each class; all 0 if there are no labels."""
    return np.bincount(labels if labels is not None else [], minlength=NUM_CLASSES).astype(np.int64)


def shown(labels: UInt8[np.ndarray, "n"] | None, hidden: frozenset[int], points: int) -> Bool[np.ndarray, "n"]:
    """Which points are drawn: those of no hidden class, and all where no classes are known."""
    if labels is None:
        return np.ones(points, bool)
    return ~np.isin(np.arange(NUM_CLASSES), list(hidden))[labels]


def pick(
    points: Float32[np.ndarray, "n 3"],
    origin: Float[np.ndarray, "3"],
    direction: Float[np.ndarray, "3"],
    *,
    reach: float = 0.012,
    thickness: float = 0.5,
) -> int | None:
    """The point that a look from ``origin`` along ``direction`` means; None if none is near the line of sight.

    Of the points within ``reach`` (tangent of the angle) those that are no more than ``thickness`` metres behind the
    nearest one count; the one closest to the line wins.
    """
    offset = points.astype(np.float64) - origin
    ahead = offset @ (direction / np.linalg.norm(direction))
    aside = np.sqrt(np.maximum((offset**2).sum(axis=1) - ahead**2, 0))
    near = np.flatnonzero((ahead > 0) & (aside < reach * ahead))
    if not len(near):
        return None
    front = near[ahead[near] <= ahead[near].min() + thickness]
    return int(front[(aside[front] / ahead[front]).argmin()])


def thin(points: Float32[np.ndarray, "n 3"], cell: float) -> Int64[np.ndarray, "kept"]:
    """Rows of the first point in every cube of ``cell`` metres."""
    index = np.floor(points / cell).astype(np.int64)
    index -= index.min(axis=0)
    size = index.max(axis=0) + 1
    key = (index[:, 0] * size[1] + index[:, 1]) * size[2] + index[:, 2]
    return np.sort(np.unique(key, return_index=True)[1])


def joined(clouds: list[Cloud], cell: float) -> Cloud:
    """Clouds of one frame of reference as one, a point per cube of ``cell`` metres; the first one's points are kept.

    Labels are kept if any cloud has them, and 0 for the points of the others.
    """
    points = np.concatenate([cloud.points for cloud in clouds])
    rows = thin(points, cell)

    def layer(arrays: list[UInt8[np.ndarray, "_"] | None]) -> UInt8[np.ndarray, "kept"] | None:
        if all(array is None for array in arrays):
            return None
        nothing = [np.zeros(len(cloud), np.uint8) for cloud in clouds]
        filled = [own if array is None else array for array, own in zip(arrays, nothing, strict=True)]
        return np.concatenate(filled)[rows]

    predicted = layer([cloud.answer.labels if cloud.answer else None for cloud in clouds])
    remission = np.concatenate([cloud.remission for cloud in clouds])[rows]
    answer = Answer(predicted) if predicted is not None else None
    return Cloud(points[rows], remission, layer([cloud.truth for cloud in clouds]), None, answer)
