"""Kinds of raw data, by their paths."""

from pathlib import Path
from typing import Literal

from elite.errors import DataError
from elite.layout import DESCRIPTION

_RECORDINGS = (".mcap", ".db3", ".bag", ".active", ".zst", ".zstd")  # the last three are refused with a remedy
Kind = Literal["recording", "scans"]


def kind_of_source(path: Path) -> Kind:
    """Return the kind of the data at an existing path.

    Raises:
        DataError: a data set, an empty folder, or several recordings.
    """
    if not path.is_dir():
        if path.suffix.lower() in (".yaml", ".yml"):
            raise _data_set(path)
        return "recording" if has_recording_suffix(path) else "scans"
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    if not names:
        raise DataError(f"{path}: expected scans or a recording, found an empty folder. Check the path.")
    if DESCRIPTION in names or _is_dataset(path):
        raise _data_set(path)
    if is_recording_folder(path):
        return "recording"
    if bags := [name for name in names if name.lower().endswith(".bag")]:
        found = ", ".join(bags[:3]) + (", ..." if len(bags) > 3 else "")
        raise DataError(f"{path}: expected one recording, found the folder of {found}. Give one of the files.")
    return "scans"


def has_recording_suffix(path: Path) -> bool:
    """Return whether a file, which need not exist, has the name of a recording."""
    return path.suffix.lower() in _RECORDINGS


def is_recording_folder(folder: Path) -> bool:
    """Return whether a folder is a recording of ROS 2, compressed or not: it has neither scans nor a description."""
    from elite.point_files import SUFFIXES

    names = {entry.name for entry in folder.iterdir()}
    found = {Path(name).suffix.lower() for name in names}
    is_ros2 = "metadata.yaml" in names or bool(found & {".mcap", ".db3"})
    return is_ros2 and not found & {*SUFFIXES} and not _is_dataset(folder)


def _is_dataset(folder: Path) -> bool:
    from elite.datasets import is_dataset  # imports torch

    return is_dataset(folder)


def _data_set(path: Path) -> DataError:
    return DataError(
        f"{path}: expected scans or a recording, found a data set. Run 'elite check {path}', or give a folder of its "
        "scans."
    )
