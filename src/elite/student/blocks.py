"""Parts of one student stage. V = voxels of its input grid, W = voxels of its output grid, C = channels.

ReLU, leaky ReLU and batch norms are in the order of the published network, on which trained weights depend.
"""

from torch import Tensor, cat, nn

from elite.shapes import Float
from elite.sparse import Grouping, Neighbours, Pooling, SubmanifoldConv3d

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

    def forward(self, x: Float[Tensor, "v c"], neighbours: Neighbours) -> Float[Tensor, "v c"]:
        """Features of the same voxels."""
        y = leaky(self.norm1(self.conv1(x, neighbours)))
        y = self.norm2(self.conv2(y, neighbours))
        return leaky(y + self.shortcut_norm(self.shortcut(x)))


class PointEncoder(nn.Module):
    """Point branch: each voxel's features joined with those of its 2x2x2 block, then the mean per output voxel.

    The published network runs its last two layers per point. All points of an input voxel have the same features, so
    running them per voxel and counting points in the pooling is equivalent. The last Linear is affine and commutes
    with the mean.
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

    def forward(self, feats: Float[Tensor, "v c"], blocks: Grouping, pool: Pooling) -> Float[Tensor, "w c"]:
        """Point features of the output grid; ``blocks`` and ``pool`` of the input grid, as in ``Geometry``."""
        context = blocks.broadcast(self.block(blocks.mean(feats)))
        fused = leaky(self.fuse(cat([leaky(self.own(feats)), context], dim=1)))
        return self.out(pool(fused))


class Stage(nn.Module):
    """From one grid to the next coarser one, by a voxel branch and a point branch in parallel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.voxel = nn.ModuleList(ResidualBlock(channels) for _ in range(2))
        self.point = PointEncoder(channels)

    def forward(
        self, feats: Float[Tensor, "v c"], neighbours: Neighbours, blocks: Grouping, pool: Pooling
    ) -> tuple[Float[Tensor, "v c"], Float[Tensor, "w c"], Float[Tensor, "w c"]]:
        """Return (voxel features for distillation, point features, input of the next stage)."""
        voxel = feats
        for block in self.voxel:
            voxel = block(voxel, neighbours)
        point = self.point(feats + voxel, blocks, pool)
        return voxel, point, point + pool(voxel)
