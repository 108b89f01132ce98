"""Safetensors files of ours: tensors, and one record of what they belong to."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from elite.errors import CheckpointError, first_line
from elite.files import parse_json


def pack(tensors: Mapping[str, Tensor], entry: str, record: dict[str, Any]) -> bytes:
    """The bytes of a file with ``record`` as the one ``entry`` of its metadata.

    One, because safetensors writes several in any order: the same tensors give the same bytes.
    """
    return save(plain_tensors(tensors), {entry: json.dumps(record)})


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As safetensors takes them."""
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def unpack(path: Path, entry: str, *, expected: str, remedy: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record, {} if the file has no such ``entry``, and the tensors of a file.

    Raises:
        CheckpointError: it cannot be read: it holds no ``expected``; ``remedy`` says what to do.
    """
    try:
        with safe_open(path, "pt") as file:
            record = parse_json((file.metadata() or {}).get(entry, "{}"))
            if not isinstance(record, dict):
                raise ValueError(f"a {type(record).__name__} where its record should be")
            return record, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, struct.error, ValueError) as error:
        raise CheckpointError(f"{path} holds no {expected} ({first_line(error)}); {remedy}.") from error
