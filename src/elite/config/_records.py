"""What all records of settings share."""

from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from elite.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with ``message`` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def rises(values: tuple[int, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def plain(config: Any) -> Any:
    """A configuration as dictionaries, lists, strings and numbers, fit for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config
