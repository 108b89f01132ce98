"""Generated files with a record beside each: what they were made from, with which settings, and their digests.

The record is written twice: before its files without any digest, so that it is known whose they are, and after them
with theirs, so that half-written ones are never taken for whole.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from elite.errors import ConfigError
from elite.files import write_bytes, write_json
from elite.layout import Layout


class Store:
    """Below one root, all of one ``folder`` name: image_2_FOLDER/ of each camera, labels_FOLDER/ of lifted labels."""

    def __init__(self, layout: Layout, folder: str) -> None:
        self.layout, self.folder = layout, folder

    def dense(self, sequence: str, name: str, camera: str) -> dict[str, Path]:
        """The files of one image: semantic and instance."""
        folder = f"{camera}_{self.folder}"
        return {kind: self.layout.dense_labels(sequence, name, folder, kind) for kind in ("semantic", "instance")}

    def dense_record(self, sequence: str, name: str, camera: str) -> Path:
        return self.layout.dense_record(sequence, name, f"{camera}_{self.folder}")

    def picture(self, sequence: str, name: str, camera: str) -> Path:
        return self.layout.dense_labels(sequence, name, f"{camera}_{self.folder}", "pictures")

    def lifted(self, sequence: str, name: str) -> dict[str, Path]:
        return {"labels": self.layout.labels(sequence, name, f"labels_{self.folder}")}

    def lifted_record(self, sequence: str, name: str) -> Path:
        return self.layout.dense_record(sequence, name, f"labels_{self.folder}")

    def refuse_foreign(self, sequences: tuple[str, ...], cameras: tuple[str, ...]) -> None:
        """Raises ConfigError if a folder holds labels that were not made here: they must not be written over."""
        for sequence in sequences:
            files = [(self.dense(sequence, "0", c)["semantic"], self.dense_record(sequence, "0", c)) for c in cameras]
            files.append((self.lifted(sequence, "0")["labels"], self.lifted_record(sequence, "0")))
            for file, record in files:
                if any(file.parent.glob(f"*{file.suffix}")) and not any(record.parent.glob("*.json")):
                    raise ConfigError(
                        f"{file.parent} holds labels that no record tells the origin of, they may be true ones; choose "
                        "another --folder or --out."
                    )


def whole(record: Path, files: dict[str, Path], expected: dict[str, Any]) -> bool:
    """Whether the files are there, undamaged, and made as ``expected``."""
    try:
        found = json.loads(record.read_text())
        digests = {kind: digest(path.read_bytes()) for kind, path in files.items()}
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {key: found.get(key) for key in (*expected, "files")} == {
        **expected,
        "files": digests,
    }


def write_whole(record: Path, files: dict[str, tuple[Path, bytes]], told: dict[str, Any]) -> int:
    """Write the files, and the record of what was ``told`` with their digests. Returns the files' bytes.

    Raises:
        OutputError: the folder is not writable or the disk is full; the record then has no digests.
    """
    write_json(record, {**told, "files": {}})
    for path, data in files.values():
        write_bytes(path, data)
    write_json(record, {**told, "files": {kind: digest(data) for kind, (_, data) in files.items()}})
    return sum(len(data) for _, data in files.values())


def digest(*data: bytes) -> str:
    """Sixteen hexadecimal digits that tell contents apart."""
    told = hashlib.sha256()
    for part in data:
        told.update(part)
    return told.hexdigest()[:16]
