"""Training with a teacher: loss terms, trained parameters, checkpoints, refusals."""

import dataclasses
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import SamVisionModel

from elite.batches import Pixels, Views
from elite.config import (
    AdapterConfig,
    DataConfig,
    DistillConfig,
    FaultConfig,
    ImageConfig,
    OptimConfig,
    TeacherConfig,
)
from elite.errors import CheckpointError, ConfigError, DataError
from elite.losses import lovasz_softmax, segmentation_loss
from elite.student import load_student, save_student
from elite.teacher import load_teacher
from elite.teacher.adapters import count_parameters
from elite.training import train
from elite.training.faults import FaultLog
from elite.training.launch import build_fabric
from elite.training.optim import build_optimizer
from elite.training.step import OptimizerStep, clip_gradients
from tests.support.runs import CROP, SMALL, distillation_run, module_and_batch
from tests.support.waiting import PATIENCE_S


def test_losses_total_equals_the_sum_of_the_paper(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    """Against the formula written out, term by term, on full-size maps."""
    settings = distillation_run(kitti, tmp_path, foundation)
    module, batch = module_and_batch(settings)
    assert batch.views is not None
    assert len(batch.views.pair_pixel) > 20
    output = module.student.eval()(batch.points, batch.remission, batch.batch_index)
    terms = module.losses(output, batch)
    distillation, teacher, weights = module.distillation, module.teacher, module.class_weights
    assert distillation is not None and teacher is not None  # noqa: PT018

    def ce(logits, labels):
        return F.cross_entropy(logits, labels, weights, ignore_index=0)

    total = ce(output.logits, batch.labels) + 0.1 * lovasz_softmax(output.logits, batch.labels)
    maps = [F.interpolate(m, CROP, mode="bilinear") for m in teacher(batch.views.images)]
    row, column = batch.views.pair_pixel.position.T
    seen = batch.labels[batch.views.pair_point]
    at_pixels = [m[0, :, row, column].T for m in maps]
    for i in range(4):
        stage = output.stages[i]
        voxel_logits = distillation.student_heads[i](stage.feats)
        majority = torch.stack(
            [
                torch.bincount(batch.labels[stage.point_to_voxel == v], minlength=20).argmax()
                for v in range(len(stage.feats))
            ]
        )
        total += ce(voxel_logits, majority) + lovasz_softmax(voxel_logits, majority)
        teacher_logits = teacher.heads[i](at_pixels[i])
        total += (ce(teacher_logits, seen) + lovasz_softmax(teacher_logits, seen)) / 4
        student_logits = voxel_logits[stage.point_to_voxel[batch.views.pair_point]]
        kl = F.kl_div(student_logits.log_softmax(1), teacher_logits.softmax(1), reduction="batchmean") / 20
        total += 0.05 / 4 * kl
    together = teacher.multi_stage(torch.cat(at_pixels, dim=1))
    total += ce(together, seen) + lovasz_softmax(together, seen)
    norms = []
    for name, p in teacher.named_parameters():
        if ".lora_A." in name:
            norms.append((p @ p.T - torch.eye(12)).norm())
        elif ".lora_B." in name:
            norms.append((p.T @ p - torch.eye(12)).norm())
    assert len(norms) == 2 * 4 * 6
    total += 0.1 * torch.stack(norms).mean()
    assert sum(terms.values()).item() == pytest.approx(total.item(), rel=1e-5)


@pytest.mark.parametrize("dense", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_teacher_loss_uses_each_label_at_its_pixel(
    kitti: Path, tmp_path: Path, foundation: Path, dense: tuple[bool, bool], pairs: bool, labelled: bool
) -> None:
    """Of points, and in images with dense labels of pixels: against one lookup of a list that a loop made."""
    settings = distillation_run(kitti, tmp_path, foundation, distill=DistillConfig(dense_pairs=pairs, dense_stride=32))
    module, batch = module_and_batch(settings)
    teacher, one = module.teacher, batch.views
    assert teacher is not None
    assert one is not None
    count = len(one.images)
    seen = [Pixels(one.pair_pixel.view + i * count, one.pair_pixel.position) for i in range(2)]
    views = Views(
        images=torch.cat([one.images, one.images.flip(3)]),
        pair_pixel=Pixels(torch.cat([p.view for p in seen]), torch.cat([p.position for p in seen])),
        pair_point=one.pair_point.repeat(2),
        labels=torch.randint(0, 20, (2 * count, *one.size), dtype=torch.uint8),
        has_labels=torch.tensor(dense).repeat_interleave(count),
    )
    point_labels = batch.labels if labelled else torch.zeros_like(batch.labels)
    batch = dataclasses.replace(batch, views=views, labels=point_labels)
    pixels = []
    for view in range(2 * count):
        if views.has_labels[view]:
            grid = [(row, column) for row in range(16, CROP[0], 32) for column in range(16, CROP[1], 32)]
            pixels += [(view, row, column, int(views.labels[view, row, column])) for row, column in grid]
        if pairs or not views.has_labels[view]:
            mine = [i for i, v in enumerate(views.pair_pixel.view.tolist()) if v == view]
            pixels += [
                (view, *views.pair_pixel.position[i].tolist(), int(point_labels[views.pair_point[i]])) for i in mine
            ]
    table = torch.tensor([pixel for pixel in pixels if pixel[-1]], dtype=torch.int64).reshape(-1, 4)
    prediction = teacher.logits_at(teacher(views.images), Pixels(table[:, 0], table[:, 1:3]), views.size)
    expected = {}
    for name, logits, share in [
        *((f"teacher{i}", s, 0.25) for i, s in enumerate(prediction.stages)),
        ("teacher", prediction.multi_stage, 1),
    ]:
        cross_entropy, lovasz = segmentation_loss(logits, table[:, 3], module.class_weights)
        expected |= {f"{name}/cross_entropy": share * cross_entropy, f"{name}/lovasz": share * lovasz}
    terms = module.losses(module.student(batch.points, batch.remission, batch.batch_index), batch)
    weights = [p for p in teacher.parameters() if p.requires_grad]
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    ours, theirs = (
        torch.autograd.grad(sum(t[n] for n in expected), weights, allow_unused=True) for t in (terms, expected)
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert mine is not None
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-6)


def test_losses_of_some_stages_leave_out_the_others(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    def terms(stages: tuple[int, ...] | None) -> dict[str, torch.Tensor]:
        some = distillation_run(kitti, tmp_path, foundation, distill=DistillConfig(stages=stages, kl=0.5, logits=0.5))
        torch.manual_seed(0)
        module, batch = module_and_batch(some)
        return module.losses(module.student.eval()(batch.points, batch.remission, batch.batch_index), batch)

    whole, some = terms(None), terms((1, 3))
    for name, value in whole.items():
        stage = name.partition("/")[0][-1]
        factor = 1.0 if not stage.isdigit() else 0.0 if stage in "02" else 1.0 if "student" in name else 2.0
        torch.testing.assert_close(some[name], factor * value)
    sum(some.values()).backward()
    with pytest.raises(ConfigError, match=r"distill.stages: expected stages 0..3 of the student, found \(4,\)"):
        terms((4,))
    with pytest.raises(ConfigError, match="increasing stage numbers from 0"):
        DistillConfig(stages=(2, 1))


def test_losses_gradients_reach_student_and_trained_teacher_parts(
    kitti: Path, tmp_path: Path, foundation: Path
) -> None:
    module, batch = module_and_batch(distillation_run(kitti, tmp_path, foundation))
    teacher = module.teacher
    assert teacher is not None
    frozen = {name: p.clone() for name, p in teacher.named_parameters() if not p.requires_grad}
    module.losses(module.student(batch.points, batch.remission, batch.batch_index), batch)["kl0"].backward()
    assert module.student.point_mlp.hidden.weight.grad.abs().max() > 0  # the divergence pulls the student
    assert all(p.grad is None for p in teacher.parameters())  # and the student only
    sum(module.losses(module.student(batch.points, batch.remission, batch.batch_index), batch).values()).backward()
    assert all(p.grad is not None for p in module.parameters() if p.requires_grad)
    assert frozen
    assert all(p.grad is None for name, p in teacher.named_parameters() if name in frozen)
    assert not teacher.backbone.training
    assert teacher.taps.training


def test_losses_without_images_train_the_student_only(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    module, batch = module_and_batch(distillation_run(kitti, tmp_path, foundation))
    alone = dataclasses.replace(batch, views=None)
    terms = module.losses(module.student(batch.points, batch.remission, batch.batch_index), alone)
    assert not any(name.startswith(("kl", "teacher")) for name in terms)
    assert terms["no_image"] == 0
    sum(terms.values()).backward()
    heads = module.teacher.heads.parameters()
    assert all(p.grad is not None and not p.grad.any() for p in heads)  # they take part, so that processes agree


def test_losses_of_unlabelled_pixels_keep_the_divergence(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    module, batch = module_and_batch(distillation_run(kitti, tmp_path, foundation))
    unlabelled = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels))
    terms = module.losses(module.student(batch.points, batch.remission, batch.batch_index), unlabelled)
    assert all(torch.isfinite(term) for term in terms.values())
    assert all(terms[f"teacher{i}/cross_entropy"] == 0 for i in range(4))
    assert all(terms[f"kl{i}"] > 0 for i in range(4))


@pytest.mark.parametrize("method", ["adalora", "lora", "dora", "full", "frozen"])
def test_train_with_any_adapter_repeats_and_reloads(
    kitti: Path, tmp_path: Path, foundation: Path, method: str, capsys
) -> None:
    """Trained, saved without the frozen foundation model, loaded again with the same answers."""
    teacher_config = TeacherConfig(weights=str(foundation), channels=8, adapter=AdapterConfig(method=method))
    result = train(distillation_run(kitti, tmp_path / "a", foundation, teacher=teacher_config), progress=False)
    checkpoint = torch.load(result.last, weights_only=True)
    assert load_student(result.last).config == SMALL
    teacher = load_teacher(result.last)
    stored = {k.removeprefix("distillation.teacher.") for k in checkpoint["state_dict"] if ".teacher." in k}
    trained, frozen = count_parameters(teacher)
    assert stored.isdisjoint(teacher.frozen_names())
    assert (frozen > 0) == (method != "full" or "neck" in str(teacher.backbone.model))
    assert f"{sum(teacher.summary().values()) - trained:,} parameters" in capsys.readouterr().out
    columns = (tmp_path / "a" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"val/teacher_miou", "train/kl3", "train/teacher2/lovasz"} <= set(columns)
    if method == "adalora":  # it repeats
        again = train(distillation_run(kitti, tmp_path / "b", foundation, teacher=teacher_config), progress=False)
        state = torch.load(again.last, weights_only=True)["state_dict"]
        assert all(torch.equal(state[k], v) for k, v in checkpoint["state_dict"].items())
    moved = any("lora_B" in k and v.any() for k, v in checkpoint["state_dict"].items())
    assert moved == (method in ("adalora", "lora", "dora"))


def test_train_allocates_ranks_once_per_optimiser_step(
    kitti: Path, tmp_path: Path, foundation: Path, monkeypatch
) -> None:
    from elite.teacher.adapters import Adapter

    steps = []
    monkeypatch.setattr(Adapter, "allocate", lambda self, step: steps.append(step))
    train(distillation_run(kitti, tmp_path, foundation, accumulate=1, steps=7), progress=False)
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    steps.clear()
    data = DataConfig(root=kitti, sequences="00", batch_size=1, workers=0)
    train(
        distillation_run(kitti, tmp_path / "b", foundation, data=data, accumulate=2, steps=None, epochs=6),
        progress=False,
    )
    assert steps == [1, 2, 3, 4, 5, 6]


def test_train_skipped_step_allocates_no_ranks(kitti: Path, tmp_path: Path, foundation: Path, monkeypatch) -> None:
    from elite.teacher.adapters import Adapter

    steps: list[int] = []
    monkeypatch.setattr(Adapter, "allocate", lambda self, step: steps.append(step))
    module, _ = module_and_batch(distillation_run(kitti, tmp_path, foundation))
    fabric = build_fabric(accelerator="cpu", devices=1, precision="32-true", flags="")
    optimizer = OptimizerStep(fabric, module, FaultLog(FaultConfig(), 0, None), steps_per_epoch=1).optimizer
    scaler = torch.amp.GradScaler("cpu")
    for factor, expected in ((1.0, [1]), (float("inf"), [1]), (1.0, [1, 2])):
        optimizer.zero_grad()
        scaler.scale(factor * module.student.point_mlp.hidden.weight.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert steps == expected


def test_clip_together_clips_gradients_jointly_or_per_network(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    for together, expected in ((True, [0.6, 0.8]), (False, [1.0, 1.0])):
        module, _ = module_and_batch(
            distillation_run(kitti, tmp_path, foundation, optim=OptimConfig(clip_together=together))
        )
        groups = build_optimizer(module, module.teacher, module.config.optim)
        for group, norm in zip(groups.param_groups, (3.0, 4.0), strict=True):
            for p in group["params"]:
                p.grad = torch.zeros_like(p)
            group["params"][0].grad.view(-1)[0] = norm
        clip_gradients(groups, 1.0, together=together)
        norms = [torch.stack([p.grad.norm() for p in g["params"]]).norm().item() for g in groups.param_groups]
        assert norms == pytest.approx(expected, rel=1e-4)


def test_train_student_initialisation_ignores_the_teacher(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    states = []
    for i, weights in enumerate((foundation, "none")):
        settings = distillation_run(
            kitti, tmp_path / str(i), weights, steps=6, optim=OptimConfig(lr=1e-12, weight_decay=0)
        )
        states.append(load_student(train(settings, progress=False).last).point_mlp.hidden.weight)
    assert torch.allclose(*states, atol=1e-8)


def test_train_without_teacher_has_student_heads_or_none(kitti: Path, tmp_path: Path) -> None:
    heads, batch = module_and_batch(distillation_run(kitti, tmp_path, "none"))
    assert batch.views is None
    output = heads.student(batch.points, batch.remission, batch.batch_index)
    assert {name.split("/")[0] for name in heads.losses(output, batch)} == {
        "cross_entropy",
        "lovasz",
        *(f"student{i}" for i in range(4)),
    }
    alone, _ = module_and_batch(distillation_run(kitti, tmp_path, "none", distill=DistillConfig(student_heads=0)))
    assert alone.distillation is None


def test_train_random_teacher_is_reported_and_saved(kitti: Path, tmp_path: Path, foundation: Path, capsys) -> None:
    teacher = TeacherConfig(weights="random", model=str(foundation), channels=8)
    result = train(distillation_run(kitti, tmp_path, None, teacher=teacher), progress=False)
    assert "RANDOM weights" in capsys.readouterr().out
    checkpoint = torch.load(result.last, weights_only=True)
    assert checkpoint["elite_config"]["teacher"]["weights"] == "random"
    loaded = load_teacher(result.last)
    key = "backbone.model.patch_embed.projection.weight"
    assert torch.equal(loaded.state_dict()[key], checkpoint["state_dict"][f"distillation.teacher.{key}"])


def test_commands_without_training_packages_use_the_student(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    result = train(distillation_run(kitti, tmp_path / "run", foundation), progress=False)
    save_student(load_student(result.best), tmp_path / "expected.safetensors")
    out = tmp_path / "out"
    code = f"""
import sys
for name in ("lightning", "torchmetrics", "tensorboard", "transformers", "peft", "matplotlib", "trimesh"):
    sys.modules[name] = None
from elite.cli import main
assert main(["evaluate", {str(result.best)!r}, {str(kitti)!r}, "--device", "cpu"]) == 0
assert main(["predict", {str(result.best)!r}, {str(kitti)!r}, "--sequences", "11", "-o", {str(out)!r}]) == 0
assert main(["export", {str(result.best)!r}, "-o", {str(tmp_path / "alone.safetensors")!r}]) == 0
assert main(["env"]) == 0
"""
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=PATIENCE_S, capture_output=True, text=True
    ).stdout
    assert all(f"{name:12s} {version(name)}\n" in output for name in ("transformers", "peft"))  # known, not imported
    assert (tmp_path / "alone.safetensors").read_bytes() == (tmp_path / "expected.safetensors").read_bytes()
    assert len(list(out.rglob("*.label"))) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"teacher": TeacherConfig()}, ConfigError, r"--teacher\.weights.*sam_vit_b"),
        ({"steps": 5}, ConfigError, r"at least 6 optimiser steps, found 5"),
        ({"image": ImageConfig(crop=(350, 1216))}, ConfigError, r"multiples of 32 pixels, found 350 x 1216"),
        ({"image": ImageConfig(crop=(384, 1216))}, DataError, r"(?s)384 x 1216 .*found 376 x 1241"),
        ({"cameras": "none"}, ConfigError, r"--data\.cameras image_2"),
        ({"cameras": "image_3"}, DataError, "1 training scans: expected an image"),
        (
            {"sequences": "00", "require_images": True, "frames": "0-1"},
            DataError,
            "all 2 training scans, found 1 scans without one",
        ),
        (
            {"require_images": True, "val_sequences": "00", "val_frames": "0-1"},
            DataError,
            "all 2 validation scans, found 1 scans without one",
        ),
        ({"dense_labels": "image_2_labels"}, DataError, "expected dense labels"),
        ({"precision": "16-mixed"}, ConfigError, "Set --precision bf16-mixed"),
        ({"devices": 2}, ConfigError, r"training scans: expected at least 2, one per process, found 1.*--devices"),
        ({"devices": 2, "frames": "0-1"}, ConfigError, "validation scans: expected at least 2"),
    ],
)
def test_train_impossible_settings_are_refused(
    kitti: Path, tmp_path: Path, foundation: Path, changes, error, message
) -> None:
    for_data = {k: v for k, v in changes.items() if k in {f.name for f in dataclasses.fields(DataConfig)}}
    if for_data:
        settings = {"root": kitti, "sequences": "00", "frames": "0", "batch_size": 1, "workers": 0}
        rest = {k: v for k, v in changes.items() if k not in for_data}
        changes = rest | {"data": DataConfig(**settings | for_data)}
    with pytest.raises(error, match=message):
        train(distillation_run(kitti, tmp_path / "run", foundation, **changes), progress=False)


def test_load_teacher_with_a_changed_foundation_model_is_refused(kitti: Path, tmp_path: Path, foundation: Path) -> None:
    moved = tmp_path / "foundation"
    shutil.copytree(foundation, moved)
    result = train(distillation_run(kitti, tmp_path / "run", moved), progress=False)
    load_teacher(result.last)
    model = SamVisionModel.from_pretrained(moved)
    with torch.no_grad():
        model.vision_encoder.layers[1].mlp.lin1.weight += 0.1
    model.save_pretrained(moved)
    with pytest.raises(CheckpointError, match=r"expected the foundation model of its training in .* found another one"):
        load_teacher(result.last)


def test_load_teacher_of_a_run_without_teacher_is_refused(kitti: Path, tmp_path: Path) -> None:
    result = train(distillation_run(kitti, tmp_path, "none", steps=1), progress=False)
    with pytest.raises(CheckpointError, match=r"expected a checkpoint with a teacher.*--teacher\.weights"):
        load_teacher(result.last)
