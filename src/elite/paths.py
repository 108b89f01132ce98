"""Paths as users write them."""

from collections.abc import Collection
from pathlib import Path

from elite.errors import ConfigError, DataError


def expanded(path: str | Path) -> Path:
    """Path with ``~`` and ``~user`` replaced by the home folder.

    Raises:
        ConfigError: the home folder is unknown, or the path contains a NUL character.
    """
    if "\0" in str(path):
        raise ConfigError(f"'{path}': expected a path, found a NUL character in it. Remove it.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"'{path}': expected a home folder for '~', found none. Write the full path.") from error


def absolute(path: Path | None) -> Path | None:
    """Return the path from the root of the file system, with symbolic links in it; None as it is."""
    return None if path is None else path.absolute()


def absolute_if_file(name: str | None, known: Collection[str] = ()) -> str | None:
    """Return the absolute path of an existing file or folder; a ``known`` name, and any other text, as it is."""
    if name is None or name in known or not expanded(name).exists():
        return name
    return str(expanded(name).absolute())


def require_existing(path: Path, expected: str) -> None:
    """Check that a path exists.

    Args:
        path: a file or a folder.
        expected: description of it for the error message.

    Raises:
        DataError: it does not exist.
    """
    if not path.exists():
        raise DataError(f"{path}: expected {expected}, found no such file or folder. Check the path.")
