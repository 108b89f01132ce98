"""Result of ``elite evaluate --json``.

Every value is checked when it is read. Most are optional, because older versions did not write all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from elite.formatting import shortened
from elite.report.checks import check_counts, check_shares, require
from elite.shapes import Float64
from elite.taxonomy import ClassSpec, Taxonomy, load_taxonomy, packaged_taxonomies

_LARGEST_DISTANCE_M = 1e9
_NAME = 40  # characters of a class name in charts


@dataclass(frozen=True)
class DistanceBand:
    """Score of the points at ``low`` to ``high`` metres from the sensor."""

    low: float = field(metadata={"key": "from"})
    high: float = field(metadata={"key": "to"})
    miou: float | None = None
    miou_present: float | None = None
    points: int = 0
    iou: tuple[float | None, ...] = ()
    present: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        require(
            -_LARGEST_DISTANCE_M < self.low < self.high < _LARGEST_DISTANCE_M,
            f"by_distance: expected 'from' and 'to' in metres, found {self.low:g} and {self.high:g}.",
        )
        require(
            self.miou is not None or self.miou_present is not None,
            "by_distance: expected 'miou_present' or 'miou' in each band, found neither.",
        )
        check_shares("by_distance", miou=self.miou, miou_present=self.miou_present, iou=self.iou)
        check_counts("by_distance", points=self.points)

    @property
    def score(self) -> float:
        """Mean IoU over the classes in the ground truth, or over all classes if only that is known."""
        return self.miou_present if self.miou_present is not None else self.miou or 0.0


@dataclass(frozen=True)
class CalibrationBin:
    """Number of points whose confidence falls into one bin, their accuracy, and their mean confidence."""

    points: int
    accuracy: float
    confidence: float

    def __post_init__(self) -> None:
        check_counts("calibration", points=self.points)
        check_shares("calibration", accuracy=self.accuracy, confidence=self.confidence)


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error (ECE) and the bins of equal width from 0 to 1 that it was computed from."""

    ece: float
    bins: tuple[CalibrationBin, ...]

    def __post_init__(self) -> None:
        check_shares("calibration", ece=self.ece)

    @cached_property
    def points(self) -> int:
        return sum(b.points for b in self.bins)

    @property
    def mean_confidence(self) -> float:
        return sum(b.points * b.confidence for b in self.bins) / max(1, self.points)

    @property
    def mean_accuracy(self) -> float:
        return sum(b.points * b.accuracy for b in self.bins) / max(1, self.points)


@dataclass(frozen=True)
class FrameScore:
    """Score of one frame over its labelled ``points`` (None = not recorded)."""

    frame: str
    miou_present: float
    accuracy: float
    points: int | None = None

    def __post_init__(self) -> None:
        check_shares("by_frame", miou_present=self.miou_present, accuracy=self.accuracy)
        check_counts("by_frame", points=self.points)


@dataclass(frozen=True)
class Confusion:
    """One large off-diagonal entry of the confusion matrix: the share of ``actual`` predicted as ``predicted``."""

    actual: str
    predicted: str
    share: float


