"""Votes: several views of one scan are labelled, and their answers become one (test-time augmentation)."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from elite.config import AugmentConfig
from elite.data.augment import transform_points
from elite.errors import ConfigError

VoteBy = Literal["softmax", "logits", "released"]

# Turned about z and shifted, as the published views are; nothing is dropped, flipped or scaled.
_TURNED = AugmentConfig(drop=0.0, flip=False, scale=(1.0, 1.0))


@dataclass(frozen=True)
class Votes:
    """How many views of a scan are labelled, and how their answers become one.

    The first view is the scan as it is; each other one is turned about z by any angle and shifted by N(0, 0.1 m).
    View k of a scan depends on ``seed``, on the scan's points and on k alone: not on the number of views, the order of
    the scans or the process.

    Attributes:
        count: views; 1 is no vote at all.
        by: softmax = mean of the classes' shares; logits = mean of their logits; released = the mean of the logits of
            turned views only, the scan as it is not among them (the published way, with 12 views).
        seed: of the turns and shifts.

    Raises:
        ConfigError: no view, an unknown way, or a seed that is none.
    """

    count: int = 1
    by: VoteBy = "softmax"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"votes must be at least 1, found {self.count}; 1 labels the scan as it is.")
        if self.by not in ("softmax", "logits", "released"):
            raise ConfigError(f"votes are counted by softmax, logits or released, found '{self.by}'.")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed must be in [0, 2^32), found {self.seed}.")

    def views(self, points: Float32[np.ndarray, "n 3"]) -> Iterator[Float32[np.ndarray, "n 3"]]:
        """The points as each view sees them, in the same order; they may reach beyond the volume."""
        for k in range(self.count):
            plain = k == 0 and self.by != "released"
            yield points if plain else self._turned(points, k)

    def _turned(self, points: Float32[np.ndarray, "n 3"], k: int) -> Float32[np.ndarray, "n 3"]:
        return transform_points(points, _TURNED, np.random.default_rng((self.seed, zlib.crc32(points.tobytes()), k)))

    def mean(
        self, answers: Iterable[tuple[Float[Tensor, "k classes"], Int64[np.ndarray, "n"]]]
    ) -> tuple[Float[Tensor, "rows named"], Int64[np.ndarray, "n"]]:
        """(share of every class 1.. , which of the rows is each point's) from what each view says.

        A view says (logits, which of their rows is each point's). Its rows may stand for other groups of points than
        the next one's, so from the second view on the sum has a row for every point.
        """
        answers = iter(answers)
        logits, row = next(answers)
        total, views = self._score(logits), 1
        for logits, own in answers:
            if views == 1:
                total, row = _rows(total, row), np.arange(len(row))
            total += _rows(self._score(logits), own)
            views += 1
        mean = total / views
        return (mean if self.by == "softmax" else torch.softmax(mean, dim=1)), row

    def _score(self, logits: Float[Tensor, "k classes"]) -> Float[Tensor, "k named"]:
        named = logits[:, 1:].float()  # class 0 is never an answer
        return torch.softmax(named, dim=1) if self.by == "softmax" else named


def _rows(scores: Tensor, row: Int64[np.ndarray, "n"]) -> Tensor:
    return scores[torch.from_numpy(row).to(scores.device)]
