"""What other commands measured beside a run: the quality of pseudo-labels, the time of a scan. Checked when read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elite.report.scores import damaged

_METHODS = {
    "segments": "ours",
    "nearest": "nearest labelled pixel",
    "nearest_at_segments": "nearest labelled pixel, where ours has a label",
    "released": "the released procedure",
}


@dataclass(frozen=True)
class PseudoScore:
    """One method on one test; shares are 0..1, None where nothing could be measured."""

    test: str
    method: str
    coverage: float | None
    accuracy: float | None
    miou: float | None
    seconds: float | None


@dataclass(frozen=True)
class Latency:
    """Milliseconds from raw points to labels; ``stages`` are means, and add up to that of the whole."""

    scans: int
    points: float
    p50: float
    p95: float
    p99: float
    stages: dict[str, float]
    conditions: str


def parse_pseudo_scores(values: dict[str, Any], path: Path) -> tuple[PseudoScore, ...]:
    """What ``elite pseudo-label-score --json`` found, of the methods that a reader wants compared; none if there is no
    file.

    Raises:
        DataError: the file is damaged.
    """
    tests = values.get("tests", {})
    if not isinstance(tests, dict) or not all(isinstance(methods, dict) for methods in tests.values()):
        raise damaged(path, "methods by test under 'tests'", repr(tests))
    return tuple(
        _pseudo_score(str(test), title, methods[method], path)
        for test, methods in tests.items()
        for method, title in _METHODS.items()
        if method in methods
    )


def _pseudo_score(test: str, method: str, values: object, path: Path) -> PseudoScore:
    if not isinstance(values, dict):
        raise damaged(path, f"scores of '{method}'", repr(values))
    found = PseudoScore(
        test,
        method,
        coverage=_number(values, "coverage", path),
        accuracy=_number(values, "accuracy", path),
        miou=_number(values, "miou", path),
        seconds=_number(values, "seconds_per_image", path),
    )
    if any(share is not None and share > 1 + 1e-6 for share in (found.coverage, found.accuracy, found.miou)):
        raise damaged(path, f"shares from 0 to 1 for '{method}'", found)
    return found


def parse_latency(values: dict[str, Any], path: Path) -> Latency | None:
    """What ``elite bench latency --json`` found; None if there is no file.

    Raises:
        DataError: the file is damaged.
    """
    if not values:
        return None
    whole, stages = values.get("whole"), values.get("stages")
    if not isinstance(whole, dict) or not isinstance(stages, dict):
        raise damaged(path, "times under 'whole' and 'stages'", repr(whole))
    if not all(isinstance(stage, dict) for stage in stages.values()):
        raise damaged(path, "times for each of the 'stages'", repr(stages))
    conditions = (values.get(key) for key in ("device", "backend", "precision", "hardware"))
    return Latency(
        scans=int(_needed(values, "scans", path)),
        points=_needed(values, "points", path),
        p50=_needed(whole, "p50", path),
        p95=_needed(whole, "p95", path),
        p99=_needed(whole, "p99", path),
        stages={str(name): _needed(stage, "mean", path) for name, stage in stages.items()},
        conditions=", ".join(str(part) for part in conditions if part),
    )


def _needed(values: dict[str, Any], key: str, path: Path) -> float:
    number = _number(values, key, path)
    if number is None:
        raise damaged(path, f"a number under '{key}'", "nothing")
    return number


def _number(values: dict[str, Any], key: str, path: Path) -> float | None:
    """A finite number of at least 0."""
    value = values.get(key)
    if value is None:
        return None
    # bool is an int to Python, but no measure.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise damaged(path, f"a number of at least 0 under '{key}'", repr(value))
    return float(value)
