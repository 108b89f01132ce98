"""The hash of a model file: SHA-256 of the file, in which its own 64 hexadecimal digits count as zeros."""

import hashlib
import re
from pathlib import Path
from typing import Any

from elite.errors import CheckpointError, first_line
from elite.files import read_file

NO_DIGITS = "0" * 64
_BEFORE = b'\\"sha256\\": \\"'  # JSON inside the JSON of the header, whose quotes have backslashes
_DIGITS = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 2**32


def sealed(content: bytes) -> bytes:
    """Replace the zeros of the entry ``sha256`` by the hash."""
    before = _BEFORE + NO_DIGITS.encode()
    assert content.count(before) == 1
    return content.replace(before, _BEFORE + hashlib.sha256(content).hexdigest().encode())


def check_hash(path: Path, digits: Any) -> None:
    """Check the hash of a model file, ``digits`` of its metadata.

    Raises:
        CheckpointError: the contents do not fit it.
    """
    digits = digits if isinstance(digits, str) and _DIGITS.fullmatch(digits) else NO_DIGITS
    try:
        content = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a readable file, found {first_line(error)}. Check the disk."
        ) from error
    cleared = content.replace(_BEFORE + digits.encode(), _BEFORE + NO_DIGITS.encode())
    if hashlib.sha256(cleared).hexdigest() != digits:
        raise CheckpointError(
            f"{path}: expected contents that fit the hash in its metadata, found others. Export the student again."
        )
