"""Generated files with a provenance record: sources, settings, and digests of the files.

The record is written twice: without digests before its files, which marks them as generated, and with digests after
them, which marks them as complete.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elite.errors import ConfigError
from elite.files import SCAN_BYTES, TEXT_BYTES, parse_json, read_file, write_bytes, write_json
from elite.layout import Layout
from elite.types import Camera


@dataclass(frozen=True)
class Output:
    """Files that are written together, by kind, and their provenance record."""

    files: dict[str, Path]
    record: Path

    def is_complete(self, expected: dict[str, Any]) -> bool:
        """Whether the files exist, are undamaged, and have the ``expected`` provenance."""
        try:
            found = parse_json(read_file(self.record, TEXT_BYTES))
            digests = {kind: file_digest(path) for kind, path in self.files.items()}
        except (OSError, ValueError):
            return False
        provenance = {**expected, "files": digests}
        return isinstance(found, dict) and {key: found.get(key) for key in provenance} == provenance

    def write(self, contents: dict[str, bytes], provenance: dict[str, Any]) -> int:
        """Write the files and their record.

        Returns:
            Number of bytes of the files.

        Raises:
            OutputError: the folder is not writable or the disk is full; the record then has no digests.
        """
        write_json(self.record, {**provenance, "files": {}})
        for kind, path in self.files.items():
            write_bytes(path, contents[kind])
        write_json(self.record, {**provenance, "files": {kind: _digest(contents[kind]) for kind in self.files}})
        return sum(map(len, contents.values()))


class Store:
    """Output folders of one name: image_2_FOLDER/ for each camera, and labels_FOLDER/ for lifted labels."""

    def __init__(self, layout: Layout, folder: str) -> None:
        self.layout, self.folder = layout, folder

    def dense(self, sequence: str, name: str, camera: str) -> Output:
        """Files of one image: semantic and instance."""
        files = self.layout.dense_files(sequence, name, f"{camera}_{self.folder}")
        return Output({"semantic": files.semantic, "instance": files.instance}, files.record)

    def lifted(self, sequence: str, name: str) -> Output:
        """File of the lifted labels of one scan."""
        folder, at = f"labels_{self.folder}", self.layout
        return Output({"labels": at.labels(sequence, name, folder)}, at.dense_files(sequence, name, folder).record)

    def picture(self, sequence: str, name: str, camera: str) -> Path:
        """File of the picture of one image, which has no record."""
        return self.layout.dense_files(sequence, name, f"{camera}_{self.folder}").picture

    def refuse_foreign(self, sequences: tuple[str, ...], cameras: tuple[str, ...]) -> None:
        """Check that no output folder contains labels that elite did not generate.

        Raises:
            ConfigError: a folder contains labels without provenance records.
        """
        for sequence in sequences:
            for output in (*(self.dense(sequence, "0", c) for c in cameras), self.lifted(sequence, "0")):
                file, *_ = output.files.values()
                if any(file.parent.glob(f"*{file.suffix}")) and not any(output.record.parent.glob("*.json")):
                    raise ConfigError(
                        f"{file.parent}: expected generated labels with provenance records, found labels without. They "
                        "may be ground truth. Choose another --folder or --out."
                    )


def file_digest(path: Path) -> str:
    """Return a digest of the contents of a file: 16 hexadecimal digits."""
    return _digest(read_file(path, SCAN_BYTES))


def camera_digest(cameras: Sequence[Camera]) -> str:
    """Return a digest of projections, as ``file_digest``, with fewer digits than rounding errors reach."""
    numbers = [f"{number:.9g}" for camera in cameras for number in camera.projection.ravel()]
    return _digest(repr([numbers, *(camera.lens for camera in cameras)]).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
