"""Result files of other commands as records: ``elite evaluate``, ``score-pseudo-labels`` and ``bench latency``.

Every value is checked when it is read. Most are optional, because older versions did not write all of them.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64

from elite.config import from_plain
from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, parse_json, read_file
from elite.labels import CLASS_NAMES

Record = TypeVar("Record")

_LARGEST_COUNT = 2**53  # floats represent all smaller integers exactly
_LARGEST_DISTANCE_M = 1e9
_LARGEST_TIME_MS = 1e12
_METHODS = {
    "segments": "elite",
    "nearest": "nearest labelled pixel",
    "nearest_at_segments": "nearest labelled pixel, where elite has a label",
    "released": "released procedure",
}


# ---- elite evaluate --json ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DistanceBand:
    """Score of the points at ``low`` to ``high`` metres from the sensor."""

    low: float = field(metadata={"key": "from"})
    high: float = field(metadata={"key": "to"})
    miou: float | None = None
    miou_present: float | None = None
    points: int = 0
    iou: tuple[float, ...] = ()
    present: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _require(
            -_LARGEST_DISTANCE_M < self.low < self.high < _LARGEST_DISTANCE_M,
            f"by_distance: expected 'from' and 'to' in metres, found {self.low:g} and {self.high:g}.",
        )
        _require(
            self.miou is not None or self.miou_present is not None,
            "by_distance: expected 'miou_present' or 'miou' in each band, found neither.",
        )
        _check_shares("by_distance", miou=self.miou, miou_present=self.miou_present, iou=self.iou)
        _check_counts("by_distance", points=self.points)

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
        _check_counts("calibration", points=self.points)
        _check_shares("calibration", accuracy=self.accuracy, confidence=self.confidence)


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error (ECE) and the bins of equal width from 0 to 1 that it was computed from."""

    ece: float
    bins: tuple[CalibrationBin, ...]

    def __post_init__(self) -> None:
        _check_shares("calibration", ece=self.ece)

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
        _check_shares("by_frame", miou_present=self.miou_present, accuracy=self.accuracy)
        _check_counts("by_frame", points=self.points)


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
        iou: one per name in ``classes``.
        present: ids of the classes in the ground truth; None = not recorded.
        confusion: number of points, [prediction, ground truth].
        command: command line that wrote the file.
    """

    classes: tuple[str, ...] = CLASS_NAMES
    miou: float | None = None
    miou_present: float | None = None
    accuracy: float | None = None
    frames: int | None = None
    points: int | None = None
    iou: tuple[float, ...] = ()
    present: tuple[int, ...] | None = None
    by_distance: tuple[DistanceBand, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()
    calibration: Calibration | None = None
    by_frame: tuple[FrameScore, ...] = ()
    command: str | tuple[str, ...] = ""
    versions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.classes)
        _require(count > 0, "classes: expected at least one name, found none.")
        _check_shares("", miou=self.miou, miou_present=self.miou_present, accuracy=self.accuracy, iou=self.iou)
        _check_counts("", frames=self.frames, points=self.points)
        for name, part in [("", self), *(("by_distance: ", band) for band in self.by_distance)]:
            _require(len(part.iou) in (0, count), f"{name}iou: expected {count} values, found {len(part.iou)}.")
            outside = [i for i in part.present or () if not 0 <= i < count]
            _require(not outside, f"{name}present: expected class ids below {count}, found {outside[:3]}.")
        square = not self.confusion or {len(self.confusion), *map(len, self.confusion)} == {count}
        _require(square, f"confusion: expected {count} x {count} counts, found another shape.")
        _require(all(n >= 0 for row in self.confusion for n in row), "confusion: expected counts, found negative ones.")

    @property
    def command_line(self) -> str:
        return self.command if isinstance(self.command, str) else " ".join(self.command)

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


# ---- elite score-pseudo-labels --json -------------------------------------------------------------------------


@dataclass(frozen=True)
class PseudoLabelScore:
    """Score of one method in one test. Shares are 0..1, None where nothing was measured."""

    coverage: float | None = None
    accuracy: float | None = None
    miou: float | None = None
    seconds_per_image: float | None = None

    def __post_init__(self) -> None:
        _check_shares("tests", coverage=self.coverage, accuracy=self.accuracy, miou=self.miou)
        seconds = self.seconds_per_image
        _require(seconds is None or seconds >= 0, f"seconds_per_image: expected at least 0, found {seconds}.")


@dataclass(frozen=True)
class PseudoLabelScores:
    """Result of ``elite score-pseudo-labels --json``: scores by test and method."""

    tests: dict[str, dict[str, PseudoLabelScore]] = field(default_factory=dict)

    def tables(self) -> list[tuple[str, dict[str, PseudoLabelScore]]]:
        """(title of the test, scores by the displayed name of the method), in the order of the file."""
        return [
            (_test_title(test), {title: scores[method] for method, title in _METHODS.items() if method in scores})
            for test, scores in self.tests.items()
        ]


def _test_title(test: str) -> str:
    kind, _, number = test.partition(":")
    titles = {
        "dense": "Against dense ground truth, every pixel",
        "rings": f"Against hidden laser rings (1 ring in {number} kept)",
        "points": f"Against hidden points (a random share of {number})",
    }
    return titles.get(kind, test)


# ---- elite bench latency --json -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None

    def __post_init__(self) -> None:
        for name in ("p50", "p95", "p99", "mean"):
            value = getattr(self, name)
            in_range = value is None or 0 <= value < _LARGEST_TIME_MS
            _require(in_range, f"{name}: expected milliseconds of at least 0, found {value}.")


@dataclass(frozen=True)
class Latency:
    """Result of ``elite bench latency --json``: times from raw points to labels, in total and by stage."""

    scans: float
    points: float
    whole: Percentiles
    stages: dict[str, Percentiles]
    device: str | None = None
    backend: str | None = None
    precision: str | None = None
    hardware: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("scans", self.scans), ("points", self.points)):
            _require(0 <= value <= _LARGEST_COUNT, f"{name}: expected a count, found {value}.")
        for name in ("p50", "p95", "p99"):
            _require(getattr(self.whole, name) is not None, f"whole: expected a number under '{name}', found none.")
        lacking = [name for name, stage in self.stages.items() if stage.mean is None]
        _require(not lacking, f"stages: expected a 'mean' for each, found none for {', '.join(lacking)[:60]}.")

    @property
    def conditions(self) -> str:
        return ", ".join(part for part in (self.device, self.backend, self.precision, self.hardware) if part)


# ---- reading ----------------------------------------------------------------------------------------------------


def damaged(path: Path, problem: object) -> DataError:
    """Error about a file of a run folder."""
    return DataError(
        f"{path} is damaged: {str(problem)[:200].rstrip('.')}. Regenerate it with the command that wrote it, or delete "
        "it to exclude it from the report."
    )


def read_utf8(path: Path) -> str:
    """Return the text of a file, empty if the file is missing.

    Raises:
        DataError: unreadable, or not UTF-8.
    """
    try:
        return read_file(path, TEXT_BYTES).decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"expected text in UTF-8, found {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty if the file is missing.

    Raises:
        DataError: not a JSON object.
    """
    if not path.exists():
        return {}
    try:
        values = parse_json(read_utf8(path))
    except ValueError as error:
        raise damaged(path, f"expected JSON, found {error}") from error
    if not isinstance(values, dict):
        raise damaged(path, f"expected a JSON object, found {str(values)[:60]}")
    return values


def read_record(cls: type[Record], path: Path) -> Record | None:
    """Read a result file; None if it is missing or empty.

    Raises:
        DataError: a value is missing, of the wrong type, or out of range.
    """
    values = read_json(path)
    if not values:
        return None
    try:
        return from_plain(cls, values, ignore_unknown=True)
    except ConfigError as error:
        raise damaged(path, str(error).partition(". ")[0]) from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _check_shares(where: str, **values: float | tuple[float, ...] | None) -> None:
    for name, value in values.items():
        for share in value if isinstance(value, tuple) else (value,):
            in_range = share is None or 0 <= share <= 1 + 1e-6
            _require(in_range, f"{_joined(where, name)}: expected a number from 0 to 1, found {share}.")


def _check_counts(where: str, **values: int | None) -> None:
    for name, value in values.items():
        in_range = value is None or 0 <= value <= _LARGEST_COUNT
        _require(in_range, f"{_joined(where, name)}: expected a count, found {str(value)[:30]}.")


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
