"""Faults in a training run: nonfinite numbers, damaged frames, signals, killed processes, full disks."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from elite.config import DataConfig, FaultConfig, OptimConfig, TrainConfig
from elite.data.dataset import ScoringSet, TrainingSet
from elite.data.sampler import SampleKey
from elite.errors import ConfigError, DataError, OutputError, StoppedError, TrainingError
from elite.signals import Terminated, call_on_signal
from elite.stopping import Stopping
from elite.student import load_student
from elite.training import train
from elite.training.loop import TrainingLoop
from elite.training.module import TrainingModule
from elite.training.saving import CheckpointFiles
from elite.training.step import OptimizerStep, all_finite
from elite.training.validation import Validation
from tests.support.processes import Trial
from tests.support.runs import (
    assert_identical,
    distillation_run,
    read_checkpoint,
    read_faults,
    read_metrics,
    student_run,
    training_state,
)
from tests.support.scans import RAW_IDS, random_scan, write_frame, write_tiny_kitti
from tests.support.waiting import PATIENCE_S


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_train_step_with_nonfinite_numbers_changes_nothing(
    kitti: Path,
    tmp_path: Path,
    foundation: Path,
    monkeypatch,
    what: str,
) -> None:
    data = DataConfig(root=kitti, sequences="00", batch_size=1, workers=0)
    settings = distillation_run(
        kitti, tmp_path, foundation, data=data, steps=6, accumulate=2, optim=OptimConfig(lr=0.05, average=0.9)
    )
    states, losses, train_batch, calls = [], TrainingModule.losses, TrainingLoop.train_batch, count()

    def record(self: TrainingLoop, batch: Any) -> None:
        states.append(training_state(self))
        train_batch(self, batch)

    def spoil(self: TrainingModule, output: Any, batch: Any) -> dict[str, torch.Tensor]:
        terms = losses(self, output, batch)
        if next(calls) == 6:  # the first of two batches of the fourth step
            weight = self.student.classifier[0].weight
            spoiled = {"loss": terms["lovasz"] * torch.inf, "gradient": (weight - weight.detach()).abs().sqrt().sum()}
            terms["lovasz"] = spoiled[what]
        return terms

    monkeypatch.setattr(TrainingLoop, "train_batch", record)
    monkeypatch.setattr(TrainingModule, "losses", spoil)
    train(settings, progress=False)
    assert_identical(states[6], states[8])
    assert not torch.equal(
        states[4]["weights"]["student.classifier.0.weight"], states[6]["weights"]["student.classifier.0.weight"]
    )
    assert not torch.equal(
        states[8]["weights"]["student.classifier.0.weight"], states[10]["weights"]["student.classifier.0.weight"]
    )
    assert read_faults(tmp_path) == [
        {"step": 3, "fault": "loss or gradient not finite", "frames": ["00/000001", "00/000000"]}
    ]


@pytest.mark.parametrize("parameters", [1, 100])
def test_sound_synchronises_once_for_any_number_of_parameters(parameters: int) -> None:
    given = [torch.nn.Parameter(torch.ones(3)) for _ in range(parameters)]
    for p in given:
        p.grad = torch.ones(3)
    with torch.profiler.profile() as profile:
        assert all_finite(torch.tensor(1.0), given)
    assert sum(event.name == "aten::_local_scalar_dense" for event in profile.events()) == 1
    given[-1].grad = torch.tensor([0, torch.nan, 0])
    assert not all_finite(torch.tensor(1.0), given)


def test_train_too_many_nonfinite_steps_end_the_run(tiny_kitti: Path, tmp_path: Path) -> None:
    endless = student_run(tiny_kitti, tmp_path, steps=50, optim=OptimConfig(lr=1e30), faults=FaultConfig(steps=3))
    with pytest.raises(TrainingError, match=r"3 consecutive steps.*00/00000\d"):
        train(endless, progress=False)
    assert len(read_faults(tmp_path)) == 3


@pytest.fixture
def ten_frames(tmp_path: Path) -> Path:
    root, rng = tmp_path / "ten", np.random.default_rng(0)
    for sequence, names in {"00": range(10), "08": range(1)}.items():
        for name in names:
            points = random_scan(rng, 200)
            write_frame(root, sequence, f"{name:06d}", points, rng.choice(RAW_IDS[:19], len(points)))
    return root


def damage(root: Path) -> None:
    sequence = root / "sequences" / "00"
    scan = sequence / "velodyne" / "000003.bin"
    scan.write_bytes(scan.read_bytes()[:-3])
    (sequence / "labels" / "000007.label").write_bytes(b"")


@pytest.mark.parametrize("workers", [0, 1])
def test_train_damaged_frames_are_replaced_and_recorded(ten_frames: Path, tmp_path: Path, workers: int) -> None:
    damage(ten_frames)
    data = DataConfig(root=ten_frames, sequences="00", val_sequences="none", batch_size=2, workers=workers)
    some = student_run(ten_frames, tmp_path / "run", data=data, steps=10, faults=FaultConfig(frames=0.2))
    train(some, progress=False)
    found = read_faults(tmp_path / "run")
    assert sorted(f["frames"][0] for f in found) == ["00/000003", "00/000007"]  # each once, in two epochs
    assert any("000003.bin: expected" in f["message"] for f in found)
    fewer = replace(some, out=tmp_path / "other", faults=FaultConfig(frames=0.1))
    with pytest.raises(DataError, match=r"faults.frames: expected at most 0.1 .* unreadable, found 2 of 10"):
        train(fewer, progress=False)


def test_training_set_damaged_frame_is_replaced_by_the_next(ten_frames: Path) -> None:
    from elite.config import AugmentConfig, StudentConfig
    from elite.datasets import SemanticKITTI

    frames = SemanticKITTI(ten_frames, "00", cameras=())
    data = TrainingSet(frames, StudentConfig().volume, AugmentConfig(), 0, faults=FaultConfig(0.2))
    damage(ten_frames)
    sample = data[0, 3]
    assert sample.id == "00/000004"
    assert [frame for frame, _ in sample.faults] == ["00/000003"]
    assert np.array_equal(sample.points, data[0, 4].points)


def test_training_set_damaged_labelled_scan_is_replaced_by_a_labelled_one(ten_frames: Path) -> None:
    """Five of the ten scans show their labels."""
    from elite.config import AugmentConfig, StudentConfig
    from elite.datasets import SemanticKITTI

    frames = SemanticKITTI(ten_frames, "00", cameras=())
    settings = {"label_fraction": 0.5, "faults": FaultConfig(0.2)}
    make = partial(TrainingSet, frames, StudentConfig().volume, AugmentConfig(), 0, **settings)
    assert (make().tolerance, make(unlabelled="all").tolerance) == (1, 2)
    data = make(unlabelled="all")
    (ten_frames / "sequences/00/velodyne/000004.bin").write_bytes(b"half")
    ids = [data[SampleKey(0, i, labelled_only=True)].id for i in range(len(data))]
    assert set(ids) == {"00/000000", "00/000002", "00/000006", "00/000008"}


# ---- signals: one table of signal x moment --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four_steps(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """An undisturbed run of four steps with two validations."""
    base = tmp_path_factory.mktemp("four")
    settings = student_run(write_tiny_kitti(base / "kitti"), base / "run", val_every=2)
    train(settings, progress=False)
    return settings


def hang(harm: Callable[[], Any]) -> None:
    """As a file does that a storage never delivers."""
    harm()
    time.sleep(100)


def in_the_third_step(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    add = OptimizerStep.add

    def interrupted(self: OptimizerStep, batch: Any, *, last: bool) -> Any:
        if self.scheduled_steps == 2:
            event()
        return add(self, batch, last=last)

    patch.setattr(OptimizerStep, "add", interrupted)


def in_the_third_read(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    read = TrainingSet._sample

    def stalled(self: TrainingSet, key: SampleKey) -> Any:
        if key.epoch == 1:  # an epoch has two steps
            hang(event)
        return read(self, key)

    patch.setattr(TrainingSet, "_sample", stalled)


def in_the_second_validation(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    read, calls = ScoringSet.__getitem__, iter(range(9))

    def stalled(self: ScoringSet, i: int) -> Any:
        if next(calls) == 2:  # the check before the run and the first validation read one scan each
            hang(event)
        return read(self, i)

    patch.setattr(ScoringSet, "__getitem__", stalled)


def in_the_first_read(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TrainingSet, "_sample", lambda *_: hang(event))


def in_the_start_of_loaders(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.utils.data.DataLoader, "__iter__", lambda _: hang(event))


@pytest.mark.parametrize(
    ("number", "moment", "error", "message", "saved"),
    [
        (signal.SIGTERM, in_the_third_step, StoppedError, "SIGTERM after step 3; saved", 3),  # the step is completed
        (signal.SIGUSR1, in_the_third_step, StoppedError, "SIGUSR1 after step 3; saved", 3),
        (signal.SIGHUP, in_the_third_step, StoppedError, "SIGHUP after step 3; saved", 3),
        (signal.SIGINT, in_the_third_step, KeyboardInterrupt, None, 3),
        (signal.SIGTERM, in_the_third_read, StoppedError, "SIGTERM after step 2; saved in .*--resume last", 2),
        (signal.SIGTERM, in_the_second_validation, StoppedError, "SIGTERM after step 2; saved", 2),
        (signal.SIGINT, in_the_second_validation, KeyboardInterrupt, None, 2),
        (signal.SIGTERM, in_the_first_read, StoppedError, "SIGTERM before it began; nothing was written", None),
        (signal.SIGINT, in_the_first_read, KeyboardInterrupt, None, None),
        (signal.SIGTERM, in_the_start_of_loaders, StoppedError, "before its first checkpoint", None),
    ],
)
def test_train_signal_at_any_moment_then_resume_is_bit_identical(
    four_steps: TrainConfig,
    tmp_path: Path,
    monkeypatch,
    number: int,
    moment: Callable[[Callable[[], None], pytest.MonkeyPatch], None],
    error: type[BaseException],
    message: str | None,
    saved: int | None,
) -> None:
    """The completed steps are saved, and the resumed run ends as if nothing had happened."""
    settings, handler = replace(four_steps, out=tmp_path / "run", resume="last"), signal.getsignal(number)
    with monkeypatch.context() as patch:
        moment(lambda: os.kill(os.getpid(), number), patch)
        with pytest.raises(error, match=message):
            train(settings, progress=False)
    assert signal.getsignal(number) is handler
    if saved is None:
        assert not (settings.out / "checkpoints" / "last.ckpt").exists()
        assert settings.out.exists() == (moment is in_the_start_of_loaders)
    else:
        assert read_checkpoint(settings.out)["global_step"] == saved
    train(settings, progress=False)
    assert_identical(read_checkpoint(settings.out), read_checkpoint(four_steps.out))
    assert read_metrics(settings.out) == read_metrics(four_steps.out)


def test_train_signal_while_a_loader_process_reads_saves_the_last_step(
    tiny_kitti: Path, tmp_path: Path, monkeypatch
) -> None:
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=1)
    stopped = student_run(tiny_kitti, tmp_path / "stopped", data=data, steps=6, val_every=3, resume="last")
    read, run, train_batch = TrainingSet._sample, os.getpid(), TrainingLoop.train_batch
    four_steps = tmp_path / "four_steps"

    def counted(self: TrainingLoop, batch: Any) -> None:
        train_batch(self, batch)
        if self.batches == 4:
            four_steps.touch()

    def stalled(self: TrainingSet, key: SampleKey) -> Any:
        if key.epoch == 2:  # the fifth and the sixth step; the loader process is ahead of the run
            while not four_steps.exists():
                time.sleep(0.05)
            hang(lambda: os.kill(run, signal.SIGTERM))
        return read(self, key)

    monkeypatch.setattr(TrainingSet, "_sample", stalled)
    monkeypatch.setattr(TrainingLoop, "train_batch", counted)
    with pytest.raises(StoppedError, match=r"SIGTERM after step 4; saved in .*--resume last"):
        train(stopped, progress=False)
    assert read_checkpoint(stopped.out)["global_step"] == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_train_signal_after_the_last_validation_ends_as_complete(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, workers: int
) -> None:
    save = CheckpointFiles.save_last

    def interrupted(files: CheckpointFiles, step: int, state: Any, *, writes: bool) -> None:
        save(files, step, state, writes=writes)
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(CheckpointFiles, "save_last", interrupted)
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=workers)
    result = train(student_run(tiny_kitti, tmp_path / "run", data=data), progress=False)
    assert result.miou is not None
    assert read_checkpoint(tmp_path / "run")["global_step"] == 4


def test_stopping_second_signal_ends_the_process_at_once() -> None:
    program = """
