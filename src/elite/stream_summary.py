"""Outcomes of the scans of a stream, and their number."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np


@dataclass
class StreamSummary:
    """Number of scans by outcome.

    Attributes:
        labelled: label files written.
        again: label files among them that replaced labels of the same file, because it had changed.
        kept: scans whose labels existed before the start.
        dropped: scans skipped in favour of a newer one.
        failed: damaged scans.
        waiting: scans not labelled at the end.
        latencies: seconds from the detection of a scan to its labels on disk, for the last 10,000 scans.
    """

    labelled: int = 0
    again: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    waiting: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    @property
    def finished(self) -> int:
        """Number of scans with an outcome."""
        return self.labelled + self.kept + self.dropped + self.failed

    def line(self) -> str:
        """All counts and the latency, for the user."""
        counts = f"{self.labelled} scans labelled, {self.kept} had labels already, "
        counts += f"{self.dropped} dropped, {self.failed} failed, {self.waiting} still waiting"
        if self.again:
            counts += f"; {self.again} of the labelled scans had changed and were labelled again"
        if not self.latencies:
            return counts
        p50, p95 = 1000 * np.percentile(self.latencies, (50, 95))
        return f"{counts}; from detection to labels p50 {p50:.0f} ms, p95 {p95:.0f} ms"


class Outcome(Enum):
    """Final state of a scan."""

    LABELLED = auto()
    KEPT = auto()
    DROPPED = auto()
    FAILED = auto()
