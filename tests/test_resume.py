"""Resume: a run that was stopped at any moment is bit-identical to an uninterrupted run."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import yaml

from elite.config import DataConfig, FaultConfig, OptimConfig, SelfTrainingConfig, TrainConfig
from elite.errors import CheckpointError, ConfigError
from elite.sensor import load_sensor
from elite.training import saving, train
from elite.training.loop import TrainingLoop
from elite.training.module import TrainingModule
from elite.training.resume import best_score
from elite.training.run_lock import RunLock
from elite.weights.torch_file import load_torch
from tests.support.processes import lock_held
from tests.support.runs import (
    Killed,
    assert_identical,
    distillation_run,
    read_checkpoint,
    read_metrics,
    run_with_stops,
    student_run,
)
from tests.support.scans import write_tiny_kitti
from tests.support.semantickitti import KITTI


@pytest.mark.parametrize(
    ("workers", "stops", "changes"),
    [
        (2, [0, 1, 3, 4, 5], {"steps": None, "epochs": 3, "save_every": 1}),  # epochs of two steps
        (0, [1, 3, 4], {"steps": None, "epochs": 3, "save_every": 100}),  # saved only at the ends of epochs
        (0, [1, 3, 6], {"steps": 7, "val_every": 7, "save_every": 2}),
        (0, [3, 5], {"steps": 6, "val_every": 3, "save_every": 1}),
        (0, [1, 3, 4], {"steps": 4, "val_every": 2, "accumulate": 2, "save_every": 1}),
    ],
    ids=["epochs", "whole epochs", "steps", "steps with scores", "accumulated"],
)
def test_train_resumed_after_every_stop_is_bit_identical(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, workers: int, stops: list[int], changes: dict[str, Any]
) -> None:
    data = DataConfig(
        root=tiny_kitti, sequences="00", batch_size=1, workers=workers, label_fraction=0.5, label_unit="points"
    )
    optim, self_training_settings = OptimConfig(lr=0.05, average=0.9), SelfTrainingConfig(weight=0.5, confidence=0.2)
    whole = student_run(
        tiny_kitti, tmp_path / "whole", data=data, optim=optim, self_training=self_training_settings, **changes
    )
    train(whole, progress=False)
    stopped = replace(whole, out=tmp_path / "stopped")
    run_with_stops(stopped, stops, monkeypatch)
    assert_identical(read_checkpoint(stopped.out), read_checkpoint(whole.out))
    assert_identical(read_checkpoint(stopped.out, "best.ckpt"), read_checkpoint(whole.out, "best.ckpt"))
    assert read_metrics(stopped.out) == read_metrics(whole.out)


def test_train_resumed_past_the_first_pruning_is_bit_identical(
    kitti: Path, tmp_path: Path, foundation: Path, monkeypatch
) -> None:
    data = DataConfig(root=kitti, sequences="00", batch_size=1, workers=1)
    whole = distillation_run(kitti, tmp_path / "whole", foundation, data=data, steps=12, val_every=6, save_every=4)
    whole = replace(whole, optim=replace(whole.optim, average=0.9))
    train(whole, progress=False)
    stopped = replace(whole, out=tmp_path / "stopped")
    run_with_stops(stopped, [5, 9], monkeypatch)
    assert_identical(read_checkpoint(stopped.out), read_checkpoint(whole.out))
    assert read_checkpoint(whole.out)["elite_teacher"]["allocator"]["masks"]


@pytest.fixture(scope="module")
def four_epochs(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """An uninterrupted run of four epochs of two steps, which saves after each step."""
    base = tmp_path_factory.mktemp("epochs")
    whole = student_run(
        write_tiny_kitti(base / "kitti"), base / "whole", steps=None, epochs=4, val_every=2, save_every=1
    )
    train(whole, progress=False)
    return whole


@pytest.mark.parametrize("written", [2, 5, 6])
def test_train_killed_after_writing_a_checkpoint_resumes_bit_identical(
    four_epochs: TrainConfig, tmp_path: Path, monkeypatch, written: int
) -> None:
    """After an epoch, after a score, after a step that is logged: its row of metrics.csv is there."""
    whole = four_epochs
    stopped, write, count = replace(whole, out=tmp_path / "stopped", resume="last"), saving.write_bytes, 0

    def killed(path: Path, content: memoryview, *, verify: bool) -> None:
        nonlocal count
        write(path, content, verify=verify)
        count += 1
        if count == written:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(saving, "write_bytes", killed)
        with pytest.raises(Killed):
            train(stopped, progress=False)
    train(stopped, progress=False)
    assert_identical(read_checkpoint(stopped.out), read_checkpoint(whole.out))
    assert read_metrics(stopped.out) == read_metrics(whole.out)


def test_resume_with_changed_settings_is_refused(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    first = student_run(tiny_kitti, tmp_path, steps=4, save_every=2)
    train(first, progress=False)
    changed = replace(first, resume="last", seed=3, optim=OptimConfig(lr=0.1))
    with pytest.raises(ConfigError, match=r"optim.lr 0.05 then, 0.1 now; seed 0 then, 3 now.*--init"):
        train(changed, progress=False)
    moved = replace(first, resume="last", backend="torch", data=replace(first.data, workers=1), faults=FaultConfig(0.5))
    train(moved, progress=False)  # it was finished, and stays so
    assert "backend auto then, torch now" in capsys.readouterr().out
    assert read_checkpoint(tmp_path)["global_step"] == 4
    with pytest.raises(ConfigError, match="expected a folder without a run"):
        train(first, progress=False)


def test_resume_of_a_version_that_lacked_settings_takes_their_defaults(tiny_kitti: Path, tmp_path: Path) -> None:
    first = student_run(tiny_kitti, tmp_path, steps=2)
    train(first, progress=False)
    last = tmp_path / "checkpoints" / "last.ckpt"
    settings = load_torch(last)["elite_config"]
    del settings["init_classes"], settings["grid"]
    settings["loss"]["class_weights"] = "semantickitti"  # earlier name of taxonomy
    edit(last, elite_config=settings)
    train(replace(first, resume="last"), progress=False)
    with pytest.raises(ConfigError, match="init_classes equal then, match now"):
        train(replace(first, resume="last", init_classes="match"), progress=False)


@pytest.mark.parametrize("kind", ["half", "student", "absent"])
def test_resume_from_an_unusable_file_is_refused(tiny_kitti: Path, tmp_path: Path, kind: str) -> None:
    first = student_run(tiny_kitti, tmp_path / "run", steps=2)
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    resume = "last"
    if kind == "absent":
        resume = str(tmp_path / "nowhere.ckpt")
    else:
        path.parent.mkdir(parents=True)
        torch.save({"state_dict": {}}, path)
        if kind == "half":
            path.write_bytes(path.read_bytes()[:-100])
    messages = {
        "half": "may be truncated",
        "student": "expected a training checkpoint",
        "absent": "Check the path",
    }
    with pytest.raises(CheckpointError, match=messages[kind]):
        train(replace(first, resume=resume), progress=False)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run that was killed after its first validation, with five of its six steps saved."""
    base = tmp_path_factory.mktemp("stopped")
    settings = student_run(write_tiny_kitti(base / "kitti"), base / "run", steps=6, val_every=3, save_every=1)

    train_batch = TrainingLoop.train_batch

    def killed(self: TrainingLoop, batch: Any) -> None:
        if self.batches == 5:
            raise Killed
        train_batch(self, batch)

    with patch.object(TrainingLoop, "train_batch", killed), pytest.raises(Killed):
        train(settings, progress=False)
    return replace(settings, resume="last")


