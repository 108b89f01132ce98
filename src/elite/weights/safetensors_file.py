"""Read the tensors of safetensors files."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from elite.files import open_regular
from elite.weights.lazy_tensors import LazyTensors, Storage
from elite.weights.reading import reading
from elite.weights.safetensors_header import Header, read_header

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class SafetensorsFile:
    """An open safetensors file.

    Attributes:
        path: of the file.
        metadata: text by name.
        shapes: its tensors, on the meta device until ``read`` reads their numbers.
    """

    def __init__(self, header: Header, tensors: LazyTensors) -> None:
        self.path = header.path
        self.metadata = header.metadata
        self.entry = header.entry
        self.shapes = {
            name: tensors.add(Storage(stored.start, stored.end - stored.start), _DTYPES[stored.dtype], stored.shape)
            for name, stored in header.tensors.items()
        }
        self._tensors = tensors

    def read(self, shapes: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Read the numbers of some of ``shapes``, or of all.

        Raises:
            CheckpointError: larger than the memory, or no longer readable.
        """
        shapes = self.shapes if shapes is None else shapes
        with reading(self.path, "a safetensors file"):
            numbers = self._tensors.read(shapes.values())
            return {name: numbers[id(shape)] for name, shape in shapes.items()}


@contextmanager
def open_safetensors(path: Path) -> Iterator[SafetensorsFile]:
    """Open a safetensors file.

    Raises:
        CheckpointError: unreadable, damaged, or its header does not describe every byte of it.
    """
    with ExitStack() as stack:
        with reading(path, "a safetensors file"):
            file = stack.enter_context(open_regular(path, None))
            opened = SafetensorsFile(read_header(file, path), LazyTensors(file))
        yield opened
