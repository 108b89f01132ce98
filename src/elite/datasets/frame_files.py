"""Files of a sequence, sorted into frames."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from elite.datasets.listing import file_names
from elite.datasets.records import FrameId, Selection
from elite.layout import Layout

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class FilePresence:
    """Files of one frame: whether there are point labels, and the cameras with an image."""

    id: FrameId
    has_labels: bool
    cameras: tuple[str, ...]


@dataclass
class SequenceFiles:
    """Frames of a sequence in the order of their names; ``unused`` and ``stray_files`` as in ``SemanticKITTI``."""

    frames: list[FilePresence]
    unused: list[str] = field(default_factory=list)
    stray_files: int = 0


def list_frames(
    layout: Layout, labels_layout: Layout, sequence: str, selection: Selection, wanted: frozenset[int] | None
) -> SequenceFiles:
    """List the frames of a sequence, those with a ``wanted`` number (None = all).

    Raises:
        DataError: a folder cannot be listed.
    """
    images = {camera: file_names(layout.sequence(sequence) / camera) for camera in selection.cameras}
    if selection.frame_files == "images":
        names = {name for files in images.values() for name in _numbered(files, ".png")}
        return SequenceFiles(_frames(sequence, names, frozenset(), images, wanted))
    scans = file_names(layout.scans(sequence))
    labels = file_names(labels_layout.sequence(sequence) / selection.labels)
    names = _numbered(scans, ".bin")
    folders = {"velodyne": (scans, ".bin"), selection.labels: (labels, ".label")}
    folders |= {camera: (files, ".png") for camera, files in images.items()}
    return SequenceFiles(
        _frames(sequence, names, labels, images, wanted),
        [line for folder, found in folders.items() for line in _unused(f"{sequence}/{folder}", *found, names)],
        len(scans) - len(names),
    )


def _frames(
    sequence: str,
    names: set[str],
    labels: set[str] | frozenset[str],
    images: Mapping[str, set[str]],
    wanted: frozenset[int] | None,
) -> list[FilePresence]:
    return [
        FilePresence(
            FrameId(sequence, name),
            f"{name}.label" in labels,
            tuple(camera for camera, files in images.items() if f"{name}.png" in files),
        )
        for name in sorted(names)
        if wanted is None or int(name) in wanted
    ]


def _numbered(files: set[str], suffix: str) -> set[str]:
    """Names without suffix of the files that are called by a number."""
    stems = {name.removesuffix(suffix) for name in files if name.endswith(suffix)}
    return {stem for stem in stems if _NUMBER.fullmatch(stem)}


def _unused(folder: str, files: set[str], suffix: str, scans: set[str]) -> Iterator[str]:
    """Describe the files of another type or name than is read, and the files that belong to no scan."""
    stems = _numbered(files, suffix)
    read = {f"{stem}{suffix}" for stem in stems}
    if unread := sorted(name for name in files - read if not name.startswith(".")):
        yield f"{folder}: {len(unread)} files are not read ({unread[0]}, ...); expected names such as 000000{suffix}"
    if without_scan := sorted(stems - scans):
        yield f"{folder}: {len(without_scan)} files have no scan ({without_scan[0]}{suffix}, ...)"
