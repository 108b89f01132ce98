"""Tensors of an open file: shapes immediately, numbers on demand. A claimed size alone allocates no memory."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

_MAX_AXES = 64
_MAX_TENSORS = 2**17  # in a file


@dataclass(eq=False)
class Storage:
    """A range of bytes in a file, with tensors as views.

    Attributes:
        start: its first byte in the file.
        size: number of bytes.
        crc: CRC-32 of all bytes, 0 if the file does not contain it.
    """

    start: int
    size: int
    crc: int = 0


@dataclass(frozen=True, eq=False)
class _View:
    """A tensor: its shape, as a meta tensor, and its bytes ``start`` to ``end`` of a storage."""

    shape: Tensor
    storage: Storage
    start: int
    end: int


class LazyTensors:
    """Tensors of ``file``. Each is first a tensor on the meta device, which has a shape and a type but no numbers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._views: dict[int, _View] = {}  # by the id of the meta tensor that the view keeps alive

    def add(
        self,
        storage: Storage,
        dtype: torch.dtype,
        size: Sequence[int],
        *,
        offset: int = 0,
        stride: Sequence[int] | None = None,
    ) -> Tensor:
        """Return the meta tensor of a view. ``offset`` and ``stride`` count numbers; by default it is contiguous.

        Raises:
            ValueError, TypeError, RuntimeError: an impossible view, or one that exceeds its storage.
        """
        if len(size) > _MAX_AXES or len(self._views) > _MAX_TENSORS:
            raise ValueError(f"more than {_MAX_AXES} axes or {_MAX_TENSORS} tensors")
        if stride is None:
            shape = torch.empty(size, dtype=dtype, device="meta")
        else:
            shape = torch.empty_strided(size, stride, dtype=dtype, device="meta")
        last = sum((n - 1) * step for n, step in zip(shape.shape, shape.stride(), strict=True))
        start = offset * dtype.itemsize
        end = start + (last + 1) * dtype.itemsize if shape.numel() else start
        if not 0 <= start <= end <= storage.size:
            raise ValueError(f"a tensor of bytes {start} to {end} in a storage of {storage.size} bytes")
        self._views[id(shape)] = _View(shape, storage, start, end)
        return shape

    def read(self, shapes: Iterable[Tensor]) -> dict[int, Tensor]:
        """Read tensors with their numbers, by the id of their meta tensors. Views of one storage share memory.

        Raises:
            OSError, MemoryError: unreadable, or larger than the memory.
            ValueError: a truncated file, or a different checksum.
        """
        views = [self._views[id(shape)] for shape in shapes]
        by_storage: dict[int, list[_View]] = {}
        for view in views:
            by_storage.setdefault(id(view.storage), []).append(view)
        return {id(view.shape): tensor for group in by_storage.values() for view, tensor in self._read(group)}

    def _read(self, views: list[_View]) -> Iterable[tuple[_View, Tensor]]:
        """Read the views of one storage, and only the bytes that they need."""
        storage, start, end = views[0].storage, min(view.start for view in views), max(view.end for view in views)
        numbers = np.empty(end - start, np.uint8)
        data = numbers.data
        self._file.seek(storage.start + start)
        if self._file.readinto(data) != len(numbers):  # type: ignore[attr-defined]
            raise ValueError("the file ends within a tensor")
        if storage.crc and len(numbers) == storage.size and zlib.crc32(data) != storage.crc:
            raise ValueError("a tensor's checksum differs")
        memory = torch.from_numpy(numbers)
        for view in views:
            shape, data = view.shape, memory[view.start - start : view.end - start]
            if not len(data):
                yield view, torch.empty(shape.shape, dtype=shape.dtype)
            else:
                yield view, data.view(shape.dtype).as_strided(shape.shape, shape.stride())
