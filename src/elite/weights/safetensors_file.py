"""Read safetensors files; the header is checked against the file's size before memory is allocated."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from elite.errors import CheckpointError
from elite.files import open_regular, parse_json
from elite.weights.lazy_tensors import LazyTensors, Storage
from elite.weights.torch_file import reading
from elite.weights.torch_formats import HEADER_BYTES

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


_VERSION = re.compile(r"elite-[a-z]+-[0-9]{1,9}")


class SafetensorsFile:
    """An open safetensors file.

    Attributes:
        path: of the file.
        metadata: text by name.
        shapes: its tensors, on the meta device until ``read`` reads their numbers.
    """

    def __init__(self, path: Path, metadata: dict[str, str], shapes: dict[str, Tensor], tensors: LazyTensors) -> None:
        self.path = path
        self.metadata = metadata
        self.shapes = shapes
        self._tensors = tensors

    def entry(self, format: str) -> str | None:
        """Return the metadata of a format of elite, such as ``elite-student-1``; None if the file is of another kind.

        Raises:
            CheckpointError: the file has another version of the format.
        """
        kind, _, supported = format.rpartition("-")
        versions = [name.removeprefix(f"{kind}-") for name in self.metadata if _VERSION.fullmatch(name)]
        if format not in self.metadata and (found := [v for v in versions if v.isdecimal()]):
            raise CheckpointError(
                f"{self.path}: expected version {supported} of the format {kind}, which this elite supports, found "
                f"version {found[0]}. Update elite."
            )
        return self.metadata.get(format)

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

    Source: the format's description at https://huggingface.co/docs/safetensors.
    """
    with ExitStack() as stack:
        with reading(path, "a safetensors file"):
            file = stack.enter_context(open_regular(path, None))
            tensors = LazyTensors(file)
            metadata, shapes = _read_header(file, tensors)
        yield SafetensorsFile(path, metadata, shapes, tensors)


def _read_header(file: BinaryIO, tensors: LazyTensors) -> tuple[dict[str, str], dict[str, Tensor]]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(HEADER_BYTES, size - 8):
        raise ValueError(f"a header of {length} bytes in a file of {size} bytes")
    header = parse_json(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("metadata that are not text")
    shapes, place = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, (start, end) = _DTYPES[entry["dtype"]], entry["data_offsets"]
        shape = shapes[name] = tensors.add(Storage(8 + length + start, end - start), dtype, entry["shape"])
        if start != place or end - start != shape.numel() * dtype.itemsize:
            raise ValueError(f"bytes {start} to {end} for '{name[:80]}' of shape {tuple(shape.shape)}")
        place = end
    if place != size - 8 - length:
        raise ValueError(f"{place} bytes of tensors in a file with {size - 8 - length}")
    return metadata, shapes
