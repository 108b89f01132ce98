"""Scoring: predictions of any origin against the labels of a data set, by the benchmark's rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from elite.datasets.formats import read_labels
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.files import SCAN_BYTES, read_file
from elite.inference import Segmenter
from elite.labels import CLASS_NAMES, IGNORE, NUM_CLASSES, to_train
from elite.layout import Layout
from elite.metrics import Score, confusion_matrix, score
from elite.types import Frame

# Metres from the sensor, on the 3D norm; strict at both ends. Farther points are not part of any band.
BANDS = ((1e-8, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 40.0), (40.0, 50.0))

CONFIDENCES = 15  # bins of equal width that the calibration is measured in


@dataclass(frozen=True)
class Prediction:
    """Train ids of a scan's points, and how sure they are (softmax share, 0..1) if that is known."""

    labels: Integer[np.ndarray, "n"]
    confidence: Float32[np.ndarray, "n"] | None = None


Predictor = Callable[[Frame], Prediction]


@dataclass
class Calibration:
    """Labelled points by confidence, in bins of equal width: how many, how many are right, the sum of confidences."""

    points: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCES, np.int64))
    right: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCES, np.int64))
    confidence: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCES))

    def add(self, prediction: Prediction, truth: UInt8[np.ndarray, "n"]) -> None:
        if prediction.confidence is None:
            return
        scored = truth != IGNORE
        confidence = prediction.confidence[scored]
        bins = np.clip((confidence * CONFIDENCES).astype(np.int64), 0, CONFIDENCES - 1)
        right = (prediction.labels == truth)[scored]
        self.points += np.bincount(bins, minlength=CONFIDENCES)
        self.right += np.bincount(bins[right], minlength=CONFIDENCES)
        self.confidence += np.bincount(bins, confidence, minlength=CONFIDENCES)

    def report(self) -> dict[str, Any] | None:
        """ECE, the expected calibration error: the mean gap between confidence and accuracy, weighted by points
        (Guo et al., ICML 2017), and its bins; None without confidences.
        """
        total = int(self.points.sum())
        if not total:
            return None
        mean = np.maximum(self.points, 1)
        accuracy, confidence = self.right / mean, self.confidence / mean
        edges = np.linspace(0, 1, CONFIDENCES + 1)
        rows = zip(edges, edges[1:], self.points, accuracy, confidence, strict=False)
        keys = ("from", "to", "points", "accuracy", "confidence")
        return {
            "ece": float((self.points / total * np.abs(accuracy - confidence)).sum()),
            "bins": [dict(zip(keys, map(np.generic.item, row), strict=True)) for row in rows],
        }


@dataclass
class Tally:
    """Confusion matrices of everything seen so far: all points, and by distance band."""

    frames: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64))
    bands: np.ndarray = field(default_factory=lambda: np.zeros((len(BANDS), NUM_CLASSES, NUM_CLASSES), np.int64))
    calibration: Calibration = field(default_factory=Calibration)

    def add(self, prediction: Prediction, truth: UInt8[np.ndarray, "n"], points: Float32[np.ndarray, "n 3"]) -> Score:
        """Count one scan; train ids 0..19. Returns its own score."""
        self.frames += 1
        labels, confusion = prediction.labels, confusion_matrix(prediction.labels, truth)
        self.total += confusion
        distance = np.linalg.norm(points, axis=1)
        for band, (low, high) in zip(self.bands, BANDS, strict=True):
            within = (distance > low) & (distance < high)
            band += confusion_matrix(labels[within], truth[within])
        self.calibration.add(prediction, truth)
        return score(confusion)

    def report(self) -> dict[str, Any]:
        """The evaluation's result, with the keys that every tool of the project reads."""
        whole = score(self.total)
        return {
            "miou": whole.miou,
            "miou_present": whole.miou_present,
            "accuracy": whole.accuracy,
            "iou": whole.iou.tolist(),
            "present": list(whole.present),
            "classes": list(CLASS_NAMES),
            "by_distance": [
                {
                    "from": low,
                    "to": high,
                    "miou": s.miou,
                    "miou_present": s.miou_present,
                    "accuracy": s.accuracy,
                    "points": s.points,
                    "iou": s.iou.tolist(),
                    "present": list(s.present),
                }
                for (low, high), s in zip(BANDS, map(score, self.bands), strict=True)
            ],
            "calibration": self.calibration.report(),
            "confusion": self.total.tolist(),
            "frames": self.frames,
            "points": whole.points,
        }


def evaluate(
    dataset: SemanticKITTI, predict: Predictor, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> dict[str, Any]:
    """Score ``predict`` on every labelled frame; frames without labels are listed, not scored.

    Raises:
        DataError: no frame of the selection has labels, or a file is damaged.
    """
    labelled = dataset.labelled()
    if not labelled:
        raise DataError(
            f"no scan of sequences {','.join(dataset.sequences)} has a file in '{dataset.selection.labels}'; "
            "there is nothing to score (test sequences have no public labels)."
        )
    tally, by_frame = Tally(), []
    for i in progress(labelled):
        frame = dataset[i]
        assert frame.labels is not None
        own = tally.add(predict(frame), frame.labels, frame.scan.points)
        figures = {"miou_present": own.miou_present, "accuracy": own.accuracy, "points": own.points}
        by_frame.append({"frame": frame.id, **figures})
    if not tally.total[:, 1:].any():
        raise DataError(
            f"none of the {tally.frames} scans has a point of the classes 1..19 in '{dataset.selection.labels}'; "
            "there is nothing to score."
        )
    unlabelled = [str(frame_id) for i, frame_id in enumerate(dataset.ids) if not dataset.has_labels(i)]
    return tally.report() | {"by_frame": by_frame, "unlabelled": unlabelled}


def by_segmenter(segmenter: Segmenter) -> Predictor:
    """A predictor that labels each scan itself."""

    def label(frame: Frame) -> Prediction:
        result = segmenter.segment(frame.scan, frame.id)
        return Prediction(result.labels, result.confidence)

    return label


def saved_predictions(folder: Path) -> Predictor:
    """A predictor that reads OUT/sequences/SS/predictions/N.label (raw ids), and N.confidence where it is there.

    Raises:
        DataError: the folder holds no predictions.
    """
    layout = Layout(folder)
    if not layout.sequences.is_dir():
        raise DataError(f"{folder} has no folder 'sequences'; give the folder that 'elite predict' wrote to.")

    def read(frame: Frame) -> Prediction:
        path = layout.prediction(frame.sequence, frame.name)
        if not path.exists():
            raise DataError(f"{path} is missing, but its scan has labels; predict every labelled scan of the split.")
        raw, _ = read_labels(path, Path(f"scan {frame.id}"), len(frame.scan), remedy="predict the scan again")
        return Prediction(to_train(raw, source=path), _confidence(layout, frame))

    return read


def _confidence(layout: Layout, frame: Frame) -> Float32[np.ndarray, "n"] | None:
    path = layout.confidence(frame.sequence, frame.name)
    if not path.exists():
        return None
    try:
        data = read_file(path, SCAN_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot read confidences ({error.strerror}); predict the scan again.") from error
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    if len(data) % 4 or len(values) != len(frame.scan) or not ((values >= 0) & (values <= 1)).all():  # nor NaN
        raise DataError(
            f"{path} does not hold a share (0..1) for each of the {len(frame.scan)} points of scan {frame.id}; predict "
            "the scan again."
        )
    return values
