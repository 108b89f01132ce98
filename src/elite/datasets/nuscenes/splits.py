"""Splits of nuScenes, and selections of its scenes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, parse_yaml, read_file
from elite.formatting import some_of
from elite.layout import parse_names

_PREFERENCE = ("v1.0-trainval", "v1.0-test", "v1.0-mini")


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
    """Return the splits by name; ``valid`` is another name of val."""
    path = Path(__file__).parent / "splits.yaml"
    values = parse_yaml(read_file(path, TEXT_BYTES), str(path))
    found = {
        name: Split(split["tables"], split["keyframes"], tuple(f"scene-{number:04d}" for number in split["scenes"]))
        for name, split in values.items()
    }
    return found | {"valid": found["val"]}


def select_scenes(
    text: str | None, tables: Mapping[str, Collection[str]], root: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Choose scenes, and the tables of each.

    A split is that of its own tables: scenes of v1.0-mini are not a part of train and val, although these have them.

    Args:
        text: splits and names of scenes, separated by commas: ``train``, ``mini_val,scene-0061``; None = all.
        tables: names of the scenes in each folder of tables.
        root: for error messages.

    Returns:
        The folder of tables of each scene, and the absent scenes of the splits.

    Raises:
        DataError: a scene that is selected by its name is absent.
        ConfigError: a part is neither a split nor the name of a scene.
    """
    found = {scene: folder for folder in sorted(tables, key=_rank, reverse=True) for scene in tables[folder]}
    if text is None:
        return dict(sorted(found.items())), ()
    chosen, absent = dict[str, str](), dict[str, None]()
    for part in parse_names(text):
        if part in splits():
            split = splits()[part]
            present = set(tables.get(split.tables, ()))
            chosen |= {scene: split.tables for scene in split.scenes if scene in present}
            absent |= dict.fromkeys(scene for scene in split.scenes if scene not in present)
        elif part in found:
            chosen.setdefault(part, found[part])
        elif part in {name for split in splits().values() for name in split.scenes}:
            raise DataError(f"{root}: expected {part}, found tables without it. Select some of {existing(tables)}.")
        else:
            raise ConfigError(
                f"sequences '{text}': expected {', '.join(splits())} or names of scenes, found '{part}'. Select some "
                f"of {existing(tables)}."
            )
    if not chosen and not absent:
        raise ConfigError(f"sequences '{text}': expected at least one, found none. Give {', '.join(splits())}.")
    return chosen, tuple(absent)


def existing(tables: Mapping[str, Collection[str]]) -> str:
    """Splits with scenes in their tables, and some scenes, for messages; ``tables`` as in ``select_scenes``."""
    present = [n for n, split in splits().items() if n != "valid" and {*split.scenes} & {*tables.get(split.tables, ())}]
    return ", ".join([*present, some_of({scene for scenes in tables.values() for scene in scenes})])


def _rank(folder: str) -> tuple[int, str]:
    """Order of preference among tables that contain the same scene."""
    return (_PREFERENCE.index(folder) if folder in _PREFERENCE else len(_PREFERENCE), folder)
