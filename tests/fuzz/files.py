"""Files of fuzzed readers, and what their makers keep."""

from pathlib import Path
from typing import Any

SHARED: dict[Path, Any] = {}  # what takes long to build, by its folder


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def remembered(*files: Path) -> list[Path]:
    """Return ``files``, and keep their contents for ``changed``."""
    SHARED.update({path: path.read_bytes() for path in files})
    return list(files)


def changed(*files: Path) -> list[Path]:
    """Files with other contents than at first, or all if there are none. Undamaged files need no second reading."""
    return [path for path in files if path.read_bytes() != SHARED[path]] or list(files)
