"""How long one scan takes, from its raw points to the labels of all of them, and which stage takes it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from elite.datasets.formats import read_points
from elite.environment import describe
from elite.errors import ConfigError, DataError
from elite.inference import Answer, Segmenter, naming
from elite.types import SegmentationResult

WARM_UP = 3  # scans whose time does not count: buffers grow, the processor wakes up
Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Percentiles and mean of some times, in milliseconds."""

    p50: float
    p95: float
    p99: float
    mean: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> "Spread":
        p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).tolist()
        return cls(p50, p95, p99, fmean(milliseconds))


@dataclass(frozen=True)
class LatencyReport:
    """Times of ``runs`` calls on ``scans`` scans of ``points`` points on average, and what they were taken with.

    ``whole`` begins when the file is in memory as (N, 4) float32. The means of its stages (crop, geometry, network,
    labels) add up to its own; percentiles do not. Without the native kernels, geometry is part of network. ``read`` is
    the file's way into memory, mostly from the system's cache, and no part of ``whole``.
    """

    scans: int
    points: float
    runs: int
    whole: Spread
    stages: dict[str, Spread]
    read: Spread
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
        """A table, and what it was made with."""
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
    scans: Sequence[Path],
    rounds: int = 5,
    *,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
    clock: Clock = time.perf_counter,
) -> LatencyReport:
    """Label every scan ``rounds`` times, one after the other, in their order; nothing is written.

    Raises:
        DataError: a damaged scan, or none at all.
        ConfigError: no round.
    """
    if rounds < 1:
        raise ConfigError(f"rounds must be at least 1, found {rounds}.")
    if not scans:
        raise DataError("there is no scan to measure with; give at least one.")
    for path in islice(cycle(scans), WARM_UP):
        _timed_file(segmenter, path, clock)
    runs = [_timed_file(segmenter, path, clock) for path in progress([*scans] * rounds)]
    found = describe()
    return LatencyReport(
        scans=len(scans),
        points=fmean(points for points, _ in runs),
        runs=len(runs),
        whole=Spread.of([sum(ms for name, ms in times.items() if name != "read") for _, times in runs]),
        stages={name: Spread.of([times[name] for _, times in runs]) for name in runs[0][1] if name != "read"},
        read=Spread.of([times["read"] for _, times in runs]),
        device=str(segmenter.device),
        backend=segmenter.student.backend,
        precision=segmenter.precision,
        votes=segmenter.votes.count,
        threads=torch.get_num_threads(),
        **{name: found[name] for name in ("kernels", "hardware", "commit")},
    )


def _timed_file(segmenter: Segmenter, path: Path, clock: Clock) -> tuple[int, dict[str, float]]:
    """(points, milliseconds by stage)."""
    start = clock()
    values = read_points(path)
    read = 1000 * (clock() - start)
    try:
        _, times = timed(segmenter, values, clock)
    except DataError as error:
        raise naming(path, error) from error
    return len(values), {"read": read, **times}


@torch.inference_mode()
def timed(
    segmenter: Segmenter, values: Float32[np.ndarray, "n 4"], clock: Clock = time.perf_counter
) -> tuple[SegmentationResult, dict[str, float]]:
    """As ``segmenter(values[:, :3], values[:, 3])``, and the milliseconds of each of its stages."""
    times: dict[str, float] = {}
    last = clock()

    def ended(stage: str) -> None:
        nonlocal last
        if segmenter.device.type == "cuda":  # what was started there is not done yet
            torch.cuda.synchronize(segmenter.device)
        now = clock()
        times[stage], last = times.get(stage, 0.0) + 1000 * (now - last), now

    crop = segmenter.crop(values[:, :3], values[:, 3])
    ended("crop")

    def answers() -> Iterator[Answer]:
        for views in segmenter.views(
            crop
        ):  # to turn them, and to add the answer before them, is part of their geometry
            geometry = segmenter.geometry(views)
            if geometry is not None:
                ended("geometry")
            each = segmenter.network(views, geometry)
            ended("network")
            yield from each

    result = segmenter.answer(crop, answers())
    ended("labels")
    return result, times