import os, signal
from elite.stopping import Stopping
stopping = Stopping()
stopping.busy = True
with stopping.listening():
    os.kill(os.getpid(), signal.SIGTERM)
    print("the first is recorded", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("the second is not")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "the first is recorded\n")


def test_signal_to_a_forked_child_ends_it_without_the_action_of_its_parent() -> None:
    with call_on_signal(lambda number: None):
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)  # reached if the child has run the inherited action
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


@pytest.mark.parametrize("in_wait", [False, True])
def test_stopping_shared_step_ends_after_the_grace_time(monkeypatch, in_wait: bool) -> None:
    """The step may yet be completed and saved by all of its processes."""
    monkeypatch.setattr("elite.stopping.GRACE", 0.2)
    stopping, came = Stopping(), []
    stopping.busy, stopping.interruptible = True, False

    def wait() -> None:
        with stopping.wait(0, TimeoutError):
            os.kill(os.getpid(), signal.SIGTERM if in_wait else 0)
            came.append("a batch")
            time.sleep(100)

    with stopping.listening():
        os.kill(os.getpid(), 0 if in_wait else signal.SIGTERM)
        with pytest.raises(Terminated):
            wait()
    assert came


@pytest.mark.parametrize("workers", [0, 1])
def test_train_stalled_file_ends_in_time_and_is_named(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, workers: int
) -> None:
    read, stalled = TrainingSet._sample, tmp_path / "stalled.bin"
    stalled.touch()

    def wait(self: TrainingSet, key: SampleKey) -> Any:
        with stalled.open():
            time.sleep(100 if key.epoch == 1 else 0)
        return read(self, key)

    monkeypatch.setattr(TrainingSet, "_sample", wait)
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=workers, timeout=2)
    with pytest.raises(DataError, match=r"no data in 2 s.*still reading these files: .*stalled.bin.*--data.timeout"):
        train(student_run(tiny_kitti, tmp_path / "run", data=data), progress=False)
    assert read_checkpoint(tmp_path / "run")["global_step"] == 2  # what was done is saved


