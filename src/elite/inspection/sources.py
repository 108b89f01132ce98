"""Kinds of raw data, by their paths."""

from enum import Enum
from pathlib import Path

from elite.errors import DataError

_RECORDINGS = (".mcap", ".db3", ".bag", ".active", ".zst", ".zstd")  # the last three are refused with a remedy
_DESCRIPTION = "dataset.yaml"


class Kind(Enum):
    """Kind of the data at a path."""

    RECORDING = "recording"
    SCANS = "scans"


def kind_of_source(path: Path) -> Kind:
    """Return the kind of the data at an existing path.

    Raises:
        DataError: a data set, an empty folder, or several recordings.
    """
    suffix = path.suffix.lower()
    if not path.is_dir():
        if suffix in (".yaml", ".yml"):
            raise _data_set(path)
        return Kind.RECORDING if suffix in _RECORDINGS else Kind.SCANS
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    if not names:
        raise DataError(f"{path}: expected scans or a recording, found an empty folder. Check the path.")
    if _DESCRIPTION in names or _is_dataset(path):
        raise _data_set(path)
    suffixes = {Path(name).suffix.lower() for name in names}
    if "metadata.yaml" in names or suffixes & {".mcap", ".db3"}:
        return Kind.RECORDING
    if bags := [name for name in names if name.lower().endswith(".bag")]:
        found = ", ".join(bags[:3]) + (", ..." if len(bags) > 3 else "")
        raise DataError(f"{path}: expected one recording, found the folder of {found}. Give one of the files.")
    return Kind.SCANS


def _is_dataset(folder: Path) -> bool:
    from elite.datasets import is_dataset  # imports torch

    return is_dataset(folder)


def _data_set(path: Path) -> DataError:
    return DataError(
        f"{path}: expected scans or a recording, found a data set. Run 'elite check {path}', or give a folder of its "
        "scans."
    )
