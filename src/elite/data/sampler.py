"""In which order a run takes its samples, on any number of processes, and from where on if it resumes."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Keys (epoch, index) in an order that depends on (seed, epoch) only.

    Of ``world`` processes number ``rank`` takes every world-th key, and all take equally many. What does not fill
    a ``multiple`` (the scans of one optimiser step of a process) is dropped, unless an epoch is shorter than that.

    A pass is the epoch that was set, or with ``keys`` so many keys from epoch 0 on, through as many epochs as it takes.
    The next pass leaves out its first ``start`` keys, if that is set: a run that resumes has had them. The first
    ``shown`` keys of a run ask for labelled scans only: their indices are higher by the length.
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
        self.keys, self.start, self.shown = keys, 0, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.keys or self.share

    def __iter__(self) -> Iterator[tuple[int, int]]:
        begin = 0 if self.keys else self.epoch * self.share
        start, self.start = begin + self.start, 0
        return self._walk(start, begin + len(self))

    def _walk(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        while start < end:
            epoch, place = divmod(start, self.share)
            order = np.random.default_rng((self.seed, 0, epoch)).permutation(self.length)
            mine = order[self.rank :: self.world][: self.share][place : place + end - start]
            mine = mine + self.length * (start + np.arange(len(mine)) < self.shown)
            yield from ((epoch, int(i)) for i in mine)
            start += len(mine)
