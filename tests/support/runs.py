"""Settings of small training runs, and the records that a run leaves."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elite.batches import Batch
from elite.config import (
    AugmentConfig,
    DataConfig,
    DistillConfig,
    ImageConfig,
    OptimConfig,
    StudentConfig,
    TeacherConfig,
    TrainConfig,
)
from elite.data.collate import collate
from elite.data.datamodule import DataModule
from elite.training import train
from elite.training.build import build_training
from elite.training.loop import TrainingLoop
from elite.training.module import TrainingModule
from elite.weights.torch_file import load_torch

SMALL = StudentConfig(channels=8, cells=(100, 100, 12))
CROP = (192, 1216)


def student_run(root: Path, run: Path, **changes) -> TrainConfig:
    """Settings of four steps without a teacher; ``changes`` replace fields."""
    settings = {
        "out": run,
        "steps": 4,
        "accelerator": "cpu",
        "data": DataConfig(root=root, sequences="00", batch_size=1, workers=0),
        "augment": AugmentConfig(enabled=False),
        "student": SMALL,
        "teacher": TeacherConfig(weights="none"),
        "distill": DistillConfig(student_heads=0),
        "optim": OptimConfig(lr=0.05),
    }
    return TrainConfig(**settings | changes)


def distillation_run(root: Path, run: Path, foundation: Path | str | None, **changes) -> TrainConfig:
    """Settings of six steps with a teacher; ``changes`` replace fields."""
    settings = {
        "out": run,
        "steps": 6,
        "accelerator": "cpu",
        "data": DataConfig(root=root, sequences="00", frames="0", batch_size=1, workers=0),
        "augment": AugmentConfig(enabled=False),
        "image": ImageConfig(crop=CROP),
        "student": SMALL,
        "teacher": TeacherConfig(weights=None if foundation is None else str(foundation), channels=8),
        "optim": OptimConfig(lr=0.05),
    }
    return TrainConfig(**settings | changes)


def module_and_batch(settings: TrainConfig) -> tuple[TrainingModule, Batch]:
    """Training module, and one batch with all training frames."""
    data = DataModule(settings)
    module = build_training(settings, data, world=1)
    return module.train(), collate([data.train_set[0, i] for i in range(len(data.train_set))])


class Killed(BaseException):
    """Stops a run at once: no code handles it."""


def assert_identical(a: Any, b: Any, where: str = "") -> None:
    """Compare two checkpoints bit by bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.shape == b.shape, where
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_identical(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_identical(x, y, f"{where}/{i}")
    else:
        assert a == b or (a != a and b != b), f"{where}: {a} != {b}"


def read_checkpoint(run: Path, name: str = "last.ckpt") -> dict[str, Any]:
    """Content of a checkpoint without the path of its run."""
    found = load_torch(run / "checkpoints" / name)
    found["elite_config"] |= {"out": "", "resume": None}
    return found


def read_metrics(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without throughput, which varies between runs."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("scans/s", "waiting")} for row in csv.DictReader(file)]


def run_with_stops(settings: Any, stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a run before each of the given batches, counted from its first step, and resume it each time."""
    train_batch = TrainingLoop.train_batch
    for stop in [*stops, -1]:

        def killed(self: TrainingLoop, batch: Batch, stop: int = stop) -> None:
            if self.batches == stop:
                raise Killed
            train_batch(self, batch)

        with monkeypatch.context() as patched:
            patched.setattr(TrainingLoop, "train_batch", killed)
            try:
                train(replace(settings, resume="last"), progress=False)
            except Killed:
                assert stop >= 0


def read_faults(run: Path) -> list[dict[str, Any]]:
    """Records of faults.jsonl."""
    return [json.loads(line) for line in (run / "faults.jsonl").read_text().splitlines()]


def training_state(loop: TrainingLoop) -> dict[str, Any]:
    """Copy of all tensors that an optimisation step changes."""
    module, optimizer = loop.step.training, loop.step.optimizer.state_dict()["state"]
    allocator = {} if module.teacher is None else module.teacher.adapter.allocator_state()
    tensors = {"weights": module.state_dict(), "optimizer": optimizer, "allocator": allocator}
    return torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, tensors)
