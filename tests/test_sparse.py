"""Voxels, neighbours, poolings and the submanifold convolution, each against a plain formulation."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from elite.sparse import (
    Grid,
    Grouping,
    KernelMap,
    Neighbours,
    Pooling,
    SubmanifoldConv3d,
    build_torch_geometry,
    submanifold_conv,
)
from elite.sparse.pooling import Csr, gather_deterministic, group_members

VOLUME = ((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0))
PUBLISHED = Grid(VOLUME, (1000, 1000, 60))
SMALL = Grid(VOLUME, (43, 37, 13))  # no stride nests in the one before
OFFSETS = list(itertools.product((-1, 0, 1), repeat=3))  # kernel positions 0..26 as (dz, dy, dx)


def some_voxels(shape: tuple[int, ...], share: float) -> Tensor:
    """Distinct (batch, z, y, x) in ascending order; the grid's corners are always among them."""
    occupied = torch.rand(shape) < share
    occupied[0, 0, 0, 0] = occupied[-1, -1, -1, -1] = True
    return occupied.nonzero()


def clusters(steps: tuple[int, ...], count: int = 400) -> Tensor:
    """Voxels in clumps far apart on every axis: neighbours within a clump, none across."""
    near = torch.tensor([far + step for far in steps for step in (-1, 0, 1, 3)])
    coords = near[torch.randint(len(near), (count, 3))]
    return torch.unique(torch.cat([torch.randint(2, (count, 1)), coords], dim=1), dim=0)


def random_points(n: int, batches: int) -> tuple[Tensor, Tensor]:
    points = torch.randn(n, 3) * torch.tensor([30.0, 30.0, 2.0])  # some outside the volume
    return points, torch.arange(n) % batches


def pairs_of(neighbours: Neighbours, voxels: int) -> set[tuple[int, int, int]]:
    """(kernel position, neighbour, voxel) of every pair, from a convolution of one-hot rows."""
    one_hot = torch.eye(voxels)
    weight = torch.arange(1.0, 28.0)[:, None, None] * one_hot
    out = submanifold_conv(one_hot, weight, neighbours)
    return {(int(out[i, j]) - 1, j, i) for i, j in out.nonzero().tolist() if i != j}


# ---- neighbours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "coords",
    [
        pytest.param(torch.empty(0, 4, dtype=torch.int64), id="empty"),
        pytest.param(torch.tensor([[3, -7, 0, 2**50]]), id="single"),
        pytest.param(torch.tensor([[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 2, 1], [1, 0, 0, 0]]), id="row-ends"),
        pytest.param(some_voxels((2, 4, 5, 6), 0.4), id="dense"),
        pytest.param(some_voxels((2, 4, 5, 6), 1.0), id="full"),
        pytest.param(some_voxels((2, 5, 6, 7), 0.3) - torch.tensor([0, 3, 200, 4]), id="negative"),
        pytest.param(clusters((-(2**18), 0, 2**18)), id="far-apart"),
        pytest.param(clusters((-(2**40), 5, 2**40)), id="keys-overflow"),
        pytest.param(clusters((-(2**62), 2**62)), id="at-the-limits"),
    ],
)
def test_kernel_map_equals_a_loop_over_a_dict(coords):
    row_of = {tuple(c): i for i, c in enumerate(coords.tolist())}
    expected = {
        (k, row_of[neighbour], i)
        for (b, z, y, x), i in row_of.items()
        for k, (dz, dy, dx) in enumerate(OFFSETS)
        if k != 13 and (neighbour := (b, z + dz, y + dy, x + dx)) in row_of
    }
    assert pairs_of(KernelMap.build(coords), len(coords)) == expected


def test_kernel_map_finds_far_pairs_and_no_gaps():
    far = 2**40
    coords = torch.tensor([[0, -far, 0, far], [0, far, -far, 0], [0, far, -far, 2], [0, far, 1 - far, 1]])
    assert pairs_of(KernelMap.build(coords), 4) == {(17, 3, 1), (9, 1, 3), (15, 3, 2), (11, 2, 3)}


