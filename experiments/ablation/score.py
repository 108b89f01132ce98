"""Scores, sizes and speed of a finished run."""

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
from elite.metrics import Score, confusion_matrix, score
from experiments.classes import KITTI

THIN = ("bicycle", "motorcycle", "fence", "trunk", "pole", "traffic-sign")
RARE = ("bicycle", "motorcycle", "person", "bicyclist", "motorcyclist", "traffic-sign")  # < 0.1 % of KITTI's points


def measure(run: Path, drives: Iterable[Path]) -> dict[str, Any]:
    """Fields of a ``Run`` for the last weights of a run folder, on sequence 08 of all drives together."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    batch = yaml.safe_load((run / "config.yaml").read_text())["data"]["batch_size"]
    sizes = json.loads((run / "parameters.json").read_text())
    speed, machine = _last(rows, "scans/s"), describe()
    return {
        **scores(run / "checkpoints" / "last.ckpt", drives),
        "teacher_miou": _last(rows, "val/teacher_miou_present"),
        "trained_parameters": sum(count for part, count in sizes.items() if "trained" in part),
        "seconds_per_step": batch / speed if speed else None,
        "commit": machine["commit"] or "",
        "hardware": machine["hardware"],
    }


def scores(checkpoint: Path, drives: Iterable[Path]) -> dict[str, float]:
    """Scores by the benchmark's rule, over all points and separately inside and outside the camera's view."""
    segmenter = Segmenter.load(checkpoint, "cpu")
    in_view, out_of_view = np.zeros((2, len(KITTI), len(KITTI)), np.int64)
    for frame in (frame for drive in drives for frame in SemanticKITTI(drive, "08")):
        assert frame.labels is not None
        uv, _ = project(frame.scan.points, frame.cameras[0])
        seen = in_image(uv, *frame.images["image_2"].shape[:2])
        prediction = segmenter.segment(frame.scan).labels
        in_view += confusion_matrix(prediction[seen], frame.labels[seen], len(in_view))
        out_of_view += confusion_matrix(prediction[~seen], frame.labels[~seen], len(in_view))
    every = score(in_view + out_of_view)
    return {
        "miou": every.miou_present,
        "miou_in_view": score(in_view).miou_present,
        "miou_out_of_view": score(out_of_view).miou_present,
        "thin": _mean_iou(every, THIN),
        "rare": _mean_iou(every, RARE),
        "accuracy": every.accuracy,
    }


def _mean_iou(result: Score, names: Iterable[str]) -> float:
    return float(np.mean([result.iou[KITTI.train_id[name]] for name in names]))


def _last(rows: list[dict[str, str]], name: str) -> float | None:
    values = [value for row in rows if (value := row.get(name))]
    return float(values[-1]) if values else None
