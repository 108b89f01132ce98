"""Student in the published style, as a baseline for speed: spconv's convolutions, without our optimisations.

Voxels by ``torch.unique(dim=0)`` at each stride, means by scattered sums, point layers and classifier once per point.
Scattered sums use ``scatter_add_`` with a broadcast index, the fastest way in torch. Gradients are spconv's. Its
backward pass on CPUs requests a CUDA stream that it does not use, so a dummy replaces it.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float, Float32, Int64
from spconv.pytorch import SparseConvTensor, SubMConv3d, ops
from torch import Tensor, nn

from elite.native import library
from elite.sparse import Geometry, Grid, build_geometry
from elite.sparse.spconv_conv import SpconvKernelMap
from elite.student import SPVCNN

if not torch.cuda.is_available():
    ops.get_current_stream = lambda: 0

SLOPE = 0.1


class ScatterMean:
    """Mean of the rows of each group. Rows are counted once."""

    def __init__(self, group: Int64[Tensor, "n"], groups: int) -> None:
        self.group, self.groups = group, groups
        self.count = torch.bincount(group, minlength=groups)[:, None].float()

    def __call__(self, rows: Float[Tensor, "n c"]) -> Float[Tensor, "groups c"]:
        sums = rows.new_zeros(self.groups, rows.shape[1])
        return sums.scatter_add_(0, self.group[:, None].expand_as(rows), rows) / self.count


class Voxels:
    """Occupied cells of one stride: ``coords`` (v, 4) as batch, z, y, x, and the voxel of each point."""

    def __init__(self, points: Tensor, batch_index: Tensor, grid: Grid, stride: int) -> None:
        low, high = (points.new_tensor(corner) for corner in grid.volume)
        cells = [math.ceil(n / stride) for n in grid.cells]
        xyz = torch.floor((points.new_tensor(cells) * (points - low)) / (high - low)).long()
        rows = torch.cat([batch_index[:, None], xyz.flip(1)], dim=1)
        self.coords, self.of_point = torch.unique(rows, return_inverse=True, dim=0)
        self.shape = cells[::-1]
        self.corner = xyz * ((high - low) / points.new_tensor(grid.cells)) + low  # of stride 1, per point
        self.mean = ScatterMean(self.of_point, len(self.coords))


class Block(nn.Module):
    def __init__(self, channels: int, key: str) -> None:
        super().__init__()
        self.conv1 = SubMConv3d(channels, channels, 3, bias=False, indice_key=key)
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv2 = SubMConv3d(channels, channels, 3, bias=False, indice_key=key)
        self.norm2 = nn.BatchNorm1d(channels)
        self.shortcut = SubMConv3d(channels, channels, 1, bias=False)
        self.shortcut_norm = nn.BatchNorm1d(channels)
        self.leaky = nn.LeakyReLU(SLOPE)

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        y = self.conv1(x)
        y = self.conv2(y.replace_feature(self.leaky(self.norm1(y.features))))
        short = self.shortcut_norm(self.shortcut(x).features)
        return y.replace_feature(self.leaky(self.norm2(y.features) + short))


class PointBranch(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        layers: list[nn.Module] = []
        for inner, outer in ((channels, half), (half, half)):
            layers += [nn.Linear(inner, outer), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(outer)]
        self.block = nn.Sequential(*layers, nn.Linear(half, channels), nn.LeakyReLU(SLOPE))
        self.own = nn.Linear(channels, channels)
        self.fuse = nn.Linear(2 * channels, channels)
        self.out = nn.Linear(channels, channels)
        self.leaky = nn.LeakyReLU(SLOPE)

    def forward(self, g: Tensor, fine: Voxels, coarse: Voxels) -> Tensor:
        halved = torch.cat([fine.coords[:, :1], fine.coords[:, 1:] // 2], dim=1)
        blocks, of_voxel = torch.unique(halved, return_inverse=True, dim=0)
        around = self.block(ScatterMean(of_voxel, len(blocks))(g))[of_voxel]
        both = torch.cat([self.leaky(self.own(g)), around], dim=1)
        return coarse.mean(self.out(self.leaky(self.fuse(both[fine.of_point]))))


class ReferenceStage(nn.Module):
    def __init__(self, channels: int, key: str) -> None:
        super().__init__()
        self.voxel = nn.ModuleList(Block(channels, key) for _ in range(2))
        self.point = PointBranch(channels)

    def forward(self, feats: Tensor, fine: Voxels, coarse: Voxels, scans: int) -> tuple[Tensor, Tensor]:
        """Return point features and the input of the next stage."""
        x = SparseConvTensor(feats, fine.coords.int(), fine.shape, scans)
        for block in self.voxel:
            x = block(x)
        point = self.point(feats + x.features, fine, coarse)
        return point, point + coarse.mean(x.features[fine.of_point])


class ReferenceStudent(nn.Module):
    """Logits per point, with the weights of ``student``."""

    def __init__(self, student: SPVCNN) -> None:
        super().__init__()
        channels, strides = student.config.channels, student.config.strides
        self.grid, self.strides = student.grid, strides
        self.hidden, self.out = nn.Linear(10, channels), nn.Linear(channels, channels)
        self.stages = nn.ModuleList(ReferenceStage(channels, f"stride{s}") for s in strides[:-1])
        width = channels * len(self.stages)
        self.classifier = nn.Sequential(
            nn.Linear(width, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, student.config.classes)
        )
        self.load_state_dict({name.removeprefix("point_mlp."): t for name, t in _spconv_weights(student).items()})

    def forward(self, points: Tensor, remission: Tensor, batch_index: Tensor) -> Float[Tensor, "n classes"]:
        levels = [Voxels(points, batch_index, self.grid, stride) for stride in self.strides]
        feats, per_point = self._voxel_features(points, remission, levels[0]), []
        scans = int(batch_index.max()) + 1
        for i, stage in enumerate(self.stages):
            point, feats = stage(feats, levels[i], levels[i + 1], scans)
            per_point.append(point[levels[i + 1].of_point])
        return self.classifier(torch.cat(per_point, dim=1))

    def _voxel_features(self, points: Tensor, remission: Tensor, level: Voxels) -> Tensor:
        to_mean = points - level.mean(points)[level.of_point]
        numbers = torch.cat([points, remission[:, None], to_mean, points - level.corner], dim=1)
        return level.mean(self.out(torch.relu(self.hidden(numbers))))


def _spconv_weights(student: SPVCNN) -> dict[str, Tensor]:
    """Weights in spconv's layout (out, z, y, x, in). A 1x1x1 kernel is used as the (in, out) matrix in its memory."""
    converted = {}
    for name, value in student.state_dict().items():
        if value.ndim == 3:
            value = value.view(3, 3, 3, *value.shape[1:]).permute(4, 0, 1, 2, 3).contiguous()
        elif name.endswith("shortcut.weight"):
            value = value.T.contiguous().view(len(value), 1, 1, 1, -1)
        converted[name] = value.clone()
    return converted


class SpconvAndOurs:
    """spconv's convolutions in our student, with packed keys, shared poolings, point groups and native geometry."""

    def __init__(self, student: SPVCNN) -> None:
        self.student = student

    def __call__(self, points: Float32[Tensor, "n 3"], remission: Float32[Tensor, "n"]) -> Float[Tensor, "n classes"]:
        student, geometry = self.student, self._geometry(points)
        feats, point_feats = student.point_mlp(points, remission, student.grid, geometry.levels[0]), []
        for i, stage in enumerate(student.stages):
            _, point, feats = stage(feats, geometry.neighbours[i], geometry.blocks[i], geometry.pools[i])
            point_feats.append(geometry.group_voxels[i].broadcast(point))
        return geometry.point_groups.broadcast(student.classifier(torch.cat(point_feats, dim=1)))

    def _geometry(self, points: Tensor) -> Geometry:
        batch_index = points.new_zeros(len(points), dtype=torch.int64)
        made_by = "torch" if library() is None else "native"
        geometry = build_geometry(points, batch_index, self.student.grid, self.student.config.strides, made_by)
        return replace(geometry, neighbours=tuple(SpconvKernelMap(level.coords) for level in geometry.levels[:-1]))
