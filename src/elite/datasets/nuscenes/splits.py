"""Splits of nuScenes, and selections of its scenes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, read_file
from elite.layout import parse_names


@dataclass(frozen=True)
class Split:
    """A split of nuScenes.

    Attributes:
        tables: folder of the tables that contain it.
        keyframes: number of keyframes of all its scenes.
        scenes: names of its scenes.
    """

    tables: str
    keyframes: int
    scenes: tuple[str, ...]


@cache
def splits() -> Mapping[str, Split]:
    """Return the splits by name."""
    values = yaml.safe_load(read_file(Path(__file__).parent / "splits.yaml", TEXT_BYTES))
    return {
        name: Split(split["tables"], split["keyframes"], tuple(f"scene-{number:04d}" for number in split["scenes"]))
        for name, split in values.items()
    }


def overlap(first: Collection[str], second: Collection[str]) -> tuple[str, ...]:
    """Return the scenes in both selections, sorted. mini_train has two scenes of val."""
    return tuple(sorted(set(first) & set(second)))


def select_scenes(text: str | None, found: Collection[str], root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a selection of scenes into those that were ``found`` below ``root``, and absent ones.

    Args:
        text: splits and names of scenes, separated by commas: ``train``, ``mini_val,scene-0061``; None = all.
        found: names of the scenes in the tables.
        root: for error messages.

    Raises:
        DataError: a scene that is selected by its name is absent; scenes of a split may be.
        ConfigError: a part is neither a split nor the name of a scene.
    """
    if text is None:
        return tuple(sorted(found)), ()
    wanted: dict[str, None] = {}
    for part in parse_names(text):
        if part in splits():
            wanted |= dict.fromkeys(splits()[part].scenes)
        elif part in found:
            wanted[part] = None
        elif part in {name for split in splits().values() for name in split.scenes}:
            raise DataError(f"{root}: expected {part}, found tables without it. Change the selection.")
        else:
            raise ConfigError(
                f"sequences '{text}': expected {', '.join(splits())} or names of scenes, found '{part}'. Select some "
                f"of {_some(found)}."
            )
    if not wanted:
        raise ConfigError(f"sequences '{text}': expected at least one, found none. Give {', '.join(splits())}.")
    return tuple(s for s in wanted if s in found), tuple(s for s in wanted if s not in found)


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join([*listed[:3], *(["..."] if len(listed) > 4 else []), *listed[3:][-1:]]) or "(no scenes)"