def test_train_loader_without_shared_memory_ends_the_run(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    """In the thread of a queue its error is printed, and the run waits for ever."""
    read, run = TrainingSet._sample, os.getpid()

    def limited(self: TrainingSet, key: SampleKey) -> Any:
        if os.getpid() != run:  # shared memory is files, so this is what a full /dev/shm does too
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return read(self, key)

    monkeypatch.setattr(TrainingSet, "_sample", limited)
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=1)
    with pytest.raises(TrainingError, match=r"cannot pass its batch.*File too large.*/dev/shm.*--data.workers 0"):
        train(student_run(tiny_kitti, tmp_path / "run", data=data), progress=False)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_train_loaders_without_space_end_the_run(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    """Lightning fails again when it ends loaders that have not started, which must not hide the cause."""
    monkeypatch.setattr(torch.utils.data.DataLoader, "__iter__", full)
    with pytest.raises(TrainingError, match=r"cannot start .* loader processes \(No space left.*in /dev/shm"):
        train(student_run(tiny_kitti, tmp_path / "run"), progress=False)


def test_train_small_shared_memory_is_refused_before_the_run(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=16, f_frsize=4096))
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=2)
    message = r"/dev/shm: expected .* MiB .* found 0.0625 MiB free.*--shm-size.*--ipc=host.*--data.workers 0"
    with pytest.raises(TrainingError, match=message):
        train(student_run(tiny_kitti, tmp_path / "run", data=data), progress=False)
    assert not (tmp_path / "run").exists()
    train(student_run(tiny_kitti, tmp_path / "run", data=replace(data, workers=0), steps=1), progress=False)