# ---- convolution ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c_in", "c_out", "shape", "share"),
    [(1, 1, (3, 5, 6, 7), 0.3), (3, 5, (3, 5, 6, 7), 0.3), (8, 2, (1, 4, 4, 4), 1.0), (2, 3, (2, 20, 30, 40), 0.4)],
)
def test_convolution_equals_dense_forward_and_backward(c_in, c_out, shape, share):
    coords = some_voxels(shape, share)
    feats = torch.randn(len(coords), c_in, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(27, c_in, c_out, dtype=torch.float64, requires_grad=True)
    at = coords.unbind(1)

    grid = feats.new_zeros(*shape, c_in).index_put(at, feats).permute(0, 4, 1, 2, 3)
    dense = F.conv3d(grid, weight.view(3, 3, 3, c_in, c_out).permute(4, 3, 0, 1, 2), padding=1)
    expected = dense.permute(0, 2, 3, 4, 1)[at]
    out = submanifold_conv(feats, weight, KernelMap.build(coords))
    torch.testing.assert_close(out, expected)

    upstream = torch.randn_like(out)
    ours = torch.autograd.grad(out, (feats, weight), upstream)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, (feats, weight), upstream))


def test_convolution_without_voxels_is_empty():
    conv = SubmanifoldConv3d(3, 4)
    feats = torch.empty(0, 3, requires_grad=True)
    out = conv(feats, KernelMap.build(torch.empty(0, 4, dtype=torch.int64)))
    out.sum().backward()
    assert out.shape == (0, 4)
    assert not conv.weight.grad.any()


def test_convolution_of_one_voxel_equals_the_centre_weight():
    feats, weight = torch.randn(1, 3), torch.randn(27, 3, 4)
    out = submanifold_conv(feats, weight, KernelMap.build(torch.tensor([[0, -5, 2**45, 7]])))
    torch.testing.assert_close(out, feats @ weight[13])


# ---- poolings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counted", [True, False])
def test_pooling_equals_the_weighted_mean_with_its_gradient(counted):
    sources, targets = 9, 5
    source = torch.cat([torch.randint(sources, (14,)), torch.arange(sources)]).sort().values
    target = torch.cat([torch.arange(targets), torch.randint(targets, (18,))])[torch.randperm(23)]
    count = torch.randint(1, 6, (23,)) if counted else torch.ones(23, dtype=torch.int64)
    feats = torch.randn(sources, 3, dtype=torch.float64, requires_grad=True)
    pooling = Pooling.build(source, target, count, (sources, targets))

    weights = count.tolist()
    expected = torch.zeros(targets, 3, dtype=torch.float64)
    for t in range(targets):
        entries = [e for e in range(23) if target[e] == t]
        expected[t] = sum(weights[e] * feats[source[e]] for e in entries) / sum(weights[e] for e in entries)
    torch.testing.assert_close(pooling(feats), expected)
    assert gradcheck(pooling, feats)


def test_grouping_means_and_broadcasts_equal_a_loop_with_gradients():
    grouping = Grouping(torch.tensor([1, 0, 1, 1]), 2)
    assert grouping.mean(torch.tensor([[1.0], [5.0], [2.0], [6.0]])).tolist() == [[5.0], [3.0]]
    assert grouping.broadcast(torch.tensor([[7.0], [8.0]])).tolist() == [[8.0], [7.0], [8.0], [8.0]]
    assert grouping.sizes.tolist() == [[1], [3]]
    assert gradcheck(grouping.mean, torch.randn(4, 2, dtype=torch.float64, requires_grad=True))
    assert gradcheck(grouping.broadcast, torch.randn(2, 2, dtype=torch.float64, requires_grad=True))


