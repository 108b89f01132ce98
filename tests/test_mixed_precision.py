"""Training in 16 bits on the CPU: operations that stay in float32, and the gradient scaler."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision

from elite.config import DataConfig, DistillConfig, FaultConfig, OptimConfig, TrainConfig
from elite.errors import TrainingError
from elite.native import describe, library
from elite.sparse import Backend, build_geometry
from elite.student import SPVCNN
from elite.training import launch, train
from elite.training.loop import TrainingLoop
from elite.training.module import TrainingModule
from tests.support.runs import (
    assert_identical,
    distillation_run,
    module_and_batch,
    read_checkpoint,
    read_faults,
    read_metrics,
    run_with_stops,
    training_state,
)


@pytest.fixture
def scaled(kitti: Path, tmp_path: Path, foundation: Path, monkeypatch) -> TrainConfig:
    """Settings of a run in 16 bits, with a teacher, AdaLoRA and a moving average; the scale begins at 64."""

    def fabric(*, plugins: None, precision: str, **settings: Any) -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
        return Fabric(plugins=MixedPrecision("16-mixed", "cpu", scaler), **settings)

    monkeypatch.setattr(launch, "Fabric", fabric)
    return distillation_run(
        kitti,
        tmp_path / "run",
        foundation,
        data=DataConfig(root=kitti, sequences="00", batch_size=1, workers=0),
        steps=9,
        val_every=9,
        save_every=1,
        precision="16-mixed",
        backend="torch",
        optim=OptimConfig(lr=0.05, average=0.9),
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_point_mlp_under_autocast_equals_float32_at_50_m(dtype: torch.dtype, backend: Backend, training: bool) -> None:
    """Points and voxels of 0.1 m, where bfloat16 has steps of 0.25 m."""
    if backend == "native" and library() is None:
        pytest.skip(describe())
    student = SPVCNN(channels=16).train(training)
    near = torch.rand(400, 3) * 0.4 - torch.tensor([0.0, 0.0, 1.0])
    points, remission = near + torch.tensor([49.5, -49.5, 0.0]), torch.rand(400)
    scan = torch.zeros(400, dtype=torch.int64)
    level = build_geometry(points, scan, student.grid, student.config.strides, backend).levels[0]
    assert len(level) > 40
    expected = student.point_mlp(points, remission, student.grid, level)
    with torch.autocast("cpu", dtype):
        found = student.point_mlp(points, remission, student.grid, level)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_teacher_without_gradient_under_autocast_caches_no_weight(
    kitti: Path, tmp_path: Path, foundation: Path, monkeypatch
) -> None:
    """Only dense labels: pairs need no gradient, the dense pixels after them do, from the same heads."""
    settings = distillation_run(kitti, tmp_path, foundation, backend="torch", distill=DistillConfig(dense_stride=32))
    module, batch = module_and_batch(settings)
    teacher, views = module.teacher, batch.views
    assert teacher is not None
    assert views is not None
    dense = torch.randint(20, (len(views.images), *views.size), dtype=torch.uint8)
    views = replace(views, labels=dense, has_labels=torch.ones_like(views.has_labels))
    passes, logits_at = [], teacher.logits_at

    def recorded(*args: Any) -> Any:
        passes.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()))
        return logits_at(*args)

    monkeypatch.setattr(teacher, "logits_at", recorded)
    with torch.autocast("cpu", torch.bfloat16):
        output = module.student(batch.points, batch.remission, batch.batch_index)
        torch.stack(list(module.losses(output, replace(batch, views=views)).values())).sum().backward()
    assert passes == [(False, True, False), (True, True, True)]
    assert all(p.grad is not None and p.grad.any() for p in teacher.multi_stage.parameters())


def scaler_of(loop: TrainingLoop) -> Any:
    return loop.fabric.strategy.precision.scaler  # type: ignore[attr-defined]


def spoil(monkeypatch, batches: range, term: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """These batches have a ``term`` of zero (a weight minus itself) and of another gradient in their loss."""
    losses = TrainingModule.losses

    def spoiled(self: TrainingModule, output: Any, batch: Any) -> dict[str, torch.Tensor]:
        terms = losses(self, output, batch)
        if self.scheduled_steps in batches:
            weight = self.student.classifier[0].weight
            terms["lovasz"] = term(weight - weight.detach())
        return terms

    monkeypatch.setattr(TrainingModule, "losses", spoiled)


def test_train_overflow_lowers_the_scale_and_changes_nothing_else(scaled: TrainConfig, monkeypatch) -> None:
    states, scales, train_batch = [], [], TrainingLoop.train_batch

    def record(self: TrainingLoop, batch: Any) -> None:
        states.append(training_state(self))
        scales.append(scaler_of(self).get_scale())
        train_batch(self, batch)

    monkeypatch.setattr(TrainingLoop, "train_batch", record)
    spoil(monkeypatch, range(4, 6), lambda zero: zero.sum() * 3e38)  # finite, and 64 times it is not
    train(scaled, progress=False)
    assert scales == [64, 64, 64, 128, 128, 64, 32, 32, 32]  # doubled after three steps
    assert_identical(states[4], states[6])
    weights = [s["weights"]["student.classifier.0.weight"] for s in states]
    assert not torch.equal(weights[3], weights[4])
    assert not torch.equal(weights[6], weights[7])
    found = read_faults(scaled.out)
    assert [f["step"] for f in found] == [4, 5]
    assert {f["fault"] for f in found} == {"gradient too large for its scale"}
    assert all(f["frames"][0].startswith("00/") for f in found)
    assert read_checkpoint(scaled.out)["elite_progress"]["steps"] == 7  # of 9, by which ranks are given out


def test_train_nonfinite_gradient_at_any_scale_ends_the_run(scaled: TrainConfig, monkeypatch) -> None:
    """Six overflows from 64 down to 1, then as many consecutive steps as in 32 bits."""
    spoil(monkeypatch, range(1000), lambda zero: zero.abs().sqrt().sum())
    endless = replace(scaled, steps=40, val_every=None, faults=FaultConfig(steps=3))
    with pytest.raises(TrainingError, match="3 consecutive steps"):
        train(endless, progress=False)
    kinds = [fault["fault"] for fault in read_faults(scaled.out)]
    assert kinds == ["gradient too large for its scale"] * 6 + ["loss or gradient not finite"] * 3


@pytest.mark.slow
def test_train_resumed_scale_equals_uninterrupted(scaled: TrainConfig, monkeypatch) -> None:
    train(scaled, progress=False)
    stopped = replace(scaled, out=scaled.out.parent / "stopped")
    run_with_stops(stopped, [5], monkeypatch)
    assert_identical(read_checkpoint(stopped.out), read_checkpoint(scaled.out))
    assert read_metrics(stopped.out) == read_metrics(scaled.out)
    kept = read_checkpoint(scaled.out)["MixedPrecision"]
    assert kept["scale"] == 64 * 2**3
    assert kept["_growth_tracker"] == 0
