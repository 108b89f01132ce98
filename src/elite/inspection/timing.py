"""Times of the messages of a topic: rate, jitter, gaps, delay; and pairs of two topics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elite.shapes import Int64

_GAP = 1.5  # median intervals
_S = 1e-9  # seconds per nanosecond


@dataclass(frozen=True)
class Stamps:
    """Messages of a topic in one stretch of a recording: times of recording, and stamps of their headers (ns)."""

    recorded: Int64[np.ndarray, "n"]
    stamped: Int64[np.ndarray, "n"]

    @property
    def taken(self) -> Int64[np.ndarray, "n"]:
        """The stamps, and the times of recording of messages whose stamp is 0, as ``Message.taken``."""
        return np.where(self.stamped == 0, self.recorded, self.stamped)


@dataclass(frozen=True)
class Timing:
    """Times of messages (s), by the stamps of their headers; by the times of recording if the stamps are zero.

    Attributes:
        intervals: number of measured ones, between messages that follow each other.
        interval: median of them.
        jitter: largest deviation from it in 95 % of the intervals.
        longest: the longest interval.
        gaps: number of intervals of more than one and a half times the median.
        backwards: number of stamps that are not later than the one before.
        is_stamped: whether headers have stamps.
        delay, largest_delay: time of recording minus stamp: median, and the largest distance from 0 with its sign.
    """

    intervals: int
    interval: float
    jitter: float
    longest: float
    gaps: int
    backwards: int
    is_stamped: bool
    delay: float
    largest_delay: float


def measure_timing(stretches: Sequence[Stamps]) -> Timing | None:
    """Measure the times of a topic; None with less than two messages in a stretch."""
    is_stamped = any(stretch.stamped.any() for stretch in stretches)
    steps = [np.diff(s.stamped if is_stamped else s.recorded) * _S for s in stretches]
    intervals = np.concatenate([*steps, np.empty(0)])
    if not len(intervals):
        return None
    forward = intervals[intervals > 0]
    usual = float(np.median(forward)) if len(forward) else 0.0
    delays = np.concatenate([(s.recorded - s.stamped) * _S for s in stretches])
    return Timing(
        intervals=len(intervals),
        interval=usual,
        jitter=float(np.quantile(np.abs(intervals - usual), 0.95)),
        longest=float(intervals.max()),
        gaps=int((intervals > _GAP * usual).sum()),
        backwards=int((intervals <= 0).sum()),
        is_stamped=is_stamped,
        delay=float(np.median(delays)) if is_stamped else 0.0,
        largest_delay=float(delays[np.abs(delays).argmax()]) if is_stamped else 0.0,
    )


def nearest_offsets(scans: Sequence[Stamps], images: Sequence[Stamps]) -> list[float]:
    """Time (s) from each scan to the nearest image of the same stretch.

    A scan before the first or after the last image of its stretch counts if it is within half an interval of it: others
    may have a nearer image outside of the stretch.
    """
    found: list[float] = []
    for scan, image in zip(scans, images, strict=True):
        times, taken = np.sort(image.taken), scan.taken
        if len(times):
            after = np.clip(np.searchsorted(times, taken), 1, max(len(times) - 1, 1))
            pairs = times[np.stack([after - 1, np.minimum(after, len(times) - 1)])] - taken
            offsets = np.take_along_axis(pairs, np.abs(pairs).argmin(axis=0)[None], 0)[0]
            reach = np.median(np.diff(times)) if len(times) > 1 else np.inf
            inside = (taken >= times[0]) & (taken <= times[-1])
            found += (offsets[inside | (np.abs(offsets) <= reach / 2)] * _S).tolist()
    return found
