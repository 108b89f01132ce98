"""Detect complete scan files in a folder: renamed into it, closed by their writer, or unchanged for some time."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from elite.folder_watch import CHECK_S, POLL_S, Change, FolderWatch

SETTLE_S = 0.1  # time without a change after which a file that may still be written is complete
MAX_SETTLE_S = 2.0  # the same, after shorter times were too short
PATIENCE_S = 10.0  # the same, for a file that its writer has open, or that cannot be a scan


class FileStamp(NamedTuple):
    """Size, time and type of a file. Equal stamps mean equal contents."""

    size: int
    modified_ns: int
    is_regular: bool

    @classmethod
    def of(cls, path: Path) -> "FileStamp | None":
        """The stamp of a file, None if it does not exist. A broken link has a stamp, because it must be reported."""
        try:
            found = path.stat()
        except OSError:
            return cls(0, 0, False) if os.path.lexists(path) else None
        return cls(found.st_size, found.st_mtime_ns, stat.S_ISREG(found.st_mode))


class FileState(Enum):
    """State of a file."""

    OPEN = auto()  # created, and not yet closed by its writer
    SETTLING = auto()  # may still be written
    WAITING = auto()  # complete, or permanently damaged
    DONE = auto()


@dataclass(slots=True)
class ScanFile:
    """A file of the folder. Times are in seconds.

    Attributes:
        changed, checked_at: times of the last change and the last check.
        is_refused: whether the present contents cannot be read, set by the caller.
        outcome: result for its present contents, set by the caller.
        earlier_outcome: result for its contents before the last change.
    """

    stamp: FileStamp
    first_seen: float
    changed: float
    checked_at: float
    state: FileState = FileState.SETTLING
    is_refused: bool = False
    outcome: Enum | None = None
    earlier_outcome: Enum | None = None


class Arrivals:
    """Files in the folder of ``watch``. All files that exist at the start are pending.

    Args:
        patience_s: time without a change after which a file that cannot be a scan counts as damaged.
        can_be: whether a file of a name and a size in bytes can be a scan. ``refuse`` rejects contents that were read.

    Attributes:
        files: every file of the folder by name.
        pending: names of the files that may be incomplete.
        complete: names of the files that are ready to be read, in order.
        damaged: names of the files that cannot be scans.
        settle_s: time without a change after which a file counts as complete, without a report of its writer. It
            grows when a file changes after it was read.
        last_arrival: time of the last new or changed file.

    Raises:
        DataError: the folder is missing or cannot be listed.
    """

    def __init__(
        self, watch: FolderWatch, patience_s: float = PATIENCE_S, *, can_be: Callable[[str, int], bool]
    ) -> None:
        self.watch, self.patience_s, self.settle_s, self._can_be = watch, patience_s, SETTLE_S, can_be
        self.files: dict[str, ScanFile] = {}
        self.pending: set[str] = set()
        self.complete: list[str] = []
        self.damaged: list[str] = []
        self.last_arrival = self._next_check = watch.clock()
        self._only: set[str] | None = None
        self._doubtful: dict[str, float] = {}  # complete only by time without a change: checked until this time
        self._changed: list[tuple[str, ScanFile]] = []
        self._is_sorted = True
        for change, name in watch.changes():
            self._apply(change, name)

    @property
    def count(self) -> int:
        """Number of files that are not done."""
        return len(self.pending) + len(self.complete) + len(self.damaged)

    def update(self) -> list[tuple[str, ScanFile]]:
        """Process all changes; return the files that changed after they were done.

        Raises:
            DataError: the folder is missing or cannot be listed.
        """
        self._changed = []
        for change, name in self.watch.changes():
            self._apply(change, name)
        self._settle()
        self._check_doubtful()
        if not self._is_sorted:
            self.complete.sort()
            self._is_sorted = True
        return self._changed

    def ignore_others(self) -> None:
        """Ignore files that are not in the folder now."""
        self._only = set(self.files)

    def wait(self, seconds: float) -> None:
        """Wait for the next change or check, at most ``seconds``."""
        rest = POLL_S if self.pending else self.settle_s if self._doubtful else CHECK_S
        self.watch.wait(min(rest, max(POLL_S, seconds)))

    def path(self, name: str) -> Path:
        return self.watch.folder / name

    def fits(self, name: str) -> bool:
        """Whether a file can be a scan."""
        file, stamp = self.files[name], self.files[name].stamp
        return stamp.is_regular and stamp.size > 0 and not file.is_refused and self._can_be(name, stamp.size)

    # ---- reading ------------------------------------------------------------------------------------------------

    def begin(self, name: str) -> ScanFile:
        """Record the stamp of a file before it is read."""
        file = self.files[name]
        file.stamp = FileStamp.of(self.path(name)) or file.stamp
        return file

    def has_changed(self, name: str) -> bool:
        """Whether a file changed while it was read; a changed file is pending again."""
        file, stamp = self.files[name], FileStamp.of(self.path(name))
        if stamp in (None, file.stamp):
            return False
        self._change(name, file, stamp)
        return True

    def refuse(self, name: str) -> None:
        """Record that a file cannot be read. It is pending until it changes, or counts as damaged."""
        file = self.files[name]
        file.is_refused = True
        self._move(name, file, FileState.SETTLING)

    def finish(self, name: str, outcome: Enum) -> None:
        """Record the result of a file; it is done."""
        file = self.files[name]
        self._move(name, file, FileState.DONE)
        file.outcome = outcome

    def forget(self, name: str) -> None:
        """Remove a file that no longer exists."""
        file = self.files.pop(name, None)
        self._doubtful.pop(name, None)
        if file is not None:
            self._move(name, file, FileState.DONE)

    # ---- changes ------------------------------------------------------------------------------------------------

    def _apply(self, change: Change, name: str) -> None:
        if change is Change.LOST:
            self._check_all()
            return
        if self._only is not None and name not in self._only:
            return
        stamp = None if change is Change.GONE else FileStamp.of(self.path(name))
        file = self.files.get(name)
        if stamp is None:
            self.forget(name)
            return
        if file is None or change is Change.RENAMED or (change is Change.FOUND and file.stamp != stamp):
            self.forget(name)  # another file has its name now
            file = self._add(name, stamp)
        elif file.stamp != stamp:
            self._change(name, file, stamp)
        if file.state in (FileState.OPEN, FileState.SETTLING):
            if change in (Change.CLOSED, Change.RENAMED) and self.fits(name):
                self._move(name, file, FileState.WAITING)
            else:
                is_open = change is Change.CREATED and stamp.is_regular and not _is_link(self.path(name))
                file.state = FileState.OPEN if is_open else FileState.SETTLING

    def _add(self, name: str, stamp: FileStamp) -> ScanFile:
        now = self.last_arrival = self.watch.clock()
        file = self.files[name] = ScanFile(stamp, now, now, now)
        self.pending.add(name)
        return file

    def _change(self, name: str, file: ScanFile, stamp: FileStamp) -> None:
        """Record that a file has other contents."""
        now = self.last_arrival = self.watch.clock()
        if file.state is FileState.DONE:
            if self._doubtful.pop(name, None) is not None and (pause := now - file.changed) < MAX_SETTLE_S:
                self.settle_s = min(MAX_SETTLE_S, max(self.settle_s, 2 * pause))
            file.earlier_outcome, file.outcome, file.first_seen = file.outcome, None, now
            self._changed.append((name, file))
        if file.state is not FileState.OPEN:
            self._move(name, file, FileState.SETTLING)
        file.stamp, file.changed, file.checked_at, file.is_refused = stamp, now, now, False

    def _move(self, name: str, file: ScanFile, state: FileState) -> None:
        """Set the state of a file, and move its name to the collection of that state."""
        if file.state is FileState.WAITING:
            for names in (self.complete, self.damaged):
                if name in names:
                    names.remove(name)
        self.pending.discard(name)
        if state is FileState.WAITING:
            (self.complete if self.fits(name) else self.damaged).append(name)
            self._is_sorted = False
        elif state is not FileState.DONE:
            self.pending.add(name)
        file.state = state

    # ---- files that may still be written ------------------------------------------------------------------------

    def _settle(self) -> None:
        """Find the files that have not changed for long enough."""
        now = self.watch.clock()
        for name in [name for name in self.pending if now - self.files[name].checked_at >= self.settle_s]:
            file = self._check(name)
            if file is None:
                continue
            needed = self.settle_s if self.fits(name) else self.patience_s
            if now - file.changed >= (PATIENCE_S if file.state is FileState.OPEN else needed):
                self._doubtful[name] = now + PATIENCE_S
                self._move(name, file, FileState.WAITING)

    def _check_doubtful(self) -> None:
        now = self.watch.clock()
        if now < self._next_check:
            return
        self._next_check = now + self.settle_s
        for name, until in list(self._doubtful.items()):
            if self.files[name].state is FileState.DONE:
                self._check(name)
                if now > until:
                    self._doubtful.pop(name, None)

    def _check_all(self) -> None:
        for name in list(self.files):
            file = self._check(name)
            if file is not None and file.state is FileState.OPEN:
                file.state = FileState.SETTLING

    def _check(self, name: str) -> ScanFile | None:
        """Check a file for changes; return it, None if it is gone."""
        file, stamp = self.files[name], FileStamp.of(self.path(name))
        if stamp is None:
            self.forget(name)
            return None
        if stamp != file.stamp:
            self._change(name, file, stamp)
        file.checked_at = self.watch.clock()
        return file


def _is_link(path: Path) -> bool:
    """Whether a name was created for an existing file."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) or found.st_nlink > 1