def test_train_full_disk_keeps_the_previous_checkpoint(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    sync, saved = os.fsync, []
    short = student_run(tiny_kitti, tmp_path, steps=4, save_every=1)

    def full(file: int) -> None:
        saved.append(file)
        if (tmp_path / "checkpoints" / "last.ckpt").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        train(short, progress=False)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path)["global_step"] == 1
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
    train(replace(short, resume="last"), progress=False)
    assert read_checkpoint(tmp_path)["global_step"] == 4


def test_train_killed_loader_ends_with_a_named_error(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    read, main = TrainingSet._sample, os.getpid()

    def killed(self: TrainingSet, key: SampleKey) -> Any:
        if os.getpid() != main and key.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, key)

    monkeypatch.setattr(TrainingSet, "_sample", killed)
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=1)
    with pytest.raises(TrainingError, match=r"a loader process was killed.*--resume last"):
        train(student_run(tiny_kitti, tmp_path, data=data, steps=6), progress=False)


def small_train_argv(settings: dict[str, Any]) -> list[str]:
    """Arguments of ``elite train`` for a small student."""
    small = {"student.channels": 4, "student.cells": "[50,50,10]", "data.batch_size": 1, "data.sequences": "00"}
    argv = [f"--{name}={value}" for name, value in (settings | small).items()]
    return ["train", "--config", "semantickitti-student", "--accelerator=cpu", *argv]


