"""Scores of semantic segmentation, by the rules of the benchmarks.

confusion[prediction, ground truth] is summed over the split. Points with ground truth 0 are not scored. A class is
absent if it is neither in the ground truth nor predicted for a scored point.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.errors import DataError
from elite.shapes import Float, Int64, Integer

_EPS = 1e-15


@dataclass(frozen=True)
class ScoreRule:
    """Rule of a benchmark.

    Attributes:
        name: for messages.
        absent_counts: whether the IoU of an absent class is 0 and part of the mean; otherwise it is NaN and not.
        accepts_zero: whether a prediction may be 0, which is a false negative; otherwise it is an error.
        frequency_weighted: whether the mean IoU weighted by points of the ground truth (fwIoU) is part of the score.
    """

    name: str
    absent_counts: bool
    accepts_zero: bool
    frequency_weighted: bool


# evaluate_semantics of the SemanticKITTI tools, and evaluate of the nuScenes-lidarseg devkit.
SEMANTICKITTI_RULE = ScoreRule("SemanticKITTI", absent_counts=True, accepts_zero=True, frequency_weighted=False)
NUSCENES_RULE = ScoreRule("nuScenes-lidarseg", absent_counts=False, accepts_zero=False, frequency_weighted=True)
# Of data sets without a benchmark.
PRESENT_RULE = ScoreRule(
    "mean over the present classes", absent_counts=False, accepts_zero=True, frequency_weighted=False
)


@dataclass(frozen=True)
class Score:
    """Scores of a confusion matrix.

    Attributes:
        iou: per class; NaN = absent, by rules that do not count it. Class 0 is part of no mean.
        miou: mean over the classes 1.., without NaN.
        miou_present: mean over the classes in the ground truth.
        accuracy: share of correct points.
        present: classes in the ground truth.
        points: number of scored points.
        fw_iou: mean IoU weighted by the points of the classes; None if the rule lacks it.
    """

    iou: Float[np.ndarray, "classes"]
    miou: float
    miou_present: float
    accuracy: float
    present: tuple[int, ...]
    points: int
    fw_iou: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Scores as plain values, means first. The IoU of a class that does not count is None."""
        return {
            "miou": self.miou,
            "miou_present": self.miou_present,
            **({} if self.fw_iou is None else {"fw_iou": self.fw_iou}),
            "accuracy": self.accuracy,
            "points": self.points,
            "iou": [None if np.isnan(iou) else iou for iou in self.iou.tolist()],
            "present": list(self.present),
        }


def confusion_matrix(
    prediction: Integer[np.ndarray, "n"], ground_truth: Integer[np.ndarray, "n"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """Count the pairs (prediction, ground truth) of train ids in [0, classes)."""
    flat = prediction.astype(np.int64) * classes + ground_truth
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def score(confusion: Int64[np.ndarray, "classes classes"], rule: ScoreRule = SEMANTICKITTI_RULE) -> Score:
    """Compute IoU, its means and the accuracy from confusion[prediction, ground truth].

    Raises:
        DataError: a prediction of 0 that the rule refuses.
    """
    if not rule.accepts_zero and (zeros := int(confusion[0].sum())):
        raise DataError(
            f"{rule.name}: expected a class for each point, found predictions of 0 for {zeros} points. Predict again: "
            "points outside the volume need a class too."
        )
    counted = confusion.astype(np.float64)
    counted[:, 0] = 0
    tp = np.diag(counted)
    predicted, true = counted.sum(axis=1), counted.sum(axis=0)
    fp, fn = predicted - tp, true - tp
    union = tp + fp + fn
    iou = tp / (union + _EPS) if rule.absent_counts else np.divide(tp, union, np.full(len(tp), np.nan), where=union > 0)
    counting, present = iou[1:][~np.isnan(iou[1:])], np.flatnonzero(true)
    return Score(
        iou=iou,
        miou=float(counting.mean()) if len(counting) else 0.0,
        miou_present=float(iou[present].mean()) if len(present) else 0.0,
        accuracy=float(tp.sum() / (tp[1:].sum() + fp[1:].sum() + _EPS)),
        present=tuple(int(i) for i in present),
        points=int(true.sum()),
        fw_iou=float(np.nansum(true * iou) / max(true.sum(), 1)) if rule.frequency_weighted else None,
    )
