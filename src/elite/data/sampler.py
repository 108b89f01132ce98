"""Order in which a run draws its samples, on any number of processes, and its continuation after a resume."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """Key of a training sample. The same key gives the same sample in any process.

    Attributes:
        epoch: pass over the data; each one augments a scan differently.
        index: 0 .. len - 1.
        labelled_only: draw from the scans with usable labels, in turn, instead of from all scans.
    """

    epoch: int
    index: int
    labelled_only: bool = False

    @classmethod
    def of(cls, key: "SampleKey | tuple[int, int]") -> "SampleKey":
        """Return the key that (epoch, index) means."""
        return key if isinstance(key, SampleKey) else cls(*key)


class EpochSampler(Sampler[SampleKey]):
    """Keys in an order that depends on (seed, epoch) only.

    Process ``rank`` of ``world`` takes every world-th key; all processes take the same number. An incomplete
    ``multiple`` (the scans of one optimiser step of a process) at the end of an epoch is dropped, except in epochs
    shorter than one.

    One pass is the current epoch. With ``keys`` it is that many keys from epoch 0 on, over as many epochs as needed.

    Attributes:
        skip: keys that the next pass skips, since a resumed run has used them.
        labelled_only_keys: number of keys at the start of the run that are ``labelled_only``.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        multiple: int = 1,
        keys: int | None = None,
    ) -> None:
        share = length // world
        self.length, self.seed, self.rank, self.world, self.epoch = length, seed, rank, world, 0
        self.share = share - share % multiple if share >= multiple else share
        self.keys, self.skip, self.labelled_only_keys = keys, 0, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.keys or self.share

    def __iter__(self) -> Iterator[SampleKey]:
        begin = 0 if self.keys else self.epoch * self.share
        start, self.skip = begin + self.skip, 0
        return self._walk(start, begin + len(self))

    def _walk(self, start: int, end: int) -> Iterator[SampleKey]:
        """Keys number ``start`` to ``end`` of this process, counted from the start of the run."""
        while start < end:
            epoch, offset = divmod(start, self.share)
            order = np.random.default_rng((self.seed, 0, epoch)).permutation(self.length)
            indices = order[self.rank :: self.world][: self.share][offset : offset + end - start]
            for number, index in enumerate(indices.tolist(), start):
                yield SampleKey(epoch, index, number < self.labelled_only_keys)
            start += len(indices)
