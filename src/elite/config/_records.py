"""What all records of settings share."""

import sys
from contextlib import suppress
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from elite.errors import ConfigError
from elite.paths import expanded

Record = TypeVar("Record")


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with ``message`` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def expand_home(record: Any) -> None:
    """Replace ``~`` in the paths of a frozen record: nothing else does in YAML, behind an equals sign, or in Python."""
    for f in fields(record):
        value = getattr(record, f.name)
        if isinstance(value, Path):
            object.__setattr__(record, f.name, expanded(value))
        elif isinstance(value, str) and value.startswith("~"):
            object.__setattr__(record, f.name, str(expanded(value)))


def rises(values: tuple[int, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def plain(config: Any) -> Any:
    """A configuration as dictionaries, lists, strings and numbers, fit for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def from_plain(cls: type[Record], values: Any) -> Record:
    """The configuration that :func:`plain` made ``values`` of; what is left out keeps its default.

    Files may hold anything, so every type is checked: no text, truth value or infinity passes as a number.

    Raises:
        ConfigError: an unknown name, or a value of another type or out of range.
    """
    kinds = get_type_hints(cls)
    if not isinstance(values, dict) or not values.keys() <= kinds.keys():
        found = ", ".join(map(str, values.keys() - kinds.keys())) if isinstance(values, dict) else values
        raise ConfigError(f"expected settings among {', '.join(kinds)}, found {_short(found)}.")
    return cls(**{name: _as_kind(kinds[name], value, name) for name, value in values.items()})


def _as_kind(kind: Any, value: Any, name: str) -> Any:
    """``value`` as the annotation of a setting wants it: lists become tuples and dictionaries records."""
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        for part in parts:
            with suppress(ConfigError):
                return _as_kind(part, value, name)
    elif is_dataclass(kind):
        return from_plain(kind, value)  # type: ignore[arg-type]
    elif get_origin(kind) is tuple and isinstance(value, list | tuple):
        each = parts[:1] * len(value) if parts[-1] is ... else parts
        if len(each) == len(value):
            return tuple(_as_kind(part, item, name) for part, item in zip(each, value, strict=True))
    elif get_origin(kind) is Literal and isinstance(value, str) and value in parts:
        return value
    elif kind is float and _is_number(value):
        return float(value)
    elif kind is Path and isinstance(value, str):
        return Path(value)
    elif type(value) is kind:
        return value
    raise ConfigError(
        f"{name} should be of the type {kind if parts else getattr(kind, '__name__', kind)}, found {_short(value)}."
    )


def _is_number(value: Any) -> bool:
    """Whether it fits into a float, and is finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _short(value: Any) -> str:
    """Enough of a value to know it by; it may be of any size, or hold itself."""
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else type(value).__name__
