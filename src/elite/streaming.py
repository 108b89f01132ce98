"""Labels for scans as they appear in a folder: a sensor's driver writes NAME.bin, this writes NAME.label."""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from elite.errors import ConfigError, DataError
from elite.files import make_folder
from elite.inference import Job, Segmenter, predict_files

LOOK = 0.01  # seconds from one look at the folder to the next
SETTLED = 0.02  # a file of a scan's size that did not change for so many seconds is whole
PATIENCE = 10.0  # a file of another size that did not change for so many seconds is damaged
NEWS = 1.0  # seconds at least between two lines about backlog or drops
_REST = 10  # looks at a folder of very many files take long: rest this many times as long
_POINT = 16  # bytes

_Mark = tuple[int, ...]


@dataclass
class Summary:
    """What became of the scans; ``kept`` had whole labels at the start, ``waiting`` were left at the end.

    ``latencies`` are the seconds from first sight of a scan to its labels on disk, of the last 10,000 scans.
    """

    labelled: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    waiting: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def line(self) -> str:
        counts = f"{self.labelled} scans labelled, {self.kept} were there already, "
        counts += f"{self.dropped} dropped, {self.failed} failed, {self.waiting} still wait"
        if not self.latencies:
            return counts
        p50, p95 = 1000 * np.percentile(self.latencies, (50, 95))
        return f"{counts}; from first sight to labels p50 {p50:.0f} ms, p95 {p95:.0f} ms"


@dataclass
class _Sight:
    """A file that waits: when it was first seen and last seen to change (seconds), and what it looked like."""

    first: float
    changed: float
    mark: _Mark
    ready: bool = False

    @property
    def fits(self) -> bool:
        """Whether a scan can be of this size."""
        return self.mark[0] > 0 and self.mark[0] % _POINT == 0


