"""Geometry of a batch in plain PyTorch, on any device: the reference of the native one."""

from itertools import pairwise

import torch
from torch import Tensor

from elite.shapes import Float32, Int64
from elite.sparse.backends import ResolvedBackend, find_neighbours
from elite.sparse.kernel_map import voxel_keys
from elite.sparse.pooling import Csr, Grouping, Pooling
from elite.sparse.voxels import Geometry, Grid, Level


def build_torch_geometry(
    points: Float32[Tensor, "n 3"],
    batch_index: Int64[Tensor, "n"],
    grid: Grid,
    strides: tuple[int, ...],
    backend: ResolvedBackend = "torch",
) -> Geometry:
    """Build the geometry; arguments as in :func:`elite.sparse.build_geometry`, ``backend`` of the neighbours."""
    finest, *coarser = (_level(points, batch_index, grid, stride) for stride in strides)
    levels = (Level(finest.stride, finest.coords, _sorted(finest.points_by_voxel)), *coarser)
    fine = levels[:-1]
    point_to_group = coarser[0].point_to_voxel
    for level in coarser[1:]:
        _, point_to_group = torch.unique(point_to_group * len(level) + level.point_to_voxel, return_inverse=True)
    groups = int(point_to_group.max()) + 1 if len(points) else 0
    return Geometry(
        levels=levels,
        neighbours=tuple(find_neighbours(level.coords, backend) for level in fine),
        blocks=tuple(_blocks(level.coords) for level in fine),
        pools=tuple(_pool(a, b) for a, b in pairwise(levels)),
        point_groups=Grouping(point_to_group, groups),
        group_voxels=tuple(
            Grouping(_group_voxel(level.point_to_voxel, point_to_group, groups), len(level)) for level in coarser
        ),
    )


def _level(points: Tensor, batch_index: Tensor, grid: Grid, stride: int) -> Level:
    coords = torch.cat([batch_index[:, None], grid.coords(points, stride)], dim=1)
    values, inverse = torch.unique(voxel_keys(coords)[0], return_inverse=True)
    distinct = coords.new_empty(len(values), 4)
    distinct[inverse] = coords  # all points of a voxel write the same row
    return Level(stride, distinct, Grouping(inverse, len(values)))


def _blocks(coords: Int64[Tensor, "v 4"]) -> Grouping:
    halved = torch.cat([coords[:, :1], coords[:, 1:] // 2], dim=1)
    values, inverse = torch.unique(voxel_keys(halved)[0], return_inverse=True)
    return _sorted(Grouping(inverse, len(values)))


def _sorted(grouping: Grouping) -> Grouping:
    """With its members, which every forward pass needs."""
    rows = torch.arange(len(grouping.group), device=grouping.group.device)
    return Grouping(grouping.group, grouping.group_count, Csr.build(grouping.group, rows, None, grouping.group_count))


def _pool(fine: Level, coarse: Level) -> Pooling:
    pair = fine.point_to_voxel * len(coarse) + coarse.point_to_voxel
    distinct, count = torch.unique(pair, return_counts=True)
    source = torch.div(distinct, max(1, len(coarse)), rounding_mode="floor")
    return Pooling.build(source, distinct - source * len(coarse), count, (len(fine), len(coarse)))


def _group_voxel(point_to_voxel: Tensor, point_to_group: Tensor, groups: int) -> Tensor:
    """The voxel of each group, which all its points share."""
    voxel = point_to_voxel.new_empty(groups)
    voxel[point_to_group] = point_to_voxel
    return voxel
