"""Training with native kernels: values, gradients and statistics against plain torch in float64."""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from elite.native import describe, library
from elite.sparse import Geometry, build_geometry
from elite.student import SPVCNN, native_training
from elite.student.blocks import PointEncoder, ResidualBlock
from tests.support.instructions import FLOAT, limited_to

pytestmark = pytest.mark.skipif(library() is None, reason=describe())

SMALL = {"volume": ((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0)), "cells": (40, 40, 40), "strides": (1, 2, 4)}


@pytest.fixture(params=FLOAT)
def instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    with limited_to(request.param):
        yield


def cloud(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points, remission and batch index of two scans."""
    return torch.randn(count, 3).clamp(-1.9, 1.9), torch.rand(count), (torch.arange(count) > count // 3).long()


def student_of(channels: int) -> SPVCNN:
    """Student in training mode, with random batch norms."""
    student = SPVCNN(channels=channels, **SMALL)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return student


def geometry_of(student: SPVCNN, points: Tensor, batch_index: Tensor, backend: str) -> Geometry:
    return build_geometry(points, batch_index, student.grid, student.config.strides, backend)


def step(student: SPVCNN, scan: tuple[Tensor, Tensor, Tensor], pull: Tensor) -> dict[str, Tensor]:
    """One forward and backward pass: logits, stage features, gradients and buffers, by name, in float64."""
    points, remission, batch_index = scan
    dtype = student.classifier[2].weight.dtype
    out = student(points, remission.to(dtype), batch_index)
    loss = (out.logits * pull.to(dtype)).sum() + sum(stage.feats.square().mean() for stage in out.stages)
    loss.backward()
    found = {"logits": out.logits.detach()} | {f"stage {i}": s.feats.detach() for i, s in enumerate(out.stages)}
    found |= {f"gradient of {n}": p.grad for n, p in student.named_parameters() if p.grad is not None}
    return {name: t.double() for name, t in (found | dict(student.named_buffers())).items()}


def both(student: SPVCNN, points: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(by plain torch in float64, by the native kernels) of the same step."""
    scan, results = cloud(points), []
    pull = torch.randn(points, 20)
    for backend, dtype in (("torch", torch.float64), ("native", torch.float32)):
        ours = deepcopy(student).to(dtype)
        ours.backend = backend
        results.append(step(ours, scan, pull))
    return results[0], results[1]


# ---- the same numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [16, 10, 24])
def test_native_step_equals_float64_torch(instructions: None, channels: int):
    expected, found = both(student_of(channels), 2500)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-5 * value.norm(), name


@pytest.mark.parametrize("frozen", ["stages.0", "stages.1", "stages.0.voxel.1", "stages.1.point", "stages"])
def test_native_step_with_frozen_part_equals_float64_torch(frozen: str):
    """Its batch norms use and keep their running statistics."""
    torch.manual_seed(1)  # no activation is so close to zero that its sign differs in float32
    student = student_of(16)
    student.get_submodule(frozen).requires_grad_(False).eval()
    expected, found = both(student, 2500)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 3e-5 * value.norm(), name


def test_native_running_statistics_equal_torch():
    student = student_of(16)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = None  # the plain mean of all batches
    runs = []
    scans = [cloud(900), cloud(1200)]
    for backend in ("torch", "native"):
        ours = deepcopy(student)
        ours.backend = backend
        for scan in scans:
            ours(*scan)
        runs.append(dict(ours.named_buffers()))
    for name, value in runs[0].items():
        torch.testing.assert_close(runs[1][name], value, rtol=1e-6, atol=1e-6, msg=name)


def test_native_input_gradients_of_block_and_encoder_equal_torch():
    """The student needs no gradient of its input. Its parts are compared instead."""
    student = student_of(10)
    points, _, batch_index = cloud(2000)
    for part in (student.stages[0].voxel[0], student.stages[0].point):
        gradients = []
        for backend, dtype in (("torch", torch.float64), ("native", torch.float32)):
            geometry = geometry_of(student, points, batch_index, backend)
            torch.manual_seed(1)
            x = torch.randn(len(geometry.levels[0]), 10).to(dtype).requires_grad_()
            ours = deepcopy(part).to(dtype)
            if isinstance(ours, ResidualBlock):
                run = native_training.residual_block if backend == "native" else ResidualBlock.__call__
                out = run(ours, x, geometry.neighbours[0])
            else:
                run = native_training.point_encoder if backend == "native" else PointEncoder.__call__
                out = run(ours, x, geometry.blocks[0], geometry.pools[0])
            out.pow(3).mean().backward()
            assert x.grad is not None
            gradients.append(x.grad.double())
        assert (gradients[1] - gradients[0]).norm() <= 1e-5 * gradients[0].norm()


# ---- laws -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("threads")
def test_native_step_any_thread_count_gives_the_same_bits():
    student, scan, pull = student_of(16), cloud(6000), torch.randn(6000, 20)
    runs = []
    for count in (1, 2, 4, 4):
        torch.set_num_threads(count)
        runs.append(step(deepcopy(student), scan, pull))
    for other in runs[1:]:
        assert all(torch.equal(other[name], value) for name, value in runs[0].items())


@pytest.mark.parametrize("trained", ["stages.1", "point_mlp", "stages.0.voxel.0.norm2", "conv1", "bias", "fuse"])
def test_native_frozen_parts_get_no_gradient(trained: str):
    student, scan, pull = student_of(16), cloud(900), torch.randn(900, 20)
    whole = step(deepcopy(student), scan, pull)
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(trained in name)
    found = step(student, scan, pull)
    assert any(trained in name for name in found if name.startswith("gradient"))
    for name in whole:
        assert (name in found) == (not name.startswith("gradient") or trained in name)
    assert all(torch.equal(value, whole[name]) for name, value in found.items())


# ---- when it is used --------------------------------------------------------------------------------------------


def gradient_functions(out: Tensor) -> Counter[str]:
    """Number of autograd functions behind a tensor, by name."""
    functions, waiting = set(), [out.grad_fn]
    while waiting:
        if (function := waiting.pop()) is not None and (function not in functions):
            functions.add(function)
            waiting += [following for following, _ in function.next_functions]
    return Counter(function.name() for function in functions)


def test_native_training_in_evaluation_mode_is_unused():
    scan = cloud(400)
    ours = {"_ResidualBlockBackward", "_LinearLeakyBackward", "_VoxelMeansBackward", "_ReluOfSumBackward"}
    student = student_of(8)
    functions = gradient_functions(student(*scan).logits)
    assert ours <= functions.keys()
    assert functions["_ResidualBlockBackward"] == 4
    student.stages[0].voxel[0].norm1.eval()  # uses its running statistics, so its stage runs in PyTorch
    functions = gradient_functions(student(*scan).logits)
    assert functions["_ResidualBlockBackward"] == 2
    assert not ours & gradient_functions(student.eval()(*scan).logits).keys()
    with torch.autocast("cpu", torch.bfloat16):  # leaves the point MLP in float32
        assert ours & gradient_functions(student_of(8)(*scan).logits).keys() == {
            "_LinearLeakyBackward",
            "_VoxelMeansBackward",
        }


def test_native_step_of_a_single_voxel_is_refused_as_by_torch():
    student = student_of(8)
    for backend in ("torch", "native"):
        student.backend = backend
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            student(torch.zeros(3, 3), torch.ones(3), torch.zeros(3, dtype=torch.int64))


def test_native_step_of_two_voxels_in_one_block_equals_torch():
    """Their block is a batch of one row, which only the norms of the point branch refuse."""
    student = student_of(8)
    points = torch.tensor([[0.05, 0.05, 0.05], [0.15, 0.05, 0.05]])
    geometry = geometry_of(student, points, torch.zeros(2, dtype=torch.int64), "native")
    assert geometry.blocks[0].group_count == 1
    block: ResidualBlock = student.stages[0].voxel[0]
    x = torch.randn(2, 8, requires_grad=True)
    found = torch.autograd.grad(native_training.residual_block(block, x, geometry.neighbours[0]).square().sum(), x)[0]
    twin, wide = deepcopy(block).double(), x.detach().double().requires_grad_()
    expected = torch.autograd.grad(twin(wide, geometry.neighbours[0]).square().sum(), wide)[0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    assert not native_training.supports(student, points, geometry)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        student(points, torch.ones(2), torch.zeros(2, dtype=torch.int64))


def test_native_step_with_point_gradients_falls_back_to_torch():
    student = student_of(8)
    points, remission, batch_index = cloud(300)
    student(points.requires_grad_(), remission, batch_index).logits.sum().backward()
    assert points.grad is not None
    assert points.grad.any()
