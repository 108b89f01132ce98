"""The C++ kernels against plain torch, for each instruction set."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from elite import native
from elite.datasets.scan_files import read_scan
from elite.errors import ConfigError
from elite.geometry import in_volume
from elite.native.ops import Layer, PackedWeight, fused_chain, fused_layer
from elite.native.tensors import call
from elite.sparse import KernelMap, build_geometry, find_neighbours, resolve_backend, submanifold_conv
from elite.student import SPVCNN
from elite.student.engine import Engine
from tests.support.instructions import BFLOAT16, FLOAT, limited_to
from tests.support.semantickitti import HDL_64E
from tests.support.students import run_engine, with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
library = import_module("elite.native.loader")
SMALL: dict[str, Any] = {"volume": ((-4.0, -4.0, -2.0), (4.0, 4.0, 2.0)), "cells": (40, 40, 20)}


@pytest.fixture(params=FLOAT)
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    with limited_to(request.param):
        yield request.param


def voxels(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 14, (count, 4), generator=generator) - torch.tensor([0, 5, 5, 5])
    return torch.unique(drawn // torch.tensor([7, 1, 1, 1]), dim=0)


def cloud(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 3, generator=generator).clamp(-1.9, 1.9)
    return points, torch.rand(count, generator=generator)


def with_trained_scale(student: SPVCNN) -> SPVCNN:
    """Student in eval mode with random batch norms, and with logits as large as trained ones."""
    torch.manual_seed(0)
    with_random_norms(student, std=0.2)
    torch.nn.init.normal_(student.classifier[2].weight, std=1.0)  # type: ignore[arg-type]
    student.backend = "torch"
    return student


@torch.no_grad()
def plain_logits(student: SPVCNN, points: Tensor, remission: Tensor) -> Tensor:
    return student(points, remission, torch.zeros(len(points), dtype=torch.int64)).logits


# ---- convolution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inner", "outer"), [(1, 1), (3, 20), (10, 33), (64, 64), (17, 130)])
def test_native_convolution_and_gradients_equal_float64_torch(instructions: str, inner: int, outer: int):
    coords = voxels(900)
    torch.manual_seed(inner)
    feats, weight = torch.randn(len(coords), inner), torch.randn(27, inner, outer) / (27 * inner) ** 0.5
    pull = torch.randn(len(coords), outer)
    results = []
    for dtype, neighbourhood in (
        (torch.float64, KernelMap.build(coords)),
        (torch.float32, find_neighbours(coords, "native")),
    ):
        x, w = feats.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()
        out = submanifold_conv(x, w, neighbourhood)
        out.backward(pull.to(dtype))
        results.append([t.double() for t in (out.detach(), x.grad, w.grad) if t is not None])
    for expected, found in zip(*results, strict=True):
        assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_native_convolution_of_zero_or_one_voxel_equals_torch():
    weight = torch.randn(27, 4, 5)
    none = torch.empty(0, 4, dtype=torch.int64)
    assert submanifold_conv(torch.empty(0, 4), weight, find_neighbours(none, "native")).shape == (0, 5)
    one = submanifold_conv(torch.ones(1, 4), weight, find_neighbours(torch.tensor([[0, -5, 2**45, 7]]), "native"))
    torch.testing.assert_close(one[0], weight[13].sum(dim=0))


@pytest.mark.usefixtures("threads")
def test_native_convolution_any_thread_count_gives_the_same_bits():
    coords, feats = voxels(6000), torch.randn(6000, 24)
    weight = torch.randn(27, 24, 40, requires_grad=True)
    feats = feats[: len(coords)].requires_grad_()
    student = with_trained_scale(SPVCNN(channels=16, strides=(1, 2, 4), **SMALL))
    points, remission = cloud(9000)
    found = []
    for count in (1, 2, 4):
        torch.set_num_threads(count)
        out = submanifold_conv(feats, weight, find_neighbours(coords, "native"))
        found.append(
            [
                out,
                *torch.autograd.grad(out.square().sum(), [feats, weight]),
                run_engine(Engine(student), points, remission)[0],
            ]
        )
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


# ---- inference --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [16, 22, 64])
def test_engine_equals_the_plain_student(instructions: str, channels: int):
    student = with_trained_scale(SPVCNN(channels=channels, strides=(1, 2, 4, 8), **SMALL))
    points, remission = cloud(3000)
    expected = plain_logits(student, points, remission)
    logits, point_group, _ = run_engine(Engine(student), points, remission)
    assert (logits[point_group] - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


def test_engine_with_many_points_per_voxel_equals_the_student(instructions: str):
    student = with_trained_scale(SPVCNN(channels=16, strides=(1, 2, 4), **SMALL))
    points, remission = cloud(3000)
    points *= 0.1
    expected = plain_logits(student, points, remission)
    logits, point_group, _ = run_engine(Engine(student), points, remission)
    assert (logits[point_group] - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


def test_engine_on_real_scans_equals_the_student(real_kitti: Path):
    student = with_trained_scale(SPVCNN())
    engine = Engine(student)
    for path in sorted((real_kitti / "sequences" / "00" / "velodyne").glob("*.bin"))[:2]:
        scan = read_scan(path, HDL_64E)
        inside = in_volume(scan.points, student.config.volume)
        points, remission = torch.from_numpy(scan.points[inside]), torch.from_numpy(scan.remission[inside])
        expected = plain_logits(student, points, remission)
        logits, point_group, _ = run_engine(engine, points, remission)
        assert (logits[point_group] - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("instructions", BFLOAT16, indirect=True)
@pytest.mark.parametrize(("inner", "outer"), [(2, 1), (10, 33), (64, 64), (98, 130)])
def test_bfloat16_convolution_of_whole_numbers_is_exact(instructions: str, inner: int, outer: int):
    coords, generator = voxels(900), torch.Generator().manual_seed(inner)
    x, weight = (
        torch.randint(-127, 128, shape, generator=generator).float()
        for shape in ((len(coords), inner), (27, inner, outer))
    )
    neighbours = find_neighbours(coords, "native")
    out = torch.empty(len(coords), outer)
    packed = PackedWeight.pack(weight, torch.bfloat16)
    fused_layer(out, conv=x.bfloat16(), conv_weight=packed, pairs=neighbours.neighbour_pairs)  # type: ignore[union-attr]
    expected = submanifold_conv(x.double(), weight.double(), neighbours)
    assert expected.abs().max() < 2**24  # exact in float32
    assert torch.equal(out.double(), expected)


@pytest.mark.parametrize("instructions", BFLOAT16, indirect=True)
def test_bfloat16_row_is_rounded_as_in_torch(instructions: str):
    ties = (torch.arange(128, 640) + 0.5) / 128  # the first 128 are halfway between two numbers of bfloat16
    rows = torch.cat([torch.randn(960) * torch.logspace(-30, 30, 960), ties, -ties]).view(124, 16)
    rows = torch.cat([rows, torch.tensor([[1.0] * 15 + [torch.nan], [1.0] * 15 + [torch.inf]])])
    out = torch.empty(126, 16, dtype=torch.bfloat16)
    fused_chain(out, rows, [Layer(PackedWeight.pack(torch.eye(16)[None]), torch.zeros(16))])
    torch.testing.assert_close(out, (rows @ torch.eye(16)).bfloat16(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("instructions", BFLOAT16, indirect=True)
@pytest.mark.usefixtures("threads")
def test_engine_bfloat16_is_close_and_returns_float32(instructions: str):
    student = with_trained_scale(SPVCNN(channels=32, strides=(1, 2, 4, 8), **SMALL))
    points, remission = cloud(3000)
    expected = plain_logits(student, points, remission)
    engine = Engine(student, "bf16")
    logits, point_group, _ = run_engine(engine, points, remission)
    for count in (1, 2, 4):
        torch.set_num_threads(count)
        assert torch.equal(run_engine(engine, points, remission)[0], logits)
    assert logits.dtype is torch.float32
    assert (logits[point_group] - expected).abs().mean() < 0.02 * expected.abs().mean()
    assert len(torch.unique(logits)) > 0.9 * len(torch.unique(expected))  # not rounded to eight bits


@pytest.mark.parametrize("instructions", BFLOAT16, indirect=True)
def test_engine_bfloat16_odd_channel_half_is_refused(instructions: str):
    with pytest.raises(ConfigError, match=r"expected a multiple of 4 channels, found 22.*fp32"):
        Engine(SPVCNN(channels=22, **SMALL), "bf16")


def test_engine_in_several_threads_keeps_its_memory():
    engine = Engine(with_trained_scale(SPVCNN(channels=16, strides=(1, 2, 4), **SMALL)))
    clouds = [cloud(500 + 700 * (i % 4), seed=i) for i in range(12)]
    alone = [run_engine(engine, *c)[0] for c in clouds]
    before = engine._idle[0].allocated_bytes
    assert all(torch.equal(run_engine(engine, *c)[0], a) for c, a in zip(clouds, alone, strict=True))
    assert engine._idle[0].allocated_bytes == before
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda c: run_engine(engine, *c)[0], clouds))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert len(engine._idle) <= 3


def test_native_student_gradients_equal_plain_torch():
    points, remission = cloud(2000)
    batch_index = (torch.arange(2000) >= 900).long()
    student = SPVCNN(channels=16, strides=(1, 2, 4), **SMALL)
    gradients = []
    for backend in ("torch", "native"):
        student.backend = backend
        student.zero_grad()
        student(points, remission, batch_index).logits.square().mean().backward()
        gradients.append([p.grad.clone() for p in student.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5 * float(a.abs().max()))


# ---- which backend ----------------------------------------------------------------------------------------------


def test_resolve_backend_auto_takes_kernels_on_a_cpu_only():
    assert resolve_backend("auto", torch.device("cpu")) == "native"
    assert resolve_backend("torch", torch.device("cpu")) == "torch"
    with pytest.raises(ConfigError, match=r"expected a CPU.*cuda.*--backend auto"):
        resolve_backend("native", torch.device("cuda"))


def test_native_points_too_far_apart_fall_back_to_torch():
    student = SPVCNN(channels=4, strides=(1, 2), **SMALL)
    points = torch.tensor([[0.0, 0.0, 0.0], [1e15, 1e15, 1e15], [-1e15, 1e15, -1e15]])
    geometry = build_geometry(points, torch.zeros(3, dtype=torch.int64), student.grid, (1, 2), "native")
    out = submanifold_conv(torch.ones(3, 2), torch.ones(27, 2, 2), geometry.neighbours[0])
    torch.testing.assert_close(out, torch.full((3, 2), 2.0))


def test_native_kernel_without_memory_raises_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elite.native.tensors.opened", lambda: SimpleNamespace(elite_group=lambda *_: 2))
    with pytest.raises(MemoryError, match=r"elite_group: expected memory .* fewer scans"):
        call("elite_group", torch.zeros(3))


def test_library_of_an_older_version_is_reported_and_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lacks a function: as an editable installation has it after an update, until it is built again."""
    monkeypatch.setitem(library._FUNCTIONS, "elite_of_tomorrow", (None, []))
    found, reason = library._open.__wrapped__()
    assert found is None
    assert "older than this version of elite and does not have elite_of_tomorrow; install elite again" in reason
