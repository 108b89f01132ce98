"""From points to the features of stride-1 voxels."""

import torch
from torch import Tensor, nn

from elite.shapes import Float, Float32
from elite.sparse import Grid, Level

POINT_FEATURES = 10
REMISSION = 3  # its place among the features


class PointMLP(nn.Module):
    """Ten input features per point -> one row per stride-1 voxel.

    The features: x, y, z, remission, offset to the mean of the voxel's points, offset to the voxel's low corner (the
    published code calls it the centre). With past scans, the age of the point (s) is the eleventh. The mean is taken
    before the last Linear, which commutes with it.

    Autocast is disabled here: at 50 m bfloat16 has steps of 0.25 m, more than a voxel.
    """

    def __init__(self, channels: int, *, has_age: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Linear(POINT_FEATURES + has_age, channels)
        self.out = nn.Linear(channels, channels)

    def forward(
        self,
        points: Float32[Tensor, "n 3"],
        remission: Float[Tensor, "n"],
        grid: Grid,
        level: Level,
        age: Float32[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "v c"]:
        """Mean features of each voxel of ``level`` (stride 1), from points in metres in the sensor frame."""
        with torch.autocast(points.device.type, enabled=False):
            features = point_features(points, remission, grid, level, age)
            return self.out(level.points_by_voxel.mean(torch.relu(self.hidden(features))))


def point_features(
    points: Float32[Tensor, "n 3"],
    remission: Float[Tensor, "n"],
    grid: Grid,
    level: Level,
    age: Float32[Tensor, "n"] | None = None,
) -> Float[Tensor, "n features"]:
    """Input features of each point, as in ``PointMLP``."""
    to_mean = points - level.points_by_voxel.mean(points)[level.point_to_voxel]
    to_corner = points - grid.corners(level.coords[:, 1:])[level.point_to_voxel]
    ages = [] if age is None else [age[:, None]]
    return torch.cat([points, remission[:, None], to_mean, to_corner, *ages], dim=1)
