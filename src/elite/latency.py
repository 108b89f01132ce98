"""Latency of one scan, from its raw points to all labels, by step."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from statistics import fmean
from typing import Any

import numpy as np

from elite.environment import describe
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.prediction_files import PredictionJob, with_name
from elite.segmentation_result import SegmentationResult
from elite.test_time_augmentation import ViewLogits
from elite.types import Scan

WARM_UP = 3  # scans before the measurement: buffers grow, and the processor leaves its power-saving state
Clock = Callable[[], float]


@dataclass(frozen=True)
class TimeStatistics:
    """Percentiles and mean of times, in milliseconds."""

    p50: float
    p95: float
    p99: float
    mean: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> "TimeStatistics":
        p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).tolist()
        return cls(p50, p95, p99, fmean(milliseconds))


@dataclass(frozen=True)
class LatencyReport:
    """Latency of ``runs`` calls on ``scans`` scans of ``points`` points on average, with the conditions.

    Attributes:
        whole: from the scan in memory to all labels.
        stages: its steps crop, geometry, network and labels. Their means add up to the mean of ``whole``; percentiles
            do not. Without the native kernels, geometry is part of network.
        read: from the file to memory, mostly from the system's cache; not part of ``whole``.
        votes: number of test-time-augmentation views.
    """

    scans: int
    points: float
    runs: int
    whole: TimeStatistics
    stages: dict[str, TimeStatistics]
    read: TimeStatistics
    device: str
    backend: str
    precision: str
    votes: int
    threads: int
    kernels: str
    hardware: str
    commit: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """A table for the user, and the conditions."""
        rows = {"whole": self.whole, **{f"  {name}": s for name, s in self.stages.items()}, "read": self.read}
        table = [
            f"{name:10s}" + "".join(f"{ms:9.2f}" for ms in (s.p50, s.p95, s.p99, s.mean)) for name, s in rows.items()
        ]
        return [
            f"{self.runs} runs on {self.scans} scans of {self.points:,.0f} points",
            f"{'ms':10s}" + "".join(f"{head:>9s}" for head in ("p50", "p95", "p99", "mean")),
            *table,
            f"{self.device}, backend {self.backend}, {self.precision}, votes {self.votes}, {self.threads} threads",
            f"{self.kernels}, {self.hardware}, commit {self.commit or 'unknown'}",
        ]


def measure(
    segmenter: Segmenter,
    jobs: Sequence[PredictionJob],
    rounds: int = 5,
    *,
    progress: Callable[[Iterable[PredictionJob]], Iterable[PredictionJob]] = iter,
    clock: Clock = time.perf_counter,
) -> LatencyReport:
    """Label the scan of every job ``rounds`` times, one after the other, in order; nothing is written.

    Args:
        progress: wraps the jobs, for a progress bar.
        clock: time in seconds.

    Raises:
        DataError: a damaged scan, or no scan.
        ConfigError: ``rounds`` below 1.
    """
    if rounds < 1:
        raise ConfigError(f"rounds: expected at least 1, found {rounds}. Give more rounds.")
    if not jobs:
        raise DataError("scans: expected at least one, found none. Give a scan.")
    for job in islice(cycle(jobs), WARM_UP):
        _timed_job(segmenter, job, clock)
    runs = [_timed_job(segmenter, job, clock) for job in progress([*jobs] * rounds)]
    conditions = describe()
    return LatencyReport(
        scans=len(jobs),
        points=fmean(points for points, _ in runs),
        runs=len(runs),
        whole=TimeStatistics.of([sum(ms for name, ms in times.items() if name != "read") for _, times in runs]),
        stages={name: TimeStatistics.of([times[name] for _, times in runs]) for name in runs[0][1] if name != "read"},
        read=TimeStatistics.of([times["read"] for _, times in runs]),
        device=segmenter.device,
        backend=segmenter.backend,
        precision=segmenter.precision,
        votes=segmenter.ensemble.count,
        threads=segmenter.threads,
        **{name: conditions[name] for name in ("kernels", "hardware", "commit")},
    )


def _timed_job(segmenter: Segmenter, job: PredictionJob, clock: Clock) -> tuple[int, dict[str, float]]:
    """Return (number of points, milliseconds by step)."""
    start = clock()
    scan = job.read()
    read = 1000 * (clock() - start)
    try:
        _, times = timed(segmenter, scan, clock)
    except DataError as error:
        raise with_name(error, job.scan) from error
    return len(scan), {"read": read, **times}


def timed(
    segmenter: Segmenter, scan: Scan, clock: Clock = time.perf_counter
) -> tuple[SegmentationResult, dict[str, float]]:
    """Return ``segmenter.segment(scan)``, and the milliseconds of each of its steps."""
    times: dict[str, float] = {}
    last = clock()

    def finish(step: str) -> None:
        nonlocal last
        now = clock()
        times[step], last = times.get(step, 0.0) + 1000 * (now - last), now

    crop = segmenter.crop(scan)
    finish("crop")

    def add_geometry(seconds: float) -> None:
        nonlocal last
        times["geometry"] = times.get("geometry", 0.0) + 1000 * seconds
        last += seconds

    def predictions() -> Iterator[ViewLogits]:
        # Rotating a view, and adding the prediction before it, counts as network.
        for views in segmenter.views(crop):
            predicted = segmenter.predict_views(views, add_geometry)
            finish("network")
            yield from predicted

    result = segmenter.combine(crop, predictions())
    finish("labels")
    return result, times
