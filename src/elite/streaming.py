"""Label scans as they appear in a folder: a driver writes NAME.bin, the stream writes NAME.label."""

import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

import numpy as np

from elite.arrivals import PATIENCE_S, SETTLE_S, Arrivals, ScanFile
from elite.errors import ConfigError
from elite.files import make_folder
from elite.folder_watch import FolderWatch
from elite.inference import Segmenter
from elite.label_records import record_classes
from elite.prediction_files import PredictionJob, file_job, predict_files
from elite.sensor import SensorSpec

NOTICE_S = 1.0  # shortest time between two messages of the same kind


@dataclass
class StreamSummary:
    """Number of scans by outcome.

    Attributes:
        labelled: label files written.
        again: label files among them that replaced labels of the same file, because it had changed.
        kept: scans whose labels existed before the start.
        dropped: scans skipped in favour of a newer one.
        failed: damaged scans.
        waiting: scans not labelled at the end.
        latencies: seconds from the detection of a scan to its labels on disk, for the last 10,000 scans.
    """

    labelled: int = 0
    again: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    waiting: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def line(self) -> str:
        """All counts and the latency, for the user."""
        counts = f"{self.labelled} scans labelled, {self.kept} had labels already, "
        counts += f"{self.dropped} dropped, {self.failed} failed, {self.waiting} still waiting"
        if self.again:
            counts += f"; {self.again} of the labelled scans had changed and were labelled again"
        if not self.latencies:
            return counts
        p50, p95 = 1000 * np.percentile(self.latencies, (50, 95))
        return f"{counts}; from detection to labels p50 {p50:.0f} ms, p95 {p95:.0f} ms"


class Outcome(Enum):
    """Final state of a scan."""

    LABELLED = auto()
    KEPT = auto()
    DROPPED = auto()
    FAILED = auto()