@pytest.fixture
def stopped(stopped_once: TrainConfig, tiny_kitti: Path, tmp_path: Path) -> TrainConfig:
    """A copy of that run, over the same data in another place."""
    shutil.copytree(stopped_once.out, tmp_path / "run")
    return replace(stopped_once, out=tmp_path / "run", data=replace(stopped_once.data, root=tiny_kitti))


def edit(path: Path, **changes: Any) -> None:
    torch.save(load_torch(path) | changes, path)


def test_resume_of_a_moved_run_keeps_its_best_checkpoint(stopped: TrainConfig, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    stopped.out.rename(moved)
    edit(moved / "checkpoints" / "last.ckpt", elite_best=0.99)
    best = (moved / "checkpoints" / "best.ckpt").read_bytes()
    for _ in range(2):  # it ends, and is resumed when it has ended
        result = train(replace(stopped, out=moved), progress=False)
        assert (result.best, result.miou) == (moved / "checkpoints" / "best.ckpt", 0.99)
        assert result.best.read_bytes() == best
    assert not stopped.out.exists()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), torch.AcceleratorError("CUDA error: unspecified")]
)
def test_resume_without_memory_or_gpu_does_not_blame_the_checkpoint(stopped: TrainConfig, error: Exception) -> None:
    with patch.object(TrainingModule, "load_state_dict", side_effect=error), pytest.raises(type(error)):
        train(stopped, progress=False)


