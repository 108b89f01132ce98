"""Comparison of the scans of two sources: of a rendered sensor with a real one."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from elite.datasets.check.tables import aligned, number_text
from elite.formatting import shortened
from elite.inspection.scan_statistics import ComparedScan, Statistic, scan_statistics

_RATIO = 1.2  # a ratio that matters
_NONE = 1e-6
_MOST_MARKS = 5
_NAMED = 5  # statistics that differ most


@dataclass(frozen=True)
class ComparedStatistic:
    """A statistic of both sources: means over their scans; None = not measurable.

    Attributes:
        name: of the statistic.
        value: of the first source.
        against: of the second one.
        form: as text.
        scale: a difference that matters; None = the ratio is of interest.
    """

    name: str
    value: float | None
    against: float | None
    form: str
    scale: float | None

    @property
    def change(self) -> float | None:
        """The first value divided by the second one, or their difference; None without both."""
        if self.value is None or self.against is None:
            return None
        return self.value - self.against if self.scale else max(self.value, _NONE) / max(self.against, _NONE)

    @property
    def deviation(self) -> float:
        """Size of the change, in multiples of one that matters."""
        if self.change is None:
            return 0.0
        return abs(self.change) / self.scale if self.scale else abs(log(self.change)) / log(_RATIO)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kind = "difference" if self.scale else "ratio"
        return {
            "name": self.name,
            "value": self.value,
            "against": self.against,
            kind: self.change,
            "deviation": self.deviation,
        }


def compare(scans: Sequence[ComparedScan], against: Sequence[ComparedScan]) -> list[ComparedStatistic]:
    """Compare the mean statistics of the scans of two sources; both have at least one scan."""
    first, second = mean_statistics(scans), mean_statistics(against)
    rows = []
    for name in {**second, **first}:
        known = first.get(name) or second[name]
        value, other = (found[name].value if name in found else None for found in (first, second))
        rows.append(ComparedStatistic(name, value, other, known.form, known.scale))
    return rows


def mean_statistics(scans: Sequence[ComparedScan]) -> dict[str, Statistic]:
    """Means of the statistics over scans, by name; a statistic that some scans lack is the mean of the others."""
    found: dict[str, list[Statistic]] = defaultdict(list)
    for scan in scans:
        for statistic in scan_statistics(scan):
            found[statistic.name].append(statistic)
    return {
        name: Statistic(name, float(np.mean([s.value for s in rows])), rows[0].form, rows[0].scale)
        for name, rows in found.items()
    }


def comparison_lines(
    rows: Sequence[ComparedStatistic], paths: tuple[Path, Path], counts: tuple[int, int]
) -> Iterator[str]:
    """Yield the table of a comparison, and the names of what differs most."""
    yield f"{paths[0]} ({counts[0]} scans) against {paths[1]} ({counts[1]} scans)"
    yield ""
    head = ("statistic", *(shortened(path.name or str(path), 24) for path in paths), "change", "")
    yield from aligned([head, *map(_row, rows)])
    most = sorted((row for row in rows if row.deviation >= 1), key=lambda row: -row.deviation)[:_NAMED]
    yield ""
    yield "differs most: " + (", ".join(row.name for row in most) or "nothing")


def _row(row: ComparedStatistic) -> tuple[str, ...]:
    change = number_text(row.change, "x {:.2f}" if row.scale is None else _signed(row.form))
    marks = "*" * min(int(row.deviation), _MOST_MARKS)
    return row.name, number_text(row.value, row.form), number_text(row.against, row.form), change, marks


def _signed(form: str) -> str:
    return form.replace("{:", "{:+")
