"""Find weights in files of other training code, and remove the prefixes of their names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elite.errors import CheckpointError

# Parts that wrappers add to names: DistributedDataParallel, torch.compile, FSDP, activation checkpointing.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_MAX_DEPTH = 3  # of nested dictionaries


@dataclass(frozen=True)
class NamedWeights:
    """Weights by their names in the network.

    Attributes:
        state: values in the file.
        names: names in the file.
        notes: lines for a report: the place in the file, and removed prefixes.
    """

    state: dict[str, Any]
    names: dict[str, str]
    notes: list[str] = field(default_factory=list)


def find_weights(
    content: dict[Any, Any], marker: re.Pattern[str], *, path: Path, expected: str, remedy: str
) -> NamedWeights:
    """Find the only dictionary of weights in a file, and remove the prefixes of their names.

    Parts of wrappers (``module.``, ``_orig_mod.``) are removed anywhere in a name. Names without the network's prefix
    stay as they are: callers must refuse names that they do not expect.

    Args:
        marker: matches the start of a network's name; text before the match is its prefix.
        expected, remedy: the weights, and the user's remedy, for the error message.

    Raises:
        CheckpointError: no weights, more than one set of weights, or two weights with one name.
    """
    sets = [(where, prefix, table) for where, table in _tables(content) for prefix in _prefixes(table, marker)]
    if not sets:
        where, table = max(_tables(content), key=lambda found: (len(found[1]), len(found[0])))
        found = ", ".join(f"'{'.'.join([*where, name])[:80]}'" for name in [*table][:3])
        raise CheckpointError(f"{path}: expected {expected}, found {found or 'an empty dictionary'}. {remedy}.")
    if len(sets) > 1:
        found = " and ".join(_place(where, prefix) for where, prefix, _ in sets[:3])
        raise CheckpointError(
            f"{path}: expected one set of weights, found {found}. Save only the wanted ones with torch.save, "
            "without a prefix."
        )
    where, prefix, table = sets[0]
    names: dict[str, str] = {}
    for name in table:
        plain = _unwrapped(name).removeprefix(prefix)
        if plain in names:
            raise CheckpointError(
                f"{path}: expected each weight once, found '{names[plain]}' and '{name}'. Save only the wanted "
                "ones with torch.save."
            )
        names[plain] = name
    state = {plain: table[name] for plain, name in names.items()}
    return NamedWeights(state, names, _notes(where, prefix, names))


def foreign_note(foreign: tuple[str, ...]) -> list[str]:
    """The line of a report on the classes that a file refers to, if any."""
    names = [name[:100] for name in foreign]
    return [f"{len(names)} classes and functions of other code were not opened: {', '.join(names)}"] if names else []


def _tables(content: dict[Any, Any], where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The dictionary and all nested ones, each with its keys from the outside in."""
    yield where, {str(key): value for key, value in content.items()}
    if len(where) < _MAX_DEPTH:
        for key, value in content.items():
            if isinstance(value, dict):
                yield from _tables(value, (*where, str(key)))


def _prefixes(table: dict[str, Any], marker: re.Pattern[str]) -> list[str]:
    matches = ((name, marker.search(name)) for name in map(_unwrapped, table))
    return sorted({name[: match.start()] for name, match in matches if match})


def _place(where: tuple[str, ...], prefix: str) -> str:
    names = f"names that begin with '{prefix}'" if prefix else "names without a prefix"
    return f"{names} in '{'.'.join(where)}'" if where else names


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _notes(where: tuple[str, ...], prefix: str, names: dict[str, str]) -> list[str]:
    changed = [(plain, name) for plain, name in names.items() if plain != name]
    wrappers = sorted({part for _, name in changed for part in name.split(".")} & _WRAPPERS)
    removed = ", ".join(f"'{part}'" for part in [*(f"{w}." for w in wrappers), *([prefix] if prefix else [])])
    notes = [f"weights found in '{'.'.join(where)}'"] if where else []
    return notes + ([f"{removed} removed from {len(changed)} of {len(names)} names"] if changed else [])
