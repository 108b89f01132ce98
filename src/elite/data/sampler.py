"""Order in which a run draws its samples, on any number of processes, and its continuation after a resume."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from elite.data.random_streams import RandomStream


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

    Process ``rank`` of ``world`` takes every world-th key; all processes take the same number. Scans at the end of an
    epoch that do not fill an optimiser step are dropped, except in epochs shorter than one step.

    One iteration is the current epoch. With ``total_keys`` it has that many keys, from as many epochs as needed.

    Args:
        length: number of samples of an epoch.
        seed: of the order.
        rank, world: number of this process, and number of processes.
        scans_per_step: scans of one optimiser step of a process.
        total_keys: keys of this process in the run; None = iterate epoch by epoch.

    Attributes:
        keys_per_epoch: keys of this process in an epoch.
        skip: keys that the next iteration skips, since a resumed run has used them.
        labelled_only_keys: number of keys at the start of the run that are ``labelled_only``.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        scans_per_step: int = 1,
        total_keys: int | None = None,
    ) -> None:
        keys = length // world
        self.length, self.seed, self.rank, self.world, self.epoch = length, seed, rank, world, 0
        self.keys_per_epoch = keys - keys % scans_per_step if keys >= scans_per_step else keys
        self.total_keys, self.skip, self.labelled_only_keys = total_keys, 0, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.total_keys or self.keys_per_epoch

    def __iter__(self) -> Iterator[SampleKey]:
        epoch_start = 0 if self.total_keys else self.epoch * self.keys_per_epoch
        first, self.skip = epoch_start + self.skip, 0
        return self._walk(first, epoch_start + len(self))

    def _walk(self, first: int, end: int) -> Iterator[SampleKey]:
        """Keys ``first`` to ``end`` - 1 of this process, counted from the start of the run."""
        while first < end:
            epoch, offset = divmod(first, self.keys_per_epoch)
            order = np.random.default_rng((self.seed, RandomStream.ORDER, epoch)).permutation(self.length)
            indices = order[self.rank :: self.world][: self.keys_per_epoch][offset : offset + end - first]
            for number, index in enumerate(indices.tolist(), first):
                yield SampleKey(epoch, index, number < self.labelled_only_keys)
            first += len(indices)
