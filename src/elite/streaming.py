"""Label scans as they appear in a folder: a driver writes NAME.bin or NAME.pcd, the stream writes NAME.label."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from elite.arrivals import PATIENCE_S, SETTLE_S, Arrivals, ScanFile
from elite.datasets.scan_files import is_plain, read_fields
from elite.errors import ConfigError, DataError, EliteError, OutputError
from elite.files import make_folder
from elite.folder_watch import FolderWatch
from elite.inference import Segmenter
from elite.label_records import record_classes
from elite.latency_budget import LatencyBudget
from elite.point_files import SUFFIXES
from elite.prediction_files import PredictionJob, file_job, predict_files, same_output
from elite.prediction_formats import PredictionFormat
from elite.sensor import SensorSpec
from elite.stream_summary import Outcome, StreamSummary

NOTICE_S = 1.0  # shortest time between two messages of the same kind


class Stream:
    """Label FOLDER/NAME.bin into OUT/NAME.label, ordered by name, so numbers need leading zeros.

    Scans are files of all formats of ``elite.point_files``, which may be mixed. Two files with the same NAME would have
    the same labels: the second one is reported and fails.

    A scan is read once it has been renamed into the folder or closed by its writer. Where the system does not report
    this (files that existed at the start, links, network file systems, systems other than Linux), a file must not
    change for ``SETTLE_S`` seconds, or longer after that was too short. A writer should therefore use another name
    (NAME.tmp, or a hidden one) in the same file system, and rename the file when it is complete.

    A file that is not complete by its format counts as damaged after ``PATIENCE_S`` seconds without a change. The size
    of a .bin file shows if it is complete; files of other formats are read.

    A file that changes after it was labelled is labelled again, counted and reported; where changes are not reported,
    only within ``PATIENCE_S`` seconds. A file that replaces another one is a new scan. A damaged scan is reported and
    skipped. Labels appear complete or not at all. Labels that existed in OUT before the start are kept if they have the
    length of their scan, until that scan changes.

    The time per scan does not depend on the number of files in the folder, unless changes are not reported: then the
    folder is listed, as often as 10 % of the time allows. Memory grows by about 0.7 KB per file in the folder.

    Args:
        sensor: LiDAR of the scans; None = that of the student's training scans.
        format: contents of the label files; see ``elite.prediction_formats``.
        budget: chooses precision and views for each scan, and whether scans are skipped; None = as the segmenter.
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
        format: PredictionFormat = "label",
        budget: LatencyBudget | None = None,
        drop: bool = False,
        notify: Callable[[str], None],
        on_labelled: Callable[[PredictionJob], None] = lambda job: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.segmenter, self.folder, self.out, self.drop = segmenter, folder, out, drop
        self.notify, self.on_labelled, self.clock, self.sleep = notify, on_labelled, clock, sleep
        self.sensor = sensor or segmenter.sensor
        self.format: PredictionFormat = format
        self.budget, self.summary = budget, StreamSummary()
        levels = budget.levels if budget else ()
        self._segmenters = {level: segmenter.with_settings(level.precision, level.votes) for level in levels}
        self._earlier: dict[str, bool] = {}  # label files that existed before the start; whether to replace them
        self._owners: dict[str, str] = {}  # the scan of each label file that was written or kept
        self._next_notice: dict[str, float] = {}
        self._noticed_backlog = self._noticed_drops = 0
        self._started_at = -math.inf

    def run(self, *, once: bool = False, idle: float | None = None) -> StreamSummary:
        """Run until interrupted.

        Args:
            once: end when all files that exist at the start are labelled.
            idle: end after this many seconds without a new scan.

        Raises:
            DataError: the folder is missing, or disappears.
            OutputError: OUT cannot be written to, contains labels of other classes, or is FOLDER and the labels would
                count as scans.
            ConfigError: ``idle`` is not above 0.
        """
        if idle is not None and not idle > 0:
            raise ConfigError(f"idle: expected more than 0 seconds, found {idle}. Give a longer time.")
        make_folder(self.out)
        self._refuse_own_input()
        record_classes(self.out, self.segmenter.taxonomy)
        self._earlier = {name: False for name in os.listdir(self.out) if name.endswith(f".{self.format}")}
        with FolderWatch(self.folder, SUFFIXES, clock=self.clock, sleep=self.sleep) as watch:
            patience = SETTLE_S if once else min(PATIENCE_S, idle or PATIENCE_S)
            arrivals = Arrivals(watch, patience, can_be=self._can_be_scan)
            try:
                self._start(arrivals, once)
                self._follow(arrivals, math.inf if idle is None else idle, once)
            finally:  # also when it is interrupted
                self.summary.waiting = arrivals.count
        return self.summary

    def _start(self, arrivals: Arrivals, once: bool) -> None:
        if once:
            arrivals.ignore_others()
        for name in sorted(arrivals.pending):
            self._keep(arrivals, name)
        arrivals.last_arrival = self._started_at = self.clock()

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
                self._label_next(arrivals, once)
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
                "(NAME.tmp) in the same file system, then rename them."
            )

    def _label_next(self, arrivals: Arrivals, once: bool) -> None:
        """Label the first complete scan, or the newest one if the others are dropped."""
        new = [name for name in arrivals.complete if self._is_new(arrivals, name)] if self.budget else []
        names = new if new and not self.drop else arrivals.complete[:]  # a budget is that of new scans
        drop = self.drop or bool(new and self.budget and self.budget.level.skips)
        name = names[-1 if drop else 0]
        if not self._is_complete(arrivals, name):
            return
        if drop:
            for late in names[:-1]:
                self._finish(arrivals, late, Outcome.DROPPED)
            self._report_drops()
        elif not once:  # otherwise all scans exist at the start, and none is late
            self._report_backlog(len(arrivals.complete) - 1)
        self._label(arrivals, name)

    def _is_new(self, arrivals: Arrivals, name: str) -> bool:
        """Whether a scan arrived, or changed after it was labelled, since the start."""
        return arrivals.files[name].first_seen > self._started_at

    # ---- files of scans --------------------------------------------------------------------------------------------

    def _can_be_scan(self, name: str, size: int) -> bool:
        return not is_plain(Path(name)) or size % self.sensor.point_bytes == 0

    def _is_complete(self, arrivals: Arrivals, name: str) -> bool:
        """Whether a file can be read by its format. It is read once: the last files are kept for their labels."""
        if is_plain(Path(name)):
            return True
        arrivals.begin(name)
        try:
            read_fields(arrivals.path(name), self.sensor)
        except DataError:
            if not arrivals.has_changed(name):
                arrivals.refuse(name)
            return False
        return True

    def _refuse_own_input(self) -> None:
        """Check that no file of labels counts as a scan."""
        if f".{self.format}" in SUFFIXES and self.folder.is_dir() and os.path.samefile(self.folder, self.out):
            raise OutputError(
                f"{self.out}: expected another folder than that of the scans for .{self.format} files, which would "
                "count as scans, found the same one. Choose another -o."
            )

    # ---- labels -------------------------------------------------------------------------------------------------

    def _job(self, name: str) -> PredictionJob:
        return file_job(self.folder / name, self.out, self.sensor, self.format)

    def _other_owner(self, job: PredictionJob) -> str | None:
        """Another scan whose labels the label file of a job contains."""
        owner = self._owners.get(job.labels.name, job.scan.name)
        return None if owner == job.scan.name else owner

    def _keep(self, arrivals: Arrivals, name: str) -> bool:
        """Keep labels that existed before the start and fit the scan, unless another scan has replaced it since."""
        job = self._job(name)
        if self._earlier.get(job.labels.name, True) or not (arrivals.fits(name) and job.is_done()):
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
        if (owner := self._other_owner(job)) is not None and owner in arrivals.files:
            self._fail(arrivals, name, same_output(job, self.folder / owner))
            return
        file, errors, start = arrivals.begin(name), [], self.clock()
        segmenter = self._segmenters[self.budget.level] if self.budget else self.segmenter
        predict_files(segmenter, [job], lambda _, error: errors.append(error))
        if arrivals.has_changed(name):
            return
        if not errors:
            self.summary.again += file.earlier_outcome is Outcome.LABELLED
            self.summary.latencies.append(self.clock() - file.first_seen)
            if self.budget and self._is_new(arrivals, name):
                times = {"arrival": file.first_seen, "start": start, "end": self.clock()}
                arrived = self.summary.finished + arrivals.count
                self.budget.add(**times, arrived=arrived, dropped=self.summary.dropped)
            self._finish(arrivals, name, Outcome.LABELLED)
            self._report_replaced(job, owner)
            self.on_labelled(job)
        elif os.path.lexists(job.scan):
            self._fail(arrivals, name, errors[0])
        else:  # removed before it was read
            arrivals.forget(name)

    def _fail(self, arrivals: Arrivals, name: str, error: EliteError) -> None:
        self._finish(arrivals, name, Outcome.FAILED)
        self.notify(str(error))

    def _finish(self, arrivals: Arrivals, name: str, outcome: Outcome) -> None:
        arrivals.finish(name, outcome)
        if outcome in (Outcome.LABELLED, Outcome.KEPT):
            self._own(arrivals, name)
        counter = outcome.name.lower()
        setattr(self.summary, counter, getattr(self.summary, counter) + 1)

    def _own(self, arrivals: Arrivals, name: str) -> None:
        """Record whose labels a file contains, and forget scans that are gone."""
        self._owners[self._job(name).labels.name] = name
        if len(self._owners) > 2 * len(arrivals.files) + 100:
            self._owners = {labels: scan for labels, scan in self._owners.items() if scan in arrivals.files}

    # ---- messages for the user -------------------------------------------------------------------------------------

    def _report_polling(self, arrivals: Arrivals) -> None:
        self.notify(
            f"{self.folder} is listed at least every {arrivals.watch.delay:.2g} s: {arrivals.watch.polling}. "
            f"A scan is read when it has not changed for {arrivals.settle_s:.2g} s."
        )

    def _report_replaced(self, job: PredictionJob, owner: str | None) -> None:
        existed = self._earlier.pop(job.labels.name, None) is not None
        if (existed or owner) and self._is_time("replaced"):
            earlier = f"belonged to {owner}, which is gone" if owner else "belonged to another scan"
            self.notify(f"{job.labels}: replaced, because it {'existed before the start and ' * existed}{earlier}.")

    def _report_backlog(self, behind: int) -> None:
        """Report a growing backlog of at least two scans."""
        self._noticed_backlog = min(self._noticed_backlog, behind)
        if behind > max(self._noticed_backlog, 1) and self._is_time("backlog"):
            advice = "" if self.budget else " Use --drop to label only the newest."
            self.notify(f"{behind} scans waiting.{advice}")
            self._noticed_backlog = behind

    def _report_drops(self) -> None:
        new = self.summary.dropped - self._noticed_drops
        if new > 0 and self._is_time("drops"):
            self.notify(f"{new} scans dropped, {self.summary.dropped} in total")
            self._noticed_drops += new

    def _is_time(self, kind: str) -> bool:
        now = self.clock()
        if now < self._next_notice.get(kind, now):
            return False
        self._next_notice[kind] = now + NOTICE_S
        return True
