"""Selection of the prompts of an image."""

import numpy as np

from elite.pseudo_labels.records import Prompt, Seeds
from elite.shapes import Bool, Int64


class PromptScheduler:
    """Selects the prompts of one image in rounds.

    Each round has one prompt for each of the segments with the most seeds that no accepted region covers; segments with
    fewer prompts so far come first. Within a segment, the points follow farthest-point sampling over the seeds that are
    not covered: first the seed nearest to the mean, then the seed farthest from all earlier points.

    Args:
        seeds: labelled pixels of the image.
        max_prompts: maximum number of prompts. None = one prompt for each segment of at least ``min_seeds`` seeds.
        min_seeds: smaller segments cannot win a vote. Used without ``max_prompts`` only.

    Attributes:
        count: number of prompts so far.
    """

    def __init__(self, seeds: Seeds, max_prompts: int | None, min_seeds: int = 1) -> None:
        self.seeds = seeds
        self.max_prompts = max_prompts
        self.count = 0
        self._times = np.zeros(len(seeds.label), np.int64)
        self._is_large = np.bincount(seeds.segment, minlength=len(seeds.label)) >= min_seeds
        self._distance = np.full(len(seeds), np.inf)  # of each seed to the nearest prompt of its segment
        self._rows = np.split(np.argsort(seeds.segment, kind="stable"), np.cumsum(np.bincount(seeds.segment))[:-1])

    def next(self, covered: Bool[np.ndarray, "seeds"], limit: int) -> list[Prompt]:
        """Return at most ``limit`` prompts at seeds that are not ``covered``; an empty list if none is left."""
        if self.max_prompts is None:
            segments = np.flatnonzero((self._times == 0) & self._is_large)[:limit]
        else:
            segments = self._ranked_segments(covered)[: min(limit, self.max_prompts - self.count)]
        prompts = [Prompt(int(s), self.seeds.pixel[self._next_seed(int(s), covered)][None]) for s in segments]
        self._times[segments] += 1
        self.count += len(prompts)
        return prompts

    def _ranked_segments(self, covered: Bool[np.ndarray, "seeds"]) -> Int64[np.ndarray, "some"]:
        remaining = ~covered & (self._distance > 0)  # a seed is prompted once
        need = np.bincount(self.seeds.segment[remaining], minlength=len(self._times))
        order = np.lexsort((-need, self._times))
        return order[need[order] > 0]

    def _next_seed(self, segment: int, covered: Bool[np.ndarray, "seeds"]) -> int:
        rows = self._rows[segment]
        pixel = self.seeds.pixel[rows]
        if self._times[segment] == 0:
            square = np.square(pixel - pixel.mean(axis=0)).sum(axis=1)
            best = np.argmin(np.where(covered[rows], np.inf, square))
        else:
            best = np.argmax(np.where(covered[rows], -1, self._distance[rows]))
        distance = np.sqrt(np.square(pixel - pixel[best]).sum(axis=1))
        self._distance[rows] = np.minimum(self._distance[rows], distance)
        return int(rows[best])
