"""Score of the SemanticKITTI benchmark (the rule of evaluate_semantics).

confusion[prediction, ground truth] is summed over the split. Only the column of ground truth 0 is dropped, so a
prediction of 0 for a labelled point is a false negative. The IoU of an absent class is 0 and is part of the mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Integer

from elite.labels import NUM_CLASSES

_EPS = 1e-15


@dataclass(frozen=True)
class Score:
    """Scores of a confusion matrix.

    Attributes:
        iou: per class; class 0 is part of no mean.
        miou: mean over the classes 1...
        miou_present: mean over the classes in the ground truth.
        accuracy: share of correct points.
        present: classes in the ground truth.
        points: number of scored points.
    """

    iou: Float[np.ndarray, "classes"]
    miou: float
    miou_present: float
    accuracy: float
    present: tuple[int, ...]
    points: int

    def to_dict(self) -> dict[str, Any]:
        """Scores as plain values, means first."""
        return {
            "miou": self.miou,
            "miou_present": self.miou_present,
            "accuracy": self.accuracy,
            "points": self.points,
            "iou": self.iou.tolist(),
            "present": list(self.present),
        }


def confusion_matrix(
    prediction: Integer[np.ndarray, "n"], ground_truth: Integer[np.ndarray, "n"], classes: int = NUM_CLASSES
) -> Int64[np.ndarray, "classes classes"]:
    """Count the pairs (prediction, ground truth) of train ids in [0, classes)."""
    flat = prediction.astype(np.int64) * classes + ground_truth
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def score(confusion: Int64[np.ndarray, "classes classes"]) -> Score:
    """Compute IoU, its means and the accuracy from confusion[prediction, ground truth]."""
    counted = confusion.astype(np.float64)
    counted[:, 0] = 0
    tp = np.diag(counted)
    predicted, true = counted.sum(axis=1), counted.sum(axis=0)
    fp, fn = predicted - tp, true - tp
    iou = tp / (tp + fp + fn + _EPS)
    present = np.flatnonzero(true)
    return Score(
        iou=iou,
        miou=float(iou[1:].mean()),
        miou_present=float(iou[present].mean()) if len(present) else 0.0,
        accuracy=float(tp.sum() / (tp[1:].sum() + fp[1:].sum() + _EPS)),
        present=tuple(int(i) for i in present),
        points=int(true.sum()),
    )
