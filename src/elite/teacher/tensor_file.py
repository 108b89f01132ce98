"""Safetensors files of ours: tensors, and one record of what they belong to."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from elite.errors import CheckpointError, first_line
from elite.files import parse_json
from elite.weights.safetensors_file import SafetensorsFile, open_safetensors


def pack(tensors: Mapping[str, Tensor], entry: str, record: dict[str, Any]) -> bytes:
    """Return the bytes of a file with ``record`` as the one ``entry`` of its metadata.

    One, because safetensors writes several in any order: the same tensors give the same bytes.
    """
    return save(plain_tensors(tensors), {entry: json.dumps(record)})


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors as safetensors takes them."""
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


@contextmanager
def unpack(path: Path, entry: str, *, expected: str, remedy: str) -> Iterator[tuple[dict[str, Any], SafetensorsFile]]:
    """Open a file and return its record, {} if it has no such ``entry``, and its tensors to be read.

    Raises:
        CheckpointError: not readable as ``expected``; ``remedy`` says what to do.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_safetensors(path))
            record = parse_json(file.metadata.get(entry, "{}"))
            if not isinstance(record, dict):
                raise ValueError(f"a {type(record).__name__} where its record should be")
        except (CheckpointError, ValueError) as error:
            reason = first_line(error).removeprefix(f"{path}: ")
            raise CheckpointError(f"{path} holds no {expected} ({reason}). {remedy}.") from error
        yield record, file
