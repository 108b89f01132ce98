"""Existence of files, by listings of their folders."""

import os
from collections import Counter
from pathlib import Path

from elite.errors import DataError


class Listing:
    """Files below a root, found by one listing of each folder; counts those that are missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, set[str]] = {}
        self._asked: Counter[str] = Counter()
        self._missing: dict[str, list[str]] = {}

    def has(self, file: str) -> bool:
        """Return whether a file (path below the root, or absolute) exists; "" does not."""
        if not file:
            return False
        folder, _, name = file.rpartition("/")
        if folder not in self._names:
            self._names[folder] = file_names(self._root / folder)
        self._asked[folder] += 1
        if name in self._names[folder]:
            return True
        self._missing.setdefault(folder, []).append(name)
        return False

    def missing(self) -> list[str]:
        """Describe the missing files of each folder that the tables name."""
        return [
            f"{folder}: {len(names)} of {self._asked[folder]} files are missing ({names[0]}"
            f"{', ...' if len(names) > 1 else ''})"
            for folder, names in self._missing.items()
            if not folder.startswith("/")
        ]


def file_names(folder: Path) -> set[str]:
    """Return the names of the files in a folder; empty without the folder.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder of files, found one that cannot be listed ({error.strerror}). Check the "
            "archive."
        ) from error
