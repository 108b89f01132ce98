"""A look at a few samples of each sequence, so that a run that cannot start ends before it has written anything."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import Any

from elite.data.dataset import ScoringSet, TrainingSet
from elite.datasets import Dataset
from elite.datasets.formats import read_scan
from elite.datasets.input_guard import InputGuard
from elite.errors import DataError
from elite.types import Sample

_SEQUENCES = 24  # at most so many are looked at
_EXAMINED = 10  # scans that the input guard sees
Read = Callable[[Callable[[], Any]], Any]  # calls a step that may wait for a file, and returns its result


def training_samples(scans: TrainingSet, read: Read) -> Iterator[Sample]:
    """One sample of each sequence, read by ``read(step)``.

    Raises:
        DataError: the scans of a sequence cannot be read (three are tried if damaged ones are tolerated), and they are
            more than ``scans`` tolerates.
    """
    strict, unreadable = copy(scans), 0
    strict.tolerance = 0
    for places in _by_sequence(scans.frames, scans.entries.tolist()):
        tried = (places[0], places[len(places) // 2], places[-1]) if scans.tolerance else places[:1]
        try:
            yield _first_readable(strict, tried, read)
        except DataError:
            unreadable += len(places)
            if unreadable > scans.tolerance:
                raise


def validation_samples(scans: ScoringSet, read: Read) -> Iterator[Sample]:
    """The first sample of each sequence, read by ``read(step)``.

    Raises:
        DataError: it cannot be read.
    """
    for places in _by_sequence(scans.frames, scans.labelled):
        yield read(partial(scans.__getitem__, places[0]))


def examine_scans(frames: Dataset, positions: Sequence[int], guard: InputGuard, read: Read) -> None:
    """Show some of the scans, evenly spaced, to the input guard. Damaged ones are left to training.

    Raises:
        DataError: they are doubtful, and the guard is strict.
    """
    for position in positions[:: -(-len(positions) // _EXAMINED) or 1]:
        try:
            scan = read(partial(read_scan, frames.scan_path(position)))
        except DataError:
            continue
        guard.examine(scan, frames.scan_path(position))
    guard.finish()


def _first_readable(scans: TrainingSet, places: Sequence[int], read: Read) -> Sample:
    try:
        return read(partial(scans.__getitem__, (0, places[0])))
    except DataError:
        if len(places) == 1:
            raise
        return _first_readable(scans, places[1:], read)


def _by_sequence(frames: Dataset, positions: Sequence[int]) -> list[list[int]]:
    """For each sequence the places in ``positions`` of its frames, of those with an image if any has one."""
    found: dict[str, list[int]] = {}
    for place, position in enumerate(positions):
        found.setdefault(frames.ids[position].sequence, []).append(place)
    chosen = list(found.values())[:_SEQUENCES]
    return [[i for i in places if frames.image_cameras(positions[i])] or places for places in chosen]
