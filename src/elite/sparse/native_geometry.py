"""Geometry of a batch by the native kernels: bit-identical to the PyTorch one, several times faster."""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from elite.native import library
from elite.native.ops import VoxelPoints
from elite.native.tensors import call
from elite.shapes import Float, Float32, Int32, Int64
from elite.sparse.backends import Neighbours
from elite.sparse.kernel_map import KernelMap
from elite.sparse.native_conv import NativeKernelMap
from elite.sparse.pooling import Csr, Grouping, Pooling
from elite.sparse.voxels import Geometry, Grid, Level


def build_native_geometry(
    points: Float32[Tensor, "n 3"],
    batch_index: Int64[Tensor, "n"],
    grid: Grid,
    strides: tuple[int, ...],
) -> Geometry | None:
    """Build the geometry; arguments as in :func:`elite.sparse.build_geometry`.

    Returns:
        None without the kernels, or if the points are not on the CPU, not finite, or too far apart for the keys of
        their cells.
    """
    if points.device.type != "cpu" or len(strides) < 2 or library() is None:
        return None
    arrays = _find_voxels(points.contiguous(), batch_index.contiguous(), grid, strides)
    if arrays is None:
        return None
    joins = _find_joins(arrays)
    if joins is None:
        return None
    levels = tuple(arrays.level(i, stride) for i, stride in enumerate(strides))
    fine = levels[:-1]
    return Geometry(
        levels=levels,
        neighbours=tuple(_neighbours(level) for level in fine),
        blocks=_find_blocks(arrays),
        pools=joins.pools,
        point_groups=joins.point_groups,
        group_voxels=joins.group_voxels,
    )


def voxel_points(
    points: Float32[Tensor, "n 3"], remission: Float[Tensor, "n"], grid: Grid, level: Level
) -> VoxelPoints:
    """The points of each voxel as the kernels of the point MLP read them; ``level`` has stride 1."""
    corner, size = grid.low_corner_and_cell_size("cpu")
    members = level.points_by_voxel.members
    return VoxelPoints(
        points=points.contiguous(),
        remission=remission.float().contiguous(),
        order=members.columns.int(),
        offsets=members.offsets,
        coords=level.coords.contiguous(),
        corner=corner,
        size=size,
    )


@dataclass(frozen=True)
class _VoxelArrays:
    """Voxels of all levels, with room for one per point; level i fills coords[i, :voxels[i]] and offsets to match."""

    voxels: list[int]
    counts: Int64[Tensor, "levels"]  # the same as ``voxels``, for the kernels
    coords: Int64[Tensor, "levels n 4"]
    point_to_voxel: Int64[Tensor, "levels n"]
    order: Int32[Tensor, "levels n"]
    offsets: Int64[Tensor, "levels starts"]

    def level(self, i: int, stride: int) -> Level:
        voxels = self.voxels[i]
        members = Csr(self.offsets[i, : voxels + 1], self.order[i])
        return Level(stride, self.coords[i, :voxels], Grouping(self.point_to_voxel[i], voxels, members))


def _find_voxels(points: Tensor, batch_index: Tensor, grid: Grid, strides: tuple[int, ...]) -> _VoxelArrays | None:
    n, levels = len(points), len(strides)
    low, high = torch.tensor(grid.volume, dtype=torch.float32)
    cells = torch.tensor([[ceil(axis / stride) for axis in grid.cells] for stride in strides], dtype=torch.float32)
    counts, coords = _integers(levels), _integers(levels, n, 4)
    point_to_voxel = _integers(levels, n)
    order = torch.empty(levels, n, dtype=torch.int32)
    offsets = _integers(levels, n + 1)
    arrays = (counts, coords, point_to_voxel, order, offsets)
    if not call("elite_levels", points, batch_index, n, low, high, cells, levels, *arrays):
        return None
    return _VoxelArrays(counts.tolist(), *arrays)


def _integers(*shape: int) -> Int64[Tensor, "..."]:
    return torch.empty(shape, dtype=torch.int64)


def _neighbours(level: Level) -> Neighbours:
    return NativeKernelMap.build(level.coords) or KernelMap.build(level.coords)


@dataclass(frozen=True)
class _Joins:
    """The maps between levels, as in ``Geometry``."""

    pools: tuple[Pooling, ...]
    point_groups: Grouping
    group_voxels: tuple[Grouping, ...]


def _find_joins(arrays: _VoxelArrays) -> _Joins | None:
    levels, n = arrays.point_to_voxel.shape
    joined = levels - 1
    pairs = _integers(joined)
    source, target, count = (_integers(joined, n) for _ in range(3))
    target_offsets = _integers(joined, n + 1)
    columns, weights = _integers(joined, n), _integers(joined, n)
    groups, point_to_group = _integers(1), _integers(n)
    group_to_voxel = _integers(joined, n)
    inputs = (arrays.counts, arrays.point_to_voxel, arrays.order, arrays.offsets)
    by_target = (target_offsets, columns, weights)
    outputs = (pairs, source, target, count, *by_target, groups, point_to_group, group_to_voxel)
    if not call("elite_joins", n, levels, *inputs, *outputs):
        return None

    pools = []
    for i, used in enumerate(pairs.tolist()):
        fine, coarse = arrays.voxels[i : i + 2]
        sorted_entries = Csr(target_offsets[i, : coarse + 1], columns[i, :used], weights[i, :used])
        total = arrays.offsets[i + 1, : coarse + 1].diff()[:, None]  # a pool counts points
        pools.append(Pooling(source[i, :used], target[i, :used], count[i, :used], total, sorted_entries, fine))
    found = int(groups)
    group_voxels = (Grouping(group_to_voxel[i, :found], arrays.voxels[i + 1]) for i in range(joined))
    return _Joins(tuple(pools), Grouping(point_to_group, found), tuple(group_voxels))


def _find_blocks(arrays: _VoxelArrays) -> tuple[Grouping, ...]:
    levels, n = arrays.point_to_voxel.shape
    fine = levels - 1
    counts, voxel_to_block = _integers(fine), _integers(fine, n)
    order, offsets = _integers(fine, n), _integers(fine, n + 1)
    completed = call("elite_blocks", n, fine, arrays.counts, arrays.coords, counts, voxel_to_block, order, offsets)
    assert completed  # the keys of the voxels have fitted, and those of the blocks are shorter
    return tuple(
        Grouping(voxel_to_block[i, :voxels], blocks, Csr(offsets[i, : blocks + 1], order[i, :voxels]))
        for i, (voxels, blocks) in enumerate(zip(arrays.voxels[:-1], counts.tolist(), strict=True))
    )
