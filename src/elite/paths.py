"""Paths as users write them."""

from pathlib import Path

from elite.errors import ConfigError


def expanded(path: str | Path) -> Path:
    """A path with ``~`` and ``~user`` replaced by the home folder.

    Raises:
        ConfigError: the home folder is unknown.
    """
    if "\0" in str(path):
        raise ConfigError(f"'{path}': expected a path, found a NUL character in it. Remove it.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"'{path}': expected a home folder for '~', found none. Write the whole path.") from error
