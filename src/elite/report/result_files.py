"""Readers of the files that a report is made from. A damaged file is a DataError that names it."""

from pathlib import Path
from typing import Any, TypeVar

from elite.config import from_plain
from elite.errors import ConfigError, DataError, first_line
from elite.files import TEXT_BYTES, parse_json, read_file

Record = TypeVar("Record")


def damaged(path: Path, problem: object) -> DataError:
    """Error about a file of a run folder."""
    return DataError(
        f"{path} is damaged: {str(problem)[:200].rstrip('.')}. Regenerate it with the command that wrote it, or delete "
        "it to exclude it from the report."
    )


def read_utf8(path: Path) -> str:
    """Return the text of a file, empty if the file is missing.

    Raises:
        DataError: unreadable, or not UTF-8.
    """
    try:
        return read_file(path, TEXT_BYTES).decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"expected text in UTF-8, found {first_line(error)}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty if the file is missing.

    Raises:
        DataError: not a JSON object.
    """
    if not path.exists():
        return {}
    try:
        values = parse_json(read_utf8(path))
    except ValueError as error:
        raise damaged(path, f"expected JSON, found {error}") from error
    if not isinstance(values, dict):
        raise damaged(path, f"expected a JSON object, found {str(values)[:60]}")
    return values


def read_record(cls: type[Record], path: Path) -> Record | None:
    """Read a result file; None if it is missing or empty.

    Raises:
        DataError: a value is missing, of the wrong type, or out of range.
    """
    values = read_json(path)
    if not values:
        return None
    try:
        return from_plain(cls, values, ignore_unknown=True)
    except ConfigError as error:
        raise damaged(path, str(error).partition(". ")[0]) from error
