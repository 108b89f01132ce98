"""Sequences that differ from the others: another unit of the intensity, or another mounting of the sensor."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from elite.datasets.check.advice import Advice
from elite.datasets.check.files import SequenceReport
from elite.datasets.doubts import LEVEL, is_other_height, is_other_unit

_NAMED = 5  # sequences in a message


def sequence_advice(reports: Sequence[SequenceReport]) -> Iterator[Advice]:
    """Compare the medians of each sequence with that of all scans, by the thresholds of the input guard."""
    usual, others = _differing({r.sequence: r.levels for r in reports}, is_other_unit)
    if others:
        yield Advice(
            "remission",
            f"sequences: expected a remission of up to about {usual:.2g} in {LEVEL:.0%} of the points, as in most "
            f"scans, found {_listed(others, '{:.2g} in {}')}. Convert their intensities to the unit of the others.",
        )
    usual, others = _differing({r.sequence: r.grounds for r in reports}, is_other_height)
    if others:
        yield Advice(
            "height",
            f"sequences: expected the ground at z = {usual:.2f} m, as in most scans, found it at "
            f"{_listed(others, '{:.2f} m in {}')}. Shift z of their points to the mounting height of the others.",
        )


def _differing(
    values: Mapping[str, Sequence[float]], is_other: Callable[[float, float], bool]
) -> tuple[float, dict[str, float]]:
    """Median of the values of all scans, and the medians of the sequences that are not like it."""
    known = {name: np.array(found) for name, found in values.items() if found}
    if len(known) < 2:
        return 0.0, {}
    usual = float(np.quantile(np.concatenate([*known.values()]), 0.5, method="lower"))  # of a scan, not between two
    medians = {name: float(np.median(found)) for name, found in known.items()}
    return usual, {name: median for name, median in medians.items() if is_other(median, usual)}


def _listed(found: Mapping[str, float], form: str) -> str:
    """Values of the first sequences, with their names."""
    named = [form.format(value, name) for name, value in list(found.items())[:_NAMED]]
    return ", ".join(named) + (f" and others in {len(found) - _NAMED} more" if len(found) > _NAMED else "")
