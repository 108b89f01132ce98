"""Record of a conversion: where it comes from, and a line per scan, so that it can be resumed."""

import errno
import fcntl
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from elite.errors import DataError, EliteError, OutputError, first_line
from elite.files import SCAN_BYTES, TEXT_BYTES, open_regular, parse_json, read_file, remove_partial_line, writing

FILE_NAME = "conversion.jsonl"
_HELD = (errno.EACCES, errno.EAGAIN)


@dataclass
class Counts:
    """Clouds and images that were read up to a scan.

    Attributes:
        clouds: clouds of the converted frame and layout, of which some are converted.
        last_stamp: of the last of them (ns).
        faults: number of messages that are skipped, by reason.
    """

    clouds: int = 0
    last_stamp: int = -1
    faults: dict[str, int] = field(default_factory=dict)

    def add(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def copy(self) -> "Counts":
        return Counts(self.clouds, self.last_stamp, dict(self.faults))


@dataclass(frozen=True)
class Entry:
    """A scan of the recording.

    Attributes:
        time: when it was recorded (ns).
        stamp: when it was taken (ns).
        images: name of the file of its image, by camera.
        poses: T_world_lidar at the times of the scan and of its images: time (ns), x y z (m), qx qy qz qw.
        is_converted: False for a scan without a pose.
        counts: of what was read before it.
    """

    time: int
    stamp: int
    images: dict[str, str]
    poses: list[list[float]]
    is_converted: bool
    counts: Counts


class Journal:
    """The record in a folder. Only one process can write it.

    Args:
        folder: of the sequence.
        origin: recording and settings, as plain values.

    Attributes:
        entries: of the scans so far.
        final: counts of a complete conversion.
        report: result of a complete conversion, as plain values.

    Raises:
        OutputError: it is of another origin, or another process writes it.
        DataError: it is damaged.
    """

    def __init__(self, folder: Path, origin: dict[str, Any]) -> None:
        self.path = folder / FILE_NAME
        self.entries: list[Entry] = []
        self.final: Counts | None = None
        self.report: dict[str, Any] | None = None
        with writing(self.path):
            self._file: BinaryIO = self.path.open("ab")
        self._lock()
        with writing(self.path):
            remove_partial_line(self.path)
        try:
            self._resume(read_file(self.path, SCAN_BYTES).splitlines(), origin)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self.close()
            raise damaged_record(self.path.parent, error) from error
        except EliteError:
            self.close()
            raise

    def _resume(self, lines: list[bytes], origin: dict[str, Any]) -> None:
        """Read the lines of an earlier conversion of the same origin, or begin."""
        if not lines:
            self._append(origin)
        elif (found := parse_json(lines[0])) != origin:
            raise _other_origin(self.path.parent, found, origin)
        for line in lines[1:]:
            self._read(parse_json(line))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                return  # file systems without locks
            self.close()
            raise OutputError(
                f"{self.path}: expected no other conversion to this folder, found one that is running. Wait for it."
            ) from error

    def _read(self, line: dict[str, Any]) -> None:
        if "report" in line:
            self.report = line["report"]
            return
        counts = Counts(**line.pop("counts"))
        if line:
            self.entries.append(Entry(**line, counts=counts))
        else:
            self.final = counts

    def add(self, entry: Entry) -> None:
        self._append(asdict(entry))
        self.entries.append(entry)

    def finish(self, counts: Counts) -> None:
        self._append({"counts": asdict(counts)})
        self.final = counts

    def add_report(self, report: dict[str, Any]) -> None:
        self._append({"report": report})
        self.report = report

    def close(self) -> None:
        self._file.close()

    def _append(self, value: dict[str, Any]) -> None:
        with writing(self.path):
            self._file.write(json.dumps(value).encode() + b"\n")
            self._file.flush()


def read_origin(folder: Path) -> dict[str, Any] | None:
    """Return the recording and the settings that a folder was converted from; None for other folders.

    Raises:
        DataError: the record is damaged.
    """
    path = folder / FILE_NAME
    try:
        with open_regular(path, None) as file:
            found = parse_json(file.readline(TEXT_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise damaged_record(folder, error) from error
    if not isinstance(found, dict):
        raise damaged_record(folder, ValueError("other contents"))
    return found


def damaged_record(folder: Path, error: Exception) -> DataError:
    """Error of a folder whose record is not readable."""
    found = first_line(error)
    return DataError(f"{folder / FILE_NAME}: expected the record of a conversion, found {found}. Remove the folder.")


def _other_origin(folder: Path, found: dict[str, Any], expected: dict[str, Any]) -> OutputError:
    other = [key for key in expected if found.get(key) != expected[key]]
    what = ", ".join(f"{key} {found.get(key)}" for key in other)
    return OutputError(
        f"{folder}: expected a new sequence or the same conversion ({other[0]} {expected[other[0]]}), found one of "
        f"{what}. Give another --sequence or -o, or remove the folder."
    )
