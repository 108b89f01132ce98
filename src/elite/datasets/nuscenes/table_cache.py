"""Compact copies of large tables, since reading those of v1.0-trainval takes about a minute."""

import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from elite.datasets.nuscenes.tables import LABEL_TABLES, TABLES, Recordings, Tables, read_tables
from elite.errors import DataError, OutputError
from elite.files import open_regular, write_bytes

_VERSION = 1  # of the copy; others are ignored
_SMALLEST = 2**25  # bytes of tables; smaller ones are read in a second
_NAME = "elite-keyframes.cache"
_DIGEST_BYTES = 32


def open_tables(folder: Path) -> Tables:
    """Read the tables of a folder such as v1.0-trainval, or their compact copy.

    A copy of large tables is written beside them, or in the user's cache folder if they are on a read-only disk. It is
    used as long as the sizes and times of the tables are the same.

    Raises:
        DataError: as ``read_tables``.
    """
    key = _key(folder)
    if sum(size for _, size, _ in key["tables"]) < _SMALLEST:
        return read_tables(folder)
    for path in _places(folder):
        if (tables := _load(path, key)) is not None:
            return tables
    tables = read_tables(folder)
    for path in _places(folder):
        with suppress(OutputError):
            _save(path, key, tables)
            break
    return tables


def _places(folder: Path) -> tuple[Path, Path]:
    """Return the paths of a copy, the preferred one first."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(str(folder.resolve()).encode(errors="replace")).hexdigest()[:16]
    return folder / _NAME, Path(caches) / "elite" / f"{digest}-{_NAME}"


def _key(folder: Path) -> dict[str, Any]:
    """Identify the tables by their sizes and times."""
    tables = list[Any]()
    for name in (*TABLES, *LABEL_TABLES):
        try:
            found = (folder / f"{name}.json").stat()
        except OSError as error:
            if name in TABLES:
                raise DataError(
                    f"{folder / name}.json: expected a table of nuScenes, found {error.strerror}. Extract the metadata "
                    "archive."
                ) from error
            continue
        tables.append([name, found.st_size, found.st_mtime_ns])
    return {"version": _VERSION, "tables": tables}


def _save(path: Path, key: dict[str, Any], tables: Tables) -> None:
    """Write a copy: a digest, and an npz file of the arrays."""
    content = io.BytesIO()
    np.savez(content, **_flat(tables))  # pyright: ignore[reportArgumentType] (names are none of its options)
    write_bytes(path, _digest(key, content.getbuffer()) + content.getbuffer())


def _load(path: Path, key: dict[str, Any]) -> Tables | None:
    """Return the tables of a copy; None if there is none, it is damaged, or it is of other tables."""
    try:
        with open_regular(path, None) as file:
            content = memoryview(file.read())
    except OSError:
        return None
    if content[:_DIGEST_BYTES] != _digest(key, content[_DIGEST_BYTES:]):
        return None
    with np.load(io.BytesIO(content[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        parts = {name: _nested(arrays, name) for name in ("keyframes", "scans")}
        return Tables(**parts, **{f.name: arrays[f.name] for f in fields(Tables) if f.name not in parts})


def _digest(key: dict[str, Any], content: memoryview) -> bytes:
    """Digest of a copy and of the tables that it was made of."""
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=_DIGEST_BYTES)
    digest.update(content)
    return digest.digest()


def _flat(tables: Tables) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for field in fields(tables):
        value = getattr(tables, field.name)
        if isinstance(value, Recordings):
            arrays |= {f"{field.name}.{part.name}": getattr(value, part.name) for part in fields(value)}
        else:
            arrays[field.name] = value
    return arrays


def _nested(arrays: Any, name: str) -> Recordings:
    return Recordings(**{part.name: arrays[f"{name}.{part.name}"] for part in fields(Recordings)})
