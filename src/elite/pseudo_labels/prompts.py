"""Which regions to ask for next."""

import numpy as np
from jaxtyping import Bool, Int64

from elite.pseudo_labels.records import Prompt, Seeds


class Prompts:
    """Prompts of one image, chosen in rounds.

    Every round asks once for each of the segments with most labelled pixels that no accepted region covers, those
    that were asked for least coming first. Within a segment the points follow farthest-point sampling over the seeds
    that are not covered: first the one nearest to the segment's middle, then the farthest from all asked before.

    ``most`` bounds the prompts of the image; None asks for every segment of at least ``least`` seeds once: smaller
    ones could not win a vote.
    """

    def __init__(self, seeds: Seeds, most: int | None, least: int = 1) -> None:
        self.seeds = seeds
        self.most = most
        self.asked = 0
        self._times = np.zeros(len(seeds.label), np.int64)
        self._worth = np.bincount(seeds.segment, minlength=len(seeds.label)) >= least
        self._distance = np.full(len(seeds), np.inf)  # of each seed to the nearest prompt of its segment
        self._rows = np.split(np.argsort(seeds.segment, kind="stable"), np.cumsum(np.bincount(seeds.segment))[:-1])

    def next(self, covered: Bool[np.ndarray, "seeds"], count: int) -> list[Prompt]:
        """At most ``count`` prompts at seeds that are not ``covered``; none if there is nothing left to ask."""
        if self.most is None:
            chosen = np.flatnonzero((self._times == 0) & self._worth)[:count]
        else:
            chosen = self._neediest(covered)[: min(count, self.most - self.asked)]
        prompts = [Prompt(int(s), self.seeds.pixel[self._point(int(s), covered)][None]) for s in chosen]
        self._times[chosen] += 1
        self.asked += len(prompts)
        return prompts

    def _neediest(self, covered: Bool[np.ndarray, "seeds"]) -> Int64[np.ndarray, "some"]:
        left = ~covered & (self._distance > 0)  # a seed is asked for once
        need = np.bincount(self.seeds.segment[left], minlength=len(self._times))
        order = np.lexsort((-need, self._times))
        return order[need[order] > 0]

    def _point(self, segment: int, covered: Bool[np.ndarray, "seeds"]) -> int:
        rows = self._rows[segment]
        pixel = self.seeds.pixel[rows]
        if self._times[segment] == 0:
            off = np.square(pixel - pixel.mean(axis=0)).sum(axis=1)
            best = np.argmin(np.where(covered[rows], np.inf, off))
        else:
            best = np.argmax(np.where(covered[rows], -1, self._distance[rows]))
        away = np.sqrt(np.square(pixel - pixel[best]).sum(axis=1))
        self._distance[rows] = np.minimum(self._distance[rows], away)
        return int(rows[best])
