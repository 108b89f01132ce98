"""Samples of each sequence that are read before a run, to refuse unusable data before any file is written."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial

from elite.data.dataset import ScoringSet, TrainingSet
from elite.datasets import Dataset
from elite.datasets.input_guard import Read
from elite.errors import DataError
from elite.types import Sample

_SEQUENCES = 24  # maximum number of sequences that are read


def training_samples(scans: TrainingSet, read: Read) -> Iterator[Sample]:
    """Read one sample of each sequence with ``read(step)``, and the images of all its cameras.

    If damaged scans are tolerated, up to three scans of a sequence are tried.

    Yields:
        The samples, each with as many views as in training.

    Raises:
        DataError: the sequences that cannot be read have more scans than ``scans`` tolerates.
    """
    strict, unreadable = copy(scans), 0
    strict.tolerance, strict.cameras_per_frame = 0, None
    for places in _by_sequence(scans.frames, scans.entries.tolist()):
        tried = (places[0], places[len(places) // 2], places[-1]) if scans.tolerance else places[:1]
        try:
            yield _with_views(_first_readable(strict, tried, read), scans.cameras_per_frame)
        except DataError:
            unreadable += len(places)
            if unreadable > scans.tolerance:
                raise


def validation_samples(scans: ScoringSet, read: Read) -> Iterator[Sample]:
    """Read the first sample of each sequence with ``read(step)``.

    Raises:
        DataError: it cannot be read.
    """
    for places in _by_sequence(scans.frames, scans.labelled):
        yield read(partial(scans.__getitem__, places[0]))


def _with_views(sample: Sample, count: int | None) -> Sample:
    """Sample with at most ``count`` views (None = all), the largest ones: those with dense labels."""
    return replace(sample, views=tuple(sorted(sample.views, key=lambda view: view.labels is None)[:count]))


def _first_readable(scans: TrainingSet, places: Sequence[int], read: Read) -> Sample:
    try:
        return read(partial(scans.__getitem__, (0, places[0])))
    except DataError:
        if len(places) == 1:
            raise
        return _first_readable(scans, places[1:], read)


def _by_sequence(frames: Dataset, positions: Sequence[int]) -> list[list[int]]:
    """Places in ``positions`` of the frames of each sequence; only of those with an image, if there are any."""
    found: dict[str, list[int]] = {}
    for place, position in enumerate(positions):
        found.setdefault(frames.ids[position].sequence, []).append(place)
    chosen = list(found.values())[:_SEQUENCES]
    return [[i for i in places if frames.image_cameras(positions[i])] or places for places in chosen]
