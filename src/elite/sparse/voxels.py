"""The geometry of a batch: which voxels its points fill at every stride, and how rows of one grid meet the next.

Made once per forward pass and shared by every layer; no features in it.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from elite.sparse.backends import Chosen, Neighbours, neighbours
from elite.sparse.kernel_map import pack
from elite.sparse.scatter import Pooling


@dataclass(frozen=True)
class Grid:
    """The volume (low corner, high corner; m) and its stride-1 cells along x, y, z."""

    volume: tuple[tuple[float, float, float], tuple[float, float, float]]
    cells: tuple[int, int, int]

    def coords(self, points: Float32[Tensor, "n 3"], stride: int) -> Int64[Tensor, "n 3"]:
        """Cell (z, y, x) of each point: floor( (cells (p - low)) / (high - low) ), in float32 and in this order.

        Cells of one stride need not nest in those of the next (a volume of 60 cells has 8 of stride 8), and trained
        weights depend on exactly this rounding. Points outside the volume get indices outside it.
        """
        low, high = points.new_tensor(self.volume)
        cells = points.new_tensor([math.ceil(n / stride) for n in self.cells])
        return torch.floor((cells * (points - low)) / (high - low)).long().flip(1)

    def corners(self, coords: Int64[Tensor, "n 3"]) -> Float32[Tensor, "n 3"]:
        """Low corner (x, y, z; m) of stride-1 cells (z, y, x)."""
        low, high = torch.tensor(self.volume, dtype=torch.float32, device=coords.device)
        size = (high - low) / torch.tensor(self.cells, dtype=torch.float32, device=coords.device)
        return coords.flip(1) * size + low


@dataclass(frozen=True)
class Level:
    """The occupied voxels of one stride, in ascending order of (batch, z, y, x); ``backend`` convolves over them."""

    stride: int
    coords: Int64[Tensor, "v 4"]
    point_to_voxel: Int64[Tensor, "n"]
    backend: Chosen = "torch"

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def kernel_map(self) -> Neighbours:
        return neighbours(self.coords, self.backend)

    @cached_property
    def points(self) -> Pooling:
        """Points to the voxels that hold them."""
        return Pooling.groups(self.point_to_voxel, len(self))

    @cached_property
    def blocks(self) -> Pooling:
        """Voxels to the blocks (batch, coords // 2) that hold them; ``blocks.spread`` leads back."""
        halved = torch.cat([self.coords[:, :1], self.coords[:, 1:] // 2], dim=1)
        values, inverse = torch.unique(pack(halved)[0], return_inverse=True)
        return Pooling.groups(inverse, len(values))


@dataclass(frozen=True)
class Geometry:
    """Levels, and what joins them.

    ``pools[i]`` takes rows of level i to level i + 1: the mean over the *points* of each target voxel (so a source
    voxel counts as often as it has points there).
    Points that share their voxel on every level from 1 on form one *class* and get the same logits:
    ``voxel_classes[i].spread`` takes rows of level i + 1 to the classes, ``class_points.spread`` rows of the classes
    to the points.
    """

    levels: tuple[Level, ...]
    pools: tuple[Pooling, ...]
    class_points: Pooling
    voxel_classes: tuple[Pooling, ...]

    @classmethod
    def build(
        cls,
        points: Float32[Tensor, "n 3"],
        batch_index: Int64[Tensor, "n"],
        grid: Grid,
        strides: tuple[int, ...],
        backend: Chosen = "torch",
    ) -> "Geometry":
        """In plain torch; ``backend`` convolves."""
        levels = tuple(_level(points, batch_index, grid, stride, backend) for stride in strides)
        pools = tuple(_pool(a, b) for a, b in pairwise(levels))
        point_to_class = levels[1].point_to_voxel
        for level in levels[2:]:
            _, point_to_class = torch.unique(point_to_class * len(level) + level.point_to_voxel, return_inverse=True)
        classes = int(point_to_class.max()) + 1 if len(points) else 0
        voxel_classes = tuple(
            Pooling.groups(_of_class(level.point_to_voxel, point_to_class, classes), len(level)) for level in levels[1:]
        )
        return cls(levels, pools, Pooling.groups(point_to_class, classes), voxel_classes)


def _level(points: Tensor, batch_index: Tensor, grid: Grid, stride: int, backend: Chosen) -> Level:
    coords = torch.cat([batch_index[:, None], grid.coords(points, stride)], dim=1)
    values, inverse = torch.unique(pack(coords)[0], return_inverse=True)
    distinct = coords.new_empty(len(values), 4)
    distinct[inverse] = coords  # all points of a voxel write the same row
    return Level(stride, distinct, inverse, backend)


def _pool(fine: Level, coarse: Level) -> Pooling:
    pair = fine.point_to_voxel * len(coarse) + coarse.point_to_voxel
    distinct, count = torch.unique(pair, return_counts=True)
    source = torch.div(distinct, max(1, len(coarse)), rounding_mode="floor")
    return Pooling(source, distinct - source * len(coarse), count, len(fine), len(coarse))


def _of_class(point_to_voxel: Tensor, point_to_class: Tensor, classes: int) -> Tensor:
    voxel = point_to_voxel.new_empty(classes)
    voxel[point_to_class] = point_to_voxel
    return voxel