class Stream:
    """Labels FOLDER/NAME.bin to OUT/NAME.label, raw ids, in the order of the names (so numbers need leading zeros).

    A file is read once it has the size of a scan and has not changed for ``SETTLED`` seconds; a writer that may pause
    longer writes elsewhere and renames into the folder. A file that changes while it is labelled is labelled again.
    Labels appear whole or not at all. A damaged scan is told and skipped. A name is labelled once, as long as its file
    stays. The folder is looked at between scans, so one that arrives while another is labelled is seen after it.

    Memory does not grow with the number of scans, but for the names of the files that are in the folder.

    Args:
        drop: of the scans that wait only the newest is labelled, for a sensor that does not wait. Otherwise all are.
        tell: takes lines for the user: damaged scans, a growing backlog, drops.
        labelled: called with each scan whose labels have just been written.
        clock, sleep: of seconds.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        folder: Path,
        out: Path,
        *,
        drop: bool = False,
        tell: Callable[[str], None] = print,
        labelled: Callable[[Job], None] = lambda job: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.segmenter, self.folder, self.out, self.drop = segmenter, folder, out, drop
        self.tell, self.labelled, self.clock, self.sleep = tell, labelled, clock, sleep
        self.summary = Summary()
        self._waiting: dict[str, _Sight] = {}
        self._handled: set[str] = set()
        self._last_arrival = self._next_news = self.clock()
        self._told = 0

    def run(self, *, once: bool = False, idle: float | None = None) -> Summary:
        """Until interrupted; ``once`` = until all is labelled that is there now; ``idle`` = seconds without a new scan.

        Raises:
            DataError: the folder is missing, or disappears.
            OutputError: OUT cannot be written to.
            ConfigError: ``idle`` is not above 0.
        """
        if idle is not None and not idle > 0:
            raise ConfigError(f"idle must be above 0 seconds, found {idle}.")
        make_folder(self.out)
        there = self._list()
        self._keep(there)
        patience = SETTLED if once else min(PATIENCE, idle or PATIENCE)
        self._last_arrival = self.clock()
        try:
            self._follow(there if once else None, patience, idle)
        finally:  # also when it is interrupted
            self.summary.waiting = len(self._waiting)
        return self.summary

    def _follow(self, among: set[str] | None, patience: float, idle: float | None) -> None:
        """Look, label or rest; if ``among`` is given, until no scan of it waits."""
        while True:
            looked = self.clock()
            self._look(self._list() if among is None else self._list() & among)
            if ready := self._ready(looked, patience):
                self._label(self._choose(ready))
            elif not self._waiting and (among is not None or self._idle_for(idle, looked)):
                return
            else:
                self.sleep(max(LOOK, _REST * (self.clock() - looked)))

    def _idle_for(self, seconds: float | None, now: float) -> bool:
        return seconds is not None and now - self._last_arrival >= seconds

    def _list(self) -> set[str]:
        try:
            with os.scandir(self.folder) as entries:
                return {e.name for e in entries if e.name.endswith(".bin") and e.name[0] != "." and e.is_file()}
        except OSError as error:
            raise DataError(
                f"cannot look into {self.folder} ({error.strerror}); expected a folder that .bin scans are written to."
            ) from error

    def _keep(self, names: set[str]) -> None:
        """Scans that have whole labels are done."""
        done = {name for name in names if self._job(name).done()}
        self._handled |= done
        self.summary.kept = len(done)

    def _job(self, name: str) -> Job:
        return Job(self.folder / name, self.out / f"{Path(name).stem}.label")

    def _look(self, names: set[str]) -> None:
        """Note what is new, what has changed, and what is gone."""
        self._handled &= names
        for name in self._waiting.keys() - names:
            del self._waiting[name]
        for name in names - self._handled:
            sight = self._waiting.get(name)
            if sight is not None and sight.ready:
                continue
            mark = _mark(self.folder / name)
            if mark is None:  # it went since it was listed
                continue
            now = self.clock()
            if sight is None:
                self._waiting[name] = _Sight(now, now, mark)
                self._last_arrival = now
            elif sight.mark != mark:
                sight.mark, sight.changed = mark, now

    def _ready(self, looked: float, patience: float) -> list[str]:
        """Names of the scans that are whole, or damaged for good, in order."""
        for sight in self._waiting.values():
            sight.ready = sight.ready or looked - sight.changed >= (SETTLED if sight.fits else patience)
        return sorted(name for name, sight in self._waiting.items() if sight.ready)

    def _choose(self, ready: list[str]) -> str:
        """The scan to label now. A file that is no scan comes first: it is told and drops nothing."""
        unfit = [name for name in ready if not self._waiting[name].fits]
        if unfit:
            return unfit[0]
        if not self.drop:
            self._tell_backlog(sum(sight.fits for sight in self._waiting.values()) - 1)
            return ready[0]
        *late, newest = ready
        for name in late:
            del self._waiting[name]
        self._handled.update(late)
        self.summary.dropped += len(late)
        self._tell_drops()
        return newest

    def _label(self, name: str) -> None:
        job, sight = self._job(name), self._waiting[name]
        errors: list[str] = []
        predict_files(self.segmenter, [job], lambda _, error: errors.append(str(error)))
        del self._waiting[name]
        if _mark(job.scan) not in (sight.mark, None):
            return  # it was not whole after all, and is seen anew at the next look
        self._handled.add(name)
        if errors:
            self.summary.failed += 1
            self.tell(errors[0])
        else:
            self.labelled(job)
            self.summary.labelled += 1
            self.summary.latencies.append(self.clock() - sight.first)

    def _tell_backlog(self, behind: int) -> None:
        """One scan that waits is no news."""
        self._told = min(self._told, behind)
        if behind > max(self._told, 1) and self._is_time():
            self.tell(f"{behind} scans wait; --drop labels the newest alone")
            self._told = behind

    def _tell_drops(self) -> None:
        if self.summary.dropped > self._told and self._is_time():
            self.tell(f"{self.summary.dropped - self._told} scans dropped, {self.summary.dropped} in all")
            self._told = self.summary.dropped

    def _is_time(self) -> bool:
        now = self.clock()
        if now < self._next_news:
            return False
        self._next_news = now + NEWS
        return True


def _mark(path: Path) -> _Mark | None:
    """Size, and what else tells that a file is still the same; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
