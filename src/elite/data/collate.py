"""Samples to a batch: points laid end to end."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elite.types import Batch, Sample


def collate(samples: Sequence[Sample]) -> Batch:
    """``cover`` of the second sample points behind the points of the first, and so on."""
    lengths = [len(s.points) for s in samples]
    starts = np.cumsum([0, *lengths])
    return Batch(
        ids=tuple(s.id for s in samples),
        points=_cat([s.points for s in samples]),
        remission=_cat([s.remission for s in samples]),
        batch_index=torch.repeat_interleave(torch.arange(len(samples)), torch.tensor(lengths)),
        labels=_cat([s.labels for s in samples]),
        cover=_cat_optional([None if s.cover is None else s.cover + starts[i] for i, s in enumerate(samples)]),
        truth=_cat_optional([s.truth for s in samples]),
    )


def _cat(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


def _cat_optional(arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    present = [a for a in arrays if a is not None]
    return _cat(present) if len(present) == len(arrays) else None
