"""Verdict on a data set: the faults of its files and the advice of its survey, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elite.config import plain
from elite.datasets.check.advice import Advice
from elite.datasets.check.files import SequenceReport

_NAMED = 5  # sequences in a message
_COVERED = {
    "unit": {"volume", "height", "axes"},
    "axes": {"height", "axes"},
    "duplicates": {"no-returns"},
    "remission": {"intensity field"},
}


@dataclass(frozen=True)
class Verdict:
    """Necessary changes of a data set, and properties to look at; most harmful first.

    Attributes:
        faulty: number of faults of files.
        changes: one line each, with the expected and the found value and the remedy.
        looks: doubtful properties that a picture decides.
        has_labels: whether a scan has labels.
    """

    faulty: int
    changes: tuple[str, ...]
    looks: tuple[str, ...]
    has_labels: bool = True

    @property
    def is_ready(self) -> bool:
        return not (self.faulty or self.changes)

    def lines(self) -> list[str]:
        """Return the verdict in words."""
        changes = [f"{self.faulty} faults in the files: see above."] if self.faulty else []
        changes += self.changes
        things = "thing" if len(changes) == 1 else "things"
        purpose = "" if self.has_labels else " to predict; training, pseudo-labels and scores require labels"
        found = [f"verdict: {len(changes)} {things} to change:" if changes else f"verdict: ready{purpose}"]
        found += [f"  {number}. {line}" for number, line in enumerate(changes, 1)]
        return [*found, *(f"  look at: {line}" for line in self.looks)]

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"ready": self.is_ready}


def judge(reports: Sequence[SequenceReport], advice: Sequence[Advice], faults: int) -> Verdict:
    """Combine the advice with the doubtful properties of single scans that it does not cover.

    Those of most scans are to be changed. The others may be a matter of the place, such as a slope.
    """
    covered = {kind for a in advice for kind in {a.kind} | _COVERED.get(a.kind, set())}
    scans = sum(report.scans for report in reports)
    doubts: dict[str, tuple[int, str]] = {}
    for report in reports:
        for kind, (frames, message) in report.doubts.items():
            before, first = doubts.get(kind, (0, message))
            doubts[kind] = before + frames, first
        for doubt in report.votes.doubts():
            doubts[doubt.kind] = scans, f"sequence {report.sequence}: {doubt.message}"
    changes, looks = ([a.message for a in advice if a.is_certain is certain] for certain in (True, False))
    for kind, (frames, message) in doubts.items():
        if kind not in covered and 2 * frames > scans:
            changes.append(message)
        elif kind not in covered:
            looks.append(f"{message} (in {frames} of {scans} scans)")
    return Verdict(faults, tuple(changes), tuple(looks), not reports or any(report.labels for report in reports))


def unlabelled_splits(reports: Sequence[SequenceReport], splits: Mapping[str, Sequence[str]]) -> Iterator[Advice]:
    """Advise on splits for training and validation without a label, if other scans have labels.

    Args:
        reports: of the checked sequences.
        splits: sequences by split.
    """
    labels = {report.sequence: report.labels for report in reports}
    for split in ("train", "val" if "val" in splits else "valid"):  # as dataset.yaml names it
        found = [name for name in splits.get(split, ()) if name in labels]
        if found and any(labels.values()) and not any(labels[name] for name in found):
            listed = ", ".join(found[:_NAMED]) + ", ..." * (len(found) > _NAMED)
            yield Advice(
                "labels",
                f"{split}: expected labels, found none in {listed}. Label some of their scans, or change the split.",
            )