def test_resume_with_a_state_of_another_shape_is_refused(stopped: TrainConfig) -> None:
    path = stopped.out / "checkpoints" / "last.ckpt"
    state = load_torch(path)["state_dict"]
    edit(path, state_dict=state | {name: value[:1] for name, value in state.items() if value.ndim > 1})
    with pytest.raises(CheckpointError, match=r"the checkpoint does not fit the run .*size mismatch"):
        train(stopped, progress=False)


def test_resume_after_a_kill_within_a_line_removes_the_line(stopped: TrainConfig) -> None:
    """The row of step 12 may be cut to that of step 1, which the checkpoint includes."""
    names = (stopped.out / "metrics.csv").read_text().splitlines()[0].split(",")
    for name, line in (("metrics.csv", "," * names.index("step") + "1"), ("faults.jsonl", '{"step": 1, "fau')):
        with (stopped.out / name).open("a") as file:
            file.write(line)
    train(stopped, progress=False)
    assert "1" not in [row["step"] for row in read_metrics(stopped.out)]
    assert (stopped.out / "faults.jsonl").read_text() == ""


def test_resume_without_best_checkpoint_writes_the_next_best(stopped: TrainConfig, capsys) -> None:
    edit(stopped.out / "checkpoints" / "last.ckpt", elite_best=0.99)
    (stopped.out / "checkpoints" / "best.ckpt").unlink()
    result = train(stopped, progress=False)
    assert "best.ckpt is missing" in capsys.readouterr().out
    assert result.best.exists()
    assert result.miou < 0.99


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        ({"elite_best": 0.5}, 0.5),
        ({"elite_best": None, "callbacks": {"ModelCheckpoint{}": {"best_model_score": 0.5}}}, None),
        ({"callbacks": {"ModelCheckpoint{'monitor'}": {"best_model_score": torch.tensor(0.5)}}}, 0.5),  # version 0.1
        ({"callbacks": {"ModelCheckpoint{}": {"best_model_score": torch.zeros(2)}}}, None),
        ({"elite_best": float("nan")}, None),
        ({"elite_best": 10**400}, None),
        ({}, None),
    ],
)
def test_best_score_of_any_checkpoint_version_is_read(checkpoint: dict[str, Any], expected: float | None) -> None:
    assert best_score(checkpoint) == expected


