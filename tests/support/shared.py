"""Folders that one process of a test run builds, and all of them read."""

import fcntl
from collections.abc import Callable
from pathlib import Path

_folders: list[Path] = []


def share_folders_in(root: Path) -> None:
    """Build the folders of this test run in ``root``, which all of its processes have."""
    _folders[:] = [root]


def built_once(name: str, build: Callable[[Path], object]) -> Path:
    """Folder that ``build`` writes when it is first asked for. Copy it to change it."""
    (root,) = _folders
    folder = root / name
    with (root / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            build(part := root / f".{name}")
            part.rename(folder)
    return folder
