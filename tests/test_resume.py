"""A run that was stopped at any moment and went on equals the run that was never stopped, to the bit."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elite.config import DataConfig, FaultConfig, OptimConfig, SelfTrainingConfig
from elite.errors import CheckpointError, ConfigError
from elite.torch_file import load_torch
from elite.training import callbacks, train
from elite.training.module import Training
from tests.test_distillation import config as taught
from tests.test_training import config


class Killed(BaseException):
    """Nobody handles it."""


def same(a: Any, b: Any, where: str = "") -> None:
    """Both checkpoints hold the same, to the bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.shape == b.shape, where
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}/{i}")
    else:
        assert a == b or (a != a and b != b), f"{where}: {a} != {b}"


def checkpoint(run: Path, name: str = "last.ckpt") -> dict[str, Any]:
    """Without what names the folder of the run, and the score that Lightning keeps for show and does not restore."""
    found = load_torch(run / "checkpoints" / name)
    found["elite_config"] |= {"out": "", "resume": None}
    found["callbacks"] = json.loads(json.dumps(found["callbacks"], default=str).replace(str(run), "RUN"))
    for state in found["callbacks"].values():
        state.pop("current_score", None)
    return found


def metrics(run: Path) -> list[dict[str, str]]:
    """Without throughput, which is never the same twice."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("scans/s", "waiting")} for row in csv.DictReader(file)]


def run_with_stops(settings: Any, stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each of these batches (counted over the whole run), and resumed every time."""
    begin = Training.on_train_batch_start
    for stop in [*stops, -1]:

        def killed(self: Training, batch: Any, index: int, stop: int = stop) -> None:
            if self.trainer.fit_loop.epoch_loop.total_batch_idx == stop:
                raise Killed
            begin(self, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "on_train_batch_start", killed)
            try:
                train(replace(settings, resume="last"), progress=False)
            except Killed:
                assert stop >= 0


@pytest.mark.parametrize(
    ("workers", "changes"),
    [
        (2, {"steps": None, "epochs": 3, "save_every": 1}),  # epochs of two steps
        (0, {"steps": None, "epochs": 3, "save_every": 100}),  # saved at the ends of epochs alone
        (0, {"steps": 7, "val_every": 7, "save_every": 2}),
        (0, {"steps": 6, "val_every": 3, "save_every": 1}),
        (0, {"steps": 4, "val_every": 2, "accumulate": 2, "save_every": 1}),
    ],
    ids=["epochs", "whole epochs", "steps", "steps with scores", "accumulated"],
)
def test_a_resumed_run_equals_one_that_was_never_stopped(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, workers: int, changes: dict[str, Any]
) -> None:
    data = DataConfig(
        root=tiny_kitti, sequences="00", batch_size=1, workers=workers, label_fraction=0.5, label_unit="points"
    )
    optim, own = OptimConfig(lr=0.05, average=0.9), SelfTrainingConfig(weight=0.5, confidence=0.2)
    whole = config(tiny_kitti, tmp_path / "whole", data=data, optim=optim, self_training=own, **changes)
    train(whole, progress=False)
    stopped = replace(whole, out=tmp_path / "stopped")
    run_with_stops(stopped, [0, 1, 3, 4, 5], monkeypatch)
    same(checkpoint(stopped.out), checkpoint(whole.out))
    same(checkpoint(stopped.out, "best.ckpt"), checkpoint(whole.out, "best.ckpt"))
    assert metrics(stopped.out) == metrics(whole.out)


def test_with_a_teacher_past_its_first_pruning(kitti: Path, tmp_path: Path, foundation: Path, monkeypatch) -> None:
    data = DataConfig(root=kitti, sequences="00", batch_size=1, workers=1)
    whole = taught(kitti, tmp_path / "whole", foundation, data=data, steps=12, val_every=6, save_every=1)
    whole = replace(whole, optim=replace(whole.optim, average=0.9))
    train(whole, progress=False)
    stopped = replace(whole, out=tmp_path / "stopped")
    run_with_stops(stopped, [3, 8], monkeypatch)
    same(checkpoint(stopped.out), checkpoint(whole.out))
    assert checkpoint(whole.out)["elite_teacher"]["allocator"]["masks"]


@pytest.mark.parametrize("written", [2, 5, 6])
def test_killed_when_a_checkpoint_is_just_in_place(tiny_kitti: Path, tmp_path: Path, monkeypatch, written: int) -> None:
    """After an epoch, after a score, after a step that is logged: its row of metrics.csv is there."""
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=0)
    whole = config(tiny_kitti, tmp_path / "whole", data=data, steps=None, epochs=4, val_every=2, save_every=1)
    train(whole, progress=False)
    stopped, write, count = replace(whole, out=tmp_path / "stopped", resume="last"), callbacks.write_bytes, 0

    def killed(path: Path, content: memoryview, *, verify: bool) -> None:
        nonlocal count
        write(path, content, verify=verify)
        count += 1
        if count == written:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "write_bytes", killed)
        with pytest.raises(Killed):
            train(stopped, progress=False)
    train(stopped, progress=False)
    same(checkpoint(stopped.out), checkpoint(whole.out))
    assert metrics(stopped.out) == metrics(whole.out)


def test_a_run_goes_on_only_with_the_settings_it_had(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    first = config(tiny_kitti, tmp_path, steps=4, save_every=2)
    train(first, progress=False)
    changed = replace(first, resume="last", seed=3, optim=OptimConfig(lr=0.1))
    with pytest.raises(ConfigError, match=r"optim.lr 0.05 then, 0.1 now; seed 0 then, 3 now.*--init"):
        train(changed, progress=False)
    moved = replace(first, resume="last", backend="torch", data=replace(first.data, workers=1), faults=FaultConfig(0.5))
    train(moved, progress=False)  # it was finished, and stays so
    assert "backend auto then, torch now" in capsys.readouterr().out
    assert checkpoint(tmp_path)["global_step"] == 4
    with pytest.raises(ConfigError, match="holds a run already"):
        train(first, progress=False)


@pytest.mark.parametrize("kind", ["half", "student", "absent"])
def test_what_cannot_be_resumed_says_so(tiny_kitti: Path, tmp_path: Path, kind: str) -> None:
    first = config(tiny_kitti, tmp_path / "run", steps=2)
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    resume = "last"
    if kind == "absent":
        resume = str(tmp_path / "nowhere.ckpt")
    else:
        path.parent.mkdir(parents=True)
        torch.save({"state_dict": {}}, path)
        if kind == "half":
            path.write_bytes(path.read_bytes()[:-100])
    messages = {"half": "cut short", "student": "no checkpoint that a run can go on from", "absent": "Check the path"}
    with pytest.raises(CheckpointError, match=messages[kind]):
        train(replace(first, resume=resume), progress=False)


def test_deterministic_runs_repeat(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    run = taught(kitti, tmp_path / "a", foundation, deterministic=True, backend="torch")
    try:
        train(run, progress=False)
        train(replace(run, out=tmp_path / "b"), progress=False)
    finally:
        torch.use_deterministic_algorithms(False)
    same(checkpoint(tmp_path / "a"), checkpoint(tmp_path / "b"))


def test_settings_that_hold_themselves_are_damage(tiny_kitti: Path, tmp_path: Path) -> None:
    whole, endless = config(tiny_kitti, tmp_path, resume="last"), {}
    endless["student"] = endless
    content = {"elite_config": endless, "elite_progress": {}, "global_step": 1}
    (tmp_path / "checkpoints").mkdir()
    torch.save(content, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match="nested without end"):
        train(whole, progress=False)
