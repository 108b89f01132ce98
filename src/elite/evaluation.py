"""Scoring: predictions of any origin against the labels of a data set, by the benchmark's rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from elite.data.semantickitti import SemanticKITTI, read_labels
from elite.errors import DataError
from elite.labels import CLASS_NAMES, NUM_CLASSES, to_train
from elite.layout import Layout
from elite.metrics import confusion_matrix, score
from elite.types import Frame

# Metres from the sensor, on the 3D norm; strict at both ends. Farther points are not part of any band.
BANDS = ((1e-8, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 40.0), (40.0, 50.0))

Predictor = Callable[[Frame], Integer[np.ndarray, "n"]]


@dataclass
class Tally:
    """Confusion matrices of everything seen so far: all points, and by distance band."""

    frames: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64))
    bands: np.ndarray = field(default_factory=lambda: np.zeros((len(BANDS), NUM_CLASSES, NUM_CLASSES), np.int64))

    def add(
        self,
        prediction: Integer[np.ndarray, "n"],
        truth: UInt8[np.ndarray, "n"],
        points: Float32[np.ndarray, "n 3"],
    ) -> None:
        """Count one scan; train ids 0..19."""
        self.frames += 1
        self.total += confusion_matrix(prediction, truth)
        distance = np.linalg.norm(points, axis=1)
        for band, (low, high) in zip(self.bands, BANDS, strict=True):
            within = (distance > low) & (distance < high)
            band += confusion_matrix(prediction[within], truth[within])

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
                }
                for (low, high), s in zip(BANDS, map(score, self.bands), strict=True)
            ],
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
            f"no scan of sequences {','.join(dataset.sequences)} has a file in '{dataset.labels_folder}'; "
            "there is nothing to score (test sequences have no public labels)."
        )
    tally = Tally()
    for i in progress(labelled):
        frame = dataset[i]
        assert frame.labels is not None
        tally.add(predict(frame), frame.labels, frame.scan.points)
    if not tally.total[:, 1:].any():
        raise DataError(
            f"none of the {tally.frames} scans has a point of the classes 1..19 in '{dataset.labels_folder}'; "
            "there is nothing to score."
        )
    unlabelled = [f"{e.sequence}/{e.name}" for e in dataset.index if not e.has_labels]
    return tally.report() | {"unlabelled": unlabelled}


def saved_predictions(folder: Path) -> Predictor:
    """A predictor that reads OUT/sequences/SS/predictions/N.label files (raw ids)."""
    layout = Layout(folder)
    if not layout.sequences.is_dir():
        raise DataError(f"{folder} has no folder 'sequences'; give the folder that 'elite predict' wrote to.")

    def read(frame: Frame) -> UInt8[np.ndarray, "n"]:
        path = layout.prediction(frame.sequence, frame.name)
        if not path.exists():
            raise DataError(f"{path} is missing, but its scan has labels; predict every labelled scan of the split.")
        raw, _ = read_labels(path, Path(f"scan {frame.id}"), len(frame.scan))
        return to_train(raw, source=path)

    return read