def test_group_members_equal_a_stable_sort_also_for_empty_groups():
    group = torch.randint(50, (1000,)) * 2
    found, expected = group_members(group, 101), Csr.build(group, torch.arange(1000), None, 101)
    assert torch.equal(found.offsets, expected.offsets)
    assert torch.equal(found.columns, expected.columns)


def test_gather_deterministic_equals_indexing_with_its_gradient():
    feats, index = torch.randn(9, 3, dtype=torch.float64, requires_grad=True), torch.randint(7, (40,))
    found, expected = gather_deterministic(feats, index), feats[index]
    assert torch.equal(found, expected)
    upstream = torch.randn_like(found)
    gradients = [torch.autograd.grad(out, feats, upstream)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_pooling_many_rows_stays_finite_in_half_precision():
    feats = torch.full((40_000, 1), 3.0, dtype=torch.float16)
    assert Grouping(torch.zeros(40_000, dtype=torch.int64), 1).mean(feats).tolist() == [[3.0]]


def large_pooling() -> Pooling:
    """Three groups of 1000 and 2001 rows and of one row, with counts up to 700."""
    group = torch.cat([torch.zeros(1000), torch.ones(2001), torch.full((1,), 2.0)]).long()
    return Pooling.build(torch.arange(3002), group, torch.randint(1, 700, (3002,)), (3002, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["mean", "gradient of the mean", "gradient of the broadcast"])
def test_pooling_of_many_rows_in_16_bits_is_rounded_once(name: str, dtype: torch.dtype):
    """Equal to the float64 result within half a unit in the last place of the 16-bit type."""
    counted = large_pooling()
    plain = Grouping(counted.target, 3)
    rows = (3002, 4) if name == "mean" else (3, 4)
    given = (torch.randn(rows).abs() + 1).to(dtype)

    def compute(values: Tensor) -> Tensor:
        if name == "mean":
            return counted(values)
        if name == "gradient of the mean":
            feats = torch.zeros(3002, 4, dtype=values.dtype, requires_grad=True)
            return torch.autograd.grad(counted(feats), feats, values)[0]
        feats = torch.zeros(3, 4, dtype=values.dtype, requires_grad=True)
        return torch.autograd.grad(plain.broadcast(feats), feats, values[counted.target])[0]

    found, expected = compute(given), compute(given.double())
    assert found.dtype is dtype
    half_unit = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(found.double(), expected, rtol=1.001 * half_unit, atol=torch.finfo(dtype).tiny)


# ---- grids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "cells"), [(1, (1000, 1000, 60)), (8, (125, 125, 8)), (16, (63, 63, 4))])
def test_cell_index_is_rounded_in_float32_in_the_published_order(stride, cells):
    low, high = np.float32(VOLUME)
    edges = low + (high - low) * np.float32(np.random.default_rng(0).integers(0, 1001, (5000, 3)) / 1000)
    numerator = np.float32(cells) * (edges - low)  # cell edges, where another order rounds to another cell
    expected = np.floor(numerator / (high - low)).astype(np.int64)[:, ::-1]
    np.testing.assert_array_equal(PUBLISHED.coords(torch.from_numpy(edges), stride), expected)


def test_corner_equals_the_low_end_of_the_cell():
    corner = PUBLISHED.corners(torch.tensor([[0, 0, 0], [1, 2, 3]]))
    torch.testing.assert_close(corner, torch.tensor([[-50.0, -50.0, -4.0], [-49.7, -49.8, -3.9]]))


def test_coords_of_points_outside_the_volume_lie_outside():
    points = torch.tensor([[-60.05, 0.05, -1.95], [-59.95, 0.05, -1.95], [-49.95, 0.05, -1.95], [70.05, 0.05, 3.05]])
    geometry = build_torch_geometry(points, torch.zeros(4, dtype=torch.int64), PUBLISHED, (1, 2))
    fine = geometry.levels[0]
    assert fine.coords.tolist() == [[0, 20, 500, -101], [0, 20, 500, -100], [0, 20, 500, 0], [0, 70, 500, 1200]]
    assert pairs_of(geometry.neighbours[0], 4) == {(14, 1, 0), (12, 0, 1)}


def test_geometry_levels_are_distinct_ascending_cells():
    points, batch = random_points(500, 3)
    for level in build_torch_geometry(points, batch, SMALL, (1, 2, 4, 8)).levels:
        cells = torch.cat([batch[:, None], SMALL.coords(points, level.stride)], dim=1)
        distinct, inverse = torch.unique(cells, dim=0, return_inverse=True)
        assert torch.equal(level.coords, distinct)
        assert torch.equal(level.point_to_voxel, inverse)
        assert len(level) == len(distinct)


def test_geometry_blocks_group_voxels_with_equal_halved_indices():
    points, batch = random_points(400, 2)
    geometry = build_torch_geometry(points, batch, SMALL, (1, 2))
    level, blocks = geometry.levels[0], geometry.blocks[0]
    assert level.coords.min() < -1  # rounding down matters
    members: dict[tuple[int, ...], list[int]] = {}
    for i, (b, z, y, x) in enumerate(level.coords.tolist()):
        members.setdefault((b, z // 2, y // 2, x // 2), []).append(i)
    feats = torch.randn(len(level), 3, dtype=torch.float64)
    expected = torch.empty_like(feats)
    for rows in members.values():
        expected[rows] = feats[rows].mean(dim=0)
    assert blocks.group_count == len(members)
    torch.testing.assert_close(blocks.mean(feats)[blocks.group], expected)


def test_geometry_pools_are_means_over_points():
    points, batch = random_points(600, 2)
    geometry = build_torch_geometry(points, batch, SMALL, (1, 2, 4, 8))
    for (fine, coarse), pool in zip(itertools.pairwise(geometry.levels), geometry.pools, strict=True):
        feats = torch.randn(len(fine), 3, dtype=torch.float64)
        per_point = feats[fine.point_to_voxel]
        expected = [per_point[coarse.point_to_voxel == voxel].mean(dim=0) for voxel in range(len(coarse))]
        torch.testing.assert_close(pool(feats), torch.stack(expected))


def test_geometry_groups_share_every_coarse_voxel():
    points, batch = random_points(2000, 2)
    geometry = build_torch_geometry(points, batch, SMALL, (1, 2, 4, 8))
    own = torch.stack([level.point_to_voxel for level in geometry.levels[1:]], dim=1)
    voxels = torch.stack([grouping.group for grouping in geometry.group_voxels], dim=1)
    assert torch.equal(voxels[geometry.point_groups.group], own)
    assert len(voxels) == len(torch.unique(own, dim=0)) < len(points)


def test_geometry_of_strides_that_do_not_nest_is_correct():
    # 60 cells in z: at stride 4 cell 1 is [-3.6, -3.2), at stride 8 (8 cells of 0.75 m) a border lies at -3.25.
    points = torch.tensor([[0.0, 0.0, -3.30], [0.0, 0.0, -3.22], [0.0, 0.0, -3.21]])
    geometry = build_torch_geometry(points, torch.zeros(3, dtype=torch.int64), PUBLISHED, (4, 8))
    assert geometry.levels[0].coords[:, 1].tolist() == [1]
    assert geometry.levels[1].coords[:, 1].tolist() == [0, 1]
    assert geometry.pools[0](torch.tensor([[7.0]])).tolist() == [[7.0], [7.0]]
    assert geometry.pools[0].count.tolist() == [1, 2]


def test_geometry_without_points_is_empty():
    geometry = build_torch_geometry(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), SMALL, (1, 2, 4))
    assert [len(level) for level in geometry.levels] == [0, 0, 0]
    assert geometry.pools[0](torch.empty(0, 5)).shape == (0, 5)
    assert len(geometry.point_groups.group) == 0
