"""Label mappings: the YAML files of classes that the SemanticKITTI tools, 2DPASS and Cylinder3D use.

::

    labels:            {10: car, 252: moving-car, ...}    raw id -> name; the only required key
    learning_map:      {10: 1, 252: 1, ...}               raw id -> train id; without it, each raw id is a class
    learning_map_inv:  {1: 10, ...}                       train id -> raw id of predictions
    learning_ignore:   {0: true, 1: false, ...}           train ids that become part of class 0
    color_map:         {10: [245, 150, 100], ...}         raw id -> blue, green, red
    labels_16:         {1: barrier, ...}                  train id -> name, in mappings of nuScenes
    content, split:    not used                           shares of points; data.sequences selects sequences
    name: own    ignore: [0]    things: [car]    ground: [road]        additions of elite
"""

from collections.abc import Mapping
from typing import Any

from elite.errors import ConfigError

MOST_CLASSES = 255  # train ids are bytes
IGNORE = 0
_TABLES: dict[str, type] = {
    "labels": str,
    "labels_16": str,
    "learning_map": int,
    "learning_map_inv": int,
    "learning_ignore": bool,
    "color_map": list,
}
_LISTS: dict[str, type] = {"ignore": int, "things": str, "ground": str}
_OTHERS = ("name", "content", "split")
_NOUNS = {int: "a whole number", str: "a name", bool: "true or false", list: "a list of numbers"}


def from_label_mapping(values: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Convert a label mapping to the values of a ``Taxonomy``; ``name`` is used if the mapping has none.

    Raises:
        ConfigError: impossible values.
    """
    _check_keys(values)
    to_train, ignored = _learning_map(values), _ignored(values)
    kept = [IGNORE, *sorted(set(to_train.values()) - ignored)]
    classes = [_class_of(values, train, _members(to_train, {train} if train else ignored, train)) for train in kept]
    if unknown := sorted({*values.get("things", ()), *values.get("ground", ())} - {c["name"] for c in classes}):
        raise ConfigError(f"things, ground: expected names of classes, found {_list(unknown)}. Correct them.")
    return {"name": values.get("name") or name, "classes": classes}


def _check_keys(values: Mapping[Any, Any]) -> None:
    """Check the keys and the types of their values."""
    known = (*_TABLES, *_LISTS, *_OTHERS)
    if unknown := [str(key) for key in values if key not in known]:
        raise ConfigError(
            f"expected keys among {_list(known)}, found {_list(unknown)}. Correct the names.", key=unknown[0]
        )
    for key, kind in _TABLES.items():
        _check_table(key, values.get(key, {}), kind)
    for key, kind in _LISTS.items():
        items = values.get(key, [])
        if not isinstance(items, list) or not all(type(item) is kind for item in items):
            noun = "ids" if kind is int else "class names"
            raise ConfigError(f"{key}: expected a list of {noun}, found {items}. Correct the list.", key=key)
    if not isinstance(name := values.get("name", ""), str):
        raise ConfigError(f"name: expected a text, found {name!r}. Quote the name.")


def _check_table(key: str, table: Any, kind: type) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{key}: expected lines 'ID: value', found {table}. Write one line for each id.", key=key)
    for k, v in table.items():
        if type(k) is not int or type(v) is not kind:
            raise ConfigError(
                f"{key}: expected lines 'ID: value' with {_NOUNS[int]} and {_NOUNS[kind]}, found '{k!r}: {v!r}'. "
                "Correct the line; quote names such as 'no', which YAML reads as false.",
                key=f"{key}.{k}",
            )


def _learning_map(values: Mapping[str, Any]) -> dict[int, int]:
    """Train id of each raw id, complete."""
    labels, ignore = values["labels"], values.get("ignore", [IGNORE])
    if (to_train := values.get("learning_map")) is None:
        kept = [raw for raw in sorted(labels) if raw not in ignore]
        return dict.fromkeys(ignore, IGNORE) | {raw: i for i, raw in enumerate(kept, 1)}
    if outside := sorted(t for t in set(to_train.values()) if not 0 <= t < MOST_CLASSES):
        raise ConfigError(
            f"learning_map: expected train ids in 0..{MOST_CLASSES - 1}, with 0 for the ignored points, found "
            f"{_list(outside[:5])}. Number the classes from 1."
        )
    if unnamed := sorted(to_train.keys() - labels.keys() - set(ignore)):
        raise ConfigError(f"learning_map: expected ids that 'labels' names, found {_list(unnamed)}. Name them there.")
    if unmapped := sorted(labels.keys() - to_train.keys()):
        raise ConfigError(
            f"learning_map: expected a train id for each of 'labels', found none for {_list(unmapped)}. Add them."
        )
    return to_train


def _ignored(values: Mapping[str, Any]) -> set[int]:
    """Train ids that become part of class 0."""
    flags = values.get("learning_ignore", {})
    if flags.get(IGNORE) is False:
        raise ConfigError("learning_ignore: expected true for 0, found false. Number the classes from 1.")
    return {IGNORE, *(train for train, is_ignored in flags.items() if is_ignored)}


def _members(to_train: dict[int, int], trains: set[int], train: int) -> list[int]:
    """Raw ids of a class, which consists of some train ids."""
    members = sorted(raw for raw, t in to_train.items() if t in trains)
    if not members and IGNORE in to_train:
        raise ConfigError(
            "expected raw ids of ignored points, found none, and 0 is a class. Give 'ignore' or 'learning_map' an id "
            "for them, even if no file contains it."
        )
    return members or [train]


def _class_of(values: Mapping[str, Any], train: int, members: list[int]) -> dict[str, Any]:
    """Values of a ``ClassSpec``."""
    written = values.get("learning_map_inv", {}).get(train, members[0])
    if written not in members:
        raise ConfigError(f"learning_map_inv: expected one of {members} for {train}, found {written}. Correct the id.")
    name = values.get("labels_16", {}).get(train) or values["labels"].get(written, "unlabelled")
    return {
        "name": name,
        "raw_ids": [written, *(m for m in members if m != written)],
        "color": _rgb(values.get("color_map", {}).get(written), written),
        "thing": name in values.get("things", ()),
        "ground": name in values.get("ground", ()),
    }


def _rgb(bgr: list[Any] | None, raw: int) -> list[int] | None:
    if bgr is None:
        return None
    if len(bgr) != 3 or not all(type(c) is int for c in bgr):
        raise ConfigError(f"color_map: expected blue, green and red of {raw} in 0..255, found {bgr}. Change them.")
    return bgr[::-1]


def _list(items: Any) -> str:
    return ", ".join(map(str, items))
