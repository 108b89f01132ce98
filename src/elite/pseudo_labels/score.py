"""Scores of dense labels against labels at some pixels (held-out points), or against dense ground truth.

Coverage is reported with every accuracy, because a method that labels easy pixels only has a high accuracy. Records of
several images are added::

    total = sum((Agreement.of(label, ground_truth, taxonomy) for ...), Agreement())
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from elite.datasets.records import object_ids
from elite.metrics import confusion_matrix, score
from elite.pseudo_labels.records import Addable, DenseLabel, Seeds
from elite.pseudo_labels.vote import nearest_entity
from elite.shapes import Bool, Float, Int64, UInt8, UInt16, UInt32
from elite.taxonomy import IGNORE, Taxonomy

TOLERANCE = 2.0  # pixels between matching borders, in an image of KITTI's size; proportional to the diagonal
_DIAGONAL = math.hypot(376, 1241)
_MATCH = 0.5  # IoU above which two objects match; matches are then unique


@dataclass(frozen=True)
class Agreement(Addable):
    """Confusion matrix over pixels, [prediction, ground truth]. Prediction 0 = no label; ground truth 0 = unknown."""

    confusion: Int64[np.ndarray, "classes classes"] = field(default_factory=lambda: np.zeros((1, 1), np.int64))

    @classmethod
    def of(
        cls, prediction: UInt8[np.ndarray, "*shape"], truth: UInt8[np.ndarray, "*shape"], taxonomy: Taxonomy
    ) -> "Agreement":
        return cls(confusion_matrix(prediction.ravel(), truth.ravel(), len(taxonomy)))

    def to_dict(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Return the scores as plain values, None where nothing can be measured.

        coverage: share of the pixels with ground truth that have a label. accuracy, miou, iou: over these pixels.
        accuracy_all, miou_all: over all pixels with ground truth, where a missing label is an error. Means are over the
        classes in the ground truth of these pixels. leak: share of the pixels without ground truth that have a label.
        """
        confusion = self.confusion + np.zeros((len(taxonomy), len(taxonomy)), np.int64)  # without images, 1 x 1
        covered = confusion.copy()
        covered[IGNORE] = 0
        over_covered, over_all = score(covered), score(confusion)
        unknown, labelled = int(confusion[:, IGNORE].sum()), int(confusion[1:, IGNORE].sum())
        correct = int(np.diag(confusion)[1:].sum())
        return {
            "pixels": over_all.points,
            "coverage": _share(over_covered.points, over_all.points),
            "accuracy": _share(correct, over_covered.points),
            "miou": over_covered.miou_present if over_covered.points else None,
            "accuracy_all": _share(correct, over_all.points),
            "miou_all": over_all.miou_present if over_all.points else None,
            "leak": _share(labelled, unknown),
            "iou": {taxonomy.names[i]: float(over_covered.iou[i]) for i in over_covered.present},
        }


