"""Opening of a data set of any format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from elite.datasets.base import Dataset
from elite.datasets.nuscenes import NuScenes
from elite.datasets.nuscenes.reader import is_nuscenes
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.layout import is_root
from elite.paths import expanded
from elite.plugins import make_plugin


class _Format(NamedTuple):
    """A known format: its reader, a test of a root, and the files by which a user recognises it."""

    reader: type[Dataset]
    matches: Callable[[Path], bool]
    files: str


FORMATS = {
    "semantickitti": _Format(SemanticKITTI, is_root, "sequences/00/velodyne/000000.bin"),
    "nuscenes": _Format(NuScenes, is_nuscenes, "v1.0-trainval/sample_data.json"),
}


def open_dataset(root: str | Path, format: str | None = None, **options: Any) -> Dataset:
    """Open a data set.

    Args:
        root: its folder.
        format: one of ``FORMATS``, or a class ``package.module:Class`` that implements ``Dataset`` and is made with the
            root and the options; None = recognised by its files.
        **options: arguments of the reader, such as ``sequences="train"``.

    Raises:
        DataError: no data set, or one of an unknown format.
        ConfigError: an unknown format, or an option that the reader lacks.
    """
    path = expanded(root)
    if format is not None and ":" in format:
        return make_plugin(format, Dataset, path, **options)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"format: expected {', '.join(FORMATS)} or package.module:Class, found '{format}'.")
    return FORMATS[format or recognise_format(path)].reader(path, **options)  # type: ignore[call-arg]


def recognise_format(root: Path) -> str:
    """Return the name of the format of a data set.

    Raises:
        DataError: none of ``FORMATS``, or more than one.
    """
    found = [name for name, format in FORMATS.items() if format.matches(root)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{name} ({format.files}, ...)" for name, format in FORMATS.items())
    raise DataError(
        f"{root}: expected a data set of one known format: {known}. Found {' and '.join(found) or 'none of them'}. "
        "Check the path, or give the format."
    )
