"""An evaluation's result file, checked: every number in range, every list of the right length, every part optional."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from elite.errors import DataError
from elite.labels import CLASS_NAMES

_FAR = 1e9  # metres
_MOST = 2**53  # of a count: floats tell all smaller ones apart


@dataclass(frozen=True)
class Band:
    """The score within one band of distance from the sensor, ``low`` to ``high`` in metres."""

    low: float
    high: float
    miou: float
    points: int
    iou: tuple[float, ...] = ()
    present: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Calibration:
    """How far confidences are from accuracies: their mean gap ``ece``, and (points, accuracy, confidence) of each of
    the equally wide bins from 0 to 1.
    """

    ece: float
    bins: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class FrameScore:
    """The score of one frame alone, over its labelled ``points``; None if the file does not tell how many."""

    id: str
    miou: float
    accuracy: float
    points: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """What ``elite evaluate --json`` found; a number that its file lacks is None, a list that it lacks is empty.

    ``iou`` has one entry per name in ``classes``, ``present`` the ids that occur in the truth (all but 0 if the
    file does not tell), and ``confusion`` counts (prediction, truth). Shares are 0..1.
    """

    classes: tuple[str, ...]
    miou: float | None = None
    miou_present: float | None = None
    accuracy: float | None = None
    frames: int | None = None
    points: int | None = None
    iou: tuple[float, ...] = ()
    present: frozenset[int] = frozenset()
    bands: tuple[Band, ...] = ()
    confusion: Float64[np.ndarray, "classes classes"] | None = None
    calibration: Calibration | None = None
    by_frame: tuple[FrameScore, ...] = ()
    command: str = ""
    versions: dict[str, Any] = field(default_factory=dict)

    def worst(self) -> list[FrameScore]:
        """The frames by their mean IoU, the lowest first; without those that have no point to score."""
        return sorted((frame for frame in self.by_frame if frame.points != 0), key=lambda frame: frame.miou)

    @property
    def rates(self) -> Float64[np.ndarray, "n n"] | None:
        """Share of the points of class ``truth`` that were called ``prediction``; [truth, prediction], without class 0.

        A row is NaN if the truth has no such point. Its sum is below 1 if some were called class 0.
        """
        if self.confusion is None:
            return None
        truth = self.confusion.T[1:]
        total = truth.sum(axis=1, keepdims=True)
        return np.divide(truth[:, 1:], total, out=np.full_like(truth[:, 1:], np.nan), where=total > 0)

    def mix_ups(self, most: int = 5, *, share: float = 0.05, points: int = 50) -> list[tuple[str, str, float]]:
        """The largest shares of one class called another: (truth, prediction, share), largest first.

        Shares below ``share`` and classes with fewer than ``points`` points are left out: they say little.
        """
        if self.rates is None or self.confusion is None:
            return []
        rates = np.nan_to_num(self.rates)
        np.fill_diagonal(rates, 0)
        rates[self.confusion.sum(axis=0)[1:] < points] = 0
        order = np.argsort(-rates, axis=None, kind="stable")[:most]
        places = zip(*np.unravel_index(order, rates.shape), strict=True)
        return [
            (self.classes[t + 1], self.classes[p + 1], float(rates[t, p])) for t, p in places if rates[t, p] >= share
        ]


def damaged(path: Path, expected: str, found: object) -> DataError:
    """The error to raise about a file of a run folder."""
    return DataError(
        f"{path} is damaged: expected {expected}, found {str(found)[:120]}; "
        "write it again with the command that made it, or remove it to leave that part out of the report."
    )


def parse_evaluation(values: dict[str, Any], path: Path) -> Evaluation:
    """The record in ``values``, which was read from ``path``.

    Raises:
        DataError: a part of it is of the wrong kind, size or range.
    """
    classes = tuple(str(name) for name in _list(values, "classes", path) or CLASS_NAMES)
    iou = tuple(_share(value, "iou", path) for value in _list(values, "iou", path))
    if iou and len(iou) != len(classes):
        raise damaged(path, f"an 'iou' for each of the {len(classes)} classes", len(iou))
    command = values.get("command") or ""
    versions = values.get("versions")
    return Evaluation(
        classes=classes,
        miou=_optional_share(values, "miou", path),
        miou_present=_optional_share(values, "miou_present", path),
        accuracy=_optional_share(values, "accuracy", path),
        frames=_optional_count(values, "frames", path),
        points=_optional_count(values, "points", path),
        iou=iou,
        present=_present(values, len(classes), path),
        bands=tuple(_band(band, len(classes), path) for band in _list(values, "by_distance", path)),
        confusion=_confusion(values, len(classes), path),
        calibration=_calibration(values, path),
        by_frame=tuple(_frame(row, path) for row in _list(values, "by_frame", path)),
        command=" ".join(map(str, command)) if isinstance(command, list) else str(command),
        versions=versions if isinstance(versions, dict) else {},
    )


def _list(values: dict[str, Any], key: str, path: Path) -> list[Any]:
    found = values.get(key)
    if found is not None and not isinstance(found, list):
        raise damaged(path, f"a list under '{key}'", repr(found))
    return found or []


def _share(value: object, key: str, path: Path) -> float:
    # bool is an int to Python, but no score.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 + 1e-6:
        raise damaged(path, f"a number from 0 to 1 under '{key}'", repr(value))
    return float(value)


def _count(value: object, key: str, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise damaged(path, f"a count under '{key}'", repr(value))
    return value


def _optional_share(values: dict[str, Any], key: str, path: Path) -> float | None:
    return None if values.get(key) is None else _share(values[key], key, path)


def _optional_count(values: dict[str, Any], key: str, path: Path) -> int | None:
    return None if values.get(key) is None else _count(values[key], key, path)


def _present(values: dict[str, Any], classes: int, path: Path) -> frozenset[int]:
    if values.get("present") is None:
        return frozenset(range(1, classes))
    present = frozenset(_count(value, "present", path) for value in _list(values, "present", path))
    if present and max(present) >= classes:
        raise damaged(path, f"class ids below {classes} under 'present'", max(present))
    return present


def _band(values: object, classes: int, path: Path) -> Band:
    if not isinstance(values, dict):
        raise damaged(path, "an object per band under 'by_distance'", repr(values))
    low, high = values.get("from"), values.get("to")
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not -_FAR < low < high < _FAR:
        raise damaged(path, "'from' and 'to' in metres in each band of 'by_distance'", f"{low!r} and {high!r}")
    score = values.get("miou_present", values.get("miou"))
    points = _count(values.get("points", 0), "by_distance.points", path)
    iou = tuple(_share(value, "by_distance.iou", path) for value in _list(values, "iou", path))
    if iou and len(iou) != classes:
        raise damaged(path, f"an 'iou' for each of the {classes} classes in each band of 'by_distance'", len(iou))
    present = _present(values, classes, path)
    return Band(float(low), float(high), _share(score, "by_distance.miou", path), points, iou, present)


def _calibration(values: dict[str, Any], path: Path) -> Calibration | None:
    found = values.get("calibration")
    if found is None:
        return None
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in _list(found, "bins", path)):
        raise damaged(path, "'ece' and a list of 'bins' under 'calibration'", repr(found))
    bins = tuple(
        (
            _count(row.get("points"), "calibration.points", path),
            _share(row.get("accuracy"), "calibration.accuracy", path),
            _share(row.get("confidence"), "calibration.confidence", path),
        )
        for row in _list(found, "bins", path)
    )
    ece = _share(found.get("ece"), "calibration.ece", path)
    return Calibration(ece, bins) if any(points for points, *_ in bins) else None


def _frame(values: object, path: Path) -> FrameScore:
    if not isinstance(values, dict):
        raise damaged(path, "an object per frame under 'by_frame'", repr(values))
    miou, accuracy = (_share(values.get(key), f"by_frame.{key}", path) for key in ("miou_present", "accuracy"))
    return FrameScore(str(values.get("frame")), miou, accuracy, _optional_count(values, "points", path))


def _confusion(values: dict[str, Any], classes: int, path: Path) -> Float64[np.ndarray, "classes classes"] | None:
    rows = _list(values, "confusion", path)
    if not rows:
        return None
    try:
        counts = np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise damaged(path, f"{classes} x {classes} counts under 'confusion'", error) from error
    if counts.shape != (classes, classes) or not np.isfinite(counts).all() or (counts < 0).any():
        raise damaged(path, f"{classes} x {classes} counts under 'confusion'", f"an array of shape {counts.shape}")
    return counts
