"""Descriptions of sensors and classes in YAML: packaged ones, found by name, and files of users."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from elite.errors import ConfigError
from elite.files import parse_yaml, read_file, yaml_line
from elite.paths import expanded

_BYTES = 2**20


@cache
def packaged_names(folder: Path) -> tuple[str, ...]:
    """Names of the descriptions in a folder of the package, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


class Description(NamedTuple):
    """Plain values of a YAML file, its path, and its text."""

    values: Any
    path: Path
    text: bytes

    @contextmanager
    def located(self) -> Iterator[None]:
        """Put the path, and the line of the setting if it is known, before a ConfigError of the block."""
        try:
            yield
        except ConfigError as error:
            line = yaml_line(self.text, error.key)
            where = str(self.path) if line is None else f"{self.path}, line {line}"
            raise ConfigError(f"{where}: {error}", key=error.key) from error


def read_description(name: str | Path, folder: Path, what: str) -> Description:
    """Read the packaged description of this name, or the YAML file at this path.

    Args:
        name: name or path.
        folder: of the packaged descriptions.
        what: what is described, for messages.

    Raises:
        ConfigError: an unknown name, or an unreadable file.
    """
    packaged = packaged_names(folder)
    path = folder / f"{name}.yaml" if str(name) in packaged else expanded(name)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{what}: expected {', '.join(packaged)}, or a YAML file, found '{name}'. Correct the name.")
    return read_yaml_file(path, what)


def read_yaml_file(path: Path, what: str) -> Description:
    """Read a YAML file; ``what`` it describes is for messages.

    Raises:
        ConfigError: an unreadable file.
    """
    try:
        data = read_file(path, _BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable {what}, found {error.strerror}. Check the path.") from error
    return Description(parse_yaml(data, str(path)), path, data)