class Stream:
    """Label FOLDER/NAME.bin into OUT/NAME.label (raw ids), ordered by name, so numbers need leading zeros.

    A scan is read once it has been renamed into the folder or closed by its writer. Where the system does not report
    this (files that existed at the start, links, network file systems, systems other than Linux), a file must not
    change for ``SETTLE_S`` seconds, or longer after that was too short. A writer should therefore use another name
    (NAME.tmp, or a hidden one) in the same file system, and rename the file when it is complete.

    A file that changes after it was labelled is labelled again, counted and reported; where changes are not reported,
    only within ``PATIENCE_S`` seconds. A file that replaces another one is a new scan. A damaged scan is reported and
    skipped. Labels appear complete or not at all. Labels that existed in OUT before the start are kept if they have the
    length of their scan, until that scan changes.

    The time per scan does not depend on the number of files in the folder, unless changes are not reported: then the
    folder is listed, as often as 10 % of the time allows. Memory grows by about 0.6 KB per file in the folder.

    Args:
        sensor: LiDAR of the scans; None = that of the student's training scans.
        drop: label only the newest waiting scan, for a live sensor; by default all are labelled.
        notify: receives lines for the user: damaged scans, changed files, a growing backlog, drops.
        on_labelled: called with each scan whose labels have just been written.
        clock, sleep: in seconds; by default a wait ends when a file arrives.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        folder: Path,
        out: Path,
        *,
        sensor: SensorSpec | None = None,
        drop: bool = False,
        notify: Callable[[str], None],
        on_labelled: Callable[[PredictionJob], None] = lambda job: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.segmenter, self.folder, self.out, self.drop = segmenter, folder, out, drop
        self.notify, self.on_labelled, self.clock, self.sleep = notify, on_labelled, clock, sleep
        self.sensor = sensor or segmenter.sensor
        self.summary = StreamSummary()
        self._earlier: dict[str, bool] = {}  # label files that existed before the start; whether to replace them
        self._next_notice: dict[str, float] = {}
        self._noticed = 0

    def run(self, *, once: bool = False, idle: float | None = None) -> StreamSummary:
        """Run until interrupted.

        Args:
            once: end when all files that exist at the start are labelled.
            idle: end after this many seconds without a new scan.

        Raises:
            DataError: the folder is missing, or disappears.
            OutputError: OUT cannot be written to, or contains labels of other classes.
            ConfigError: ``idle`` is not above 0.
        """
        if idle is not None and not idle > 0:
            raise ConfigError(f"idle: expected more than 0 seconds, found {idle}. Give a longer time.")
        record_classes(make_folder(self.out), self.segmenter.taxonomy)
        self._earlier = {name: False for name in os.listdir(self.out) if name.endswith(".label")}
        with FolderWatch(self.folder, ".bin", clock=self.clock, sleep=self.sleep) as watch:
            patience = SETTLE_S if once else min(PATIENCE_S, idle or PATIENCE_S)
            arrivals = Arrivals(watch, patience, point_bytes=self.sensor.point_bytes)
            try:
                self._start(arrivals, once)
                self._follow(arrivals, math.inf if idle is None else idle, once)
            finally:  # also when it is interrupted
                self.summary.waiting = arrivals.count
        return self.summary

    def _start(self, arrivals: Arrivals, once: bool) -> None:
        if once:
            arrivals.ignore_others()
        for name in list(arrivals.pending):
            self._keep(arrivals, name)
        arrivals.last_arrival = self.clock()

    def _follow(self, arrivals: Arrivals, idle: float, once: bool) -> None:
        reported = None
        while True:
            if arrivals.watch.polling != reported:
                reported = arrivals.watch.polling
                self._report_polling(arrivals)
            for name, file in arrivals.update():
                self._revoke(arrivals.path(name), file)
            idle_left = arrivals.last_arrival + idle - self.clock()
            if arrivals.damaged:
                self._label(arrivals, arrivals.damaged[0])
            elif arrivals.complete:
                self._label(arrivals, self._next_scan(arrivals))
            elif not arrivals.pending and (once or idle_left <= 0):
                return
            else:
                arrivals.wait(idle_left)

    def _revoke(self, scan: Path, file: ScanFile) -> None:
        """Remove the outcome of a changed scan from the counts."""
        if file.earlier_outcome is Outcome.FAILED:
            self.summary.failed -= 1
        elif file.earlier_outcome is Outcome.KEPT:
            self.summary.kept -= 1
        elif file.earlier_outcome is Outcome.LABELLED and self._is_time("changed"):
            self.notify(
                f"{scan}: changed after it was labelled, and is labelled again. Write scans under another name "
                "(NAME.tmp) in the same file system, then rename them to NAME.bin."
            )

    def _next_scan(self, arrivals: Arrivals) -> str:
        """The scan to label next."""
        if not self.drop:
            self._report_backlog(len(arrivals.complete) - 1)
            return arrivals.complete[0]
        *late, newest = arrivals.complete
        for name in late:
            self._finish(arrivals, name, Outcome.DROPPED)
        self._report_drops()
        return newest

    # ---- labels -------------------------------------------------------------------------------------------------

    def _job(self, name: str) -> PredictionJob:
        return file_job(self.folder / name, self.out, self.sensor)

    def _keep(self, arrivals: Arrivals, name: str) -> bool:
        """Keep labels that existed before the start and fit the scan, unless another scan has replaced it since."""
        job = self._job(name)
        if self._earlier.get(job.labels.name, True) or not (arrivals.fits(arrivals.files[name]) and job.is_done()):
            return False
        self._earlier[job.labels.name] = True
        self._finish(arrivals, name, Outcome.KEPT)
        return True

    def _label(self, arrivals: Arrivals, name: str) -> None:
        job = self._job(name)
        if self._keep(arrivals, name):
            if self._is_time("kept"):
                self.notify(
                    f"{job.labels}: kept, because it existed before the start. Use another -o to label {job.scan}."
                )
            return
        file, errors = arrivals.begin(name), []
        predict_files(self.segmenter, [job], lambda _, error: errors.append(error))
        if arrivals.has_changed(name):
            return
        if not errors:
            self.summary.again += file.earlier_outcome is Outcome.LABELLED
            self.summary.latencies.append(self.clock() - file.first_seen)
            self._finish(arrivals, name, Outcome.LABELLED)
            self._report_replaced(job)
            self.on_labelled(job)
        elif os.path.lexists(job.scan):
            self._finish(arrivals, name, Outcome.FAILED)
            self.notify(str(errors[0]))
        else:  # removed before it was read
            arrivals.forget(name)

    def _finish(self, arrivals: Arrivals, name: str, outcome: Outcome) -> None:
        arrivals.finish(name, outcome)
        counter = outcome.name.lower()
        setattr(self.summary, counter, getattr(self.summary, counter) + 1)

    # ---- messages for the user -------------------------------------------------------------------------------------

    def _report_polling(self, arrivals: Arrivals) -> None:
        self.notify(
            f"{self.folder} is listed at least every {arrivals.watch.delay:.2g} s: {arrivals.watch.polling}. "
            f"A scan is read when it has not changed for {arrivals.settle_s:.2g} s."
        )

    def _report_replaced(self, job: PredictionJob) -> None:
        if self._earlier.pop(job.labels.name, None) is not None and self._is_time("replaced"):
            self.notify(f"{job.labels}: replaced, because it existed before the start and belonged to another scan.")

    def _report_backlog(self, behind: int) -> None:
        """Report a growing backlog of at least two scans."""
        self._noticed = min(self._noticed, behind)
        if behind > max(self._noticed, 1) and self._is_time("backlog"):
            self.notify(f"{behind} scans waiting. Use --drop to label only the newest.")
            self._noticed = behind

    def _report_drops(self) -> None:
        if self.summary.dropped > self._noticed and self._is_time("drops"):
            self.notify(f"{self.summary.dropped - self._noticed} scans dropped, {self.summary.dropped} in total")
            self._noticed = self.summary.dropped

    def _is_time(self, kind: str) -> bool:
        now = self.clock()
        if now < self._next_notice.get(kind, now):
            return False
        self._next_notice[kind] = now + NOTICE_S
        return True