def damage_after_validation(scan: Path) -> None:
    """Truncate a scan at the end of each validation."""
    run = Validation.run

    def damage(self: Validation, batches: Any, *, step: int) -> dict[str, float]:
        metrics = run(self, batches, step=step)
        scan.write_bytes(b"?")
        return metrics

    Validation.run = damage  # type: ignore[method-assign]


def test_train_error_in_validation_leaves_no_loader_process(tiny_kitti: Path, tmp_path: Path) -> None:
    """Training has loader processes at that time. The command would wait for them."""
    scan = tiny_kitti / "sequences" / "08" / "velodyne" / "000000.bin"
    settings = {"data.root": tiny_kitti, "out": tmp_path / "run", "steps": 20, "val_every": 2, "data.workers": 1}
    process = Trial(small_train_argv(settings), tmp_path / "log", partial(damage_after_validation, scan))
    assert process.wait(100) == 2, process.output()
    assert "000000.bin: expected a multiple of 16 bytes" in process.output()


def test_train_killed_loader_reported_inside_other_code_is_named(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    """PyTorch raises it from a signal handler, inside any running line; that code may wrap it."""

    def interrupted(*_: Any, **__: Any) -> None:
        try:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        except RuntimeError as error:
            raise TypeError("an argument is not what it should be") from error

    monkeypatch.setattr(OptimizerStep, "add", interrupted)
    with pytest.raises(TrainingError, match=r"a loader process was killed.*pid 7.*--resume last"):
        train(student_run(tiny_kitti, tmp_path, steps=2), progress=False)


def test_train_killed_process_of_two_ends_the_other(tiny_kitti: Path, tmp_path: Path) -> None:
    again = tiny_kitti / "sequences" / "08"  # a scan for each process
    for folder, suffix in (("velodyne", "bin"), ("labels", "label")):
        shutil.copy(again / folder / f"000000.{suffix}", again / folder / f"000001.{suffix}")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from elite.cli import main\n"
        "from elite.training.loop import TrainingLoop\n"
        "train_batch = TrainingLoop.train_batch\n"
        "def killed(self, batch):\n"
        "    if self.fabric.global_rank == 1 and self.batches == 2: os.kill(os.getpid(), 9)\n"
        "    train_batch(self, batch)\n"
        "TrainingLoop.train_batch = killed\n"
        "if __name__ == '__main__': sys.exit(main(sys.argv[1:]))\n"
    )
    settings = {"data.root": tiny_kitti, "out": tmp_path / "run", "devices": 2, "steps": 20, "data.workers": 0}
    command = [sys.executable, str(program), *small_train_argv(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2, done.stderr
    assert "another process of this run is gone" in done.stderr


def test_train_frozen_parts_do_not_change(tiny_kitti: Path, tmp_path: Path) -> None:
    settings = student_run(
        tiny_kitti, tmp_path / "run", freeze="point_mlp,stages.0", optim=OptimConfig(lr=0.05, weight_decay=0.1)
    )
    result = train(settings, progress=False)
    after = load_student(result.last).state_dict()
    start = load_student(train(replace(settings, out=tmp_path / "one", steps=1), progress=False).last).state_dict()
    frozen = [name for name in after if name.startswith(("point_mlp.", "stages.0."))]
    assert frozen
    assert all(torch.equal(after[name], start[name]) for name in frozen)
    assert not torch.equal(after["stages.1.voxel.0.conv1.weight"], start["stages.1.voxel.0.conv1.weight"])
    for names, message in {
        "stages.7": r"freeze: expected parts of the student \(point_mlp, .*found 'stages.7'",
        "point_mlp,stages,classifier": "freeze: expected at least one trained part",
    }.items():
        with pytest.raises(ConfigError, match=message):
            train(replace(settings, out=tmp_path / "none", freeze=names), progress=False)


def test_train_moving_average_equals_its_formula(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    weights, after = [], TrainingModule.after_optimizer_step

    def record(self: TrainingModule, *given: Any) -> None:
        after(self, *given)
        weights.append(self.student.classifier[2].weight.detach().clone())

    monkeypatch.setattr(TrainingModule, "after_optimizer_step", record)
    result = train(student_run(tiny_kitti, tmp_path, steps=6, optim=OptimConfig(lr=0.05, average=0.75)), progress=False)
    expected = sum(weights[:4]) / 4  # the initial weights have no share in it
    for weight in weights[4:]:
        expected = 0.75 * expected + 0.25 * weight
    torch.testing.assert_close(load_student(result.last).classifier[2].weight, expected)
    assert not torch.equal(expected, weights[-1])
