"""Memory that is reused from one scan to the next."""

from math import prod

import torch
from torch import Tensor

_HEADROOM = 4  # a buffer that must grow gets a fourth more than needed, because the next scan may be larger still


class Workspace:
    """Buffers by name, each as large as the largest request so far.

    The system hands out fresh memory page by page, which costs as much as some of the work. A new request overwrites
    the buffer's contents, so a workspace suits inference, one scan at a time, and never training.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def buffer(self, name: str, *shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
        """Return a contiguous tensor of this shape with undefined contents."""
        needed, kept = prod(shape), self._buffers.get(name)
        if kept is None or len(kept) < needed or kept.dtype is not dtype:
            headroom = 0 if kept is None else needed // _HEADROOM
            self._buffers[name] = kept = torch.empty(needed + headroom, dtype=dtype)
        return kept[:needed].view(shape)
