"""Configuration files: YAML of plain settings, checked against the settings of a command before any value is used.

A file can name settings and their values, and nothing else: no class, no function, no other file.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from elite.config import is_union
from elite.errors import ConfigError, first_line
from elite.files import TEXT_BYTES, read_file

_MAX_VALUES = 10_000  # per file; a run has about a hundred settings
_MARKS = re.compile(r"[:,\-&*\n]")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_][\w.]*")
IMPORTS = "imports"  # key of a setting's metadata: its value may name package.module:Class
_NULL = "tag:yaml.org,2002:null"
_BOOL = {"true": True, "false": False}
_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def config_settings(
    path: Path, cls: type, *, skip: Collection[str] = (), importable: Collection[str] = ()
) -> dict[str, Any]:
    """Read the settings of a YAML file, with each value in the form that its setting takes.

    Args:
        path: the file.
        cls: dataclass of the settings that the file may contain.
        skip: settings that the command does not take.
        importable: packages that ``package.module:Class`` may name in a file.

    Raises:
        ConfigError: unreadable, not YAML, an unknown setting, a value in place of a group, or a class to import.
    """
    try:
        text = _decode(read_file(path, TEXT_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        found = first_line(error)
        raise ConfigError(f"{path}: expected YAML text, found {found}. Correct the path or the file.") from error
    return settings_of(text, cls, str(path), skip=skip, importable=importable)


def settings_of(
    text: str, cls: type, source: str, *, prefix: str = "", skip: Collection[str] = (), importable: Collection[str] = ()
) -> dict[str, Any]:
    """Return the settings in a YAML text, checked by name against those of ``cls``; ``source`` names the origin.

    Raises:
        ConfigError: as ``config_settings``.
    """
    try:
        return _Reader(source, skip, importable).group(_compose(text, source), cls, prefix)
    except RecursionError as error:
        raise ConfigError(f"{source}: settings are nested without end. Remove the nesting.") from error


def typed_value(text: str, kind: Any, name: str) -> Any:
    """Return the value of a setting that was typed on the command line, in the form that its type takes.

    A list of texts may lack its brackets: ``front,left``.

    Raises:
        ConfigError: not YAML, or a group of settings in place of a value.
    """
    if _takes_text(kind):
        return None if text == "null" and type(None) in get_args(kind) else text
    if kind == tuple[str, ...] and not text.startswith("["):
        text = f"[{text}]"
    try:
        return _Reader("command line", (), ()).value(_compose(text, f"--{name} {text}"), kind, name)
    except RecursionError as error:
        raise ConfigError(f"{name}: lists are nested without end. Remove the nesting.") from error


def all_settings(cls: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the full name and type of each setting and each group of settings: out, data, data.root, ..."""
    for name, kind in get_type_hints(cls).items():
        yield f"{prefix}{name}", kind
        if is_dataclass(kind):
            yield from all_settings(kind, f"{prefix}{name}.")


# ---- YAML -------------------------------------------------------------------------------------------------------


def _decode(data: bytes) -> str:
    return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")


def _compose(text: str, source: str) -> Node:
    """Compose the nodes of a YAML text. Scalars keep their written text."""
    if sum(1 for _ in _MARKS.finditer(text)) > _MAX_VALUES:
        raise ConfigError(f"{source}: expected at most {_MAX_VALUES} values, found more. Give the settings of one run.")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())[:300]}. Correct the line.") from error
    return MappingNode("tag:yaml.org,2002:map", []) if node is None else node