@dataclass(frozen=True)
class Borders(Addable):
    """Counts of border pixels: those with a neighbour (above, below, left, right) of another known class.

    Attributes:
        predicted: predicted border pixels with known ground truth.
        correct: those within the tolerance of a border of the ground truth.
        actual: border pixels of the ground truth that have a label.
        found: those within the tolerance of a predicted border.
        actual_all: border pixels of the ground truth, with or without a label.
    """

    predicted: int = 0
    correct: int = 0
    actual: int = 0
    found: int = 0
    actual_all: int = 0

    @classmethod
    def of(
        cls, prediction: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], tolerance: float | None = None
    ) -> "Borders":
        """Count the border pixels of one image.

        Args:
            prediction, truth: train ids.
            tolerance: pixels. Default: 2 for 376 x 1241 pixels, proportional to the diagonal for other sizes.
        """
        near = border_tolerance(truth.shape) if tolerance is None else tolerance
        predicted, actual = borders(prediction), borders(truth)
        scored, covered = predicted & (truth != IGNORE), actual & (prediction != IGNORE)
        correct, found = scored & (_distance_to(actual) <= near), covered & (_distance_to(predicted) <= near)
        return cls(*(int(mask.sum()) for mask in (scored, correct, covered, found, actual)))

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain values.

        boundary_f: over the labelled pixels. boundary_f_all: unlabelled borders of the ground truth count as missed.
        """
        precision = _share(self.correct, self.predicted)
        return {
            "boundary_f": _harmonic(precision, _share(self.found, self.actual)),
            "boundary_f_all": _harmonic(precision, _share(self.found, self.actual_all)),
            "boundary_precision": precision,
            "boundary_recall": _share(self.found, self.actual),
        }


@dataclass(frozen=True)
class Objects(Addable):
    """Counts of the panoptic quality (Kirillov et al., CVPR 2019) per class, for thing classes.

    Attributes:
        iou: sum over the matched pairs.
        matched, invented, missed: number of objects (true positives, false positives, false negatives).
    """

    iou: Float[np.ndarray, "classes"] = field(default_factory=lambda: np.zeros(1))
    matched: Float[np.ndarray, "classes"] = field(default_factory=lambda: np.zeros(1))
    invented: Float[np.ndarray, "classes"] = field(default_factory=lambda: np.zeros(1))
    missed: Float[np.ndarray, "classes"] = field(default_factory=lambda: np.zeros(1))

    @classmethod
    def of(
        cls,
        label: UInt8[np.ndarray, "h w"],
        instance: UInt16[np.ndarray, "h w"],
        true_label: UInt8[np.ndarray, "h w"],
        true_instance: UInt16[np.ndarray, "h w"],
        taxonomy: Taxonomy,
    ) -> "Objects":
        """Match the objects of one image.

        Pixels without ground truth are not counted. A predicted object mostly on such pixels, or on pixels of its class
        without instance ids, is not a false positive.
        """
        result = cls(*(np.zeros(len(taxonomy)) for _ in range(4)))
        things = taxonomy.things
        predicted, true = _objects(label, instance, things), _objects(true_label, true_instance, things)
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
            elif _unscored_pixels(inside, kind, true_label, true) <= size / 2:
                result.invented[kind] += 1
        for thing in unmatched:
            result.missed[int(thing) >> 16] += 1
        return result

    def to_dict(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Return pq = sq x rq as plain values: means over the classes with objects, None without objects."""
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
            "pq_of": {taxonomy.names[i]: float(v) for i, v in zip(np.flatnonzero(present), pq, strict=True)},
        }


def nearest_labelled(seeds: Seeds) -> DenseLabel:
    """Baseline: every pixel has the label of the nearest seed. Without seeds, every pixel is unknown."""
    if not len(seeds):
        return DenseLabel(np.zeros(seeds.size, np.uint8), np.zeros(seeds.size, np.uint16), 0)
    nearest = nearest_entity(seeds)
    return DenseLabel(seeds.entity_label[nearest], seeds.entity_instance[nearest], 0)


def at_coverage(baseline: DenseLabel, other: DenseLabel) -> DenseLabel:
    """Restrict the baseline to the labelled pixels of the other label, for a comparison at equal coverage."""
    covered = other.label != IGNORE
    return DenseLabel(
        np.where(covered, baseline.label, 0).astype(np.uint8),
        np.where(covered, baseline.instance, 0).astype(np.uint16),
        baseline.prompts,
    )


def borders(label: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels with a neighbour (above, below, left, right) of another class; 0 is not a class."""
    border = np.zeros(label.shape, bool)
    for first, second in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (label[first] != label[second]) & (label[first] != IGNORE) & (label[second] != IGNORE)
        border[first] |= differ
        border[second] |= differ
    return border


def border_tolerance(size: tuple[int, ...]) -> float:
    """Largest distance in pixels between matching borders, for an image of (rows, columns)."""
    return TOLERANCE * math.hypot(*size) / _DIAGONAL


def _distance_to(mask: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Distance to the nearest pixel of the mask; infinity for an empty mask, which scipy does not handle."""
    return np.asarray(distance_transform_edt(~mask)) if mask.any() else np.full(mask.shape, np.inf)


def _objects(
    label: UInt8[np.ndarray, "h w"], instance: UInt16[np.ndarray, "h w"], things: Sequence[int]
) -> UInt32[np.ndarray, "h w"]:
    """Object ids (class << 16 | instance) of thing classes, 0 elsewhere."""
    return np.where(np.isin(label, things), object_ids(label, instance), np.uint32(0))


def _counted(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(objects, pixels of each)."""
    unique, count = np.unique(ids, return_counts=True)
    return unique[unique > 0], count[unique > 0]


def _unscored_pixels(inside: Bool[np.ndarray, "h w"], kind: int, true_label: np.ndarray, true: np.ndarray) -> int:
    """Number of pixels of an object without ground truth, or of its class without an instance id."""
    return int((inside & ((true_label == IGNORE) | ((true_label == kind) & (true == 0)))).sum())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _harmonic(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
