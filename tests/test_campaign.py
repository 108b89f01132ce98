"""Faults in complete runs: each is survived or ends with a named error, and a resume loses nothing. Use -m slow -s."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from elite.layout import Layout
from tests.support.foundation import write_foundation
from tests.support.processes import BATCH, Trial, start_two, train_argv
from tests.support.runs import assert_identical, read_checkpoint, read_metrics
from tests.support.scans import write_drive

pytestmark = pytest.mark.slow
SCANS = 34
LENGTH, STEPS = {"epochs": 2, "val_every": 1, "save_every": 3}, 68
USAGE, STOPPED = 2, 143
PATIENCE = 60  # s, for a process to see that another one is gone

# ---- what is done, and to what ---------------------------------------------------------------------------------

FILES: dict[str, Callable[[Layout, str], Path]] = {
    "scan": lambda layout, name: layout.scan("00", name),
    "labels": lambda layout, name: layout.labels("00", name),
    "image": lambda layout, name: layout.image("00", name, "image_2"),
    "pseudo-label": lambda layout, name: layout.dense_files("00", name, "image_2_pseudo").semantic,
    "pseudo-label's instances": lambda layout, name: layout.dense_files("00", name, "image_2_pseudo").instance,
}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3 - 1])


def overwrite(path: Path) -> None:
    """Overwrite with the bytes of a worn flash cell."""
    path.write_bytes(b"\xff" * path.stat().st_size)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def unreadable(path: Path) -> None:
    """Make reading raise an error of the system."""
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "emptied": empty,
    "overwritten": overwrite,
    "vanished": Path.unlink,
    "unreadable": unreadable,
}


NAMES = [f"{i:06d}" for i in range(len(FILES) * len(DAMAGES))]


def damage_all(kitti: Path) -> None:
    """Damage every kind of file in every way, each of another frame."""
    faults = [(file, damage) for file in FILES.values() for damage in DAMAGES.values()]
    for name, (file, damage) in zip(NAMES, faults, strict=True):
        damage(file(Layout(kitti), name))


def damage_two(kitti: Path) -> None:
    for name in NAMES[3], NAMES[9]:
        truncate(FILES["scan"](Layout(kitti), name))


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def at_batch(number: int, fault: Callable[[], Any]) -> None:
    """Inject a fault before a batch, counted from the start of the run."""
    from elite.training.loop import TrainingLoop

    train_batch = TrainingLoop.train_batch

    def disturbed(self: TrainingLoop, batch: Any) -> None:
        if self.batches == number:
            fault()
        train_batch(self, batch)

    TrainingLoop.train_batch = disturbed  # type: ignore[method-assign]


def slow_disk() -> None:
    """One read in five takes 0.1 s, and every file that is written 0.2 s."""
    from elite.datasets import semantickitti

    read, sync = semantickitti._read, os.fsync

    def slowly(path: Path, what: str) -> bytes:
        time.sleep(0.1 if random.random() < 0.2 else 0)
        return read(path, what)

    semantickitti._read = slowly
    os.fsync = lambda file: (time.sleep(0.2), sync(file))[1]


# ---- the stage -------------------------------------------------------------------------------------------------


class FaultRuns:
    """A data set, a foundation model, an undisturbed run, and counts of the injected faults."""

    def __init__(self, base: Path) -> None:
        self.base, self.runs, self.recorded = base, 0, 0
        self.account: Counter[str] = Counter()
        write_drive(base / "kitti", scans=SCANS)
        write_foundation(base / "foundation")
        trial = Trial(self.argv("whole"), base / "log")
        assert trial.wait(600) == 0

    def argv(self, name: str | Path, **settings: object) -> list[str]:
        return train_argv(self.base, self.base / name, **LENGTH | settings)

    def new_run(self) -> Path:
        """Folder of a run with a fault; the fault counts as lost unless ``record`` is called."""
        self.runs += 1
        return self.base / f"run{self.runs}"

    def start(self, out: Path, fault: Callable[[], None] | None = None, **settings: object) -> Trial:
        return Trial(self.argv(out, **settings), self.base / f"{out.name}.log", fault)

    def assert_equals_undisturbed_run(self, out: Path) -> None:
        for name in ("last.ckpt", "best.ckpt"):
            assert_identical(read_checkpoint(out, name), read_checkpoint(self.base / "whole", name))
        assert read_metrics(out) == read_metrics(self.base / "whole")

    def assert_resumes_identically(self, out: Path) -> None:
        """Resume an ended run, and compare it with the undisturbed one bit by bit."""
        assert self.start(out).wait(600) == 0
        self.assert_equals_undisturbed_run(out)

    def record(self, fault: str, outcome: str, count: int = 1) -> None:
        self.recorded += 1
        self.account["injected"] += count
        self.account[outcome] += count
        print(f"{count:3d} x {fault}: {outcome}", flush=True)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRuns]:
    stage = FaultRuns(tmp_path_factory.mktemp("campaign"))
    yield stage
    print(dict(stage.account) | {"lost": stage.runs - stage.recorded})


def assert_ends_with_error(trial: Trial, status: int, text: str) -> None:
    """Check the exit status, and that one line names the cause."""
    assert trial.wait() == status, trial.output()[-3000:]
    assert text in trial.output(), trial.output()[-3000:]
    assert "Traceback" not in trial.output(), trial.output()[-3000:]


# ---- damaged data ----------------------------------------------------------------------------------------------


def test_campaign_damaged_files_are_replaced_and_recorded(stage: FaultRuns) -> None:
    """25 of them in the midst of the first epoch of two, each another frame's."""
    kitti = stage.base / "damaged"
    shutil.copytree(stage.base / "kitti", kitti)
    out = stage.new_run()
    trial = stage.start(out, partial(at_batch, 10, partial(damage_all, kitti)), data__root=kitti, faults__frames=0.8)
    assert trial.wait(600) == 0, trial.output()[-3000:]
    recorded = [json.loads(line) for line in (out / "faults.jsonl").read_text().splitlines()]
    assert sorted(fault["frames"][0] for fault in recorded) == [f"00/{name}" for name in NAMES]
    assert {fault["fault"] for fault in recorded} == {"unreadable frame"}
    assert read_checkpoint(out)["global_step"] == STEPS
    stage.record("damaged file (scan, labels, image, pseudo-label; truncated, ..., unreadable)", "survived", len(NAMES))


