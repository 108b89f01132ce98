"""The parts of one student stage. V = voxels of its input grid, W = voxels of its output grid, C = channels.

ReLU and leaky ReLU stand where the published network has them, batch norms too: their order is part of the weights.
"""

from jaxtyping import Float
from torch import Tensor, cat, nn

from elite.sparse import Level, Neighbours, Pooling, SubmanifoldConv3d
from elite.student import native_training

SLOPE = 0.1


def leaky(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, SLOPE)


class ResidualBlock(nn.Module):
    """leaky( norm(conv(leaky(norm(conv(x))))) + norm(linear(x)) ) on one grid; a 1x1x1 convolution is a Linear."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = SubmanifoldConv3d(channels, channels)
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv2 = SubmanifoldConv3d(channels, channels)
        self.norm2 = nn.BatchNorm1d(channels)
        self.shortcut = nn.Linear(channels, channels, bias=False)
        self.shortcut_norm = nn.BatchNorm1d(channels)

    def forward(self, x: Float[Tensor, "v c"], kernel: Neighbours) -> Float[Tensor, "v c"]:
        if native_training.serves(self, kernel, len(x)):
            return native_training.residual_block(self, x, kernel, SLOPE)
        y = leaky(self.norm1(self.conv1(x, kernel)))
        y = self.norm2(self.conv2(y, kernel))
        return leaky(y + self.shortcut_norm(self.shortcut(x)))


class PointEncoder(nn.Module):
    """The point branch: a row's own features beside those of its 2x2x2 block, then the mean per output voxel.

    The published network runs its last two layers per point. All points of an input voxel carry the same
    row, so running them per voxel and counting points in the pooling is the same; and the last
    Linear, being affine, commutes with the mean.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.own = nn.Linear(channels, channels)
        self.block = nn.Sequential(
            nn.Linear(channels, half),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(half),
            nn.Linear(half, half),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(half),
            nn.Linear(half, channels),
            nn.LeakyReLU(SLOPE),
        )
        self.fuse = nn.Linear(2 * channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, g: Float[Tensor, "v c"], level: Level, pool: Pooling) -> Float[Tensor, "w c"]:
        blocks = level.blocks
        if native_training.serves(self, level.kernel_map, blocks.targets):
            return native_training.point_encoder(self, g, blocks, pool, SLOPE)
        around = blocks.spread(self.block(blocks(g)))
        fused = leaky(self.fuse(cat([leaky(self.own(g)), around], dim=1)))
        return self.out(pool(fused))


class Stage(nn.Module):
    """From one grid to the next coarser one, voxel branch and point branch side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.voxel = nn.ModuleList(ResidualBlock(channels) for _ in range(2))
        self.point = PointEncoder(channels)

    def forward(
        self, feats: Float[Tensor, "v c"], level: Level, pool: Pooling
    ) -> tuple[Float[Tensor, "v c"], Float[Tensor, "w c"], Float[Tensor, "w c"]]:
        """Returns (voxel features for distillation, point features, input of the next stage)."""
        voxel = feats
        for block in self.voxel:
            voxel = block(voxel, level.kernel_map)
        point = self.point(feats + voxel, level, pool)
        return voxel, point, point + pool(voxel)
