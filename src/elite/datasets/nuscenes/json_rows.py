"""Rows of large JSON tables, one after the other.

The library ijson is as fast, but loads the rest of a table whose text has a string without an end.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elite.errors import DataError
from elite.files import open_regular

_BLOCK = 2**20  # characters that are read at once
_LONGEST_ROW = 2**20  # characters; those of nuScenes have 500. A damaged row does not make the reader load the rest
_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that contains a JSON array of objects.

    Memory holds one block of the file, whatever its size.

    Raises:
        DataError: missing, truncated or damaged, or other JSON.
    """
    count = 0
    try:
        with open_regular(path, None) as binary, io.TextIOWrapper(binary, encoding="utf-8") as file:
            for row in _objects(file):
                yield row
                count += 1
    except OSError as error:
        raise DataError(f"{path}: expected a table, found {error.strerror}. Re-extract the metadata.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: expected a JSON array of rows, found damaged or truncated text after {count} rows "
            f"({str(error)[:100]}). Re-extract the metadata."
        ) from error


def _objects(file: io.TextIOWrapper) -> Iterator[dict[str, Any]]:
    """Yield the objects of an array.

    Raises:
        ValueError: not such an array.
    """
    text, at = _next(file, "", 0, "[")
    text, at = _next(file, text, at + 1, "{]")
    while text[at] == "{":
        text, row, at = _decode(file, text, at)
        yield row
        text, at = _next(file, text, at, ",]")
        if text[at] == ",":
            text, at = _next(file, text, at + 1, "{")
    if (text[at + 1 :] + file.read(_BLOCK)).strip(" \t\r\n"):
        raise ValueError("more text after the array")


def _next(file: io.TextIOWrapper, text: str, at: int, allowed: str) -> tuple[str, int]:
    """Skip blanks. Returns the text, another block of it if needed, and the position of an ``allowed`` character.

    Raises:
        ValueError: another character, or the end of the file.
    """
    while (at := _end_of_blanks(text, at)) == len(text):
        if not (more := file.read(_BLOCK)):
            raise ValueError(f"expected one of '{allowed}', found the end")
        text, at = more, 0
    if text[at] not in allowed:
        raise ValueError(f"expected one of '{allowed}', found '{text[at]}'")
    return text, at


def _decode(file: io.TextIOWrapper, text: str, at: int) -> tuple[str, dict[str, Any], int]:
    """Decode the object at a position. Returns the text, with another block if needed, the object, and its end.

    Raises:
        ValueError: not an object.
    """
    while True:
        try:
            row, end = _DECODER.raw_decode(text, at)
            return text, row, end
        except ValueError:
            more = file.read(_BLOCK) if len(text) - at < _LONGEST_ROW else ""
            if not more:
                raise
            text, at = text[at:] + more, 0


def _end_of_blanks(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()