def test_campaign_too_many_damaged_files_end_the_run(stage: FaultRuns) -> None:
    kitti, out = stage.base / "worse", stage.new_run()
    shutil.copytree(stage.base / "kitti", kitti)
    fault = partial(at_batch, 10, partial(damage_two, kitti))
    assert_ends_with_error(
        stage.start(out, fault, data__root=kitti, faults__frames=0.03), USAGE, "more than faults.frames 0.03 allows"
    )
    shutil.rmtree(kitti)
    shutil.copytree(stage.base / "kitti", kitti)
    assert stage.start(out, data__root=kitti, faults__frames=0.03).wait(600) == 0
    stage.record("two damaged scans where one is allowed", "ended with a named error")


def test_campaign_missing_data_set_ends_the_run(stage: FaultRuns) -> None:
    kitti, out = stage.base / "gone", stage.new_run()
    shutil.copytree(stage.base / "kitti", kitti)
    sequence = kitti / "sequences" / "00"
    fault = partial(at_batch, 10, partial(sequence.rename, kitti / "elsewhere"))
    assert_ends_with_error(stage.start(out, fault, data__root=kitti), USAGE, "No such file or directory")
    (kitti / "elsewhere").rename(sequence)
    stage.assert_resumes_identically(out)
    stage.record("data set gone (unmounted)", "ended with a named error")


def test_campaign_damaged_validation_scan_ends_the_run(stage: FaultRuns) -> None:
    """Skipping it would change the score without notice."""
    kitti, out = stage.base / "scored", stage.new_run()
    shutil.copytree(stage.base / "kitti", kitti)
    path = Layout(kitti).scan("08", "000001")
    content = path.read_bytes()
    assert_ends_with_error(
        stage.start(out, partial(at_batch, 40, partial(truncate, path)), data__root=kitti), USAGE, "000001.bin"
    )
    path.write_bytes(content)
    stage.assert_resumes_identically(out)
    stage.record("damaged validation scan", "ended with a named error")


# ---- disks -----------------------------------------------------------------------------------------------------


