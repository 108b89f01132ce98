"""Replacement of damaged frames by others that can be read."""

from collections.abc import Callable
from dataclasses import replace

from elite.data.sampler import SampleKey
from elite.errors import DataError
from elite.types import Sample


def read_tolerantly(
    key: SampleKey,
    read: Callable[[SampleKey], Sample],
    frame_id: Callable[[SampleKey], str],
    *,
    length: int,
    tolerance: int,
) -> Sample:
    """Read the sample of a key, or of the next readable index of the same kind.

    The sample names the damaged frames in its ``faults``, before its own.

    Raises:
        DataError: more than ``tolerance`` frames in a row are damaged.
    """
    faults: list[tuple[str, str]] = []
    while True:
        try:
            sample = read(key)
            return replace(sample, faults=(*faults, *sample.faults))
        except DataError as error:
            if len(faults) >= tolerance:
                raise
            faults.append((frame_id(key), str(error)))
            key = key._replace(index=(key.index + 1) % length)
