"""Score a student on the real frames: for a final report, never to choose anything.

    python -m experiments.real_scores STUDENT --data FOLDER [--votes 12] [--json FILE]

FOLDER contains ``semantickitti`` (frames 1-2 of sequence 00 with labels, frames 3-4 with ``labels_partial``) and
``pandaset`` in the same layout. Frames 1 and 2 are one place, so they have one score. Of the partial labels only the
accuracy counts. PandaSet has no trunks: predicted ones count as vegetation, and points without a class do not count.
Each set is scored without votes and with them.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from elite.datasets import Dataset, SemanticKITTI
from elite.environment import describe
from elite.evaluation import Prediction, ScoreCounts
from elite.files import write_json
from elite.inference import Segmenter
from elite.student import load_student
from elite.types import Frame
from experiments.ablation.table import markdown
from experiments.classes import KITTI

BIG = 1000  # points of a class that is not rare
FAR = 30.0  # m: start of the band of 30 to 50 m


@dataclass(frozen=True)
class RealSet:
    """Frames with one score: folder and selection, and the class that replaces a predicted one."""

    folder: str
    sequences: str | None = None
    frames: str | None = None
    labels: str = "labels"
    merged: tuple[tuple[str, str], ...] = ()

    def open(self, root: Path) -> Dataset:
        return SemanticKITTI(root / self.folder, self.sequences, frames=self.frames, labels=self.labels, cameras=())


SETS = {
    "frames 1-2": RealSet("semantickitti", "00", "1-2"),
    "frames 3-4": RealSet("semantickitti", "00", "3-4", labels="labels_partial"),
    "PandaSet": RealSet("pandaset", merged=(("trunk", "vegetation"),)),
}


def scores(segmenter: Segmenter, real: RealSet, root: Path) -> dict[str, Any]:
    """Scores of a set in %, as plain values."""
    return scores_of(segmenter, real.open(root), real.merged)


def scores_of(segmenter: Segmenter, frames: Iterable[Frame], merged: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """Scores of labelled frames in %, as plain values. ``merged``: classes and those that replace them if predicted."""
    counts, names = ScoreCounts(KITTI), np.arange(len(KITTI))
    for old, new in merged:
        names[KITTI.train_id[old]] = KITTI.train_id[new]
    for frame in frames:
        assert frame.labels is not None
        prediction = Prediction(names[segmenter.segment(frame.scan, frame.id).labels])
        counts.add(prediction, frame.labels, frame.scan.points)
    return summary(counts)


def summary(counts: ScoreCounts) -> dict[str, Any]:
    """Means over the classes present and over the big ones, accuracy, road far away, and scores by class and range."""
    report, truth = counts.report(), counts.total.sum(axis=0)
    iou = {KITTI.names[i]: 100 * report["iou"][i] for i in report["present"]}
    big = [name for name in iou if truth[KITTI.train_id[name]] > BIG]
    far = counts.bands[[row["from"] >= FAR for row in report["by_distance"]]].sum(axis=0)
    road = KITTI.train_id["road"]
    return {
        "miou_big": fmean(iou[name] for name in big) if big else None,
        "big": big,
        "miou_present": 100 * report["miou_present"],
        "present": list(iou),
        "accuracy": 100 * report["accuracy"],
        "road_recall_30_50": 100 * float(far[road, road] / max(far[:, road].sum(), 1)),
        "iou": iou,
        "by_range": [
            {key: row[key] for key in ("from", "to", "points")}
            | {key: 100 * row[key] for key in ("miou_present", "accuracy")}
            for row in report["by_distance"]
        ],
        "points": report["points"],
        "confusion": report["confusion"],
    }


COLUMNS = {"accuracy": "accuracy", "big classes": "miou_big", "present": "miou_present", "road": "road_recall_30_50"}


def tables(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Tables of the means, of the classes and of the ranges."""
    lines = []
    for name, found in results.items():
        shown = ["accuracy"] if name.startswith(("frames 3-4", "PandaSet")) else [*COLUMNS]
        lines.append([name, *(_number(found[key], 1) if label in shown else "" for label, key in COLUMNS.items())])
    yield markdown(["frames", "accuracy", "mIoU, big", "mIoU, present", "road recall at 30-50 m"], lines)
    whole = {name: found for name, found in results.items() if not name.startswith("frames 3-4")}
    classes = [name for name in KITTI.names if any(name in found["iou"] for found in whole.values())]
    cells = {name: [_number(found["iou"].get(c)) for c in classes] for name, found in whole.items()}
    yield markdown(["IoU", *classes], [[name, *row] for name, row in cells.items()])
    first = next(iter(results.values()))["by_range"]
    bands = [f"{band['from']:.0f}-{band['to']:.0f} m" for band in first]
    rows = [[name, *(f"{band['accuracy']:.0f}" for band in found["by_range"])] for name, found in results.items()]
    yield markdown(["accuracy", *bands], rows)


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=int, default=12)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    student, results = load_student(args.student), {}
    for votes in dict.fromkeys((1, args.votes)):
        segmenter = Segmenter(student, votes=votes)
        for name, real in SETS.items():
            results[f"{name}, {votes} view{'s' * (votes > 1)}"] = scores(segmenter, real, args.data)
    print("\n\n".join(tables(results)))
    if args.json is not None:
        write_json(args.json, {"student": str(args.student), "commit": describe()["commit"], "results": results})


if __name__ == "__main__":
    main()
