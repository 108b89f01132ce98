"""Generated files with a record beside each: what they were made from, with which settings, and their digests.

The record is written twice: before its files without any digest, so that it is known whose they are, and after them
with theirs, so that half-written ones are never taken for whole.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elite.errors import ConfigError
from elite.files import SCAN_BYTES, TEXT_BYTES, parse_json, read_file, write_bytes, write_json
from elite.layout import Layout


@dataclass(frozen=True)
class Output:
    """Files that are made together, by kind, and the record that tells of them."""

    files: dict[str, Path]
    record: Path

    def whole(self, expected: dict[str, Any]) -> bool:
        """Whether the files are there, undamaged, and made as ``expected``."""
        try:
            found = parse_json(read_file(self.record, TEXT_BYTES))
            digests = {kind: file_digest(path) for kind, path in self.files.items()}
        except (OSError, ValueError):
            return False
        told = {**expected, "files": digests}
        return isinstance(found, dict) and {key: found.get(key) for key in told} == told

    def write(self, contents: dict[str, bytes], told: dict[str, Any]) -> int:
        """Write the files, and the record of what was ``told`` with their digests. Returns the files' bytes.

        Raises:
            OutputError: the folder is not writable or the disk is full; the record then has no digests.
        """
        write_json(self.record, {**told, "files": {}})
        for kind, path in self.files.items():
            write_bytes(path, contents[kind])
        write_json(self.record, {**told, "files": {kind: _digest(contents[kind]) for kind in self.files}})
        return sum(map(len, contents.values()))


class Store:
    """Below one root, all of one ``folder`` name: image_2_FOLDER/ of each camera, labels_FOLDER/ of lifted labels."""

    def __init__(self, layout: Layout, folder: str) -> None:
        self.layout, self.folder = layout, folder

    def dense(self, sequence: str, name: str, camera: str) -> Output:
        """Semantic and instance of one image."""
        folder, at = f"{camera}_{self.folder}", self.layout
        files = {kind: at.dense_labels(sequence, name, folder, kind) for kind in ("semantic", "instance")}
        return Output(files, at.dense_record(sequence, name, folder))

    def lifted(self, sequence: str, name: str) -> Output:
        """Labels of the points of one scan."""
        folder, at = f"labels_{self.folder}", self.layout
        return Output({"labels": at.labels(sequence, name, folder)}, at.dense_record(sequence, name, folder))

    def picture(self, sequence: str, name: str, camera: str) -> Path:
        """What was seen and done, for people: no record tells of it."""
        return self.layout.dense_labels(sequence, name, f"{camera}_{self.folder}", "pictures")

    def refuse_foreign(self, sequences: tuple[str, ...], cameras: tuple[str, ...]) -> None:
        """Raises ConfigError if a folder holds labels that were not made here: they must not be written over."""
        for sequence in sequences:
            for output in (*(self.dense(sequence, "0", c) for c in cameras), self.lifted(sequence, "0")):
                file, *_ = output.files.values()
                if any(file.parent.glob(f"*{file.suffix}")) and not any(output.record.parent.glob("*.json")):
                    raise ConfigError(
                        f"{file.parent} holds labels that no record tells the origin of, they may be true ones; choose "
                        "another --folder or --out."
                    )


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits that tell the contents of files apart."""
    return _digest(read_file(path, SCAN_BYTES))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
