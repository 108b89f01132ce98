"""Headers of safetensors files; what one claims is checked against the file's size before memory is allocated.

Source: the format's description at https://huggingface.co/docs/safetensors.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from elite.errors import CheckpointError
from elite.files import parse_json
from elite.weights.reading import HEADER_BYTES

_BYTES_OF_NUMBER = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
_VERSION = re.compile(r"elite-[a-z]+-[0-9]{1,9}")


@dataclass(frozen=True)
class StoredTensor:
    """Type, shape, and bytes ``start`` to ``end`` of a tensor in a file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """Metadata and tensors of a file, both by name."""

    path: Path
    metadata: dict[str, str]
    tensors: dict[str, StoredTensor]

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


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read the header of an open file.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it does not describe every byte of the file.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(HEADER_BYTES, size - 8):
        raise ValueError(f"a header of {length} bytes in a file of {size} bytes")
    header = parse_json(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("metadata that are not text")
    tensors, place = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        number, shape, (start, end) = _BYTES_OF_NUMBER[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"the shape {shape} of '{name[:80]}'")
        if start != place or end - start != math.prod(shape) * number:
            raise ValueError(f"bytes {start} to {end} for '{name[:80]}' of shape {shape}")
        tensors[name] = StoredTensor(entry["dtype"], shape, 8 + length + start, 8 + length + end)
        place = end
    if place != size - 8 - length:
        raise ValueError(f"{place} bytes of tensors in a file with {size - 8 - length}")
    return Header(path, metadata, tensors)
