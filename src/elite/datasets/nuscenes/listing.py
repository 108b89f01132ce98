"""Existence of the files that tables name."""

from collections import Counter
from pathlib import Path

from elite.datasets.frame_files import file_names


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
