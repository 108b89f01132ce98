"""Labels for scans that arrive in a folder, in simulated time."""

import ctypes
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from elite.arrivals import MAX_SETTLE_S, PATIENCE_S, SETTLE_S, Arrivals
from elite.cli import main
from elite.errors import ConfigError, DataError, OutputError
from elite.folder_watch import CHECK_S, POLL_S, Inotify, _checked
from elite.inference import Segmenter
from elite.label_records import FOLDER_RECORD
from elite.latency_budget import LatencyBudget, budget_levels
from elite.point_files import SUFFIXES
from elite.prediction_formats import FORMATS, PredictionFormat, read_prediction
from elite.segmentation_result import SegmentationResult
from elite.sensor import SensorSpec
from elite.stream_summary import StreamSummary
from elite.streaming import NOTICE_S, Stream
from elite.student import SPVCNN, save_student
from elite.taxonomy import Taxonomy
from elite.types import Scan
from tests.support.scans import random_scan, scan_file
from tests.support.semantickitti import HDL_64E, KITTI

Action = Callable[[], object]


@dataclass
class World:
    """A folder, a time that passes while it is slept or labelled, and what happens at some times."""

    folder: Path
    out: Path
    now: float = 0.0
    naps: list[float] = field(default_factory=list)
    events: dict[float, Action] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    labelled: list[int] = field(default_factory=list)  # points of each scan that was labelled
    seconds_a_scan: float = 0.0
    during_label: Action = lambda: None
    taxonomy: Taxonomy = KITTI
    sensor: SensorSpec = HDL_64E

    def sleep(self, seconds: float) -> None:
        """An event ends the sleep, as a report of the system does."""
        due = [time for time in self.events if time <= self.now + seconds]
        until = min(due, default=self.now + seconds)
        self.naps.append(until - self.now)
        self.now = max(self.now, until)
        if due:
            self.events.pop(until)()
        assert len(self.naps) < 20_000, "it never ends"

    def segment(self, scan: Scan, source: object = "") -> SegmentationResult:
        """A student that labels everything as a car."""
        self.labelled.append(len(scan))
        self.now += self.seconds_a_scan
        self.during_label()
        certain = np.eye(1, len(KITTI.names) - 1, dtype=np.float32), np.zeros(len(scan), np.int64)
        ones = np.ones(len(scan), np.uint8)
        return SegmentationResult(ones, ones.astype(np.float32), KITTI.names, distinct=certain)

    def stream(
        self, *, drop: bool = False, format: PredictionFormat = "label", budget: LatencyBudget | None = None
    ) -> Stream:
        return Stream(
            self,  # type: ignore[arg-type]
            self.folder,
            self.out,
            drop=drop,
            budget=budget,
            format=format,
            notify=self.lines.append,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def put(self, name: str, points: int, suffix: str = ".bin") -> Path:
        """Write a scan in place and close it."""
        path = self.folder / f"{name}{suffix}"
        path.write_bytes(scan_bytes(points, suffix))
        return path

    def rename_in(self, name: str, points: int, suffix: str = ".bin") -> Path:
        temporary = self.folder / f"{name}.tmp"
        temporary.write_bytes(scan_bytes(points, suffix))
        os.utime(temporary, (self.now, self.now))  # two real writes may have the same time
        return temporary.rename(self.folder / f"{name}{suffix}")

    def write_slowly(self, name: str, points: int, times: list[float]) -> None:
        """A writer adds a share of the scan at each of these times, and closes the file at the last."""
        data, file = scan_bytes(points), (self.folder / f".{name}").open("wb", buffering=0)

        def write(i: int) -> None:
            nonlocal file
            if i == 0:
                file.close()
                file = (self.folder / f"{name}.bin").open("wb", buffering=0)
            file.write(data[16 * (points * i // len(times)) : 16 * (points * (i + 1) // len(times))])
            if i == len(times) - 1:
                file.close()

        self.events |= {time: partial(write, i) for i, time in enumerate(times)}

    def outputs(self) -> dict[str, int]:
        """Labels of each file in the output folder, except the record of the classes."""
        return {p.name: p.stat().st_size // 4 for p in sorted(self.out.iterdir()) if p.name != FOLDER_RECORD}


def scan_bytes(points: int, suffix: str = ".bin") -> bytes:
    return scan_file(suffix, random_scan(np.random.default_rng(points), points))


def no_inotify(_: Path) -> Inotify:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "in").mkdir()
    return World(tmp_path / "in", tmp_path / "out")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not report changes."""
    monkeypatch.setattr("elite.folder_watch.Inotify", no_inotify)


@pytest.fixture(params=["reported", "listed"])
def any_system(request: pytest.FixtureRequest) -> None:
    if request.param == "listed":
        request.getfixturevalue("listed")


pytestmark = pytest.mark.usefixtures("any_system")
reported_only = pytest.mark.parametrize(
    "any_system",
    [pytest.param("reported", marks=pytest.mark.skipif(sys.platform != "linux", reason="inotify"))],
    indirect=True,
)
listed_only = pytest.mark.parametrize("any_system", ["listed"], indirect=True)


def test_stream_once_labels_all_files_in_order_as_predict_does(world: World) -> None:
    for name, points in {"000002": 5, "000000": 7, "000001": 6}.items():
        world.put(name, points)
    (world.folder / "notes.txt").write_text("no scan")
    (world.folder / ".000003.bin").write_bytes(b"a temporary file")
    world.during_label = lambda: world.put("000009", 3)  # too late for --once
    summary = world.stream().run(once=True)
    assert (summary.labelled, summary.failed) == (3, 0)
    assert world.labelled == [7, 6, 5]
    assert world.outputs() == {"000000.label": 7, "000001.label": 6, "000002.label": 5}
    assert np.fromfile(world.out / "000000.label", "<u4").tolist() == KITTI.to_raw(np.ones(7, np.uint8)).tolist()


def test_stream_labels_renamed_and_closed_files(world: World) -> None:
    world.events = {1.0: lambda: world.rename_in("a", 5), 2.0: lambda: world.put("b", 6)}
    summary = world.stream().run(idle=3)
    assert (world.labelled, summary.labelled, summary.again) == ([5, 6], 2, 0)


@reported_only
def test_stream_labels_a_file_at_once_when_it_is_renamed_or_closed(world: World) -> None:
    world.events = {1.0: lambda: world.rename_in("a", 5), 2.0: lambda: world.put("b", 6)}
    summary = world.stream().run(idle=3)
    assert list(summary.latencies) == [0, 0]


@reported_only
def test_stream_does_not_label_a_file_before_its_writer_closes_it(world: World) -> None:
    """All parts have the size of a scan, and the writer pauses for longer than any settle time."""
    world.write_slowly("a", 9, [1.0, 1.0 + 0.9 * PATIENCE_S, 1.0 + 1.8 * PATIENCE_S])
    summary = world.stream().run(idle=1)
    assert (world.labelled, summary.again, world.lines) == ([9], 0, [])


@reported_only
def test_stream_labels_a_file_that_stays_open_once_it_has_not_changed_for_long(world: World) -> None:
    world.write_slowly("a", 8, [1.0, 2.0, 3 * PATIENCE_S])
    summary = world.stream().run(idle=4 * PATIENCE_S)
    assert (world.labelled, world.outputs()) == ([5, 8], {"a.label": 8})
    assert (summary.labelled, summary.again) == (2, 1)


@listed_only
def test_stream_without_reports_does_not_label_a_file_while_it_grows(world: World) -> None:
    world.write_slowly("a", 9, [1 + 0.9 * SETTLE_S * i for i in range(9)])
    summary = world.stream().run(idle=1)
    assert (world.labelled, summary.again) == ([9], 0)
    assert summary.latencies[0] == pytest.approx(8 * 0.9 * SETTLE_S + SETTLE_S, abs=2 * SETTLE_S)  # from detection


@listed_only
def test_stream_without_reports_waits_longer_once_a_writer_paused_longer(world: World) -> None:
    for i in range(4):
        world.write_slowly(f"{i}", 10 + i, [10 * i + 1, 10 * i + 1.4])
    stream = world.stream()
    summary = stream.run(idle=12)
    assert world.labelled == [5, 10, 11, 12, 13]
    assert (summary.labelled, summary.again) == (5, 1)
    assert world.outputs() == {f"{i}.label": 10 + i for i in range(4)}
    assert "0.bin: changed after it was labelled" in world.lines[1]


@listed_only
def test_stream_without_reports_never_waits_longer_than_two_seconds(world: World) -> None:
    world.write_slowly("a", 9, [1.0, 1.0 + 0.9 * PATIENCE_S])
    world.events[30.0] = lambda: world.put("b", 6)
    summary = world.stream().run(idle=20)
    assert world.labelled == [4, 9, 6]
    assert summary.latencies[-1] <= MAX_SETTLE_S + SETTLE_S


def test_stream_labels_a_file_again_that_changes_while_it_is_labelled(world: World) -> None:
    world.put("a", 4)
    world.during_label = lambda: world.labelled == [4] and world.put("a", 6)
    summary = world.stream().run(idle=1)
    assert (summary.labelled, summary.again) == (1, 0)
    assert world.outputs() == {"a.label": 6}


def test_stream_labels_a_file_again_that_changes_later_and_reports_it(world: World) -> None:
    world.put("a", 4)
    world.events = {2.0: lambda: world.put("a", 6)}
    summary = world.stream().run(idle=3)
    assert (summary.labelled, summary.again) == (2, 1)
    assert world.outputs() == {"a.label": 6}
    assert [line for line in world.lines if "a.bin: changed after it was labelled" in line]
    assert "1 of the labelled scans had changed and were labelled again" in summary.line()


def test_stream_takes_a_file_that_replaces_another_as_a_new_scan(world: World) -> None:
    world.put("latest", 4)
    world.events = {float(i): lambda i=i: world.rename_in("latest", 4 + i) for i in (1, 2, 3)}
    summary = world.stream().run(idle=2)
    assert world.labelled == [4, 5, 6, 7]
    assert (summary.labelled, summary.again) == (4, 0)
    assert not [line for line in world.lines if "labelled again" in line]


def test_stream_does_not_count_a_failure_whose_file_was_completed(world: World) -> None:
    world.events = {
        1.0: lambda: (world.folder / "a.bin").write_bytes(scan_bytes(4)[:30]),
        1.5 * PATIENCE_S: lambda: world.put("a", 4),
    }
    summary = world.stream().run(idle=2 * PATIENCE_S)
    assert "a.bin: expected a multiple of 16 bytes" in world.lines[-1]
    assert (summary.labelled, summary.failed, summary.again) == (1, 0, 0)


@reported_only
def test_stream_labels_all_scans_of_a_growing_backlog_and_reports_it(world: World) -> None:
    """Each scan takes 3 s; during each of the first three, two more come."""
    for i in range(3):
        world.rename_in(f"{i}", 10 + i)
    world.seconds_a_scan = 3.0
    world.during_label = lambda: [
        world.rename_in(f"{i}", 10 + i) for n in [len(world.labelled)] if n <= 3 for i in (2 * n + 1, 2 * n + 2)
    ]
    summary = world.stream().run(idle=1)
    assert world.labelled == [10 + i for i in range(9)]
    assert (summary.labelled, summary.dropped) == (9, 0)
    assert [int(line.split()[0]) for line in world.lines] == [2, 3, 4, 5]


def test_stream_with_drop_labels_the_newest_and_counts_the_others(world: World) -> None:
    for i in range(4):
        world.put(f"{i}", 10 + i)
    world.seconds_a_scan = 2.0
    world.during_label = lambda: world.labelled == [13] and [world.rename_in(f"{i}", 10 + i) for i in (4, 5)]
    summary = world.stream(drop=True).run(idle=1)
    assert world.labelled == [13, 15]
    assert (summary.labelled, summary.dropped) == (2, 4)
    assert world.lines[-2:] == ["3 scans dropped, 3 in total", "1 scans dropped, 4 in total"]
    assert world.outputs() == {"3.label": 13, "5.label": 15}


def test_stream_keeps_labels_that_exist_at_the_start(world: World) -> None:
    for i in range(3):
        world.put(f"{i}", 10 + i)
    world.stream().run(once=True)
    world.out.joinpath("1.label").write_bytes(b"1234")  # of another length than its scan
    world.labelled.clear()
    summary = world.stream().run(once=True)
    assert world.labelled == [11]
    assert (summary.kept, summary.labelled) == (2, 1)
    assert "1.label: replaced" in world.lines[-1]


@pytest.mark.parametrize("among", [False, True], ids=["elsewhere", "among the scans"])
def test_stream_keeps_and_reports_labels_of_scans_that_come_later(world: World, among: bool) -> None:
    """Ground truth, or the labels of an earlier drive with the same names."""
    if among:
        world.out = world.folder
    world.out.mkdir(exist_ok=True)
    truth = np.arange(10, dtype="<u4").tobytes()
    (world.out / "0.label").write_bytes(truth)
    world.events = {1.0: lambda: world.rename_in("0", 10), 2.0: lambda: world.rename_in("1", 11)}
    summary = world.stream().run(idle=2)
    assert (world.out / "0.label").read_bytes() == truth
    assert (world.labelled, summary.kept, summary.labelled) == ([11], 1, 1)
    assert "0.label: kept, because it existed before the start" in world.lines[-1]


def test_stream_replaces_labels_of_an_earlier_run_once_their_scan_is_replaced(world: World) -> None:
    """A ring of names and scans of one length, as of a sensor whose lost returns are stored too."""
    world.put("ring", 10)
    world.stream().run(once=True)
    world.events = {1.0: lambda: world.rename_in("ring", 10), 2.0: lambda: world.rename_in("ring", 10)}
    summary = world.stream().run(idle=2)
    assert (summary.kept, summary.labelled) == (1, 2)
    assert [line for line in world.lines if "ring.label: replaced, because it existed before the start" in line]


def test_stream_reports_a_damaged_scan_once_and_labels_the_others(world: World) -> None:
    scan = world.put("0", 5)
    scan.write_bytes(scan.read_bytes()[:-3])  # perhaps still incomplete
    np.full((2, 4), np.nan, np.float32).tofile(world.folder / "1.bin")
    world.put("2", 6)
    (world.folder / "3.bin").touch()
    summary = world.stream().run(idle=2 * PATIENCE_S)
    assert world.labelled == [6]
    assert (summary.labelled, summary.failed) == (1, 3)
    damaged = [Path(line.split()[0].rstrip(":")).name for line in world.lines if ".bin" in line]
    assert (damaged[0], sorted(damaged[1:])) == ("1.bin", ["0.bin", "3.bin"])


def test_stream_reports_files_that_cannot_be_scans_and_labels_the_others(world: World) -> None:
    os.mkfifo(world.folder / "0.bin")
    (world.folder / "1.bin").mkdir()
    (world.folder / "2.bin").symlink_to("nowhere")
    (world.folder / "3.bin").symlink_to("3.bin")
    (world.folder / "4.bin").symlink_to("/dev/zero")
    with (world.folder / "5.bin").open("wb") as sparse:
        sparse.truncate(2**40)
    (world.folder / "6.bin").symlink_to(world.put("7", 9))
    summary = world.stream().run(idle=2 * PATIENCE_S)
    assert (world.labelled, summary.labelled, summary.failed) == ([9, 9], 2, 6)
    reports = {Path(line.split()[0].rstrip(":")).name: line for line in world.lines if ".bin" in line}
    assert "found a pipe, socket or device instead of a regular file" in reports["0.bin"]
    assert "directory" in reports["1.bin"]
    assert "No such file" in reports["2.bin"]
    assert "symbolic links" in reports["3.bin"]
    assert "found a pipe, socket or device instead of a regular file" in reports["4.bin"]
    assert "found 1,099,511,627,776 bytes, more than the limit of 1,073,741,824 bytes" in reports["5.bin"]


def test_stream_with_drop_counts_no_drop_for_a_damaged_newest_scan(world: World) -> None:
    world.put("0", 5)
    (world.folder / "1.bin").write_bytes(b"123")
    summary = world.stream(drop=True).run(once=True)
    assert (summary.labelled, summary.failed, summary.dropped) == (1, 1, 0)


def test_stream_sleeps_while_nothing_comes(world: World) -> None:
    world.stream().run(idle=5)
    assert min(world.naps) >= POLL_S - 1e-9
    assert sum(world.naps) == pytest.approx(5, abs=2 * POLL_S)


@reported_only
def test_stream_reads_no_attributes_of_files_that_were_labelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any number of files in the folder, a new scan costs calls of stat for this scan only."""
    for i in range(50):
        world.put(f"{i:02}", 3)
    checked: list[str] = []
    read_stat = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        checked.append(path.name)
        return read_stat(path, **options)

    def new() -> None:
        world.rename_in("new", 4)
        monkeypatch.setattr(Path, "stat", stat)

    world.events = {2 * PATIENCE_S: new, 2 * PATIENCE_S + 1: monkeypatch.undo}
    assert world.stream().run(idle=3 * PATIENCE_S).labelled == 51
    assert "new.bin" in checked
    assert not [name for name in checked if name.endswith(".bin") and name != "new.bin"]


def test_stream_forgets_files_that_are_gone(world: World) -> None:
    """A name that reappears is a new scan; a file that is removed unread does not count as a failure."""
    path = world.folder / "ring.bin"
    world.put("ring", 10)
    world.events = {
        1.0: path.unlink,
        2.0: lambda: world.put("ring", 11),
        3.0: path.unlink,
        4.0: path.touch,
        5.0: path.unlink,
    }
    stream = world.stream()
    summary = stream.run(idle=PATIENCE_S)
    assert world.labelled == [10, 11]
    assert (summary.labelled, summary.again, summary.failed, summary.waiting) == (2, 0, 0, 0)


def test_stream_of_a_scan_that_goes_while_it_is_read_counts_no_failure(world: World) -> None:
    world.put("0", 5)
    second = world.put("1", 6)
    world.during_label = lambda: second.unlink(missing_ok=True)
    summary = world.stream().run(once=True)
    assert (summary.labelled, summary.failed) == (1, 0)


def test_stream_calls_back_once_the_labels_exist(world: World) -> None:
    seen: list[tuple[str, bool]] = []
    world.put("1", 5)
    world.put("2", 7).write_bytes(b"123")
    stream = world.stream()
    stream.on_labelled = lambda job: seen.append((job.scan.name, job.is_done()))
    stream.run(once=True)
    assert seen == [("1.bin", True)]


def test_summary_line_counts() -> None:
    summary = StreamSummary(labelled=101, kept=4, dropped=3, failed=2, waiting=1)
    summary.latencies.extend(i / 1000 for i in range(101))
    assert summary.line() == (
        "101 scans labelled, 4 had labels already, 3 dropped, 2 failed, 1 still waiting; "
        "from detection to labels p50 50 ms, p95 95 ms"
    )
    assert StreamSummary().line().endswith("0 still waiting")


def test_interrupted_stream_has_a_complete_summary(world: World) -> None:
    for i in range(3):
        world.put(f"{i}", 10 + i)
    world.during_label = lambda: len(world.labelled) == 2 and interrupt()
    stream = world.stream()
    with pytest.raises(KeyboardInterrupt):
        stream.run()
    assert (stream.summary.labelled, stream.summary.waiting) == (1, 2)
    assert world.outputs() == {"0.label": 10}


def test_stream_with_missing_folders_names_them(world: World) -> None:
    world.events = {3.0: lambda: shutil.rmtree(world.folder)}
    with pytest.raises(DataError, match=f"{world.folder}: expected a readable folder"):
        world.stream().run()
    with pytest.raises(DataError, match=f"{world.folder}: expected a readable folder"):
        world.stream().run()
    world.folder.mkdir()
    world.out = world.put("file", 3) / "below"
    with pytest.raises(OutputError, match="Choose another output"):
        world.stream().run()
    with pytest.raises(ConfigError, match="idle: expected more than 0"):
        world.stream().run(idle=0)


@listed_only
def test_stream_without_reports_says_so_once(world: World) -> None:
    world.events = {1.0: lambda: world.put("a", 5)}
    assert world.stream().run(idle=3).labelled == 1
    assert len(world.lines) == 1
    assert "the system does not report changes (Function not implemented)" in world.lines[0]


@reported_only
def test_inotify_without_free_instances_names_the_limit() -> None:
    ctypes.set_errno(errno.EMFILE)
    with pytest.raises(OSError, match=r"fs.inotify.max_user_instances is reached"):
        _checked(-1)


@reported_only
def test_stream_finds_a_file_that_the_system_did_not_report_and_lists_the_folder_from_then_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the files of another machine on a network file system."""
    monkeypatch.setattr(Inotify, "read", lambda self: iter(()))
    world.events = {5.2: lambda: world.put("a", 5), 10.2: lambda: world.put("b", 6)}
    summary = world.stream().run(idle=8)
    assert world.labelled == [5, 6]
    assert "the system did not report a change (a.bin)" in world.lines[0]
    assert len(world.lines) == 1
    assert max(summary.latencies) <= SETTLE_S + 3 * POLL_S
    assert world.now == pytest.approx(18.2, abs=2 * CHECK_S)


@reported_only
def test_stream_after_lost_reports_finds_all_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when more files change than the system's queue holds: one file new, one changed, one closed, one gone."""
    overflow, read = 0x4000, Inotify.read

    def lose_reports(self: Inotify) -> Iterator[tuple[int, str]]:
        events = list(read(self))
        return iter([(overflow, "")] if events and world.now == 2.0 else events)

    monkeypatch.setattr(Inotify, "read", lose_reports)
    world.put("changed", 4)
    gone = world.put("gone", 5)
    world.write_slowly("closed", 6, [1.0, 2.0])
    close = world.events[2.0]
    world.events[2.0] = lambda: (close(), gone.unlink(), world.put("changed", 7), world.rename_in("new", 8))
    stream = world.stream()
    summary = stream.run(idle=PATIENCE_S / 2)
    assert world.labelled == [4, 5, 7, 6, 8]
    assert (summary.labelled, summary.again, summary.failed) == (5, 1, 0)
    assert world.now < PATIENCE_S


def test_stream_follows_a_folder_that_another_one_replaces(world: World) -> None:
    world.put("a", 4)

    def replace() -> None:
        world.folder.rename(world.folder.with_name("old"))
        world.folder.mkdir()
        world.put("b", 5)

    world.events = {1.0: replace, 3.0: lambda: world.rename_in("c", 6)}
    assert world.stream().run(idle=3).labelled == 3
    assert world.labelled == [4, 5, 6]
    assert [line for line in world.lines if "did not report a change" in line] == []


# ---- all formats ------------------------------------------------------------------------------------------------

every_format = pytest.mark.parametrize("suffix", SUFFIXES)


@reported_only
@pytest.mark.parametrize("format", FORMATS)
def test_stream_labels_scans_of_all_formats_in_one_folder(world: World, format: PredictionFormat) -> None:
    suffixes = [*SUFFIXES, ".pcd.bin", ".PLY"]
    for i, suffix in enumerate(suffixes):
        world.put(f"{i}", 10 + i, suffix) if i % 2 else world.rename_in(f"{i}", 10 + i, suffix)
    assert world.stream(format=format).run(once=True).labelled == len(suffixes)
    for i, suffix in enumerate(suffixes):
        classes = read_prediction(world.out / f"{i}.{format}", Path(suffix), 10 + i, KITTI)
        assert classes.tolist() == [1] * (10 + i)
    assert world.stream(format=format).run(once=True).kept == len(suffixes)


@every_format
def test_stream_awaits_the_rest_of_a_file_of_any_format(world: World, suffix: str) -> None:
    """Its writer closes it twice, or changes are not reported."""
    path, data = world.folder / f"a{suffix}", scan_bytes(50, suffix)
    world.events = {
        1.0: lambda: path.write_bytes(data[: len(data) // 2 + 1]),
        1.0 + 0.9 * PATIENCE_S: lambda: path.write_bytes(data),
    }
    summary = world.stream().run(idle=2 * PATIENCE_S)
    assert (world.labelled, world.outputs(), summary.failed, summary.again) == ([50], {"a.label": 50}, 0, 0)


@every_format
def test_stream_reports_a_truncated_file_of_any_format_once_and_labels_the_others(world: World, suffix: str) -> None:
    data = scan_bytes(50, suffix)
    world.events = {
        1.0: lambda: (world.folder / f"a{suffix}").write_bytes(data[: len(data) // 2 + 1]),
        2.0: lambda: world.put("b", 6, suffix),
    }
    summary = world.stream().run(idle=2 * PATIENCE_S)
    assert (world.labelled, summary.labelled, summary.failed) == ([6], 1, 1)
    assert [Path(line.split(":")[0]).name for line in world.lines if f"{suffix}: expected" in line] == [f"a{suffix}"]


@reported_only
@every_format
def test_stream_with_drop_drops_no_scan_for_a_damaged_newest_one(world: World, suffix: str) -> None:
    world.put("0", 5, suffix)
    (world.folder / f"1{suffix}").write_bytes(scan_bytes(50, suffix)[:-30])
    summary = world.stream(drop=True).run(once=True)
    assert (summary.labelled, summary.failed, summary.dropped) == (1, 1, 0)


@reported_only
def test_stream_decodes_a_file_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = SUFFIXES[".pcd"]
    monkeypatch.setitem(SUFFIXES, ".pcd", lambda *given: decoded.append(given[1].name) or decode(*given))
    world.events = {1.0: lambda: world.rename_in("a", 5, ".pcd"), 2.0: lambda: world.rename_in("b", 6, ".pcd")}
    world.stream(format="ply").run(idle=2)
    assert decoded == ["a.pcd", "b.pcd"]


def test_stream_of_two_scans_of_one_name_labels_the_first_and_reports_the_second(world: World) -> None:
    world.put("a", 5)
    world.put("a", 6, ".pcd.bin")
    world.events = {2.0: lambda: world.rename_in("a", 7, ".ply"), 3.0: lambda: world.rename_in("a", 8)}
    summary = world.stream().run(idle=2)
    assert (world.labelled, world.outputs()) == ([5, 8], {"a.label": 8})
    assert (summary.labelled, summary.failed) == (2, 2)
    for name in ("a.pcd.bin", "a.ply"):
        expected = f"{world.folder / name}: expected labels in a file of its own, found that {world.out / 'a.label'} is"
        assert [line for line in world.lines if line.startswith(expected)]


def test_stream_reports_labels_that_a_scan_of_another_format_replaces(world: World) -> None:
    scan = world.put("a", 5)
    world.events = {2.0: scan.unlink, 3.0: lambda: world.rename_in("a", 6, ".npy")}
    world.stream().run(idle=3)
    assert world.labelled == [5, 6]
    assert "a.label: replaced, because it belonged to a.bin, which is gone" in world.lines[-1]


@reported_only
def test_stream_whose_labels_would_be_scans_is_refused(world: World) -> None:
    world.put("a", 5)
    world.out = world.folder
    with pytest.raises(OutputError, match=r"another folder than that of the scans for \.pcd files"):
        world.stream(format="pcd").run(once=True)
    assert os.listdir(world.folder) == ["a.bin"]


# ---- the command ------------------------------------------------------------------------------------------------


def test_stream_reports_of_drops_and_of_a_backlog_do_not_change_each_other(world: World) -> None:
    stream = world.stream()
    for dropped, behind in ((5, 4), (6, 7)):
        stream.summary.dropped = dropped
        stream._report_drops()
        stream._report_backlog(behind)
        world.now += NOTICE_S
    assert world.lines[::2] == ["5 scans dropped, 5 in total", "1 scans dropped, 6 in total"]
    assert [line[:16] for line in world.lines[1::2]] == ["4 scans waiting.", "7 scans waiting."]


@pytest.fixture
def command(tmp_path: Path, world: World) -> list[str]:
    student = tmp_path / "student.safetensors"
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), student)
    return ["stream", str(world.folder), "--checkpoint", str(student), "-o", str(world.out)]


@reported_only
def test_stream_command_labels_and_ends_with_a_summary(world: World, command: list[str], capsys) -> None:
    scan = np.fromfile(world.put("a", 30), "<f4").reshape(-1, 4)
    assert main([*command, "--once"]) == 0
    expected = Segmenter.load(command[3])(scan[:, :3], scan[:, 3])
    np.testing.assert_array_equal(np.fromfile(world.out / "a.label", "<u4"), KITTI.to_raw(expected.labels))
    assert capsys.readouterr().out.startswith(
        "1 scans labelled, 0 had labels already, 0 dropped, 0 failed, 0 still waiting; from"
    )
    (world.folder / "b.bin").write_bytes(b"123")
    assert main([*command, "--once"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "0 scans labelled, 1 had labels already, 0 dropped, 1 failed, 0 still waiting\n"
    assert "b.bin: expected a multiple of 16 bytes" in captured.err


@reported_only
def test_stream_command_with_a_budget_counts_no_scans_of_the_start(world: World, command: list[str], capsys) -> None:
    world.put("a", 30)
    assert main([*command, "--votes", "2", "--budget", "100s", "--idle", "0.2"]) == 0
    assert "budget of 100000 ms: scans none; 0 later than the budget" in capsys.readouterr().out
    expected = Segmenter.load(command[3], votes=2)(*split(np.fromfile(world.folder / "a.bin", "<f4")))
    np.testing.assert_array_equal(np.fromfile(world.out / "a.label", "<u4"), KITTI.to_raw(expected.labels))


def split(scan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scan.reshape(-1, 4)[:, :3], scan.reshape(-1, 4)[:, 3]


@reported_only
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda x: str(x)
)
def test_stream_command_ends_with_a_summary_at_a_signal(
    world: World, command: list[str], number: signal.Signals, status: int, capsys, monkeypatch
) -> None:
    world.put("a", 30)
    wait = Arrivals.wait
    monkeypatch.setattr(Arrivals, "wait", lambda self, s: wait(self, s) if self.count else os.kill(os.getpid(), number))
    assert main(command) == status
    assert capsys.readouterr().out.startswith("1 scans labelled, 0 had labels already, 0 dropped, 0 failed, 0 still")


@reported_only
def test_stream_command_names_the_folder_of_scans_below(world: World, command: list[str], capsys) -> None:
    assert main([*command, "--once"]) == 0
    assert "which are not read" not in capsys.readouterr().err
    below = world.folder / "sequences" / "00" / "velodyne"
    below.mkdir(parents=True)
    (below / "000000.bin").write_bytes(bytes(16))
    assert main([*command, "--once"]) == 0
    assert f"found some in {below}, which are not read. Give that folder, or label" in capsys.readouterr().err


@reported_only
def test_stream_of_existing_scans_does_not_advise_to_drop_them(world: World) -> None:
    for i in range(5):
        world.put(f"{i}", 10)
    world.stream().run(once=True)
    assert len(world.labelled) == 5
    assert not any("--drop" in line for line in world.lines)


@reported_only
def test_stream_command_refuses_impossible_arguments(tmp_path: Path, command: list[str], capsys) -> None:
    for extra, message in {
        ("--once", "--idle", "3"): "Give one of them",
        ("--idle", "-1"): "idle: expected more than 0",
        ("--precision", "fp8"): "precision",
        ("--budget", "0"): "budget: expected more than 0 seconds",
        ("--budget", "soon"): "expected a time such as 50ms or 2.5s, found 'soon'",
        ("--budget", "1s", "--once"): "--once, --budget: expected one of the two",
    }.items():
        assert main([*command, *extra]) == 2
        assert message in capsys.readouterr().err
    assert main(["stream", str(tmp_path / "none"), *command[2:]]) == 2
    assert "expected a folder, found no such file" in capsys.readouterr().err


@reported_only
def test_stream_help_states_how_to_hand_a_scan_over(command: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        main(["stream", "--help"])
    assert "rename it to FOLDER/NAME.bin" in " ".join(capsys.readouterr().out.split())


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@dataclass(frozen=True)
class Level:
    """A student at a level of a budget: a view takes 40 ms in fp32, and half of it in int8."""

    world: World
    precision: str
    votes: int
    taxonomy: Taxonomy = KITTI

    def segment(self, scan: Scan, source: object = "") -> SegmentationResult:
        self.world.seconds_a_scan = 0.04 * self.votes * (0.5 if self.precision == "int8" else 1.0)
        return self.world.segment(scan, source)


@reported_only
def test_stream_with_a_budget_neither_counts_nor_drops_scans_of_the_start(world: World) -> None:
    """All new scans are late, so that the level skips scans; ten wait at the start."""
    for i in range(10):
        world.put(f"{i:03}", 20 + i)
    world.events = {0.03 * i: partial(world.rename_in, f"{100 + i}", 10) for i in range(10, 40)}
    world.during_label = lambda: [world.events.pop(time)() for time in sorted(world.events) if time <= world.now]
    world.with_settings = partial(Level, world)  # type: ignore[attr-defined]
    budget = LatencyBudget(0.01, budget_levels(["fp32"], 1), world.lines.append)
    summary = world.stream(budget=budget).run(idle=1)
    assert [n for n in world.labelled if n >= 20] == [*range(20, 30)]
    assert sum(budget.labelled.values()) == summary.labelled - 10
    assert summary.dropped == 40 - summary.labelled > 0


@reported_only
def test_stream_with_a_budget_uses_the_level_for_the_next_scan(world: World) -> None:
    """Scans every 30 ms take 160 ms in fp32, 80 ms in int8, and 20 ms with 1 vote, before which many wait."""
    world.events = {0.03 * i: partial(world.rename_in, f"{i:03}", 10) for i in range(1, 200)}
    world.during_label = lambda: [world.events.pop(time)() for time in sorted(world.events) if time <= world.now]
    world.with_settings = partial(Level, world)  # type: ignore[attr-defined]
    budget = LatencyBudget(0.1, budget_levels(["fp32", "int8"], 4), world.lines.append)
    stream = world.stream(budget=budget)
    summary = stream.run(idle=1)
    assert summary.labelled == sum(budget.labelled.values()) == len(world.labelled)
    assert summary.labelled + summary.dropped == 199
    levels = [line.split(": ")[1] for line in world.lines if "from now on" in line]
    assert levels[0] == "int8, 1 vote from now on"
    assert {level.precision for level in budget.labelled if budget.labelled[level] > 10} == {"int8"}
    assert "fp32" not in str(budget.level)
    assert budget.late < 60