@dataclass
class _Reader:
    """Reader of settings in YAML nodes. It counts values: with aliases (&a, *a), few lines contain any number."""

    source: str
    skip: Collection[str]
    importable: Collection[str]
    values: int = 0

    def group(self, node: Node, cls: Any, prefix: str) -> dict[str, Any]:
        self._count(node)
        if not isinstance(node, MappingNode):
            name = prefix.removesuffix(".")
            expected = f"{name} is a group of settings" if name else "expected settings by name"
            raise ConfigError(f"{self.source}: {expected}, found '{_short(node)}'. Write 'name: value' lines.")
        kinds, by_name, found = get_type_hints(cls), {f.name: f for f in fields(cls)}, {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else _short(key)
            if name not in by_name or (not prefix and name in self.skip):
                raise ConfigError(self._unknown(name, cls, prefix))
            full = f"{prefix}{name}"
            if name in found:
                raise ConfigError(f"{self.source}: expected '{full}' once, found it twice. Join the two.")
            if is_dataclass(kinds[name]):
                found[name] = self.group(value, kinds[name], f"{full}.")
            else:
                found[name] = self.value(value, kinds[name], full)
            if by_name[name].metadata.get(IMPORTS):
                self._check_import(found[name], full)
        return found

    def value(self, node: Node, kind: Any, name: str) -> Any:
        """Value in the form of its setting. Text settings keep the written text: 00 stays 00."""
        self._count(node)
        takes_text = _takes_text(kind)
        if isinstance(node, SequenceNode):
            items = [self.value(item, str if takes_text else object, name) for item in node.value]
            if takes_text and not all(isinstance(item, str) for item in items):
                raise ConfigError(f"{self.source}: {name} takes a list of words, found another value. Quote it.")
            return ",".join(items) if takes_text else items
        if not isinstance(node, ScalarNode):
            raise ConfigError(
                f"{self.source}: {name} takes a single value, found a group of settings. Write one value."
            )
        if node.tag == _NULL:
            return None
        return node.value if takes_text or node.style in ("'", '"', "|", ">") else _plain(node.value)

    def _count(self, node: Node) -> None:
        self.values += 1
        if self.values > _MAX_VALUES:
            raise ConfigError(
                f"{self.source}: expected at most {_MAX_VALUES} values, found settings nested without end or "
                "repeating others many times (&a, *a). Write them out."
            )
        if node.tag not in _TAGS:
            raise ConfigError(f"{self.source}: expected plain values, found the tag '{node.tag[:60]}'. Remove it.")

    def _check_import(self, value: Any, name: str) -> None:
        if not isinstance(value, str) or not _IMPORT.fullmatch(value):
            return
        package = value.partition(":")[0].partition(".")[0]
        if package not in self.importable:
            raise ConfigError(
                f"{self.source}: {name} names the class {value}, and importing it runs code of the package "
                f"'{package}'. Give --allow-import {package} if you trust it, or name the class on the command line."
            )

    def _unknown(self, name: str, cls: type, prefix: str) -> str:
        """Error message for a name that is not a setting, with the nearest setting."""
        last = {full.rpartition(".")[2]: full for full, kind in all_settings(cls, prefix) if not is_dataclass(kind)}
        close = get_close_matches(prefix + name, last.values(), 1) or [
            last[n] for n in get_close_matches(name, last, 1)
        ]
        if prefix + name in close:  # data.root: X in place of data: {root: X}
            nested = name.replace(".", ": {") + ": ..." + "}" * name.count(".")
            return f"{self.source}: expected nested settings, found '{name}'. Write '{nested}'."
        guess = f"did you mean {close[0]}, or " if close else ""
        unknown = f"{self.source}: '{prefix}{name}' is not a setting of this command"
        return f"{unknown}; {guess}is it a setting of another command?"


def _takes_text(kind: Any) -> bool:
    """Whether a setting takes text or a path."""
    return any(k is str or k is Path for k in (get_args(kind) if is_union(kind) else (kind,)))


def _plain(text: str) -> Any:
    """Truth value, whole number, number, or the text itself."""
    if text.lower() in _BOOL:
        return _BOOL[text.lower()]
    for kind in (int, float):
        try:
            return kind(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            continue
    return text


def _short(node: Node) -> str:
    """Beginning of a node, to recognise it by."""
    return node.value[:40] if isinstance(node, ScalarNode) else getattr(node, "id", "a value")
