"""Parts that all records of settings share: range checks, paths, conversion to and from plain values."""

import sys
from contextlib import suppress
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from elite.errors import ConfigError
from elite.paths import expanded

Record = TypeVar("Record")
_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    Path: "a path",
    type(None): "null",
}


def require(condition: bool, message: str) -> None:
    """Check a condition.

    Raises:
        ConfigError: it does not hold; ``message`` is the text.
    """
    if not condition:
        raise ConfigError(message)


def expand_home(record: Any) -> None:
    """Replace ``~`` in the paths of a frozen record. Shells expand neither YAML nor ``--out=~/run``."""
    for f in fields(record):
        value = getattr(record, f.name)
        if isinstance(value, Path):
            object.__setattr__(record, f.name, expanded(value))
        elif isinstance(value, str) and value.startswith("~"):
            object.__setattr__(record, f.name, str(expanded(value)))


def rises(values: tuple[int, ...]) -> bool:
    """Whether each value is larger than the one before it."""
    return all(a < b for a, b in pairwise(values))


def plain(config: Any) -> Any:
    """Convert a configuration to dictionaries, lists, strings and numbers, for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def from_plain(cls: type[Record], values: Any, prefix: str = "") -> Record:
    """Convert the dictionaries of :func:`plain` back to a configuration; absent settings take their defaults.

    The values come from files and may be anything: text, truth values, infinity and NaN are not accepted as numbers.

    Args:
        cls: dataclass of the configuration.
        values: its settings by name.
        prefix: put before the names of settings in error messages, such as ``data.``.

    Raises:
        ConfigError: an unknown name, or a value of another type or out of range.
    """
    kinds = get_type_hints(cls)
    if not isinstance(values, dict) or not values.keys() <= kinds.keys():
        found = ", ".join(map(str, values.keys() - kinds.keys())) if isinstance(values, dict) else values
        expected = f"expected settings among {', '.join(kinds)}"
        raise ConfigError(f"{prefix.rstrip('.') or 'settings'}: {expected}, found {_short(found)}. Correct the names.")
    return cls(**{name: _as_kind(kinds[name], value, f"{prefix}{name}") for name, value in values.items()})


def _as_kind(kind: Any, value: Any, name: str) -> Any:
    """Convert a plain value to the type of a setting: lists to tuples, dictionaries to records, text to paths."""
    parts = get_args(kind)
    if is_union(kind):
        for part in parts:
            with suppress(ConfigError):
                return _as_kind(part, value, name)
    elif is_dataclass(kind):
        return from_plain(kind, value, f"{name}.")  # type: ignore[arg-type]
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
    elif type(value) is kind and kind is not float:
        return value
    found = "no value" if value is None else _short(value)
    raise ConfigError(f"{name}: expected {_described(kind)}, found {found}. Change the value.")


def is_union(kind: Any) -> bool:
    """Whether a type annotation allows several types, such as ``int | None``."""
    return get_origin(kind) in (Union, UnionType)


def _is_number(value: Any) -> bool:
    """Whether a value is a number that fits into a float and is finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _described(kind: Any) -> str:
    """Description of a type in words."""
    if is_union(kind):
        return " or ".join(_described(part) for part in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(f"'{word}'" for word in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"a list of {_plural(parts[0])}" if parts[-1] is ... else f"a list of {len(parts)} {_plural(parts[0])}"
    return _KINDS.get(kind, "settings")


def _plural(kind: Any) -> str:
    return "lists" if get_origin(kind) is tuple else _described(kind).removeprefix("a ") + "s"


def _short(value: Any) -> str:
    """Beginning of a value of any size."""
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else type(value).__name__
