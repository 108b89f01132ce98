"""Conversion of records of settings to and from plain values."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from elite.errors import ConfigError
from elite.paths import expanded

Record = TypeVar("Record")
_KINDS: dict[Any, tuple[str, str]] = {  # one value, and several of them
    bool: ("true or false", "values true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a finite number", "finite numbers"),
    str: ("a text", "texts"),
    Path: ("a path", "paths"),
    NoneType: ("null", "null"),
}
_SETTINGS = ("settings", "settings")


def expand_home(record: Any) -> None:
    """Replace ``~`` in the paths of a frozen record. Shells expand neither YAML nor ``--out=~/run``."""
    for f in fields(record):
        value = getattr(record, f.name)
        if isinstance(value, Path):
            object.__setattr__(record, f.name, expanded(value))
        elif isinstance(value, str) and value.startswith("~"):
            object.__setattr__(record, f.name, str(expanded(value)))


def plain(config: Any) -> Any:
    """Convert a configuration to dictionaries, lists, strings and numbers, for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def from_plain(cls: type[Record], values: Any, prefix: str = "", *, ignore_unknown: bool = False) -> Record:
    """Convert the dictionaries of :func:`plain` back to a record; absent settings take their defaults.

    The values come from files and may be anything: text, truth values, infinity and NaN are not accepted as numbers.

    Args:
        cls: dataclass of the record. The metadata ``key`` of a field is its name in ``values``, if that differs.
        values: settings by name.
        prefix: put before the names of settings in error messages, such as ``data.``.
        ignore_unknown: skip unknown names and null values, for files that other versions may have written.

    Raises:
        ConfigError: an unknown or missing name, or a value of another type or out of range.
    """
    by_key = {f.metadata.get("key", f.name): f for f in fields(cls)}  # type: ignore[arg-type]
    if isinstance(values, dict) and ignore_unknown:
        values = {key: value for key, value in values.items() if key in by_key and value is not None}
    subject, expected = prefix.rstrip(".") or "settings", f"expected settings among {', '.join(by_key)}"
    if not isinstance(values, dict):
        raise ConfigError(f"{subject}: {expected}, found {_short(values)}. Correct the names.", key=prefix.rstrip("."))
    if unknown := [key for key in values if key not in by_key]:
        raise _unknown_key(f"{subject}: {expected}", unknown, by_key, prefix)
    if missing := [key for key, f in by_key.items() if key not in values and _is_required(f)]:
        message = f"{subject}: {expected}, found none for {_list(missing)}. Add the values."
        raise ConfigError(message, key=prefix.rstrip("."))
    kinds, convert = get_type_hints(cls), _Converter(ignore_unknown)
    converted = {by_key[k].name: convert(kinds[by_key[k].name], v, f"{prefix}{k}") for k, v in values.items()}
    try:
        return cls(**converted)
    except ConfigError as error:
        error.key = f"{prefix}{error.key}".rstrip(".")
        raise


def _unknown_key(expectation: str, unknown: list[Any], known: Iterable[str], prefix: str) -> ConfigError:
    near = get_close_matches(str(unknown[0]), known, 1)
    remedy = f"Replace '{unknown[0]}' by '{near[0]}'." if near else "Correct the names."
    return ConfigError(f"{expectation}, found {_short(_list(unknown))}. {remedy}", key=f"{prefix}{unknown[0]}")


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@dataclass(frozen=True)
class _Converter:
    """Convert plain values to the types of settings: lists to tuples, dictionaries to records, text to paths."""

    ignore_unknown: bool

    def __call__(self, kind: Any, value: Any, name: str) -> Any:
        if is_union(kind):
            return self._union(kind, value, name)
        if is_dataclass(kind):
            return from_plain(kind, value, f"{name}.", ignore_unknown=self.ignore_unknown)  # type: ignore[arg-type]
        if kind is float and _is_number(value):
            return float(value)
        parts = get_args(kind)
        if get_origin(kind) is tuple and isinstance(value, list | tuple):
            each = parts[:1] * len(value) if parts[-1] is ... else parts
            if len(each) == len(value):
                return tuple(self(part, item, name) for part, item in zip(each, value, strict=True))
        elif get_origin(kind) is dict and isinstance(value, dict) and all(type(key) is parts[0] for key in value):
            return {key: self(parts[1], item, f"{name}.{key}") for key, item in value.items()}
        elif get_origin(kind) is Literal and isinstance(value, str) and value in parts:
            return value
        elif kind is Path and isinstance(value, str):
            return Path(value)
        elif kind is Any or (type(value) is kind and kind is not float):
            return value
        raise _mismatch(name, kind, value)

    def _union(self, kind: Any, value: Any, name: str) -> Any:
        if value is None and NoneType in get_args(kind):
            return None
        parts = [part for part in get_args(kind) if part is not NoneType]
        if isinstance(value, dict) and len(mappings := [part for part in parts if _is_mapping(part)]) == 1:
            parts = mappings  # its errors are more precise
        if len(parts) == 1:
            return self(parts[0], value, name)
        for part in parts:
            with suppress(ConfigError):
                return self(part, value, name)
        raise _mismatch(name, kind, value)


def is_union(kind: Any) -> bool:
    """Whether a type annotation allows several types, such as ``int | None``."""
    return get_origin(kind) in (Union, UnionType)


def _is_mapping(kind: Any) -> bool:
    return is_dataclass(kind) or get_origin(kind) is dict


def _is_number(value: Any) -> bool:
    """Whether a value is a number that fits into a float and is finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _mismatch(name: str, kind: Any, value: Any) -> ConfigError:
    found = "no value" if value is None else _short(value)
    return ConfigError(f"{name}: expected {_described(kind)}, found {found}. Change the value.", key=name)


def _described(kind: Any) -> str:
    """Description of a type in words."""
    if is_union(kind):
        return " or ".join(_described(part) for part in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(f"'{word}'" for word in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"a list of {_plural(parts[0])}" if parts[-1] is ... else f"a list of {len(parts)} {_plural(parts[0])}"
    return _KINDS.get(kind, _SETTINGS)[0]


def _plural(kind: Any) -> str:
    """Description of several values of a type."""
    if is_union(kind):
        return " or ".join(_plural(part) for part in get_args(kind))
    if get_origin(kind) is Literal:
        return f"words {_described(kind)}"
    return "lists" if get_origin(kind) is tuple else _KINDS.get(kind, _SETTINGS)[1]


def _list(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names))


def _short(value: Any) -> str:
    """Beginning of a value of any size."""
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else type(value).__name__
