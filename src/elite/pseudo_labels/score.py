"""How good dense labels are: against labels at some pixels (hidden points), or against dense truth.

Coverage stands beside every accuracy: who labels only what is easy is right more often. Records add up over images::

    total = sum((Agreement.of(made.label, truth) for ...), Agreement())
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt16
from scipy.ndimage import distance_transform_edt

from elite.labels import CLASS_NAMES, IGNORE, NUM_CLASSES, THINGS, object_ids
from elite.metrics import confusion_matrix, score
from elite.pseudo_labels.records import DenseLabel, Seeds, Sum
from elite.pseudo_labels.vote import nearest_thing

TOLERANCE = 2.0  # pixels that a border may be off, in an image of KITTI's size ...
_DIAGONAL = math.hypot(376, 1241)  # ... and in proportion to the diagonal in others
_MATCH = 0.5  # two objects are the same one above this IoU: then no third can be


def _per_class() -> np.ndarray:
    return np.zeros(NUM_CLASSES)


@dataclass(frozen=True)
class Agreement(Sum):
    """confusion[prediction, truth] over pixels. Prediction 0 = not covered; truth 0 = unknown, or sky."""

    confusion: Int64[np.ndarray, "classes classes"] = field(
        default_factory=lambda: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    )

    @classmethod
    def of(cls, prediction: UInt8[np.ndarray, "*shape"], truth: UInt8[np.ndarray, "*shape"]) -> "Agreement":
        return cls(confusion_matrix(prediction.ravel(), truth.ravel()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None where there is nothing to measure.

        coverage: share of the pixels with a truth that got a label. accuracy, miou, iou: over those that did.
        accuracy_all, miou_all: over all with a truth, no label counting as a miss. The means are over the classes
        present in the truth (of the pixels at hand), as the benchmark's rule has it otherwise. leak: share of the
        pixels without a truth that got a label.
        """
        covered = self.confusion.copy()
        covered[IGNORE] = 0
        over_covered, over_all = score(covered), score(self.confusion)
        unknown, labelled = int(self.confusion[:, IGNORE].sum()), int(self.confusion[1:, IGNORE].sum())
        right = int(np.diag(self.confusion)[1:].sum())
        return {
            "pixels": over_all.points,
            "coverage": _share(over_covered.points, over_all.points),
            "accuracy": _share(right, over_covered.points),
            "miou": over_covered.miou_present if over_covered.points else None,
            "accuracy_all": _share(right, over_all.points),
            "miou_all": over_all.miou_present if over_all.points else None,
            "leak": _share(labelled, unknown),
            "iou": {CLASS_NAMES[i]: float(over_covered.iou[i]) for i in over_covered.present},
        }


