"""Report changes of the files in one folder; the cost does not grow with the number of unchanged files.

Linux reports changes (inotify), except those of other machines on a network file system. The folder is therefore also
listed from time to time, and more often after the first unreported change. Other systems require listings.
"""

import ctypes
import errno
import math
import os
import select
import struct
import sys
import time
from collections.abc import Callable, Collection, Iterator
from enum import Enum, auto
from pathlib import Path

from elite.errors import DataError
from elite.signals import raise_again

POLL_S = 0.01  # shortest time between two listings of a folder whose changes are not reported
CHECK_S = 1.0  # shortest time between two listings that search for unreported changes
_POLL_REST, _CHECK_REST = 10, 50  # time between two listings, in multiples of the time of a listing


class Change(Enum):
    """Change of a file."""

    FOUND = auto()  # in a listing, new or in place of another file; its writer may not have finished
    CREATED = auto()  # created or linked; its writer may have it open
    CLOSED = auto()  # closed by a writer
    RENAMED = auto()  # renamed to this name, perhaps over another file
    GONE = auto()
    LOST = auto()  # reports were lost, and any file may have changed


class FolderWatch:
    """Follow the files of a folder with one of the ``suffixes`` (lower case), except hidden ones.

    Args:
        clock: time in seconds.
        sleep: receives seconds; by default a wait ends early when a change is reported.

    Attributes:
        polling: reason for frequent listings; None while the system reports changes.
        delay: longest time in seconds until a listing finds a change, with frequent listings.
    """

    def __init__(
        self,
        folder: Path,
        suffixes: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.folder, self.suffixes, self.clock, self.sleep = folder, suffixes, clock, sleep
        self.polling: str | None = None
        self._names: dict[str, int | None] = {}  # the inode number that was listed; None = reported since
        self._listed_at, self._cost, self._modified = -math.inf, 0.0, 0
        self._inotify: Inotify | None = None
        self._open()

    def __enter__(self) -> "FolderWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()

    @property
    def delay(self) -> float:
        return max(POLL_S, _POLL_REST * self._cost)

    def changes(self) -> list[tuple[Change, str]]:
        """Changes since the last call, in order; the first call finds every file.

        Raises:
            DataError: the folder is missing or cannot be listed.
        """
        changes = self._reported()
        lost = (Change.LOST, "") in changes
        if lost or self._is_listing_due():
            changes += self._listed(expected=lost or self._listed_at == -math.inf)
        return changes

    def wait(self, seconds: float) -> None:
        """Wait for a report or until the next listing is due, at most ``seconds``."""
        raise_again()
        seconds = min(seconds, POLL_S if self.polling else CHECK_S)
        if self.sleep is not None:
            self.sleep(seconds)
        elif self._inotify is not None:
            self._inotify.wait(seconds)
        else:
            time.sleep(seconds)

    def _open(self) -> None:
        self.close()
        try:
            self._inotify = Inotify(self.folder)
        except OSError as error:
            self._inotify = None
            self.polling = f"the system does not report changes ({error.strerror})"

    def _reported(self) -> list[tuple[Change, str]]:
        changes: list[tuple[Change, str]] = []
        for mask, name in list(self._inotify.read()) if self._inotify is not None else ():
            if mask & (_OVERFLOW | _ENDED):
                changes.append((Change.LOST, ""))
                if mask & _ENDED:  # moved, or another folder has its name now
                    self._open()
            elif self._counts(name):
                change = next(change for bits, change in _CHANGES.items() if mask & bits)
                changes.append((change, name))
                if change is Change.GONE:
                    self._names.pop(name, None)
                else:
                    self._names[name] = None
        return changes

    def _is_listing_due(self) -> bool:
        rested = self.clock() - self._listed_at
        if self.polling is None:
            return rested >= max(CHECK_S, _CHECK_REST * self._cost)
        return rested >= self.delay or (rested >= self._cost and self._time_of_folder() != self._modified)

    def _listed(self, *, expected: bool) -> list[tuple[Change, str]]:
        """Differences from the known files, then changes reported during the listing.

        Differences that are not ``expected`` mean that changes go unreported.
        """
        start = self.clock()
        self._modified = self._time_of_folder()
        before, self._names = self._names, self._list()
        found = [(Change.FOUND, n) for n, inode in self._names.items() if before.get(n, -1) not in (inode, None)]
        for name in before.keys() - self._names.keys():
            if os.path.lexists(self.folder / name):  # a listing may miss a file that is replaced during it
                self._names[name] = None
            else:
                found.append((Change.GONE, name))
        reported = self._reported()
        names_reported = {name for _, name in reported}
        unreported = [(change, name) for change, name in found if name not in names_reported]
        if unreported and not expected and self.polling is None:
            self.polling = f"the system did not report a change ({unreported[0][1]}), perhaps by another machine"
        self._listed_at = self.clock()
        self._cost = self._listed_at - start
        return unreported + reported

    def _list(self) -> dict[str, int | None]:
        try:
            with os.scandir(self.folder) as entries:
                return {entry.name: entry.inode() for entry in entries if self._counts(entry.name)}
        except OSError as error:
            raise self._unreadable(error) from error

    def _time_of_folder(self) -> int:
        try:
            return self.folder.stat().st_mtime_ns
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(f"{self.folder}: expected a readable folder, found '{error.strerror}'. Check its path.")

    def _counts(self, name: str) -> bool:
        return os.path.splitext(name)[1].lower() in self.suffixes and not name.startswith(".")


# ---- inotify(7) -------------------------------------------------------------------------------------------------

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED, _ONLYDIR = 0x400, 0x800, 0x2000, 0x4000, 0x8000, 0x01000000
_ENDED = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_CHANGES = {
    _CLOSE_WRITE: Change.CLOSED,
    _MOVED_TO: Change.RENAMED,
    _CREATE: Change.CREATED,
    _DELETE | _MOVED_FROM: Change.GONE,
}
_LIMITS = {errno.EMFILE: "max_user_instances", errno.ENOSPC: "max_user_watches"}
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name that follows
_BUFFER = 1 << 16


class Inotify:
    """The system's reports on one folder. The standard library does not provide them; stable interface since 2008.

    Raises:
        OSError: another system, a missing folder, or too many watches.
    """

    def __init__(self, folder: Path) -> None:
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
        try:
            _checked(libc.inotify_add_watch(self.descriptor, os.fsencode(folder), mask))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def read(self) -> Iterator[tuple[int, str]]:
        """(mask, name) of every unread report."""
        while data := self._buffer():
            start = 0
            while start < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, start)
                start += _EVENT.size + length
                yield mask, os.fsdecode(data[start - length : start].rstrip(b"\0"))

    def wait(self, seconds: float) -> None:
        """Wait for a report, at most ``seconds``."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        poll.poll(math.ceil(1000 * seconds))

    def _buffer(self) -> bytes:
        try:
            return os.read(self.descriptor, _BUFFER)
        except BlockingIOError:
            return b""


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"fs.inotify.{_LIMITS[number]} is reached" if number in _LIMITS else os.strerror(number))
    return result
