"""The benchmark's score, written out (SemanticKITTI's evaluate_semantics rule).

confusion[prediction, truth] is summed over the whole split. Only the column truth = 0 is dropped, so predicting 0
on a labelled point counts as a miss. An absent class scores 0, not NaN, and still counts in the mean over 1..19.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, Integer

from elite.labels import NUM_CLASSES

_EPS = 1e-15


@dataclass(frozen=True)
class Score:
    """``iou`` per class (entry 0, the ignored class, is not part of any mean); ``points`` = scored points."""

    iou: Float[np.ndarray, "classes"]
    miou: float
    miou_present: float
    accuracy: float
    present: tuple[int, ...]
    points: int


def confusion_matrix(
    prediction: Integer[np.ndarray, "n"], truth: Integer[np.ndarray, "n"], classes: int = NUM_CLASSES
) -> Int64[np.ndarray, "classes classes"]:
    """Counts of (prediction, truth); both are train ids in [0, classes)."""
    flat = prediction.astype(np.int64) * classes + truth
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def score(confusion: Int64[np.ndarray, "classes classes"]) -> Score:
    """IoU per class, their mean over 1.., the mean over the classes present in the truth, and accuracy."""
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
