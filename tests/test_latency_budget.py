"""The level of a latency budget, with simulated times of a sensor, a student and a busy machine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from elite.errors import ConfigError
from elite.latency_budget import LATE, QUIET, BudgetLevel, LatencyBudget, budget_levels
from elite.native import Precision

ALL: tuple[Precision, ...] = ("fp32", "bf16", "int8")
SPEED = {"fp32": 1.0, "bf16": 0.5, "int8": 0.4}  # time over that of fp32


@dataclass
class Sensor:
    """Scans at a fixed rate, and a student that takes ``view_s`` for a view in fp32, times the load of the machine."""

    budget: LatencyBudget
    view_s: float
    period: float = 0.1
    load: Callable[[int], float] = lambda scan: 1.0
    now: float = 0.0
    dropped: int = 0
    levels: list[BudgetLevel] = field(default_factory=list)

    def run(self, scans: int) -> list[BudgetLevel]:
        """Label the scans as a stream does, and return the level of each that is labelled."""
        scan = 0
        while scan < scans:
            level = self.budget.level
            self.now = max(self.now, scan * self.period)
            if level.skips and (newest := min(int(self.now / self.period), scans - 1)) > scan:
                self.dropped += newest - scan
                scan = newest
            start = self.now
            self.now += self.view_s * level.votes * SPEED[level.precision] * self.load(scan)
            self.levels.append(level)
            arrived, dropped = min(int(start / self.period), scans), self.dropped
            self.budget.add(arrival=scan * self.period, start=start, end=self.now, arrived=arrived, dropped=dropped)
            scan += 1
        return self.levels


def changes(levels: list[BudgetLevel]) -> list[str]:
    return [str(b) for a, b in zip([None, *levels], levels, strict=False) if a != b]


def test_levels_drop_precision_then_votes_then_scans() -> None:
    assert [*map(str, budget_levels(ALL, 6))] == [
        "fp32, 6 votes",
        "bf16, 6 votes",
        "int8, 6 votes",
        "int8, 3 votes",
        "int8, 1 vote",
        "int8, 1 vote, skipping scans",
    ]
    assert [*map(str, budget_levels(["fp32"], 1))] == ["fp32, 1 vote", "fp32, 1 vote, skipping scans"]
    assert [*map(str, budget_levels(["fp32"], 2, skips=True))] == [
        "fp32, 2 votes, skipping scans",
        "fp32, 1 vote, skipping scans",
    ]


def test_budget_that_suffices_changes_nothing() -> None:
    lines: list[str] = []
    budget = LatencyBudget(0.1, budget_levels(ALL, 4), lines.append)
    assert changes(Sensor(budget, 0.02).run(500)) == ["fp32, 4 votes"]
    assert (lines, budget.late) == ([], 0)
    assert budget.summary() == "budget of 100 ms: scans 500 by fp32, 4 votes; 0 later than the budget"


def test_budget_goes_to_the_first_level_that_is_fast_enough_and_stays() -> None:
    """4 votes of 0.04 s: 160 ms in fp32; 80 ms in bf16, whose backlog from before shrinks."""
    lines: list[str] = []
    budget = LatencyBudget(0.1, budget_levels(ALL, 4), lines.append)
    assert changes(Sensor(budget, 0.04).run(1000)) == ["fp32, 4 votes", "bf16, 4 votes"]
    assert lines == ["latency 220 ms, over the budget of 100 ms: bf16, 4 votes from now on"]
    assert budget.labelled[BudgetLevel("fp32", 4)] == LATE


def test_single_late_scans_change_nothing() -> None:
    budget = LatencyBudget(0.1, budget_levels(ALL, 4))
    sensor = Sensor(budget, 0.02, load=lambda scan: 1.4 if scan % LATE == 1 else 0.5)
    assert changes(sensor.run(300)) == ["fp32, 4 votes"]
    assert budget.late == 100


def test_budget_too_small_for_all_levels_skips_scans_and_reports_it_once() -> None:
    lines: list[str] = []
    budget = LatencyBudget(0.1, budget_levels(ALL, 2), lines.append)
    sensor = Sensor(budget, 1.0)
    levels = sensor.run(400)
    assert changes(levels) == ["fp32, 2 votes", "int8, 1 vote, skipping scans"]
    assert len(levels) + sensor.dropped == 400
    assert sensor.dropped > 200
    assert [line for line in lines if "at the fastest level" in line] == lines[-1:]
    assert sum(budget.labelled.values()) == len(levels)


def test_scans_are_skipped_while_the_sensor_is_faster_than_the_student() -> None:
    """60 ms per scan are within the budget, and 20 scans per second are too many for them."""
    budget = LatencyBudget(0.15, budget_levels(["fp32"], 1))
    sensor = Sensor(budget, 0.06, period=0.05)
    levels = sensor.run(1000)
    assert levels[-1].skips
    assert not levels[0].skips
    assert sensor.dropped > 100
    assert sum(level.skips for level in levels) > 0.9 * len(levels)


def test_accuracy_returns_after_a_load_ends() -> None:
    """A load of ten times during 40 scans."""
    lines: list[str] = []
    budget = LatencyBudget(0.1, budget_levels(ALL, 2), lines.append)
    levels = Sensor(budget, 0.02, load=lambda scan: 10.0 if 100 <= scan < 140 else 1.0).run(400)
    assert levels[0] == levels[99] == levels[-1] == BudgetLevel("fp32", 2)
    assert any(level.skips for level in levels)
    assert changes(levels)[-4:] == ["int8, 1 vote", "int8, 2 votes", "bf16, 2 votes", "fp32, 2 votes"]
    assert "within the budget of 100 ms: fp32, 2 votes from now on" in lines[-1]
    assert levels[-2 * QUIET] == BudgetLevel("fp32", 2)


def test_attempts_of_a_level_that_is_too_slow_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 gains more than expected here, so that fp32 is tried although it is too slow."""
    monkeypatch.setitem(SPEED, "int8", 0.15)
    budget = LatencyBudget(0.1, budget_levels(("fp32", "int8"), 1))
    levels = Sensor(budget, 0.12).run(3000)
    attempts = [i for i in range(1, len(levels)) if levels[i].precision == "fp32" != levels[i - 1].precision]
    gaps = [b - a for a, b in pairwise(attempts)]
    assert 3 < len(attempts) < 15
    assert gaps[0] < 3 * QUIET
    assert gaps[-1] > 10 * QUIET
    assert budget.labelled[BudgetLevel("fp32", 1)] < 100


def test_budget_of_no_time_is_refused() -> None:
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="budget: expected more than 0 seconds"):
            LatencyBudget(seconds, budget_levels(ALL, 1))
