"""Records of a batch's geometry: occupied voxels at every stride, and how rows of one grid map to the next.

Built once per forward pass and shared by all layers. They contain no features.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elite.shapes import Float32, Int64
from elite.sparse.backends import Neighbours
from elite.sparse.pooling import Grouping, Pooling


@dataclass(frozen=True)
class Grid:
    """The volume (low corner, high corner; m, sensor frame) and its number of stride-1 cells along x, y, z."""

    volume: tuple[tuple[float, float, float], tuple[float, float, float]]
    cells: tuple[int, int, int]

    def coords(self, points: Float32[Tensor, "n 3"], stride: int) -> Int64[Tensor, "n 3"]:
        """Cell (z, y, x) of each point (m): floor( (cells (p - low)) / (high - low) ), in float32 and in this order.

        Cells of one stride need not nest in those of the next (a volume of 60 cells has 8 of stride 8), and trained
        weights depend on exactly this rounding. Points outside the volume get indices outside it.
        """
        low, high = points.new_tensor(self.volume)
        cells = points.new_tensor([math.ceil(n / stride) for n in self.cells])
        return torch.floor((cells * (points - low)) / (high - low)).long().flip(1)

    def corners(self, coords: Int64[Tensor, "n 3"]) -> Float32[Tensor, "n 3"]:
        """Low corner (x, y, z; m) of stride-1 cells (z, y, x)."""
        low, size = self.low_corner_and_cell_size(coords.device)
        return coords.flip(1) * size + low

    def low_corner_and_cell_size(self, device: torch.device | str) -> tuple[Float32[Tensor, "3"], Float32[Tensor, "3"]]:
        """Low corner of the volume, and size of a stride-1 cell (x, y, z; m)."""
        low, high = torch.tensor(self.volume, dtype=torch.float32, device=device)
        return low, (high - low) / torch.tensor(self.cells, dtype=torch.float32, device=device)


@dataclass(frozen=True)
class Level:
    """Occupied voxels of one stride, in ascending order of (batch, z, y, x), and the points in each."""

    stride: int
    coords: Int64[Tensor, "v 4"]
    points_by_voxel: Grouping

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def point_to_voxel(self) -> Int64[Tensor, "n"]:
        """The voxel of each point."""
        return self.points_by_voxel.group


@dataclass(frozen=True)
class Geometry:
    """Levels of a batch and the maps between their rows.

    Points that share their voxel on every level from 1 on form one *group* and get the same logits.

    Attributes:
        levels: one per stride, L + 1 in all.
        neighbours: neighbouring voxels of levels 0 .. L - 1, for the convolutions.
        blocks: voxels of levels 0 .. L - 1 by their 2x2x2 block (batch, coords // 2).
        pools: rows of level i to rows of level i + 1: the mean over the *points* of each target voxel, in which a
            source voxel counts as often as it has points there.
        point_groups: points by their group.
        group_voxels: groups by their voxel on level i + 1.
    """

    levels: tuple[Level, ...]
    neighbours: tuple[Neighbours, ...]
    blocks: tuple[Grouping, ...]
    pools: tuple[Pooling, ...]
    point_groups: Grouping
    group_voxels: tuple[Grouping, ...]
