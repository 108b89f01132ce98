"""Verdict on a data set: the faults of its files and the advice of its survey, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elite.config import plain
from elite.datasets.check.advice import Advice
from elite.datasets.check.files import SequenceReport

_COVERED = {"unit": {"volume", "height", "axes"}, "axes": {"height", "axes"}, "duplicates": {"no-returns"}}


@dataclass(frozen=True)
class Verdict:
    """Necessary changes of a data set, and properties to look at; most harmful first.

    Attributes:
        faulty: number of faults of files.
        changes: one line each, with the expected and the found value and the remedy.
        looks: doubtful properties that a picture decides.
    """

    faulty: int
    changes: tuple[str, ...]
    looks: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        return not (self.faulty or self.changes)

    def lines(self) -> list[str]:
        """Return the verdict in words."""
        changes = [f"{self.faulty} faults in the files: see above."] if self.faulty else []
        changes += self.changes
        things = "thing" if len(changes) == 1 else "things"
        found = [f"verdict: {len(changes)} {things} to change:" if changes else "verdict: ready"]
        found += [f"  {number}. {line}" for number, line in enumerate(changes, 1)]
        return [*found, *(f"  look at: {line}" for line in self.looks)]

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"ready": self.is_ready}


def judge(reports: Sequence[SequenceReport], advice: Sequence[Advice], faults: int) -> Verdict:
    """Combine the advice with the doubtful properties of single scans that it does not cover."""
    covered = {kind for a in advice for kind in {a.kind} | _COVERED.get(a.kind, set())}
    doubts: dict[str, str] = {}
    for report in reports:
        found = {kind: message for kind, (_, message) in report.doubts.items()}
        found |= {doubt.kind: f"sequence {report.sequence}: {doubt.message}" for doubt in report.votes.doubts()}
        doubts = found | doubts
    certain = [a.message for a in advice if a.is_certain]
    certain += [message for kind, message in doubts.items() if kind not in covered]
    return Verdict(faults, tuple(certain), tuple(a.message for a in advice if not a.is_certain))
