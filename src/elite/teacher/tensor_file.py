"""Safetensors files of elite: tensors, and one record that identifies them."""

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
    """Return the bytes of a file with ``record`` as the only ``entry`` of its metadata.

    safetensors writes several entries in any order, so only a single one makes the bytes reproducible.
    """
    return save(plain_tensors(tensors), {entry: json.dumps(record)})


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous CPU tensors, as safetensors requires."""
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


@contextmanager
def unpack(path: Path, entry: str, *, expected: str, remedy: str) -> Iterator[tuple[dict[str, Any], SafetensorsFile]]:
    """Open a file; yields its record ({} without such an ``entry``) and its tensors.

    Raises:
        CheckpointError: the file is unreadable, whose message contains ``expected`` and ``remedy``, or of another
            version.
    """
    with ExitStack() as stack:
        with _named(path, expected, remedy):
            file = stack.enter_context(open_safetensors(path))
        text = file.entry(entry) or "{}"
        with _named(path, expected, remedy):
            record = parse_json(text)
            if not isinstance(record, dict):
                raise ValueError(f"its record is a {type(record).__name__}")
        yield record, file


@contextmanager
def _named(path: Path, expected: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except (CheckpointError, ValueError) as error:
        reason = first_line(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: expected {expected}, found another file ({reason}). {remedy}.") from error
