"""Labels for scans as they appear, in a time of our own: nothing here waits."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.errors import ConfigError, DataError, OutputError
from elite.inference import Segmenter
from elite.labels import to_raw
from elite.streaming import LOOK, PATIENCE, SETTLED, Stream, Summary
from elite.student import SPVCNN, save_student
from elite.types import Scan, SegmentationResult
from tests.conftest import random_scan


@dataclass
class World:
    """A folder, a time that passes while it is slept or labelled, and what happens at the ``n``-th sleep."""

    folder: Path
    out: Path
    now: float = 0.0
    naps: list[float] = field(default_factory=list)
    events: dict[int, Callable[[], object]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    labelled: list[int] = field(default_factory=list)  # points of each scan that was labelled
    seconds_a_scan: float = 0.0
    during_label: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        self.events.pop(len(self.naps), lambda: None)()
        assert len(self.naps) < 10_000, "it never ends"

    def segment(self, scan: Scan, source: object = "") -> SegmentationResult:
        """A student that calls everything a car."""
        self.labelled.append(len(scan))
        self.now += self.seconds_a_scan
        self.during_label()
        return SegmentationResult(np.ones(len(scan), np.uint8), np.ones(len(scan), np.float32))

    def stream(self, *, drop: bool = False) -> Stream:
        return Stream(
            self,  # type: ignore[arg-type]
            self.folder,
            self.out,
            drop=drop,
            tell=self.lines.append,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def put(self, name: str, points: int) -> Path:
        path = self.folder / f"{name}.bin"
        random_scan(np.random.default_rng(points), points).tofile(path)
        return path

    def outputs(self) -> dict[str, int]:
        return {p.name: p.stat().st_size // 4 for p in sorted(self.out.iterdir())}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "in").mkdir()
    return World(tmp_path / "in", tmp_path / "out")


def test_all_that_is_there_is_labelled_in_order_as_predict_does(tmp_path: Path, world: World) -> None:
    for name, points in {"000002": 5, "000000": 7, "000001": 6}.items():
        world.put(name, points)
    (world.folder / "notes.txt").write_text("no scan")
    (world.folder / ".000003.bin").write_bytes(b"somebody's temporary file")
    (world.folder / "folder.bin").mkdir()
    world.during_label = lambda: world.put("000009", 3)  # too late for --once
    summary = world.stream().run(once=True)
    assert (summary.labelled, summary.failed) == (3, 0)
    assert world.labelled == [7, 6, 5]
    assert world.outputs() == {"000000.label": 7, "000001.label": 6, "000002.label": 5}
    assert np.fromfile(world.out / "000000.label", "<u4").tolist() == to_raw(np.ones(7, np.uint8)).tolist()


def test_a_half_written_scan_is_not_read_until_it_is_whole(world: World) -> None:
    whole = random_scan(np.random.default_rng(0), 9).tobytes()
    path = world.folder / "a.bin"
    path.write_bytes(whole[:32])  # a size that two points have: only that it grows gives it away

    def grow() -> None:
        assert world.labelled == []
        size = path.stat().st_size
        path.write_bytes(whole[: size + 16])

    world.events = dict.fromkeys(range(1, 8), grow)
    summary = world.stream().run(idle=1)
    assert world.labelled == [9]
    assert (summary.labelled, summary.failed) == (1, 0)
    assert summary.latencies[0] == pytest.approx(7 * LOOK + SETTLED, abs=LOOK)  # from first sight, not from whole


def test_a_scan_that_grows_while_it_is_labelled_is_labelled_again(world: World) -> None:
    world.put("a", 4)
    world.during_label = lambda: world.labelled == [4] and world.put("a", 6)
    assert world.stream().run(idle=1).labelled == 1
    assert world.outputs() == {"a.label": 6}


def test_without_drop_all_are_labelled_and_a_growing_backlog_is_told(world: World) -> None:
    """Each scan takes 3 s; during each of the first three, two more come."""
    for i in range(3):
        world.put(f"{i}", 10 + i)
    world.seconds_a_scan = 3.0
    world.during_label = lambda: [
        world.put(f"{i}", 10 + i) for n in [len(world.labelled)] if n <= 3 for i in (2 * n + 1, 2 * n + 2)
    ]
    summary = world.stream().run(idle=1)
    assert world.labelled == [10 + i for i in range(9)]
    assert [int(line.split()[0]) for line in world.lines] == [2, 3, 4, 5]
    assert (summary.labelled, summary.dropped) == (9, 0)


def test_drop_keeps_the_newest_and_counts_the_others(world: World) -> None:
    for i in range(4):
        world.put(f"{i}", 10 + i)
    world.seconds_a_scan = 2.0
    world.during_label = lambda: world.labelled == [13] and [world.put(f"{i}", 10 + i) for i in (4, 5)]
    summary = world.stream(drop=True).run(idle=1)
    assert world.labelled == [13, 15]
    assert (summary.labelled, summary.dropped) == (2, 4)
    assert world.lines == ["3 scans dropped, 3 in all", "1 scans dropped, 4 in all"]
    assert world.outputs() == {"3.label": 13, "5.label": 15}


def test_a_new_start_goes_on_where_the_last_one_ended(world: World) -> None:
    for i in range(3):
        world.put(f"{i}", 10 + i)
    world.stream().run(once=True)
    world.out.joinpath("1.label").write_bytes(b"1234")  # of another length than its scan
    world.labelled.clear()
    summary = world.stream().run(once=True)
    assert world.labelled == [11]
    assert (summary.kept, summary.labelled) == (2, 1)


def test_a_damaged_scan_is_told_once_and_skipped(world: World) -> None:
    scan = world.put("0", 5)
    scan.write_bytes(scan.read_bytes()[:-3])  # may be on its way still
    np.full((2, 4), np.nan, np.float32).tofile(world.folder / "1.bin")
    world.put("2", 6)
    (world.folder / "3.bin").touch()
    summary = world.stream().run(idle=2 * PATIENCE)
    assert world.labelled == [6]
    assert (summary.labelled, summary.failed) == (1, 3)
    assert [Path(line.split()[0].rstrip(":")).name for line in world.lines] == ["1.bin", "0.bin", "3.bin"]


def test_a_damaged_newest_scan_drops_nothing(world: World) -> None:
    world.put("0", 5)
    (world.folder / "1.bin").write_bytes(b"123")
    summary = world.stream(drop=True).run(once=True)
    assert (summary.labelled, summary.failed, summary.dropped) == (1, 1, 0)


def test_time_is_slept_not_burnt(world: World) -> None:
    world.stream().run(idle=5)
    assert min(world.naps) >= LOOK
    assert sum(world.naps) == pytest.approx(5, abs=2 * LOOK)


def test_memory_holds_the_names_that_are_there_alone(world: World) -> None:
    """A name that comes again after its file was gone is a new scan; a file that goes unread is no fault."""
    stream = world.stream()
    path = world.put("ring", 10)
    world.events = {
        10: path.unlink,
        20: lambda: world.put("ring", 11),
        30: path.unlink,
        40: path.touch,
        50: path.unlink,
    }
    summary = stream.run(idle=1)
    assert world.labelled == [10, 11]
    assert (summary.labelled, summary.failed) == (2, 0)
    assert not stream._handled
    assert not stream._waiting


def test_each_scan_is_told_once_its_labels_are_there(world: World) -> None:
    seen: list[tuple[str, bool]] = []
    world.put("1", 5)
    world.put("2", 7).write_bytes(b"123")
    stream = world.stream()
    stream.labelled = lambda job: seen.append((job.scan.name, job.done()))
    stream.run(once=True)
    assert seen == [("1.bin", True)]


def test_the_summary_counts() -> None:
    summary = Summary(labelled=101, kept=4, dropped=3, failed=2, waiting=1)
    summary.latencies.extend(i / 1000 for i in range(101))
    assert summary.line() == (
        "101 scans labelled, 4 were there already, 3 dropped, 2 failed, 1 still wait; "
        "from first sight to labels p50 50 ms, p95 95 ms"
    )
    assert Summary().line().endswith("0 still wait")


def test_an_interrupt_leaves_a_true_summary(world: World) -> None:
    for i in range(3):
        world.put(f"{i}", 10 + i)
    world.during_label = lambda: len(world.labelled) == 2 and interrupted()
    stream = world.stream()
    with pytest.raises(KeyboardInterrupt):
        stream.run()
    assert (stream.summary.labelled, stream.summary.waiting) == (1, 2)
    assert world.outputs() == {"0.label": 10}


def test_places_that_are_not_there_are_named(world: World) -> None:
    world.events = {3: lambda: shutil.rmtree(world.folder)}
    with pytest.raises(DataError, match=f"cannot look into {world.folder}"):
        world.stream().run()
    with pytest.raises(DataError, match=f"cannot look into {world.folder}"):
        world.stream().run()
    world.folder.mkdir()
    world.out = world.put("file", 3) / "below"
    with pytest.raises(OutputError, match="choose another place"):
        world.stream().run()
    with pytest.raises(ConfigError, match="idle must be above 0"):
        world.stream().run(idle=0)


def test_the_command_labels_and_ends_with_a_summary(tmp_path: Path, world: World, capsys, monkeypatch) -> None:
    student = tmp_path / "student.safetensors"
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), student)
    scan = np.fromfile(world.put("a", 30), "<f4").reshape(-1, 4)
    common = ["stream", str(world.folder), "--checkpoint", str(student), "-o", str(world.out)]
    assert main([*common, "--once"]) == 0
    expected = Segmenter.load(student)(scan[:, :3], scan[:, 3])
    np.testing.assert_array_equal(np.fromfile(world.out / "a.label", "<u4"), to_raw(expected.labels))
    assert capsys.readouterr().out.startswith(
        "1 scans labelled, 0 were there already, 0 dropped, 0 failed, 0 still wait; from"
    )

    (world.folder / "b.bin").write_bytes(b"123")
    assert main([*common, "--once"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "0 scans labelled, 1 were there already, 0 dropped, 1 failed, 0 still wait\n"
    assert "b.bin is 3 bytes long" in captured.err

    monkeypatch.setattr(Stream, "_look", interrupted)
    assert main(common) == 0
    assert capsys.readouterr().out == "0 scans labelled, 1 were there already, 0 dropped, 0 failed, 0 still wait\n"

    for extra, message in {
        ("--once", "--idle", "3"): "give one of them",
        ("--idle", "-1"): "idle must be above 0",
        ("--precision", "fp8"): "precision",
    }.items():
        assert main([*common, *extra]) == 2
        assert message in capsys.readouterr().err
    assert main(["stream", str(tmp_path / "none"), *common[2:]]) == 2
    assert "cannot look into" in capsys.readouterr().err


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
