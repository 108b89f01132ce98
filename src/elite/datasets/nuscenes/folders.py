"""Folders of tables below a root, and the scenes in them."""

from pathlib import Path

from elite.datasets.nuscenes.table_rows import each_row, name_of
from elite.errors import DataError


def read_scene_names(folder: Path) -> list[str]:
    """Read the names of the scenes.

    Raises:
        DataError: the table is missing or damaged.
    """
    names: list[str] = []
    each_row(folder / "scene.json", lambda row: names.append(name_of(row, "name")))
    return names


def table_folders(root: Path) -> list[Path]:
    """Return the folders of tables below a root, such as v1.0-mini.

    Raises:
        DataError: there is none.
    """
    try:
        found = sorted(path.parent for path in root.glob("v1.0-*/sample_data.json"))
    except OSError as error:
        raise DataError(
            f"{root}: expected a readable folder, found {error.strerror}. Check its permissions."
        ) from error
    if not found:
        raise DataError(
            f"{root}: expected tables of nuScenes (v1.0-trainval/sample_data.json, ...), found none. Extract the "
            "metadata archive there, or give the folder that contains it."
        )
    return found


def is_nuscenes(root: Path) -> bool:
    """Return whether a folder contains tables of nuScenes."""
    try:
        return bool(table_folders(root))
    except DataError:
        return False
