"""Configuration files: YAML of plain settings, checked against the settings of a command before any value is used.

A file can name settings and their values, and nothing else: no class, no function, no other file.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import yaml

from elite.errors import ConfigError
from elite.files import TEXT_BYTES, read_file

_MOST_VALUES = 10_000  # in one file: a run has about a hundred settings
_MARKS = re.compile(rb"[:,\-&*\n]")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_][\w.]*")
IMPORTS = "imports"  # key of a setting's metadata: its value may name package.module:Class


def config_text(path: Path, cls: type, *, others: Collection[str] = (), importable: Collection[str] = ()) -> str:
    """The settings of a YAML file as one JSON text, with each value in the form that its setting takes.

    Args:
        cls: the dataclass of settings that the file may hold.
        others: names of further options of the command.
        importable: packages that ``package.module:Class`` may name in a file.

    Raises:
        ConfigError: unreadable, not YAML, an unknown setting, a value in place of a group, or a class to import.
    """
    try:
        text = read_file(path, TEXT_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a readable configuration ({error}); expected YAML text.") from error
    values = _parse(text, path)
    settings = plain_settings(values, cls, path, others=others, importable=importable)
    return json.dumps(settings)


def plain_settings(
    values: Any, cls: type, source: object, *, others: Collection[str] = (), importable: Collection[str] = ()
) -> dict[str, Any]:
    """``values`` checked by name against the settings of ``cls``; numbers and lists where text is expected become text.

    Raises:
        ConfigError: as ``config_text``; ``source`` names the origin.
    """
    _count(values, source)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: expected settings by name, found {_short(values)}. Write 'name: value' lines.")
    known = {f.name: f for f in fields(cls)}
    outside = {name: value for name, value in values.items() if name in others and name not in known}
    inside = {name: value for name, value in values.items() if name not in outside}
    return outside | _group(inside, cls, "", source, importable)


def _group(values: Any, cls: Any, prefix: str, source: object, importable: Collection[str]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        name = prefix.removesuffix(".")
        raise ConfigError(
            f"{source}: {name} is a group of settings, found '{_short(values)}'. Write its settings below it."
        )
    kinds = get_type_hints(cls)
    by_name = {f.name: f for f in fields(cls)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str) or name not in by_name:
            raise ConfigError(_unknown(_short(name), cls, prefix, source))
        kind, full = kinds[name], f"{prefix}{name}"
        if is_dataclass(kind):
            found[name] = _group(value, kind, f"{full}.", source, importable)
        else:
            found[name] = _value(value, kind, full, source)
            if by_name[name].metadata.get(IMPORTS):
                _check_import(found[name], full, source, importable)
    return found


def _value(value: Any, kind: Any, name: str, source: object) -> Any:
    """A value as its setting takes it: where that is text, numbers (sequences: 8) and lists ([00, 01]) become text."""
    if isinstance(value, Mapping):
        raise ConfigError(f"{source}: {name} takes a single value, found a group of settings. Write one value.")
    takes_text = str in ((kind, *get_args(kind)) if isinstance(kind, UnionType) else (kind,))
    if takes_text and isinstance(value, list):
        return ",".join(_text(item) for item in value)
    if takes_text and isinstance(value, int | float) and not isinstance(value, bool):
        return _text(value)
    return value if _is_plain(value) else _short(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float)


def _check_import(value: Any, name: str, source: object, importable: Collection[str]) -> None:
    if not isinstance(value, str) or not _IMPORT.fullmatch(value):
        return
    package = value.partition(":")[0].partition(".")[0]
    if package not in importable:
        raise ConfigError(
            f"{source}: {name} names the class {value}, and importing it runs code of the package '{package}'. Give "
            f"--allow-import {package} if you trust it, or name the class on the command line."
        )


def _unknown(name: str, cls: type, prefix: str, source: object) -> str:
    """The error message of a name that is not a setting, with the nearest setting there is."""
    last = {full.rpartition(".")[2]: full for full in setting_names(cls, prefix)}
    close = get_close_matches(prefix + name, last.values(), 1) or [last[n] for n in get_close_matches(name, last, 1)]
    guess = f"did you mean {close[0]}, or " if close else ""
    return f"{source}: '{prefix}{name}' is not a setting of this command; {guess}is it a setting of another command?"


def setting_names(cls: Any, prefix: str = "") -> Iterator[str]:
    """Full names of all settings: out, data.root, ..."""
    for name, kind in get_type_hints(cls).items():
        if is_dataclass(kind):
            yield from setting_names(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def group_kinds(cls: Any, prefix: str = "") -> dict[str, type]:
    """The groups of settings by their full names: data, teacher.adapter, ..."""
    found: dict[str, type] = {}
    for name, kind in get_type_hints(cls).items():
        if is_dataclass(kind) and isinstance(kind, type):
            found |= {f"{prefix}{name}": kind} | group_kinds(kind, f"{prefix}{name}.")
    return found


# ---- YAML -------------------------------------------------------------------------------------------------------

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Settings(_Base):
    """YAML whose whole numbers have no leading zeros: 00 and 010 are names of sequences; and 1e-3 is a number."""


_Settings.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")]
    for first, rules in _Base.yaml_implicit_resolvers.items()
}
_Settings.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Settings.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def _parse(text: str, path: Path) -> Any:
    if len(_MARKS.findall(text.encode())) > _MOST_VALUES:
        raise ConfigError(f"{path}: expected at most {_MOST_VALUES} values, found more. Give the settings of one run.")
    try:
        return yaml.load(text, Loader=_Settings)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a date such as 2024-13-01
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())[:300]}. Correct the line.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: settings are nested without end. Remove the nesting.") from error


def parse_inline(text: str, source: object) -> Any:
    """A value that was typed for a group of settings: JSON or YAML on one line."""
    return _parse(text, Path(str(source)))


def _count(values: Any, source: object) -> None:
    """Aliases (&a, *a) make few lines hold any number of values, or hold themselves.

    Raises:
        ConfigError: more values than any run has settings.
    """
    waiting, seen = [values], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise ConfigError(
                f"{source}: expected at most {_MOST_VALUES} values, found settings nested without end or repeating "
                "others many times (&a, *a). Write them out."
            )
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += list(value)


def _short(value: Any) -> str:
    """Enough of a value to recognise it by."""
    if isinstance(value, str | int | float | bool | None):
        return str(value)[:40]
    return type(value).__name__