@dataclass(frozen=True)
class Evaluation:
    """Result of ``elite evaluate --json``. Shares are 0..1; values that the file lacks are None or empty.

    Attributes:
        classes: names by train id; older files lack those of SemanticKITTI.
        taxonomy_name: name of the taxonomy that the classes are from.
        iou: one per name in ``classes``; None = absent, if the rule of the benchmark excludes absent classes.
        present: ids of the classes in the ground truth; None = not recorded.
        confusion: number of points, [prediction, ground truth].
        command: command line that wrote the file.
    """

    classes: tuple[str, ...] = field(default_factory=lambda: load_taxonomy("semantickitti").names)
    taxonomy_name: str = field(default="unnamed", metadata={"key": "taxonomy"})
    miou: float | None = None
    miou_present: float | None = None
    fw_iou: float | None = None
    accuracy: float | None = None
    frames: int | None = None
    points: int | None = None
    iou: tuple[float | None, ...] = ()
    present: tuple[int, ...] | None = None
    by_distance: tuple[DistanceBand, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()
    calibration: Calibration | None = None
    by_frame: tuple[FrameScore, ...] = ()
    command: str | tuple[str, ...] = ""
    versions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.taxonomy)
        check_shares("", miou=self.miou, miou_present=self.miou_present, fw_iou=self.fw_iou, iou=self.iou)
        check_shares("", accuracy=self.accuracy)
        check_counts("", frames=self.frames, points=self.points)
        for name, part in [("", self), *(("by_distance: ", band) for band in self.by_distance)]:
            require(len(part.iou) in (0, count), f"{name}iou: expected {count} values, found {len(part.iou)}.")
            outside = [i for i in part.present or () if not 0 <= i < count]
            require(not outside, f"{name}present: expected class ids below {count}, found {outside[:3]}.")
        square = not self.confusion or {len(self.confusion), *map(len, self.confusion)} == {count}
        require(square, f"confusion: expected {count} x {count} counts, found another shape.")
        require(all(n >= 0 for row in self.confusion for n in row), "confusion: expected counts, found negative ones.")

    @cached_property
    def packaged_taxonomy(self) -> Taxonomy | None:
        """The packaged taxonomy with these class names."""
        return next((t for t in map(load_taxonomy, packaged_taxonomies()) if t.names == self.classes), None)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The packaged taxonomy with these class names, or one with default colours. Raw ids are not recorded.

        Raises:
            ConfigError: impossible names, such as two equal ones.
        """
        own = (ClassSpec(name, (i,)) for i, name in enumerate(self.classes))
        return self.packaged_taxonomy or Taxonomy(self.taxonomy_name, tuple(own))

    @property
    def command_line(self) -> str:
        return self.command if isinstance(self.command, str) else " ".join(self.command)

    def short_names(self, ids: Iterable[int]) -> list[str]:
        """Names of classes for charts."""
        return [shortened(self.classes[i], _NAME) for i in ids]

    def present_in(self, part: "Evaluation | DistanceBand | None" = None) -> frozenset[int]:
        """Ids of the classes in the ground truth of all points, or of one distance band; all but 0 if not recorded."""
        present = (part or self).present
        return frozenset(range(1, len(self.classes)) if present is None else present)

    @property
    def is_calibrated(self) -> bool:
        """Whether confidences were scored."""
        return self.calibration is not None and self.calibration.points > 0

    @property
    def has_band_classes(self) -> bool:
        """Whether every distance band has an IoU per class."""
        return bool(self.by_distance) and all(band.iou for band in self.by_distance)

    def worst_frames(self) -> list[FrameScore]:
        """Frames in ascending mean IoU, without those that have no labelled point."""
        return sorted((f for f in self.by_frame if f.points != 0), key=lambda f: f.miou_present)

    @property
    def rates(self) -> Float64[np.ndarray, "n n"] | None:
        """Share of the points of a class that were predicted as each class: [ground truth, prediction], without 0.

        A row is NaN for a class without points. Its sum is below 1 if some points were predicted as class 0.
        """
        if not self.confusion:
            return None
        actual = np.array(self.confusion).T[1:]
        total = actual.sum(axis=1, keepdims=True)
        return np.divide(actual[:, 1:], total, out=np.full_like(actual[:, 1:], np.nan), where=total > 0)

    def most_frequent(self, limit: int) -> list[int]:
        """Ids of the ``limit`` classes with the most points in the ground truth, in ascending order."""
        points = np.array(self.confusion).sum(axis=0)[1:]
        return sorted((np.argsort(-points, kind="stable")[:limit] + 1).tolist())

    def top_confusions(self, limit: int = 5, *, share: float = 0.05, points: int = 50) -> list[Confusion]:
        """Largest off-diagonal rates, in descending order.

        Rates below ``share`` and classes with fewer than ``points`` points are excluded, because they mean little.
        """
        if self.rates is None:
            return []
        rates = np.nan_to_num(self.rates)
        np.fill_diagonal(rates, 0)
        rates[np.array(self.confusion).sum(axis=0)[1:] < points] = 0
        order = np.argsort(-rates, axis=None, kind="stable")[:limit]
        cells = zip(*np.unravel_index(order, rates.shape), strict=True)
        return [
            Confusion(self.classes[a + 1], self.classes[p + 1], float(rates[a, p]))
            for a, p in cells
            if rates[a, p] >= share
        ]