@dataclass(frozen=True)
class Borders(Sum):
    """Counts of border pixels: those with a neighbour, above, below, left or right, of another known class.

    Attributes:
        predicted, right: predicted ones whose truth is known; those of them near a true one.
        true, found: true ones that the prediction covers; those of them near a predicted one.
        true_all: true ones, covered or not.
    """

    predicted: int = 0
    right: int = 0
    true: int = 0
    found: int = 0
    true_all: int = 0

    @classmethod
    def of(
        cls, prediction: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], tolerance: float | None = None
    ) -> "Borders":
        """``tolerance`` in pixels; by default 2 for KITTI's 376 x 1241, in proportion to the diagonal."""
        near = border_tolerance(truth.shape) if tolerance is None else tolerance
        predicted, true = borders(prediction), borders(truth)
        judged, covered = predicted & (truth != IGNORE), true & (prediction != IGNORE)
        right, found = judged & (_distance_to(true) <= near), covered & (_distance_to(predicted) <= near)
        return cls(*(int(mask.sum()) for mask in (judged, right, covered, found, true)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: boundary_f over what is covered; boundary_f_all counts uncovered true borders as not found."""
        precision = _share(self.right, self.predicted)
        return {
            "boundary_f": _harmonic(precision, _share(self.found, self.true)),
            "boundary_f_all": _harmonic(precision, _share(self.found, self.true_all)),
            "boundary_precision": precision,
            "boundary_recall": _share(self.found, self.true),
        }


@dataclass(frozen=True)
class Objects(Sum):
    """Counts of the panoptic quality (Kirillov et al., CVPR 2019) per class, of objects of the thing classes only.

    Attributes:
        iou: sum over the matched pairs.
        matched, invented, missed: objects.
    """

    iou: np.ndarray = field(default_factory=_per_class)
    matched: np.ndarray = field(default_factory=_per_class)
    invented: np.ndarray = field(default_factory=_per_class)
    missed: np.ndarray = field(default_factory=_per_class)

    @classmethod
    def of(
        cls,
        label: UInt8[np.ndarray, "h w"],
        instance: UInt16[np.ndarray, "h w"],
        true_label: UInt8[np.ndarray, "h w"],
        true_instance: UInt16[np.ndarray, "h w"],
    ) -> "Objects":
        """Pixels whose truth is unknown count for nobody; an object that lies mostly on such pixels, or on pixels of
        its class whose object is unknown, was not invented.
        """
        result = cls()
        predicted, true = _things(label, instance), _things(true_label, true_instance)
        known = true_label != IGNORE
        unmatched = dict(zip(*_counted(true), strict=True))
        area = unmatched.copy()
        for thing, size in zip(*_counted(predicted), strict=True):
            inside, kind = predicted == thing, int(thing) >> 16
            on_known = int((inside & known).sum())
            best = [(int(shared) / (on_known + area[other] - int(shared)), other) for other, shared in
                    zip(*_counted(true[inside]), strict=True) if int(other) >> 16 == kind]  # fmt: skip
            iou, other = max(best, default=(0.0, 0))
            if iou > _MATCH:
                del unmatched[other]
                result.matched[kind] += 1
                result.iou[kind] += iou
            elif _nobody(inside, kind, true_label, true) <= size / 2:
                result.invented[kind] += 1
        for thing in unmatched:
            result.missed[int(thing) >> 16] += 1
        return result

    def to_dict(self) -> dict[str, Any]:
        """Plain values: pq = sq x rq, means over the classes with any object; None without one."""
        weight = self.matched + (self.invented + self.missed) / 2
        present = weight > 0
        if not present.any():
            return {"pq": None, "sq": None, "rq": None, "objects": 0, "pq_of": {}}
        pq = self.iou[present] / weight[present]
        return {
            "pq": float(pq.mean()),
            "sq": float((self.iou[present] / np.maximum(self.matched[present], 1)).mean()),
            "rq": float((self.matched[present] / weight[present]).mean()),
            "objects": int((self.matched + self.missed).sum()),
            "pq_of": {CLASS_NAMES[i]: float(v) for i, v in zip(np.flatnonzero(present), pq, strict=True)},
        }


def nearest_labelled(seeds: Seeds) -> DenseLabel:
    """The baseline: every pixel is what the nearest seed is, however far away. All unknown without seeds."""
    if not len(seeds):
        return DenseLabel(np.zeros(seeds.size, np.uint8), np.zeros(seeds.size, np.uint16), 0)
    nearest = nearest_thing(seeds)
    return DenseLabel(seeds.thing_label[nearest], seeds.thing_instance[nearest], 0)


def at_coverage(baseline: DenseLabel, other: DenseLabel) -> DenseLabel:
    """The baseline only where the other one has a label: two accuracies compare at equal coverage."""
    covered = other.label != IGNORE
    return DenseLabel(
        np.where(covered, baseline.label, 0).astype(np.uint8),
        np.where(covered, baseline.instance, 0).astype(np.uint16),
        baseline.prompts,
    )


def borders(label: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels with a neighbour, above, below, left or right, of another class; 0 is no class."""
    border = np.zeros(label.shape, bool)
    for first, second in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (label[first] != label[second]) & (label[first] != IGNORE) & (label[second] != IGNORE)
        border[first] |= differ
        border[second] |= differ
    return border


def border_tolerance(size: tuple[int, ...]) -> float:
    """Pixels that a border may be off in an image of so many rows and columns."""
    return TOLERANCE * math.hypot(*size) / _DIAGONAL


def _distance_to(mask: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Pixels to the nearest of the mask; infinity if it is empty, where scipy would invent one."""
    return np.asarray(distance_transform_edt(~mask)) if mask.any() else np.full(mask.shape, np.inf)


def _things(label: UInt8[np.ndarray, "h w"], instance: UInt16[np.ndarray, "h w"]) -> np.ndarray:
    """class << 16 | instance of the objects of thing classes, 0 elsewhere."""
    return np.where(np.isin(label, THINGS), object_ids(label, instance), 0)


def _counted(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(objects, pixels of each)."""
    unique, count = np.unique(ids, return_counts=True)
    return unique[unique > 0], count[unique > 0]


def _nobody(inside: Bool[np.ndarray, "h w"], kind: int, true_label: np.ndarray, true: np.ndarray) -> int:
    """Pixels of an object on which it cannot be wrong: unknown, or of its class without an object."""
    return int((inside & ((true_label == IGNORE) | ((true_label == kind) & (true == 0)))).sum())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _harmonic(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