def test_checkpoint_of_lightnings_trainer_resumes_and_names_its_version(stopped: TrainConfig, capsys) -> None:
    """Up to version 0.1, the Trainer wrote its own entries and the number of batches."""
    expected = train(replace(stopped, out=stopped.out.with_name("other"), resume=None), progress=False)
    last = stopped.out / "checkpoints" / "last.ckpt"
    progress = load_torch(last)["elite_progress"]
    of_trainer = {"DataModule": {"batches": progress.pop("batches")}, "loops": {}, "callbacks": {}, "lr_schedulers": []}
    versions = {"elite": "0.0.9", "commit": "abc"}
    edit(last, elite_progress=progress, elite_versions=versions, **of_trainer)
    result = train(stopped, progress=False)
    assert "was written by an earlier elite (0.0.9 at abc)" in capsys.readouterr().out
    resumed, whole = (load_torch(path)["state_dict"] for path in (result.last, expected.last))
    assert_identical(resumed, whole)
    edit(last, elite_versions=versions)
    with pytest.raises(ConfigError, match=r"written by elite 0.0.9 at abc: expected the settings.*seed 0 then, 3 now"):
        train(replace(stopped, seed=3), progress=False)


def test_resume_into_another_run_without_overwrite_is_refused(stopped: TrainConfig, tmp_path: Path) -> None:
    last, other = stopped.out / "checkpoints" / "last.ckpt", tmp_path / "other"
    (other / "checkpoints").mkdir(parents=True)
    before = {
        other / "config.yaml": "seed: 1",
        other / "metrics.csv": "step",
        other / "checkpoints" / "best.ckpt": "its own",
    }
    for path, text in before.items():
        path.write_text(text)
    here = replace(stopped, out=other, resume=str(last))
    with pytest.raises(
        ConfigError, match=r"other: .* found a run .*, which is not that of .*last.ckpt.*--overwrite to"
    ):
        train(here, progress=False)
    assert {path: path.read_text() for path in other.rglob("*") if path.is_file()} == before
    train(replace(here, overwrite=True), progress=False)
    train(stopped, progress=False)
    for name in ("last.ckpt", "best.ckpt"):
        assert_identical(of_any_place(other, name), of_any_place(stopped.out, name))
    assert read_metrics(other) == read_metrics(stopped.out)
    assert yaml.safe_load((other / "config.yaml").read_text())["seed"] == 0


def of_any_place(run: Path, name: str) -> dict[str, Any]:
    found = read_checkpoint(run, name)
    found["elite_config"] |= {"overwrite": False, "data": None}
    return found


def test_resume_over_other_data_without_allow_other_data_is_refused(stopped: TrainConfig, capsys) -> None:
    assert stopped.data.root is not None
    scan = stopped.data.root / "sequences" / "00" / "velodyne" / "000001.bin"
    scan.rename(scan.with_suffix(".moved"))
    last = stopped.out / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    message = r"other data: labelled training scans 2 then, 1 now; training scans 2 then, 1 now.*--allow-other-data"
    with pytest.raises(ConfigError, match=message):
        train(stopped, progress=False)
    scan.with_name("000002.bin").write_bytes(scan.with_suffix(".moved").read_bytes())
    label = scan.parents[1] / "labels" / "000001.label"
    label.with_name("000002.label").write_bytes(label.read_bytes())
    with pytest.raises(ConfigError, match=r"training scans 2 then, 2 now \(same number, other names\)"):
        train(stopped, progress=False)
    assert last.read_bytes() == before
    train(replace(stopped, allow_other_data=True), progress=False)
    assert "resumed with other data: labelled training scans 2 then" in capsys.readouterr().out


def test_resume_over_other_classes_or_another_sensor_is_refused(stopped: TrainConfig) -> None:
    """The settings are the same: a taxonomy file may have changed."""
    path = stopped.out / "checkpoints" / "last.ckpt"
    taxonomy, sensor = KITTI.to_dict(), load_sensor("hdl-64e").to_dict()
    taxonomy["classes"][1]["name"] = "lorry"
    edit(path, elite_taxonomy=taxonomy)
    with pytest.raises(ConfigError, match=r"last\.ckpt: .* \(such as 'lorry' and 'car'\)\. Restore them"):
        train(replace(stopped, resume="last"), progress=False)
    counted = KITTI.to_dict()
    counted["classes"][2] |= {"points": 7, "color": [1, 2, 3]}
    edit(path, elite_taxonomy=counted)
    with pytest.raises(ConfigError, match=r"found changed properties of bicycle in the taxonomy semantickitti\."):
        train(replace(stopped, resume="last"), progress=False)
    edit(path, elite_taxonomy=KITTI.to_dict(), elite_sensor=sensor | {"name": "hdl-32e"})
    with pytest.raises(ConfigError, match=r"expected the sensor of the run, .*hdl-32e.*, found .*hdl-64e"):
        train(replace(stopped, resume="last", allow_other_data=True), progress=False)


