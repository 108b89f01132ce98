"""Points of a frame with their labels and predictions. Pure functions on arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from elite.evaluation import Prediction
from elite.metrics import Score, confusion_matrix, score
from elite.shapes import Bool, Float, Float32, Int64, UInt8, UInt32
from elite.taxonomy import IGNORE, Taxonomy
from elite.test_time_augmentation import softmax

_TRAIN_IDS = 256  # as many as a byte has values


@dataclass(frozen=True)
class PointPrediction(Prediction):
    """Prediction for every point, with the logits of all classes if they are known."""

    logits: Float32[np.ndarray, "n classes"] | None = None

    @classmethod
    def from_logits(cls, logits: Float32[np.ndarray, "n classes"]) -> "PointPrediction":
        """Return the prediction with the largest logit, without the ignored class."""
        shares = softmax(logits[:, IGNORE + 1 :])
        return cls((shares.argmax(axis=1) + IGNORE + 1).astype(np.uint8), shares.max(axis=1), logits)

    def shares(self, class_id: int) -> Float32[np.ndarray, "n"] | None:
        """Softmax probability of one class, without the ignored class; None without logits."""
        if self.logits is None:
            return None
        return softmax(self.logits[:, IGNORE + 1 :])[:, class_id - 1]


@dataclass(frozen=True)
class Cloud:
    """Points in the sensor frame (m) with their values; None = not known.

    Attributes:
        taxonomy: classes of the labels.
        ground_truth: train ids.
        objects: class << 16 | instance.
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    taxonomy: Taxonomy
    ground_truth: UInt8[np.ndarray, "n"] | None = None
    objects: UInt32[np.ndarray, "n"] | None = None
    prediction: PointPrediction | None = None

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def score(self) -> Score | None:
        """Score of this frame by the rule of the benchmark; None without ground truth or prediction."""
        if self.ground_truth is None or self.prediction is None or not (self.ground_truth != IGNORE).any():
            return None
        return score(confusion_matrix(self.prediction.labels, self.ground_truth, len(self.taxonomy)))


def counts(labels: UInt8[np.ndarray, "n"] | None, classes: int) -> Int64[np.ndarray, "classes"]:
    """Number of points of each class; all 0 without labels."""
    return np.bincount(labels if labels is not None else [], minlength=classes).astype(np.int64)


def visible_points(labels: UInt8[np.ndarray, "n"] | None, hidden: frozenset[int], points: int) -> Bool[np.ndarray, "n"]:
    """Select the points whose class is not hidden; all points without labels."""
    if labels is None:
        return np.ones(points, bool)
    return ~np.isin(np.arange(_TRAIN_IDS), list(hidden))[labels]


def pick(
    points: Float32[np.ndarray, "n 3"],
    origin: Float[np.ndarray, "3"],
    direction: Float[np.ndarray, "3"],
    *,
    reach: float = 0.012,
    thickness: float = 0.5,
) -> int | None:
    """Return the point that a click selects; None if no point is near the line of sight.

    Args:
        points: metres.
        origin, direction: line of sight.
        reach: largest angle between a point and the line of sight, as a tangent.
        thickness: points farther than this (m) behind the nearest candidate are excluded. Of the others, the one
            closest to the line is selected.
    """
    offset = points.astype(np.float64) - origin
    ahead = offset @ (direction / np.linalg.norm(direction))
    aside = np.sqrt(np.maximum((offset**2).sum(axis=1) - ahead**2, 0))
    near = np.flatnonzero((ahead > 0) & (aside < reach * ahead))
    if not len(near):
        return None
    front = near[ahead[near] <= ahead[near].min() + thickness]
    return int(front[(aside[front] / ahead[front]).argmin()])


def first_per_cell(points: Float32[np.ndarray, "n 3"], cell: float) -> Int64[np.ndarray, "kept"]:
    """Rows of the first point in each cube of ``cell`` metres."""
    index = np.floor(points / cell).astype(np.int64)
    index -= index.min(axis=0)
    size = index.max(axis=0) + 1
    key = (index[:, 0] * size[1] + index[:, 1]) * size[2] + index[:, 2]
    return np.sort(np.unique(key, return_index=True)[1])


def merge(clouds: list[Cloud], cell: float) -> Cloud:
    """Merge clouds of one frame of reference, with the first point of each cube of ``cell`` metres.

    If only some clouds have labels, the points of the others get label 0.
    """
    points = np.concatenate([cloud.points for cloud in clouds])
    rows = first_per_cell(points, cell)

    def layer(arrays: list[UInt8[np.ndarray, "_"] | None]) -> UInt8[np.ndarray, "kept"] | None:
        if all(array is None for array in arrays):
            return None
        nothing = [np.zeros(len(cloud), np.uint8) for cloud in clouds]
        filled = [own if array is None else array for array, own in zip(arrays, nothing, strict=True)]
        return np.concatenate(filled)[rows]

    predicted = layer([cloud.prediction.labels if cloud.prediction else None for cloud in clouds])
    remission = np.concatenate([cloud.remission for cloud in clouds])[rows]
    prediction = PointPrediction(predicted) if predicted is not None else None
    ground_truth = layer([cloud.ground_truth for cloud in clouds])
    return Cloud(points[rows], remission, clouds[0].taxonomy, ground_truth, None, prediction)
