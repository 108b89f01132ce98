"""Concatenation of samples to a batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elite.batches import Batch, Pixels, Views
from elite.types import Sample, View


def collate(samples: Sequence[Sample]) -> Batch:
    """Concatenate samples.

    Point indices (``point_to_row``, pairs) are shifted by the points of the preceding samples.
    """
    lengths = [len(s.points) for s in samples]
    starts = np.cumsum([0, *lengths])
    return Batch(
        ids=tuple(s.id for s in samples),
        points=_cat([s.points for s in samples]),
        remission=_cat([s.remission for s in samples]),
        batch_index=torch.repeat_interleave(torch.arange(len(samples)), torch.tensor(lengths)),
        labels=_cat([s.labels for s in samples]),
        views=_views([(view, int(start)) for s, start in zip(samples, starts, strict=False) for view in s.views]),
        point_to_row=_cat_optional(
            [None if s.point_to_row is None else s.point_to_row + starts[i] for i, s in enumerate(samples)]
        ),
        ground_truth=_cat_optional([s.ground_truth for s in samples]),
        faults=tuple(fault for s in samples for fault in s.faults),
        age=_cat_optional([s.age for s in samples]),
    )


def _views(views: Sequence[tuple[View, int]]) -> Views | None:
    """Concatenate views, each given with the first row of the points of its sample."""
    if not views:
        return None
    pairs = [view.pairs for view, _ in views]
    return Views(
        images=torch.from_numpy(np.stack([view.image for view, _ in views])).permute(0, 3, 1, 2).contiguous(),
        pair_pixel=Pixels(
            view=torch.repeat_interleave(torch.arange(len(views)), torch.tensor([len(p) for p in pairs])),
            position=_cat([p.pixel for p in pairs]),
        ),
        pair_point=_cat([view.pairs.point + start for view, start in views]),
        labels=_dense([view.labels for view, _ in views]),
        has_labels=torch.tensor([view.labels is not None for view, _ in views]),
    )


def _dense(labels: Sequence[np.ndarray | None]) -> Tensor | None:
    """Stack dense labels, with zeros (unknown) for views without; None if no view has any."""
    present = [a for a in labels if a is not None]
    if not present:
        return None
    return torch.from_numpy(np.stack([np.zeros_like(present[0]) if a is None else a for a in labels]))


def _cat(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


def _cat_optional(arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    present = [a for a in arrays if a is not None]
    return _cat(present) if len(present) == len(arrays) else None
