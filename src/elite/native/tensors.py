"""Call native kernels with tensors of PyTorch."""

import torch

from elite.native.loader import opened

_DONE, _TOO_LARGE, _NO_MEMORY = range(3)  # EliteStatus in sorting.h


def call(name: str, *arguments: torch.Tensor | int) -> bool:
    """Call a function that returns an EliteStatus.

    Returns:
        False if the indices are too large for its keys, and PyTorch must compute the result.

    Raises:
        MemoryError: not enough memory for its work.
    """
    status = getattr(opened(), name)(*(pointer(a) if isinstance(a, torch.Tensor) else a for a in arguments))
    if status == _NO_MEMORY:
        raise MemoryError(f"{name}: expected memory for its work, found too little. Use fewer scans per batch.")
    assert status in (_DONE, _TOO_LARGE)
    return status == _DONE  # type: ignore[no-any-return]


def number_format(dtype: torch.dtype) -> int:
    """The NumberFormat of kernels.h for rows or weights of this type."""
    return {torch.float32: 0, torch.bfloat16: 1, torch.uint8: 2}[dtype]


def pointer(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous CPU tensor, None for None."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    assert tensor.device.type == "cpu"
    return tensor.data_ptr()
