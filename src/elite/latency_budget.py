"""Latency budget of a stream: settings that trade accuracy for time, chosen by measured latencies."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from elite.errors import ConfigError

if TYPE_CHECKING:
    from elite.native import Precision

LATE = 3  # scans in a row over the budget before the next faster level
MOST_LATE = 10  # ... also if the latency decreases
QUIET = 20  # scans in a row within the budget before a more accurate level
MOST_QUIET = 320  # ... after it was too slow again and again
MARGIN = 0.8  # share of the budget, and of the time between two scans, that a more accurate level may take
_COST = {"fp32": 1.0, "bf16": 0.6, "int8": 0.5}  # time of a precision over that of fp32, as a rule


@dataclass(frozen=True)
class BudgetLevel:
    """Settings of a stream.

    Attributes:
        precision: numbers that the network multiplies.
        votes: number of test-time-augmentation views.
        skips: label only the newest of the waiting scans.
    """

    precision: "Precision"
    votes: int
    skips: bool = False

    def __str__(self) -> str:
        votes = f"{self.votes} vote{'s' * (self.votes > 1)}"
        return f"{self.precision}, {votes}{', skipping scans' * self.skips}"

    @property
    def cost(self) -> float:
        """Time of a scan over that of one view in fp32, as a rule."""
        return _COST[self.precision] * self.votes


def budget_levels(precisions: Sequence["Precision"], votes: int, *, skips: bool = False) -> tuple[BudgetLevel, ...]:
    """Levels from the most accurate to the fastest one: lower precision first, then fewer votes, then skipped scans.

    Args:
        precisions: those to use, from the requested to the fastest one.
        votes: requested number of views, which is halved down to 1.
        skips: skip scans at all levels.
    """
    levels = [BudgetLevel(precision, votes, skips) for precision in precisions]
    while (votes := votes // 2) > 0:
        levels.append(replace(levels[-1], votes=votes))
    return tuple(levels) if skips else (*levels, replace(levels[-1], skips=True))


class _LabelledScan(NamedTuple):
    """Seconds from the arrival of a scan to its labels, those of its labelling, and number of scans skipped before."""

    latency: float
    busy: float
    skipped: int


class LatencyBudget:
    """Choose the most accurate level whose latency is within the budget.

    After ``LATE`` scans in a row over the budget without a decrease, or ``MOST_LATE`` with one, a faster level follows:
    the first one whose expected time is at most the budget and the time between two scans. The next more accurate level
    follows after ``QUIET`` scans in a row within the budget, none of them skipped, if its expected time is at most
    ``MARGIN`` of both. If that is too slow soon, the next attempt waits twice as long.

    Args:
        seconds: budget, from the arrival of a scan to its labels.
        levels: from the most accurate to the fastest one, see ``budget_levels``.
        notify: receives a line for each change of the level.

    Raises:
        ConfigError: the budget is not above 0.
    """

    def __init__(
        self, seconds: float, levels: Sequence[BudgetLevel], notify: Callable[[str], None] = lambda line: None
    ) -> None:
        if not 0 < seconds < float("inf"):
            raise ConfigError(f"budget: expected more than 0 seconds, found {seconds:g}. Give a time such as 100ms.")
        self.seconds, self.levels, self._notify = seconds, tuple(levels), notify
        self.labelled: Counter[BudgetLevel] = Counter()
        self.late = 0
        self._index = 0
        self._recent: deque[_LabelledScan] = deque(maxlen=MOST_QUIET)  # since the last change of the level
        self._quiet = QUIET
        self._is_attempt = False  # whether the level is more accurate than the one before
        self._is_exhausted = False
        self._arrived: deque[tuple[float, int]] = deque(maxlen=QUIET)  # times, and scans that had arrived until then
        self._dropped = 0

    @property
    def level(self) -> BudgetLevel:
        """Settings for the next scan."""
        return self.levels[self._index]

    def add(self, *, arrival: float, start: float, end: float, arrived: int, dropped: int) -> None:
        """Add a labelled scan, and choose the level for the next one.

        Args:
            arrival, start, end: times of its arrival and of the start and the end of its labelling (s).
            arrived: number of scans that had arrived at the start.
            dropped: number of scans dropped so far.
        """
        skipped, self._dropped = dropped - self._dropped, dropped
        self._arrived.append((start, arrived))
        self._recent.append(_LabelledScan(end - arrival, end - start, skipped))
        self.labelled[self.level] += 1
        self.late += end - arrival > self.seconds
        if self._is_late():
            self._use_faster_level()
        elif self._is_quiet():
            self._change(self._index - 1, "within")
            self._is_attempt = True

    def summary(self) -> str:
        """Number of scans by level, and of those over the budget, for the user."""
        scans = "; ".join(f"{self.labelled[level]} by {level}" for level in self.levels if self.labelled[level])
        return f"budget of {1000 * self.seconds:.0f} ms: scans {scans or 'none'}; {self.late} later than the budget"

    def _is_late(self) -> bool:
        """Whether a faster level is required: not while the backlog of the one before shrinks, for a moment."""
        latencies = [scan.latency for scan in self._recent]
        if len(latencies) < LATE or min(latencies[-LATE:]) <= self.seconds:
            return False
        is_long = len(latencies) >= MOST_LATE and min(latencies[-MOST_LATE:]) > self.seconds
        return is_long or latencies[-1] >= latencies[-LATE]

    def _use_faster_level(self) -> None:
        if self._index + 1 < len(self.levels):
            if self._is_attempt:
                self._quiet = min(2 * self._quiet, MOST_QUIET)
            self._change(self._faster_index(), "over")
        elif not self._is_exhausted:
            self._is_exhausted = True
            self._notify(f"{self._latency()}, over {self._budget()} at the fastest level ({self.level})")
        self._is_attempt = False

    def _faster_index(self) -> int:
        others = range(self._index + 1, len(self.levels))
        return next((i for i in others if self._expected_time(i, LATE) <= self._limit(i)), others[-1])

    def _expected_time(self, index: int, scans: int) -> float:
        """Seconds to label a scan at another level, from those of the last scans."""
        busy = median(scan.busy for scan in list(self._recent)[-scans:])
        return busy * self.levels[index].cost / self.level.cost

    def _limit(self, index: int) -> float:
        """Seconds that a scan may take at a level: the time between two scans, too, unless it skips scans."""
        (start, before), (end, now) = self._arrived[0], self._arrived[-1]
        if self.levels[index].skips or now <= before:
            return self.seconds
        return min(self.seconds, (end - start) / (now - before))

    def _is_quiet(self) -> bool:
        """Whether the more accurate level is likely to be within the budget."""
        last = list(self._recent)[-self._quiet :]
        if len(last) < self._quiet or any(scan.latency > self.seconds or scan.skipped for scan in last):
            return False
        if self._is_attempt:  # it is not too slow
            self._is_attempt, self._quiet = False, QUIET
        self._is_exhausted = False
        above = self._index - 1
        return above >= 0 and self._expected_time(above, len(last)) <= MARGIN * self._limit(above)

    def _change(self, index: int, relation: str) -> None:
        before, self._index = self._latency(), index
        self._recent.clear()
        self._notify(f"{before}, {relation} {self._budget()}: {self.level} from now on")

    def _latency(self) -> str:
        return f"latency {1000 * median(scan.latency for scan in list(self._recent)[-LATE:]):.0f} ms"

    def _budget(self) -> str:
        return f"the budget of {1000 * self.seconds:.0f} ms"
