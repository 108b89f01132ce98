"""Files of a recording."""

import re
from pathlib import Path
from typing import Any

from elite.errors import ConfigError, DataError, first_line, require_extra
from elite.files import TEXT_BYTES, open_regular, parse_yaml, read_file
from elite.recordings.mcap_blocks import MAGIC
from elite.recordings.mcap_file import McapFile
from elite.recordings.recording import Recording
from elite.recordings.rosbags_file import RosbagsFile
from elite.recordings.topics import RecordedFile

_EXPECTED = "a recording (.mcap, .db3, .bag, or a folder of ROS 2)"
_MAGIC = {".mcap": MAGIC, ".db3": b"SQLite format 3\0", ".bag": b"#ROSBAG V"}
_REPAIRS = {
    ".mcap": "Copy it again, or run 'mcap recover' on it.",
    ".db3": "Copy it again, or run 'sqlite3 FILE .recover' on it.",
    ".bag": "Copy it again, or run 'rosbag reindex' on it.",
}
_SPLITS = (".mcap", ".db3")  # files of a folder of ROS 2


def open_recording(path: Path) -> Recording:
    """Open a recording of ROS 2 (.mcap, .db3, or a folder of them, with or without metadata.yaml) or of ROS 1 (.bag).

    Parts that are not readable become faults of the recording, as long as others are.

    Raises:
        DataError: missing, empty, damaged, or of another format.
        MissingExtraError: the packages that read recordings are not installed.
    """
    for package in ("rosbags", "mcap"):
        require_extra(package, "ros", needed_for="recordings")
    if not path.exists():
        raise DataError(f"{path}: expected {_EXPECTED}, found nothing there. Check the path.")
    paths, faults = _files_of_folder(path) if path.is_dir() else ([path], [])
    files: list[RecordedFile] = []
    for file in paths:
        try:
            files.append(_open_file(file))
        except DataError as error:
            if file is paths[-1] and not files:
                raise
            faults.append(str(error))
    return Recording(path, files, faults)


def _open_file(path: Path) -> RecordedFile:
    if path.is_dir():
        return _opened(path, RosbagsFile, "Check its metadata.yaml and its files.")
    kind = path.suffix.lower()
    try:
        with open_regular(path, None) as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"{path}: expected {_EXPECTED}, found {error.strerror or error}. Check the path.") from error
    if not start:
        raise DataError(f"{path}: expected {_EXPECTED}, found an empty file. Copy or record it again.")
    if kind not in _MAGIC:
        raise DataError(f"{path}: expected {_EXPECTED}, found '{path.suffix:.60}'. {_remedy(path)}")
    if not start.startswith(_MAGIC[kind]):
        raise DataError(f"{path}: expected a {kind} file, found one with other first bytes. Copy or convert it again.")
    return _opened(path, McapFile if kind == ".mcap" else RosbagsFile, _REPAIRS[kind])


def _remedy(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in (".zst", ".zstd"):
        return "Give its folder, or unpack it with 'zstd -d'."
    return "Rename it to .bag, and run 'rosbag reindex' on it." if suffix == ".active" else "Check the path."


def _opened(path: Path, kind: type[McapFile] | type[RosbagsFile], remedy: str) -> RecordedFile:
    try:
        return kind(path)
    except Exception as error:  # of the packages: damaged bytes make them raise any kind
        found = first_line(error).replace(str(path), path.name)
        raise DataError(f"{path}: expected a readable recording, found an error ({found}). {remedy}") from error


def _files_of_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """Files of a folder of ROS 2, in their order, and faults of its metadata."""
    present = sorted((path for path in folder.iterdir() if path.suffix.lower() in _SPLITS), key=_number)
    faults = []
    if (folder / "metadata.yaml").exists():
        try:
            metadata = _metadata(folder / "metadata.yaml")
            if metadata.get("compression_mode", "none").lower() not in ("", "none"):
                return [folder], []
            named = [folder / Path(name).name for name in metadata["relative_file_paths"]]
            faults = [f"{path.name}: the file is missing" for path in named if not path.exists()]
            return [path for path in named if path.exists()] or present, faults
        except (ConfigError, KeyError, TypeError, AttributeError, OSError) as error:
            faults = [f"metadata.yaml is not readable ({first_line(error)}); the files of its folder are read"]
    if not present:
        raise DataError(f"{folder}: expected {_EXPECTED}, found a folder without such files. Check the path.")
    if len({re.sub(r"_\d+$", "", path.stem) for path in present}) > 1:
        names = ", ".join(path.name for path in present[:3])
        raise DataError(f"{folder}: expected the files of one recording, found {names}. Give one of the files.")
    return present, faults


def _metadata(path: Path) -> dict[str, Any]:
    return parse_yaml(read_file(path, TEXT_BYTES), str(path))["rosbag2_bagfile_information"]


def _number(path: Path) -> tuple[int, str]:
    """Place of a file ``drive_10.mcap`` among those of its recording."""
    digits = re.search(r"_(\d{1,9})$", path.stem)
    return int(digits[1]) if digits else -1, path.name
