"""The records of ``Geometry.build``, made by the native library: equal to the last bit, several times faster."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from elite.native.library import call, library
from elite.native.ops import NeighbourPairs, VoxelPoints
from elite.native.workspace import Workspace
from elite.sparse.kernel_map import CENTRE
from elite.sparse.scatter import Csr, Pooling
from elite.sparse.voxels import Geometry, Grid, Level


@dataclass(frozen=True)
class Members:
    """The points of each voxel, ascending; as in ``VoxelPoints``."""

    order: Int32[Tensor, "n"]
    offsets: Int64[Tensor, "starts"]


def build(
    points: Float32[Tensor, "n 3"],
    batch_index: Int64[Tensor, "n"],
    grid: Grid,
    strides: tuple[int, ...],
    space: Workspace | None = None,
) -> Geometry | None:
    """As ``Geometry.build``; None where torch must serve.

    That is: there is no library, the points are not on the CPU, one of them is no number, or they lie so far apart that
    the keys of their cells do not fit. What costs torch a sort later on is here already: the blocks of every level but
    the last, and ``by_target`` and ``total`` of the pools and blocks. With ``space`` it lives there, else in memory of
    its own.
    """
    if points.device.type != "cpu" or len(strides) < 2 or library() is None:
        return None
    space = space or Workspace()
    arrays = _levels(points.contiguous(), batch_index.contiguous(), grid, strides, space)
    if arrays is None:
        return None
    rows = torch.arange(len(points))  # every grouping of rows begins with some of these
    joins = _joins(arrays, rows, space)
    if joins is None:
        return None
    return Geometry(_with_blocks(arrays, strides, rows, space), *joins)


def members(level: Level) -> Members:
    """The points of each voxel of a level; at no cost if :func:`build` made it."""
    if "_members" not in level.__dict__:
        grouped = Csr.build(level.point_to_voxel, torch.arange(len(level.point_to_voxel)), None, len(level))
        level.__dict__["_members"] = Members(grouped.columns.int(), grouped.offsets)
    return level.__dict__["_members"]  # type: ignore[no-any-return]


def voxel_points(
    points: Float32[Tensor, "n 3"], remission: Float[Tensor, "n"], grid: Grid, level: Level
) -> VoxelPoints:
    """What the kernels of the point MLP read, for the stride-1 level of a batch."""
    low, high = torch.tensor(grid.volume, dtype=torch.float32)
    size = (high - low) / torch.tensor(grid.cells, dtype=torch.float32)
    inside = members(level)
    given = points.contiguous(), remission.float().contiguous()
    return VoxelPoints(*given, inside.order, inside.offsets, level.coords.contiguous(), low, size)


def neighbour_pairs(
    coords: Int64[Tensor, "v 4"], space: Workspace | None = None, name: str = ""
) -> NeighbourPairs | None:
    """The pairs that ``kernel_map(coords)`` tells, each once; None where torch must serve, as in :func:`build`.

    In ``space`` they keep to the buffers of this ``name``.
    """
    if coords.device.type != "cpu" or library() is None:
        return None
    space = space or Workspace()
    first, second = space(f"neighbours {name}", 2, CENTRE, len(coords), dtype=torch.int32)
    count = space(f"neighbour counts {name}", CENTRE)
    served = call("elite_neighbours", coords.contiguous(), len(coords), first, second, count)
    return NeighbourPairs(first, second, count) if served else None


class _Groups(Pooling):
    """Of rows, each with its group; who wants their members in training gets them without a sort."""

    @cached_property
    def by_target(self) -> Csr:
        order, offsets = torch.empty_like(self.target), self.target.new_empty(self.targets + 1)
        served = call("elite_group", self.target.contiguous(), len(self.target), self.targets, order, offsets)
        assert served
        return Csr(offsets, order, None)


@dataclass(frozen=True)
class _Arrays:
    """All levels, with room for as many voxels as points; level i fills coords[i, :voxels[i]] and offsets to match."""

    voxels: list[int]
    counts: Int64[Tensor, "levels"]  # voxels once more, for the library
    coords: Int64[Tensor, "levels n 4"]
    point_to_voxel: Int64[Tensor, "levels n"]
    order: Int32[Tensor, "levels n"]
    offsets: Int64[Tensor, "levels starts"]


def _levels(
    points: Tensor, batch_index: Tensor, grid: Grid, strides: tuple[int, ...], space: Workspace
) -> _Arrays | None:
    n, levels = len(points), len(strides)
    low, high = torch.tensor(grid.volume, dtype=torch.float32)
    cells = torch.tensor([[ceil(axis / stride) for axis in grid.cells] for stride in strides], dtype=torch.float32)
    counts, coords = space("voxels", levels), space("coords", levels, n, 4)
    point_to_voxel = space("point to voxel", levels, n)
    order, offsets = space("members", levels, n, dtype=torch.int32), space("member offsets", levels, n + 1)
    arrays = (counts, coords, point_to_voxel, order, offsets)
    if not call("elite_levels", points, batch_index, n, low, high, cells, levels, *arrays):
        return None
    return _Arrays(counts.tolist(), *arrays)


def _joins(
    arrays: _Arrays, rows: Tensor, space: Workspace
) -> tuple[tuple[Pooling, ...], Pooling, tuple[Pooling, ...]] | None:
    """(pools, points to classes, voxels to classes)."""
    levels, n = arrays.point_to_voxel.shape
    joined = levels - 1
    pairs, pool_arrays = space("pairs", joined), [space(part, joined, n) for part in ("source", "target", "count")]
    target_offsets = space("by target", joined, n + 1)
    columns, weights = space("columns", joined, n), space("weights", joined, n)
    classes, point_to_class = space("classes", 1), space("point to class", n)
    class_to_voxel = space("class to voxel", joined, n)
    given = (arrays.counts, arrays.point_to_voxel, arrays.order, arrays.offsets)
    made = (pairs, *pool_arrays, target_offsets, columns, weights, classes, point_to_class, class_to_voxel)
    if not call("elite_joins", n, levels, *given, *made):
        return None

    pools = []
    for i, used in enumerate(pairs.tolist()):
        fine, coarse = arrays.voxels[i : i + 2]
        by_target = Csr(target_offsets[i, : coarse + 1], columns[i, :used], weights[i, :used])
        source, target, count = (array[i, :used] for array in pool_arrays)
        pool = Pooling(source, target, count, fine, coarse)
        # A pool counts points, so its totals are those of the coarse voxels.
        pools.append(_filled(pool, by_target, arrays.offsets[i + 1, : coarse + 1]))
    found = int(classes)
    voxel_classes = (
        _Groups(rows[:found], class_to_voxel[i, :found], None, found, arrays.voxels[i + 1]) for i in range(joined)
    )
    return tuple(pools), _Groups(rows, point_to_class, None, n, found), tuple(voxel_classes)


def _with_blocks(arrays: _Arrays, strides: tuple[int, ...], rows: Tensor, space: Workspace) -> tuple[Level, ...]:
    levels, n = len(strides), len(rows)
    some = levels - 1
    counts, voxel_to_block = space("blocks", some), space("voxel to block", some, n)
    order, offsets = space("voxels of block", some, n), space("block offsets", some, n + 1)
    served = call("elite_blocks", n, some, arrays.counts, arrays.coords, counts, voxel_to_block, order, offsets)
    assert served  # half of what has fitted already
    made = []
    for i, (stride, voxels) in enumerate(zip(strides, arrays.voxels, strict=True)):
        level = Level(stride, arrays.coords[i, :voxels], arrays.point_to_voxel[i], "native")
        level.__dict__["_members"] = Members(arrays.order[i], arrays.offsets[i, : voxels + 1])
        level.__dict__["points"] = _Groups(rows, arrays.point_to_voxel[i], None, len(rows), voxels)
        made.append(level)
    for i, blocks in enumerate(counts.tolist()):
        voxels, starts = arrays.voxels[i], offsets[i, : blocks + 1]
        pooling = Pooling(rows[:voxels], voxel_to_block[i, :voxels], None, voxels, blocks)
        made[i].__dict__["blocks"] = _filled(pooling, Csr(starts, order[i, :voxels], None), starts)
    return tuple(made)


def _filled(pooling: Pooling, by_target: Csr, total_offsets: Tensor) -> Pooling:
    """With what its cached properties would compute: they keep it in ``__dict__``, where a frozen record may get it."""
    pooling.__dict__.update(by_target=by_target, total=total_offsets.diff()[:, None])
    return pooling
