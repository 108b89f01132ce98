"""Results of ``elite score-pseudo-labels --json`` and ``elite bench latency --json``; values are checked when read."""

from dataclasses import dataclass, field

from elite.report.checks import LARGEST_COUNT, check_shares, require

_LARGEST_TIME_MS = 1e12
_METHODS = {
    "segments": "elite",
    "nearest": "nearest labelled pixel",
    "nearest_at_segments": "nearest labelled pixel, where elite has a label",
    "released": "released procedure",
}


# ---- elite score-pseudo-labels --json -------------------------------------------------------------------------


@dataclass(frozen=True)
class PseudoLabelScore:
    """Score of one method in one test. Shares are 0..1, None where nothing was measured."""

    coverage: float | None = None
    accuracy: float | None = None
    miou: float | None = None
    seconds_per_image: float | None = None

    def __post_init__(self) -> None:
        check_shares("tests", coverage=self.coverage, accuracy=self.accuracy, miou=self.miou)
        seconds = self.seconds_per_image
        require(seconds is None or seconds >= 0, f"seconds_per_image: expected at least 0, found {seconds}.")


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
            require(in_range, f"{name}: expected milliseconds of at least 0, found {value}.")


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
            require(0 <= value <= LARGEST_COUNT, f"{name}: expected a count, found {value}.")
        for name in ("p50", "p95", "p99"):
            require(getattr(self.whole, name) is not None, f"whole: expected a number under '{name}', found none.")
        lacking = [name for name, stage in self.stages.items() if stage.mean is None]
        require(not lacking, f"stages: expected a 'mean' for each, found none for {', '.join(lacking)[:60]}.")

    @property
    def conditions(self) -> str:
        return ", ".join(part for part in (self.device, self.backend, self.precision, self.hardware) if part)
