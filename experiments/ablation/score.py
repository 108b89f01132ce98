"""What is measured of a finished run of the ablation, as plain values."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from elite.datasets import SemanticKITTI
from elite.environment import describe
from elite.geometry import in_image, project
from elite.inference import Segmenter
from elite.labels import CLASS_ID
from elite.metrics import confusion_matrix, score
from experiments.ablation.rows import RARE, THIN

PARTS = ("all", "in view", "out of view")


def measured(run: Path, drives: Iterable[Path]) -> dict[str, Any]:
    """Of the last weights: scores on sequence 08 of every drive together, all in [0, 1]; sizes; seconds a step."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    batch = yaml.safe_load((run / "config.yaml").read_text())["data"]["batch_size"]
    return {
        **scores(run / "checkpoints" / "last.ckpt", drives),
        "teacher": _last(rows, "val/teacher_miou_present"),
        "parameters": json.loads((run / "parameters.json").read_text()),
        "seconds_per_step": batch / (_last(rows, "scans/s") or np.nan),
        "versions": describe(),
    }


def scores(checkpoint: Path, drives: Iterable[Path]) -> dict[str, Any]:
    """Official scores over all points, and apart for those inside and outside of the camera's view."""
    segmenter = Segmenter.load(checkpoint, "cpu")
    found = {part: np.zeros((20, 20), np.int64) for part in PARTS}
    for frame in (frame for drive in drives for frame in SemanticKITTI(drive, "08")):
        assert frame.labels is not None
        uv, _ = project(frame.scan.points, frame.cameras[0])
        seen = in_image(uv, *frame.images["image_2"].shape[:2])
        prediction = segmenter.segment(frame.scan).labels
        for part, rows in zip(PARTS, (np.full(len(seen), True), seen, ~seen), strict=True):
            found[part] += confusion_matrix(prediction[rows], frame.labels[rows])
    return {part: _summary(confusion) for part, confusion in found.items()}


def _summary(confusion: np.ndarray) -> dict[str, Any]:
    whole = score(confusion)

    def mean_of(names: Iterable[str]) -> float:
        return float(np.mean([whole.iou[CLASS_ID[name]] for name in names]))

    return {
        "miou": whole.miou_present,
        "thin": mean_of(THIN),
        "rare": mean_of(RARE),
        "accuracy": whole.accuracy,
        "iou": [round(float(x), 5) for x in whole.iou],
    }


def _last(rows: list[dict[str, str]], name: str) -> float | None:
    values = [value for row in rows if (value := row.get(name))]
    return float(values[-1]) if values else None
