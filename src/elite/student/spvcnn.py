"""SPVCNN, the published student: 4 stages of 64 channels, 1,933,460 parameters at the defaults."""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from elite.config import StudentConfig
from elite.sparse import Backend, Geometry, Grid, Level, build_geometry
from elite.sparse.native_geometry import voxel_points
from elite.student import native_training
from elite.student.blocks import Stage
from elite.types import StageOutput, StudentOutput

POINT_FEATURES = 10


class SPVCNN(nn.Module):
    """Points in, logits per point out (ELiTe's student; the small SPVCNN of 2DPASS).

    Keyword arguments as in :class:`elite.config.StudentConfig`. ``backend`` (auto, native, torch, spconv) may be set at
    any time; it is no part of what is saved, and the answers are the same.
    """

    backend: Backend = "auto"

    def __init__(
        self,
        *,
        channels: int = 64,
        strides: tuple[int, ...] = (1, 2, 4, 8, 16),
        volume: tuple[tuple[float, float, float], tuple[float, float, float]] = StudentConfig.volume,
        cells: tuple[int, int, int] = (1000, 1000, 60),
        classes: int = 20,
    ) -> None:
        super().__init__()
        self.config = StudentConfig(channels=channels, strides=strides, volume=volume, cells=cells, classes=classes)
        self.grid = Grid(self.config.volume, self.config.cells)
        self.point_mlp = PointMLP(channels)
        self.stages = nn.ModuleList(Stage(channels) for _ in strides[1:])
        self.classifier = nn.Sequential(
            nn.Linear(channels * len(self.stages), 2 * channels), nn.ReLU(), nn.Linear(2 * channels, classes)
        )

    @classmethod
    def from_config(cls, config: StudentConfig) -> "SPVCNN":
        return cls(**vars(config))

    def forward(
        self, points: Float32[Tensor, "n 3"], remission: Float[Tensor, "n"], batch_index: Int64[Tensor, "n"]
    ) -> StudentOutput:
        """``points`` in metres in the sensor frame; ``batch_index`` numbers the scans 0, 1, ..."""
        geometry = build_geometry(points, batch_index, self.grid, self.config.strides, self.backend)
        feats = self.point_mlp(points, remission, self.grid, geometry.levels[0])
        stages, per_stage = [], []
        for i, stage in enumerate(self.stages):
            level = geometry.levels[i]
            voxel, point, feats = stage(feats, level, geometry.pools[i])
            stages.append(StageOutput(voxel, level.point_to_voxel))
            per_stage.append(point)
        logits = self._classify(per_stage, geometry)
        return StudentOutput(geometry.class_points.spread(logits), tuple(stages))

    def _classify(self, per_stage: list[Tensor], geometry: Geometry) -> Float[Tensor, "k classes"]:
        """Logits of every class of points, from the point features of every stage."""
        classes = geometry.voxel_classes
        if native_training.serves(self.classifier, geometry.levels[0].kernel_map, len(geometry.levels[0])):
            return native_training.classify(self.classifier, per_stage, classes)
        per_class = [pooling.spread(point) for pooling, point in zip(classes, per_stage, strict=True)]
        return self.classifier(torch.cat(per_class, dim=1))


class PointMLP(nn.Module):
    """Ten numbers per point -> one row per stride-1 voxel.

    The ten: x y z remission, offset to the mean of the voxel's points, offset to the voxel's low corner (the
    published code calls it the centre). The mean is taken before the last Linear, which commutes with it.

    Autocast is off: at 50 m bfloat16 has steps of 0.25 m, more than a voxel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(POINT_FEATURES, channels)
        self.out = nn.Linear(channels, channels)

    def forward(
        self, points: Float32[Tensor, "n 3"], remission: Float[Tensor, "n"], grid: Grid, level: Level
    ) -> Float[Tensor, "v c"]:
        with torch.autocast(points.device.type, enabled=False):
            return self._full_precision(points, remission, grid, level)

    def _full_precision(self, points: Tensor, remission: Tensor, grid: Grid, level: Level) -> Tensor:
        if native_training.serves(self, level.kernel_map, len(level)) and not points.requires_grad:
            means = native_training.voxel_means(self.hidden, voxel_points(points, remission, grid, level))
            return native_training.affine(means, self.out.weight, self.out.bias)
        mean = level.points
        to_mean = points - mean(points)[level.point_to_voxel]
        to_corner = points - grid.corners(level.coords[:, 1:])[level.point_to_voxel]
        numbers = torch.cat([points, remission[:, None], to_mean, to_corner], dim=1)
        return self.out(mean(torch.relu(self.hidden(numbers))))
