"""SPVCNN, the published student: 4 stages of 64 channels, 1,933,460 parameters by default."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from elite.batches import StageOutput, StudentOutput
from elite.config import StudentConfig
from elite.errors import ConfigError
from elite.remission import Quantiles
from elite.sensor import SensorSpec, load_sensor
from elite.shapes import Float, Float32, Int64
from elite.sparse import Backend, Geometry, Grid, build_geometry
from elite.student import native_training
from elite.student.blocks import Stage
from elite.student.point_mlp import REMISSION, PointMLP
from elite.student.trained import TrainedStudent
from elite.taxonomy import Taxonomy, default_taxonomy


class SPVCNN(nn.Module):
    """Student of ELiTe, from points to logits per point (the small SPVCNN of 2DPASS).

    Keyword arguments as in :class:`elite.config.StudentConfig`. The attribute ``backend`` (auto, native, torch, spconv)
    may be set at any time. It is not saved with the weights, and changes logits by at most about 1e-5.

    Files contain the ``taxonomy`` of the logits, and the ``sensor`` of the training scans with quantiles of their
    ``remission`` (None = unknown). None of them changes the network. By default they are SemanticKITTI's; classes of
    other counts are numbered.
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
        past_scans: int = 0,
        remission_gain: float = 1.0,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
        remission: Quantiles | None = None,
    ) -> None:
        super().__init__()
        self.config = StudentConfig(channels, strides, volume, cells, classes, past_scans, remission_gain)
        self.taxonomy, self.sensor = taxonomy or default_taxonomy(classes), sensor or load_sensor("hdl-64e")
        self.remission = remission
        if len(self.taxonomy) != classes:
            raise ConfigError(
                f"student.classes: expected {len(self.taxonomy)}, the classes of {self.taxonomy.name} with the ignored "
                f"one, found {classes}. Remove --student.classes."
            )
        self.grid = Grid(self.config.volume, self.config.cells)
        self.point_mlp = PointMLP(channels, has_age=past_scans > 0)
        self.stages = nn.ModuleList(Stage(channels) for _ in strides[1:])
        self.classifier = nn.Sequential(
            nn.Linear(channels * len(self.stages), 2 * channels), nn.ReLU(), nn.Linear(2 * channels, classes)
        )

    @classmethod
    def from_config(
        cls,
        config: StudentConfig,
        taxonomy: Taxonomy | None = None,
        sensor: SensorSpec | None = None,
        remission: Quantiles | None = None,
    ) -> "SPVCNN":
        """Return an untrained student."""
        return cls(**vars(config), taxonomy=taxonomy, sensor=sensor, remission=remission)

    def forward(
        self,
        points: Float32[Tensor, "n 3"],
        remission: Float[Tensor, "n"],
        batch_index: Int64[Tensor, "n"],
        age: Float32[Tensor, "n"] | None = None,
    ) -> StudentOutput:
        """Logits of every point, and the voxel features of each stage.

        Args:
            points: metres, in the sensor frame of their scan (x forward, y left, z up).
            remission: 0 to 1; multiplied by ``config.remission_gain``.
            batch_index: the scan of each point, 0, 1, ...
            age: seconds before the scan, for a student with past scans.
        """
        assert (age is not None) == (self.config.past_scans > 0), "points have an age if there are past scans"
        remission = remission * self.config.remission_gain
        geometry = build_geometry(points, batch_index, self.grid, self.config.strides, self.backend)
        if not native_training.supports(self, points, geometry):
            return self._from_voxels(self.point_mlp(points, remission, self.grid, geometry.levels[0], age), geometry)
        feats = native_training.point_mlp(self.point_mlp, points, remission, self.grid, geometry.levels[0], age)
        if torch.is_autocast_enabled("cpu"):  # the kernels multiply in float32 only
            return self._from_voxels(feats, geometry)
        return native_training.from_voxels(self.stages, self.classifier, feats, geometry)

    def trained(self) -> TrainedStudent:
        """Return a copy of the weights, which contain ``remission_gain``, with their record."""
        weights = {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}
        weights["point_mlp.hidden.weight"][:, REMISSION] *= self.config.remission_gain
        config = replace(self.config, remission_gain=1.0)
        return TrainedStudent(config, weights, self.taxonomy, self.sensor, self.remission)

    def _from_voxels(self, feats: Float[Tensor, "v c"], geometry: Geometry) -> StudentOutput:
        """The network after the point MLP, in plain PyTorch except for the convolutions."""
        outputs, point_feats = [], []
        for i, stage in enumerate(self.stages):
            voxel, point, feats = stage(feats, geometry.neighbours[i], geometry.blocks[i], geometry.pools[i])
            outputs.append(StageOutput(voxel, geometry.levels[i].point_to_voxel))
            point_feats.append(geometry.group_voxels[i].broadcast(point))
        logits = self.classifier(torch.cat(point_feats, dim=1))
        return StudentOutput(geometry.point_groups.broadcast(logits), tuple(outputs))
