"""Memory that is kept from one scan to the next."""

from math import prod

import torch
from torch import Tensor

_HEADROOM = 4  # a buffer that has to grow grows by a fourth of what is needed more: the next scan may be larger still


class Workspace:
    """Buffers by name, each as large as the largest so far.

    Fresh memory is handed out page by page, which costs as much as some of the work. What is in a buffer is lost as
    soon as it is asked for again: good for inference, one scan at a time, and never for training.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
        """Of this shape, contiguous, not filled."""
        needed, kept = prod(shape), self._kept.get(name)
        if kept is None or len(kept) < needed or kept.dtype is not dtype:
            more = 0 if kept is None else needed // _HEADROOM
            self._kept[name] = kept = torch.empty(needed + more, dtype=dtype)
        return kept[:needed].view(shape)
