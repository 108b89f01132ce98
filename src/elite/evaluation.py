"""Evaluation of predictions against the labels of a data set, by the rule of its benchmark."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elite.datasets import Dataset
from elite.datasets.formats import read_labels
from elite.errors import DataError
from elite.files import SCAN_BYTES, read_file
from elite.formatting import sequence_list
from elite.inference import Segmenter
from elite.label_records import require_predicted_classes
from elite.layout import Layout
from elite.metrics import SEMANTICKITTI_RULE, Score, ScoreRule, confusion_matrix, score
from elite.prediction_formats import FORMATS
from elite.shapes import Float32, Integer, UInt8
from elite.taxonomy import IGNORE, Taxonomy, require_equal_taxonomies
from elite.types import Frame

# Open intervals of the distance from the sensor (m). Farther points belong to no band.
BANDS = ((1e-8, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 40.0), (40.0, 50.0))

CONFIDENCE_BINS = 15  # of equal width


@dataclass(frozen=True)
class Prediction:
    """Train ids of the points of a scan, and their confidence (softmax share, 0..1) if it is known."""

    labels: Integer[np.ndarray, "n"]
    confidence: Float32[np.ndarray, "n"] | None = None


Predictor = Callable[[Frame], Prediction]


@dataclass
class ConfidenceBins:
    """Labelled points in bins of their confidence: number, number of correct ones, and sum of confidences."""

    points: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCE_BINS, np.int64))
    correct: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCE_BINS, np.int64))
    confidence: np.ndarray = field(default_factory=lambda: np.zeros(CONFIDENCE_BINS))

    def add(self, prediction: Prediction, ground_truth: UInt8[np.ndarray, "n"]) -> None:
        if prediction.confidence is None:
            return
        scored = ground_truth != IGNORE
        confidence = prediction.confidence[scored]
        bins = np.clip((confidence * CONFIDENCE_BINS).astype(np.int64), 0, CONFIDENCE_BINS - 1)
        correct = (prediction.labels == ground_truth)[scored]
        self.points += np.bincount(bins, minlength=CONFIDENCE_BINS)
        self.correct += np.bincount(bins[correct], minlength=CONFIDENCE_BINS)
        self.confidence += np.bincount(bins, confidence, minlength=CONFIDENCE_BINS)

    def report(self) -> dict[str, Any] | None:
        """Expected calibration error and its bins; None without confidences.

        The error is the mean difference of confidence and accuracy, weighted by points (Guo et al., ICML 2017).
        """
        total = int(self.points.sum())
        if not total:
            return None
        mean = np.maximum(self.points, 1)
        accuracy, confidence = self.correct / mean, self.confidence / mean
        edges = np.linspace(0, 1, CONFIDENCE_BINS + 1)
        rows = zip(edges, edges[1:], self.points, accuracy, confidence, strict=False)
        keys = ("from", "to", "points", "accuracy", "confidence")
        return {
            "ece": float((self.points / total * np.abs(accuracy - confidence)).sum()),
            "bins": [dict(zip(keys, map(np.generic.item, row), strict=True)) for row in rows],
        }


class ScoreCounts:
    """Confusion matrices of the scans that were added: all points, and by distance band."""

    def __init__(self, taxonomy: Taxonomy, rule: ScoreRule = SEMANTICKITTI_RULE) -> None:
        self.taxonomy, self.rule, self.frames, classes = taxonomy, rule, 0, len(taxonomy)
        self.total = np.zeros((classes, classes), np.int64)
        self.bands = np.zeros((len(BANDS), classes, classes), np.int64)
        self.calibration = ConfidenceBins()

    def add(
        self, prediction: Prediction, ground_truth: UInt8[np.ndarray, "n"], points: Float32[np.ndarray, "n 3"]
    ) -> Score:
        """Add one scan (train ids). Returns its score."""
        self.frames += 1
        labels, classes = prediction.labels, len(self.taxonomy)
        confusion = confusion_matrix(labels, ground_truth, classes)
        self.total += confusion
        distance = np.linalg.norm(points, axis=1)
        for band, (low, high) in zip(self.bands, BANDS, strict=True):
            within = (distance > low) & (distance < high)
            band += confusion_matrix(labels[within], ground_truth[within], classes)
        self.calibration.add(prediction, ground_truth)
        return score(confusion, self.rule)

    def report(self) -> dict[str, Any]:
        """Scores as plain values, in the format of ``elite evaluate --json``."""
        return {
            **score(self.total, self.rule).to_dict(),
            "taxonomy": self.taxonomy.name,
            "classes": list(self.taxonomy.names),
            "by_distance": [
                {"from": low, "to": high, **score(confusion, self.rule).to_dict()}
                for (low, high), confusion in zip(BANDS, self.bands, strict=True)
            ],
            "calibration": self.calibration.report(),
            "confusion": self.total.tolist(),
            "frames": self.frames,
        }


def evaluate(
    dataset: Dataset, predict: Predictor, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> dict[str, Any]:
    """Score ``predict`` on all labelled frames. Frames without labels are listed under ``unlabelled``.

    Raises:
        DataError: no frame of the selection has labels, or a file is damaged.
    """
    labelled = dataset.labelled()
    if not labelled:
        raise DataError(
            f"sequences {sequence_list(dataset.sequences)}: expected scans with a file in "
            f"'{dataset.selection.labels}', found none. Select other sequences (test sequences have no public labels)."
        )
    counts, by_frame = ScoreCounts(dataset.taxonomy, dataset.rule), []
    for i in progress(labelled):
        frame = dataset[i]
        assert frame.labels is not None
        frame_score = counts.add(predict(frame), frame.labels, frame.scan.points)
        figures = {
            "miou_present": frame_score.miou_present,
            "accuracy": frame_score.accuracy,
            "points": frame_score.points,
        }
        by_frame.append({"frame": frame.id, **figures})
    if not counts.total[:, 1:].any():
        raise DataError(
            f"'{dataset.selection.labels}' of {counts.frames} scans: expected points of classes of "
            f"{dataset.taxonomy.name}, found none. Select other sequences or another label folder."
        )
    unlabelled = [str(frame_id) for i, frame_id in enumerate(dataset.ids) if not dataset.has_labels(i)]
    return counts.report() | {"by_frame": by_frame, "unlabelled": unlabelled}


def by_segmenter(segmenter: Segmenter, taxonomy: Taxonomy) -> Predictor:
    """Predictor that segments each scan of a data set with these classes.

    Raises:
        ConfigError: the segmenter has others.
    """
    require_equal_taxonomies(segmenter.taxonomy, taxonomy, "MODEL")

    def label(frame: Frame) -> Prediction:
        result = segmenter.segment(frame.scan, frame.id)
        return Prediction(result.labels, result.confidence)

    return label


def saved_predictions(folder: Path, taxonomy: Taxonomy) -> Predictor:
    """Predictor that reads FOLDER/sequences/SS/predictions/NAME.label (raw ids), and NAME.confidence if it exists.

    Raises:
        DataError: the folder holds no predictions.
        ConfigError: they are of other classes, by its record (see ``elite.label_records``).
    """
    layout = Layout(folder)
    if not layout.sequences.is_dir():
        raise DataError(
            f"{folder}: expected the output folder of 'elite predict', found no folder 'sequences' in it. Check the "
            "path."
        )
    require_predicted_classes(folder, taxonomy)

    def read(frame: Frame) -> Prediction:
        path = layout.prediction(frame.sequence, frame.name)
        if not path.exists():
            others = [file.name for end in FORMATS if (file := path.with_suffix(f".{end}")).exists()]
            found = f"{others[0]}. Predict without --as" if others else "none. Predict the scan"
            raise DataError(f"{path}: expected a prediction for each labelled scan, found {found}.")
        raw, _ = read_labels(path, Path(f"scan {frame.id}"), frame.scan.stored, remedy="Predict the scan again")
        classes = taxonomy.to_train(raw, source=path)
        return Prediction(frame.scan.select(classes), _confidence(layout, frame))

    return read


def _confidence(layout: Layout, frame: Frame) -> Float32[np.ndarray, "n"] | None:
    path = layout.confidence(frame.sequence, frame.name)
    if not path.exists():
        return None
    try:
        data = read_file(path, SCAN_BYTES)
    except OSError as error:
        raise DataError(f"{path}: expected confidences, found {error.strerror}. Predict the scan again.") from error
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    if len(data) % 4 or len(values) != frame.scan.stored or not ((values >= 0) & (values <= 1)).all():  # nor NaN
        raise DataError(
            f"{path}: expected a share (0..1) for each of the {frame.scan.stored} points of scan {frame.id}, found "
            "other contents. Predict the scan again."
        )
    return frame.scan.select(values)
