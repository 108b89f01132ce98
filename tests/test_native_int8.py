"""int8 rows and products of the C++ kernels against exact sums, for each instruction set that has them."""

import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elite import native
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.native.ops import Layer, PackedWeight, PooledRows, fused_chain, fused_layer, pool
from elite.sparse import find_neighbours, submanifold_conv
from elite.student import SPVCNN
from elite.student.engine import Engine
from tests.support.instructions import INT8, available, limited_to
from tests.support.students import run_engine, with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
SMALL: dict[str, Any] = {"volume": ((-4.0, -4.0, -2.0), (4.0, 4.0, 2.0)), "cells": (40, 40, 20)}


@pytest.fixture(params=INT8)
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    with limited_to(request.param):
        yield request.param


def int8_rows(x: Tensor) -> Tensor:
    """Rows of the kernels: numbers + 128, then the bytes of the scale."""
    largest = x.abs().amax(dim=1, keepdim=True)
    inverse = torch.where(largest > 1e-30, 127 / largest, 0)
    numbers = (x * inverse).round() + 128
    return torch.cat([numbers.to(torch.uint8), (largest / 127).view(torch.uint8).view(len(x), 4)], dim=1)


def whole_numbers(*shape: int, dim: int) -> Tensor:
    """Random integers from -127 to 127, with at least one 127 along ``dim``, so that all scales are 1."""
    numbers = torch.randint(-127, 128, shape)
    numbers.select(dim, 0).fill_(127)
    return numbers.float()


def voxels(count: int) -> Tensor:
    return torch.unique(torch.randint(0, 8, (count, 4)) // torch.tensor([4, 1, 1, 1]), dim=0)


def cloud(count: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(count)
    return torch.randn(count, 3).clamp(-1.9, 1.9), torch.rand(count)


def trained_student() -> SPVCNN:
    torch.manual_seed(0)
    student = SPVCNN(channels=24, strides=(1, 2, 4, 8), **SMALL)
    with_random_norms(student, std=0.2)
    torch.nn.init.normal_(student.classifier[2].weight, std=1.0)  # type: ignore[arg-type]
    return student


@pytest.mark.parametrize("channels", [1, 10, 24, 64, 130])
def test_int8_row_has_rounded_numbers_and_scale(instructions: str, channels: int):
    torch.manual_seed(channels)
    x = torch.randn(500, channels) * torch.logspace(-36, 30, 500)[:, None]
    x[3] = 0
    out = torch.empty(500, channels + 4, dtype=torch.uint8)
    fused_chain(out, x, [Layer(PackedWeight.pack(torch.eye(channels)[None]), torch.zeros(channels))])
    assert torch.equal(out, int8_rows(x))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_int8_row_with_nan_or_infinity_has_no_finite_product(instructions: str, value: float):
    x = torch.ones(2, 20)
    x[1, 17] = value
    rows, out = torch.empty(2, 24, dtype=torch.uint8), torch.empty(2, 5)
    pool(rows_of := torch.empty(2, 20), PooledRows(x, torch.arange(3), torch.arange(2)))
    fused_chain(rows, rows_of, [Layer(PackedWeight.pack(torch.eye(20)[None]), torch.zeros(20))])
    fused_layer(out, dense=rows, dense_weight=PackedWeight.pack(torch.randn(1, 20, 5), torch.uint8))
    assert out[0].isfinite().all()
    assert not out[1].isfinite().any()


@pytest.mark.parametrize(("inner", "outer"), [(1, 1), (3, 20), (10, 33), (64, 64), (17, 130)])
def test_int8_convolution_of_whole_numbers_is_exact(instructions: str, inner: int, outer: int):
    torch.manual_seed(inner)
    coords = voxels(400)
    x, weight = whole_numbers(len(coords), inner, dim=1), whole_numbers(27, inner, outer, dim=1)
    dense_weight, bias = whole_numbers(1, inner, outer, dim=1), whole_numbers(outer, dim=0)
    neighbours = find_neighbours(coords, "native")
    expected = submanifold_conv(x.double(), weight.double(), neighbours) + x.double() @ dense_weight[0].double() + bias
    assert expected.abs().max() < 2**24  # exact in float32
    out = torch.empty(len(coords), outer)
    fused_layer(
        out,
        conv=int8_rows(x),
        conv_weight=PackedWeight.pack(weight, torch.uint8),
        pairs=neighbours.neighbour_pairs,  # type: ignore[union-attr]
        dense=int8_rows(x),
        dense_weight=PackedWeight.pack(dense_weight, torch.uint8),
        bias=bias,
    )
    assert torch.equal(out.double(), expected)


def test_int8_engine_any_instructions_and_threads_give_the_same_bits(threads: None):
    """Except the portable kernels of x86-64, which round products before they add them."""
    fused = []
    for name in available(INT8):
        with limited_to(name):
            engine, logits = Engine(trained_student(), "int8"), []
            for count in (1, 2, 4):
                torch.set_num_threads(count)
                logits.append(run_engine(engine, *cloud(4000)).logits)
        assert all(torch.equal(logits[0], other) for other in logits[1:])
        if (name, platform.machine()) != ("portable", "x86_64"):
            fused.append(logits[0])
    assert all(torch.equal(fused[0], other) for other in fused[1:])


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_int8_engine_is_close_to_float32(instructions: str, count: int):
    student, (points, remission) = trained_student(), cloud(count)
    expected = run_engine(Engine(student), points, remission).logits
    found = run_engine(Engine(student, "int8"), points, remission).logits
    assert found.dtype is torch.float32
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()


@pytest.mark.parametrize("instructions", ["portable"], indirect=True)
def test_int8_segmenter_reports_overflow_as_float32_does(instructions: str):
    points, remission = np.zeros((5, 3), np.float32), np.full(5, 3e38, np.float32)
    for precision in ("fp32", "int8"):
        segmenter = Segmenter(trained_student(), precision=precision, report=lambda _: None)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="expected finite logits"):
            segmenter(points, remission)


def test_int8_without_instructions_or_native_backend_is_refused():
    with pytest.raises(ConfigError, match=r"precision int8: expected the native backend .* found torch.*fp32"):
        Segmenter(trained_student(), backend="torch", precision="int8")
    with limited_to("avx2"), pytest.raises(ConfigError, match=r"int8: expected .*AVX512-VNNI or AVX-VNNI.*fp32"):
        Engine(trained_student(), "int8")
