"""``kill -9`` at random moments and while a checkpoint is written: resumed runs are bit-identical. Use -m slow."""

import io
import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.foundation import write_foundation
from tests.support.processes import BATCH, Trial, train_argv
from tests.support.runs import assert_identical, read_checkpoint, read_metrics
from tests.support.scans import write_drive

pytestmark = pytest.mark.slow
KILLS = 20
# 24 scans, two batches a step, 12 steps an epoch: AdaLoRA prunes from step 16 on, its last ranks are set at step 48.
LENGTH, STEPS = {"epochs": 8, "val_every": 2, "accumulate": 2, "save_every": 1}, 96


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a drive, a foundation model, and the uninterrupted run."""
    base = tmp_path_factory.mktemp("killed")
    write_drive(base / "kitti", scans=24)
    write_foundation(base / "foundation")
    assert Trial(train_argv(base, base / "whole", **LENGTH), base / "whole.log").wait(600) == 0
    return base


def assert_as_if_never_stopped(base: Path, out: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        assert_identical(read_checkpoint(out, name), read_checkpoint(base / "whole", name))
    assert read_metrics(out) == read_metrics(base / "whole")
    assert sorted(os.listdir(out / "checkpoints")) == ["best.ckpt", "last.ckpt"]  # no halves
    progress, teacher = (read_checkpoint(out)[key] for key in ("elite_progress", "elite_teacher"))
    assert progress["steps"] == STEPS
    assert sum(int(mask.sum()) for mask in teacher["allocator"]["masks"].values()) > 0  # ranks were given out


def steps_done(out: Path) -> int:
    return read_checkpoint(out)["global_step"] if (out / "checkpoints" / "last.ckpt").exists() else 0


def test_train_killed_at_random_moments_then_resumed_is_bit_identical(base: Path) -> None:
    """Of its whole life: while it starts, reads, learns, writes, validates."""
    out, log, chance = base / "random", base / "random.log", random.Random(0)
    for number in range(KILLS):
        before, trial = steps_done(out), Trial(train_argv(base, out, **LENGTH), log)
        if number % 5 == 4:  # while it starts
            time.sleep(chance.uniform(0, 2))
        else:
            batch = chance.randint(0, 18)
            trial.wait_for(BATCH.format(batch))
            time.sleep(chance.uniform(0, 0.3))  # a batch takes about as long
        lived = time.monotonic() - trial.started_at
        trial.kill()
        assert trial.wait() == -signal.SIGKILL, trial.output()[-500:]
        halves = [path.name for path in (out / "checkpoints").glob(".*")]
        print(f"kill {number + 1:2d} after {lived:5.2f} s, steps saved {before:2d} -> {steps_done(out):2d}", *halves)
    assert 0 < steps_done(out) < STEPS
    assert Trial(train_argv(base, out, **LENGTH), log).wait(600) == 0
    assert_as_if_never_stopped(base, out)


def kill_in_the_writing(moment: str, number: int) -> None:
    """Of the checkpoint of this number, last or best: done before the process begins."""
    from elite import files

    write, count = files.write_bytes, 0

    def hit(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class Halved(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[: len(data) // 2])
            hit()
            return 0

    def halve(path: Path) -> tuple[Path, Halved]:
        temporary, file = create(path)
        file.close()
        return temporary, Halved(temporary, "w")

    create = files._create_temporary

    def written(path: Path, data: bytes, *, verify: bool = False) -> None:
        nonlocal count
        count += path.suffix == ".ckpt"
        if count == number and path.suffix == ".ckpt":
            match moment:
                case "opened":
                    files._create_temporary = halve  # type: ignore[assignment]
                case "written":
                    os.fsync = hit
                case "read back":
                    Path.read_bytes = hit  # type: ignore[method-assign]
                case "verified":
                    Path.replace = hit  # type: ignore[method-assign]
        write(path, data, verify=verify)
        if count == number and path.suffix == ".ckpt":
            hit()  # it stands, and nothing else has been done

    from elite.training import saving

    saving.write_bytes = written


MOMENTS = ("opened", "written", "read back", "verified", "in place")


def test_train_killed_while_writing_a_checkpoint_then_resumed_is_bit_identical(base: Path) -> None:
    out, log, chance = base / "writing", base / "writing.log", random.Random(1)
    for moment in MOMENTS * 2:
        before = steps_done(out)
        number = chance.randint(2, 9)
        trial = Trial(train_argv(base, out, **LENGTH), log, partial(kill_in_the_writing, moment, number))
        assert trial.wait() == -signal.SIGKILL, trial.output()[-2000:]
        print(f"killed in writing number {number}, {moment}: {before} -> {steps_done(out)} steps are saved")
        assert steps_done(out) >= before
    assert Trial(train_argv(base, out, **LENGTH), log).wait(600) == 0
    assert_as_if_never_stopped(base, out)