def test_campaign_slow_disk_changes_nothing(stage: FaultRuns) -> None:
    out = stage.new_run()
    assert stage.start(out, slow_disk).wait(600) == 0
    stage.assert_equals_undisturbed_run(out)
    stage.record("slow disk", "survived")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system of so many bytes in memory; called again, it is of another size."""
    path = tmp_path / "disk"
    path.mkdir()

    def of_size(size: int) -> Path:
        what = f"remount,size={size}" if path.is_mount() else f"size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", what, "tmpfs", str(path)], capture_output=True)
        if done.returncode:
            pytest.skip("a file system cannot be mounted here; root is needed")
        return path

    yield of_size
    if path.is_mount():
        subprocess.run(["umount", str(path)], check=True)


def test_campaign_full_disk_keeps_the_previous_checkpoint(stage: FaultRuns, disk: Callable[[int], Path]) -> None:
    """Full from the beginning; with room for one checkpoint and no second; filled by somebody else in between."""
    size = (stage.base / "whole" / "checkpoints" / "last.ckpt").stat().st_size
    for room, saved in ((size // 2, False), (size * 2 - 4096, True)):
        out = disk(room) / stage.new_run().name
        assert_ends_with_error(stage.start(out), USAGE, "No space left on device")
        assert (out / "checkpoints" / "last.ckpt").exists() == saved
        assert not saved or 0 < read_checkpoint(out)["global_step"] < STEPS
        disk(2**28)
        stage.assert_resumes_identically(out)
        stage.record(f"full disk, {'before' if not saved else 'after'} a first checkpoint", "ended with a named error")
        shutil.rmtree(out)

    out = disk(2**26) / stage.new_run().name
    assert_ends_with_error(
        stage.start(out, partial(at_batch, 35, partial(fill, out.parent))), USAGE, "No space left on device"
    )
    assert read_checkpoint(out)["global_step"] == 34
    (out.parent / "filler").unlink()
    stage.assert_resumes_identically(out)
    stage.record("disk filled by somebody else", "ended with a named error")


# ---- signals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_campaign_signal_at_a_random_moment_then_resume_is_bit_identical(stage: FaultRuns, number: int) -> None:
    chance = random.Random(number)
    status = {signal.SIGTERM: STOPPED, signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[signal.Signals(number)]
    for _ in range(2):
        out = stage.new_run()
        trial = stage.start(out)
        trial.wait_for(BATCH.format(chance.randint(0, 55)))
        time.sleep(chance.uniform(0, 0.2))
        trial.kill(number)
        assert trial.wait() == status, trial.output()[-3000:]
        assert "Traceback" not in trial.output()
        stage.assert_resumes_identically(out)
        outcome = "ended with a named error" if number != signal.SIGKILL else "ended, the run continued"
        stage.record(f"{signal.Signals(number).name} to the run", outcome)


def test_campaign_signal_to_run_and_loaders_then_resume_is_bit_identical(stage: FaultRuns) -> None:
    """As a shell or a cluster sends it."""
    out = stage.new_run()
    trial = stage.start(out)
    trial.wait_for(BATCH.format(20))
    trial.kill_group(signal.SIGTERM)
    assert_ends_with_error(trial, STOPPED, "--resume last")
    stage.assert_resumes_identically(out)
    stage.record("SIGTERM to the whole process group", "ended with a named error")


def test_campaign_signal_at_the_start_then_resume_is_bit_identical(stage: FaultRuns) -> None:
    out = stage.new_run()
    trial = stage.start(out)
    time.sleep(0.2)
    trial.kill(signal.SIGTERM)
    assert trial.wait() in (STOPPED, -signal.SIGTERM)  # the latter before the command has taken over
    stage.assert_resumes_identically(out)
    stage.record("SIGTERM while it starts", "ended, the run continued")


def test_campaign_killed_loader_then_resume_is_bit_identical(stage: FaultRuns) -> None:
    chance = random.Random(0)
    for which in (0, 1):
        out = stage.new_run()
        trial = stage.start(out)
        trial.wait_for(BATCH.format(chance.randint(0, 55)))
        time.sleep(chance.uniform(0, 0.2))
        os.kill(trial.children()[which], signal.SIGKILL)
        assert_ends_with_error(trial, USAGE, "a loader process was killed")
        stage.assert_resumes_identically(out)
        stage.record("SIGKILL of a loader process", "ended with a named error")


def test_campaign_killed_process_of_two_then_resume_is_bit_identical(stage: FaultRuns) -> None:
    """The other one ends soon, and both go on to what they would have been."""
    alone = stage.base / "two"
    for trial in start_two(stage.argv(alone, data__workers=1), stage.base / "two.log"):
        assert trial.wait(600) == 0, trial.output()[-3000:]
    for lost in (0, 1):
        out, log = stage.new_run(), stage.base / f"pair{lost}.log"
        trials = start_two(stage.argv(out, data__workers=1), log)
        trials[lost].wait_for(BATCH.format(10))
        trials[lost].kill()
        began = time.monotonic()
        assert_ends_with_error(trials[1 - lost], USAGE, "another process of this run is gone")
        took = time.monotonic() - began
        assert took < PATIENCE
        for trial in start_two(stage.argv(out, data__workers=1), log):
            assert trial.wait(600) == 0, trial.output()[-3000:]
        assert_identical(read_checkpoint(out), read_checkpoint(alone))
        stage.record(
            f"SIGKILL of process {lost} of two (the other ended {took:.1f} s later)", "ended with a named error"
        )