def test_resume_without_a_data_record_is_reported(stopped: TrainConfig, capsys) -> None:
    other = {"training scans": {"count": torch.zeros(2), "digest": ""}}  # a file may hold anything
    edit(stopped.out / "checkpoints" / "last.ckpt", elite_data=other)
    train(stopped, progress=False)
    assert "does not record its data" in capsys.readouterr().out


# ---- the run folder -----------------------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A run folder that a process of this number works in."""
    folder = tmp_path / "locked"
    folder.mkdir()
    with lock_held(folder / ".lock") as pid:
        yield folder, pid


@pytest.mark.parametrize("resume", [None, "last"])
def test_train_in_the_folder_of_an_active_run_is_refused(
    tiny_kitti: Path, locked: tuple[Path, int], resume: str | None
) -> None:
    folder, pid = locked
    with pytest.raises(ConfigError, match=rf"locked: expected .*found the run of process {pid} on there"):
        train(student_run(tiny_kitti, folder, overwrite=True, resume=resume), progress=False)
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_run_lock_ends_with_its_run_despite_a_living_loader(tmp_path: Path) -> None:
    """A run that was killed is resumed at once, while its loaders still notice that it is gone."""
    path = tmp_path / ".lock"
    ready, end = os.pipe()
    run = os.fork()
    if run == 0:  # takes the lock, forks a loader process, and dies
        RunLock(tmp_path, path).acquire()
        if os.fork() == 0:
            os.write(end, b".")
            time.sleep(5)
        os._exit(0)
    os.waitpid(run, 0)
    assert os.read(ready, 1) == b"."
    with RunLock(tmp_path, path) as lock:
        lock.acquire()
        assert path.exists()
    assert not path.exists()


def test_run_lock_without_file_system_support_is_reported(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    train(student_run(tiny_kitti, tmp_path / "run", steps=1), progress=False)
    assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_train_in_a_folder_with_settings_only_is_refused(tiny_kitti: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1")  # as before the first checkpoint
    settings = student_run(tiny_kitti, tmp_path, steps=1)
    with pytest.raises(ConfigError, match=r"found a run \(config.yaml\)"):
        train(settings, progress=False)
    train(replace(settings, resume="last"), progress=False)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed"] == 0


def test_train_init_from_the_replaced_run_is_refused(stopped: TrainConfig) -> None:
    best = stopped.out / "checkpoints" / "best.ckpt"
    again = replace(stopped, resume=None, overwrite=True, init=best.parent / ".." / "checkpoints" / "best.ckpt")
    with pytest.raises(ConfigError, match=r"--init: expected a file outside .*, found .*best.ckpt. Copy the file"):
        train(again, progress=False)
    assert best.exists()


def test_train_deterministic_repeats_bit_for_bit(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    run = distillation_run(kitti, tmp_path / "a", foundation, deterministic=True, backend="torch")
    try:
        train(run, progress=False)
        train(replace(run, out=tmp_path / "b"), progress=False)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_identical(read_checkpoint(tmp_path / "a"), read_checkpoint(tmp_path / "b"))


def test_resume_from_self_containing_settings_is_refused(tiny_kitti: Path, tmp_path: Path) -> None:
    whole, endless = student_run(tiny_kitti, tmp_path, resume="last"), {}
    endless["student"] = endless
    content = {"elite_config": endless, "elite_progress": {}, "global_step": 1}
    (tmp_path / "checkpoints").mkdir()
    torch.save(content, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match="nested without end"):
        train(whole, progress=False)
