"""Files of the sequences of a described data set, sorted into frames."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elite.datasets.described.description import DatasetDescription
from elite.datasets.described.times import nearest_in_time, read_times
from elite.datasets.records import FrameFiles, FrameId
from elite.errors import DataError, first_line

_DIGITS = re.compile(r"(\d+)")


@dataclass
class SequenceListing:
    """Frames of a sequence.

    Attributes:
        folder: of the sequence.
        frames: in the order of time, otherwise of names, in which numbers count as such.
        scan_times: seconds by name of the frame; empty without times.
        image_times: seconds of the paired image, by name of the frame, by camera.
    """

    folder: Path
    frames: list[FrameFiles]
    scan_times: Mapping[str, float] = field(default_factory=dict)
    image_times: dict[str, dict[str, float]] = field(default_factory=dict)


def find_sequences(described: DatasetDescription, generated: str) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """Find the folders of all sequences, and the names of those of each split.

    A sequence that a split lists by its name is not part of the patterns of other splits.

    Args:
        described: the data set.
        generated: folder of labels that the library writes, which is not a sequence.

    Raises:
        DataError: a pattern of a split matches no folder, two splits share a sequence, or two sequences a name.
    """
    folders: dict[str, Path] = {}
    owner: dict[str, str] = {}
    patterns = [(split, pattern) for split, found in described.splits.items() for pattern in found]
    for is_glob in (False, True):
        by_name = {*owner}
        for split, pattern in patterns:
            if _is_glob(pattern) == is_glob:
                found = _split_folders(described, split, pattern, generated)
                chosen = [(name, folder) for name, folder in found if name not in by_name or folders[name] != folder]
                _own(owner, split, (name for name, _ in chosen), described.path)
                _add(folders, chosen, described)
    for pattern in described.sequences:
        _add(folders, _folders(described.path, pattern, generated), described)
    return folders, {split: [name for name in owner if owner[name] == split] for split in described.splits}


def _is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


def _split_folders(described: DatasetDescription, split: str, pattern: str, generated: str) -> list[tuple[str, Path]]:
    """Folders of a pattern of a split, of which there must be some."""
    if not (found := list(_folders(described.path, pattern, generated))):
        raise DataError(
            f"{described.path}: expected a folder '{pattern}' of the split {_key(split)}, found none. Correct the "
            "pattern, or path."
        )
    return found


def _key(split: str) -> str:
    """Key of a split in the description."""
    return "val" if split == "valid" else split


def _own(owner: dict[str, str], split: str, names: Iterable[str], root: Path) -> None:
    """Enter sequences of a split into ``owner``; raises DataError if they are part of another one."""
    for name in names:
        if owner.setdefault(name, split) != split:
            raise DataError(
                f"{root}: expected a sequence in one split, found '{name}' in {_key(owner[name])} and {_key(split)}. "
                "Remove it from one of them."
            )


def _add(folders: dict[str, Path], found: Iterable[tuple[str, Path]], described: DatasetDescription) -> None:
    """Add sequences to ``folders``; raises DataError if another folder with scans has the name of one."""
    for name, folder in found:
        if folders.setdefault(name, folder) != folder and files_by_name(folder, described.scans.glob):
            raise DataError(
                f"{described.path}: expected one folder for each name of a sequence, found {folders[name]} and "
                f"{folder} for '{name}'. Rename one."
            )


def _folders(root: Path, pattern: str, generated: str) -> Iterator[tuple[str, Path]]:
    """Names and paths of the folders that a pattern matches, sorted."""
    if pattern in (".", "./"):
        yield (root.absolute().name or "root"), root
        return
    try:
        folders = sorted(path for path in root.glob(pattern) if path.is_dir())
    except (OSError, ValueError, NotImplementedError) as error:
        found = first_line(error)
        raise DataError(f"{root}: expected folders '{pattern}', found {found}. Correct the pattern.") from error
    for path in folders:
        parts = path.relative_to(root).parts
        if parts and parts[0] != generated and not any(part.startswith(".") for part in parts):
            yield "_".join(parts), path


def list_sequence(described: DatasetDescription, name: str, folder: Path) -> SequenceListing:
    """List the frames of a sequence.

    Raises:
        DataError: a folder cannot be listed, or times are missing or damaged.
    """
    scans = files_by_name(folder, described.scans.glob)
    listing = SequenceListing(folder, [])
    names = sorted(scans, key=_natural)
    if described.scans.times is not None and names:
        listing.scan_times = read_times(described.scans.times, folder, names)
        if without := [scan for scan in names if scan not in listing.scan_times]:
            raise DataError(
                f"{folder}: expected times of all scans in {described.scans.times}, found none of {len(without)} scans "
                f"({without[0]}, ...). Add them."
            )
        names.sort(key=listing.scan_times.__getitem__)
    images = {camera: _images(described, listing, camera) for camera in described.cameras}
    labels = described.scans.labels
    own_files = labels is not None and described.scans.label_field is None
    for scan in names:
        path = folder / labels.replace("*", scan) if labels and own_files else scans[scan] if labels else None
        found = {camera: files[scan] for camera, files in images.items() if scan in files}
        listing.frames.append(FrameFiles(FrameId(name, scan), scans[scan], path, found))
    return listing


def _images(described: DatasetDescription, listing: SequenceListing, camera: str) -> dict[str, Path]:
    """Image of each scan, by name of the scan."""
    settings = described.cameras[camera]
    files = files_by_name(listing.folder, settings.images)
    if not listing.scan_times:
        return files
    if settings.times is None:
        if settings.time_offset:
            times = listing.scan_times
            listing.image_times[camera] = {name: times[name] + settings.time_offset for name in files if name in times}
        return files
    times = read_times(settings.times, listing.folder, sorted(files, key=_natural))
    existing = {name: time + settings.time_offset for name, time in times.items() if name in files}
    pairs = nearest_in_time(listing.scan_times, existing, described.sync.tolerance)
    listing.image_times[camera] = {scan: time for scan, (_, time) in pairs.items()}
    return {scan: files[image] for scan, (image, _) in pairs.items()}


def files_by_name(folder: Path, pattern: str) -> dict[str, Path]:
    """Find the files of a pattern below a folder, by the text in place of its ``*``.

    Raises:
        DataError: the folder cannot be listed.
    """
    name_of = re.compile("([^/]+)".join(map(re.escape, pattern.split("*"))))
    try:
        found: Iterable[Path] = list(folder.glob(pattern))
    except OSError as error:
        raise DataError(f"{folder}: expected files {pattern}, found {error.strerror}. Check the archive.") from error
    matches = ((name_of.fullmatch(path.relative_to(folder).as_posix()), path) for path in found)
    return {match[1]: path for match, path in matches if match and not match[1].startswith(".")}


def _natural(name: str) -> list[tuple[int, str]]:
    """Key of an order in which 9 precedes 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)]
