"""Inference of the student by the native kernels: folded batch norms, reused buffers, no gradients.

Logits equal those of :class:`elite.student.SPVCNN` to about 1e-5. Below, C = channels, H = 2C, V and W = voxels of a
stage's input and output grid, K = groups of points.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from elite.errors import ConfigError
from elite.native import (
    Layer,
    NeighbourPairs,
    PackedWeight,
    PointMeanRows,
    PooledRows,
    Workspace,
    fused_chain,
    fused_layer,
    pool,
    row_width,
    supports,
)
from elite.sparse import Geometry, Grouping, Level, Pooling, build_native_geometry, voxel_points
from elite.sparse.native_conv import NativeKernelMap
from elite.student.blocks import SLOPE, PointEncoder, ResidualBlock
from elite.student.folding import FoldedLinear, Scaling
from elite.student.native_layers import relu_of_stage_sums
from elite.student.point_mlp import point_features
from elite.student.spvcnn import SPVCNN
from elite.student.transfer import with_remission_gain

Precision = Literal["fp32", "bf16", "int8"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.uint8}
_INSTRUCTIONS = {"fp32": "AVX2", "bf16": "AVX512-BF16", "int8": "AVX512-VNNI or AVX-VNNI"}


class Engine:
    """Frozen copy of a student in eval mode, for one scan at a time on the CPU; may be called from several threads.

    Args:
        precision: bf16 multiplies bfloat16 numbers and sums in float32.

    Raises:
        ConfigError: bf16 on a processor that does not multiply it, or for a student with unsuitable channels.
    """

    def __init__(self, student: SPVCNN, precision: Precision = "fp32") -> None:
        _require(precision, student.config.channels)
        student = with_remission_gain(student, 1.0)
        self.config, self.grid = student.config, student.grid
        self.dtype = DTYPES[precision]
        with torch.no_grad():
            self.hidden = FoldedLinear.from_linear(student.point_mlp.hidden).pack(torch.float32)
            # Metres and remission in one int8 row would lose too much.
            first = torch.float32 if precision == "int8" else self.dtype
            self.point_out = FoldedLinear.from_linear(student.point_mlp.out).pack(first)
            self.stages = [_FoldedStage(stage, self.dtype) for stage in student.stages]
            self._split_classifier(student.classifier)
        self._idle: list[Workspace] = []

    def _split_classifier(self, classifier: nn.Sequential) -> None:
        """Split the first Linear, over the rows of all stages, into a sum of one Linear per stage, run per voxel."""
        first, last = FoldedLinear.from_linear(classifier[0]), FoldedLinear.from_linear(classifier[2])
        stages = len(self.stages)
        parts = first.weight.chunk(stages, dim=0)
        biases = [first.bias, *[torch.zeros_like(first.bias)] * (stages - 1)]
        self.stage_classifiers = [FoldedLinear(w, b).pack(self.dtype) for w, b in zip(parts, biases, strict=True)]
        self.last = last.pack(torch.float32)

    @torch.inference_mode()
    def __call__(
        self,
        points: Float32[Tensor, "n 3"],
        remission: Float32[Tensor, "n"],
        age: Float32[Tensor, "n"] | None = None,
    ) -> tuple[Float32[Tensor, "k classes"], Int64[Tensor, "n"]]:
        """Return (group logits, group of each point) of one scan.

        ``points`` are in metres, in the sensor frame, inside the student's volume. ``age`` is for a student with past
        scans.
        """
        return self.logits(points, remission, self.prepare(points), age)

    @torch.inference_mode()
    def prepare(self, points: Float32[Tensor, "n 3"]) -> "ScanGeometry":
        """Build the geometry of a scan.

        Valid for one `logits` call, which recycles its buffers.
        """
        try:
            workspace = self._idle.pop()  # a list hands out each to one thread
        except IndexError:
            workspace = Workspace()
        batch_index = workspace.buffer("batch index", len(points)).zero_()
        geometry = build_native_geometry(points, batch_index, self.grid, self.config.strides, workspace)
        assert geometry is not None  # the volume bounds the keys
        return ScanGeometry(geometry, workspace)

    @torch.inference_mode()
    def logits(
        self,
        points: Float32[Tensor, "n 3"],
        remission: Float32[Tensor, "n"],
        prepared: "ScanGeometry",
        age: Float32[Tensor, "n"] | None = None,
    ) -> tuple[Float32[Tensor, "k classes"], Int64[Tensor, "n"]]:
        """Return (group logits, group of each point)."""
        workspace, geometry = prepared.workspace, prepared.geometry
        feats = self._voxel_features(points, remission, age, geometry.levels[0], workspace)  # (V, C)
        voxels = [len(level) for level in geometry.levels[1:]]
        hidden = workspace.buffer("hidden", sum(voxels), 2 * self.config.channels, dtype=torch.float32)  # (sum of W, H)
        for i, stage_hidden in enumerate(hidden.split(voxels)):
            feats = self.stages[i](feats, prepared, i, self.stage_classifiers[i], stage_hidden)  # (W, C)
        sums = relu_of_stage_sums(hidden, geometry.group_voxels)
        logits = torch.empty(len(sums), self.config.classes)
        fused_chain(logits, sums, [self.last])
        point_group = geometry.point_groups.group.clone()
        self._idle.append(workspace)
        return logits, point_group

    def _voxel_features(
        self, points: Tensor, remission: Tensor, age: Tensor | None, level: Level, workspace: Workspace
    ) -> Tensor:
        width = row_width(self.config.channels, self.dtype)
        feats = workspace.buffer("feats", len(level), width, dtype=self.dtype)
        if age is None:
            inside = voxel_points(points, remission, self.grid, level)
            fused_chain(feats, PointMeanRows(inside, self.hidden.weight, self.hidden.bias), [self.point_out])
        else:
            means = self._means_with_age(point_features(points, remission, self.grid, level, age), level, workspace)
            fused_chain(feats, means.to(self.point_out.weight.numbers.dtype), [self.point_out])
        return feats

    def _means_with_age(self, features: Tensor, level: Level, workspace: Workspace) -> Tensor:
        """Mean of the hidden rows of each voxel; the kernel of ``PointMeanRows`` has ten features."""
        rows = workspace.buffer("point rows", len(features), self.config.channels, dtype=torch.float32)
        fused_layer(rows, dense=features, dense_weight=self.hidden.weight, bias=self.hidden.bias, slope=0.0)
        means = workspace.buffer("point means", len(level), self.config.channels, dtype=torch.float32)
        members = level.points_by_voxel.members
        pool(means, PooledRows(rows, members.offsets, members.columns.long(), total=level.points_by_voxel.sizes))
        return means


def _require(precision: Precision, channels: int) -> None:
    """Raises ConfigError if the precision is not available for layers of ``channels`` and of half as many."""
    if not supports(DTYPES[precision]):
        raise ConfigError(
            f"precision {precision}: expected native kernels on a processor with {_INSTRUCTIONS[precision]}, found "
            "others; 'elite env' shows which. Use --precision fp32."
        )
    if precision == "bf16" and channels % 4:
        raise ConfigError(
            f"precision bf16: expected a multiple of 4 channels, found {channels}. Some layers have half as "
            "many, and the kernels multiply pairs of them. Use --precision fp32."
        )


@dataclass(frozen=True)
class ScanGeometry:
    """Geometry of one scan, and the memory that contains it."""

    geometry: Geometry
    workspace: Workspace

    def neighbour_pairs(self, level: int) -> NeighbourPairs:
        """Neighbours on a level."""
        neighbours = self.geometry.neighbours[level]
        assert isinstance(neighbours, NativeKernelMap)  # the volume bounds the keys
        return neighbours.neighbour_pairs


class _FoldedStage:
    def __init__(self, stage: nn.Module, dtype: torch.dtype) -> None:
        self.blocks = [_FoldedBlock(block, dtype) for block in stage.voxel]  # type: ignore[union-attr]
        self.encoder = _FoldedEncoder(stage.point, dtype)  # type: ignore[arg-type]

    def __call__(
        self, feats: Tensor, prepared: ScanGeometry, i: int, stage_classifier: Layer, stage_hidden: Tensor
    ) -> Tensor:
        """Return the input of the next stage (W, C).

        The output of ``stage_classifier`` for the point features is written to ``stage_hidden`` (W, H).
        """
        workspace, geometry = prepared.workspace, prepared.geometry
        pooling, pairs = geometry.pools[i], prepared.neighbour_pairs(i)

        def buffer(name: str, rows: int) -> Tensor:
            return workspace.buffer(name, rows, feats.shape[1], dtype=feats.dtype)

        voxel, stage_sum = feats, buffer("stage_sum", len(feats))
        for number, block in enumerate(self.blocks):
            out = buffer(f"voxel {number}", len(feats))
            is_last = block is self.blocks[-1]
            block(voxel, pairs, out, workspace, **({"plus": feats, "total": stage_sum} if is_last else {}))
            voxel = out
        fused = self.encoder.fused(stage_sum, geometry.blocks[i], workspace)
        pooled, next_feats = buffer("pooled", pooling.targets), buffer("next_feats", pooling.targets)
        pool(pooled, _pooled_rows(voxel, pooling))
        out_layer = replace(self.encoder.out, plus=pooled, total=next_feats)
        fused_chain(stage_hidden, _pooled_rows(fused, pooling), [out_layer, stage_classifier])
        return next_feats


class _FoldedBlock:
    """ResidualBlock in two passes over the neighbours; the second includes the shortcut."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        first, second = Scaling.from_norm(block.norm1), Scaling.from_norm(block.norm2)
        shortcut = Scaling.from_norm(block.shortcut_norm).after(FoldedLinear.from_linear(block.shortcut))
        self.first = PackedWeight.pack((block.conv1.weight * first.scale).float(), dtype)
        self.second = PackedWeight.pack((block.conv2.weight * second.scale).float(), dtype)
        self.shortcut = PackedWeight.pack(shortcut.weight[None].float(), dtype)
        self.first_bias = first.shift.float()
        self.bias = (second.shift + shortcut.bias).float()

    def __call__(self, x: Tensor, pairs: NeighbourPairs, out: Tensor, workspace: Workspace, **total: Tensor) -> None:
        hidden = workspace.buffer("block hidden", *x.shape, dtype=x.dtype)
        fused_layer(hidden, conv=x, conv_weight=self.first, pairs=pairs, bias=self.first_bias, slope=SLOPE)
        fused_layer(
            out,
            conv=hidden,
            conv_weight=self.second,
            pairs=pairs,
            dense=x,
            dense_weight=self.shortcut,
            bias=self.bias,
            slope=SLOPE,
            **total,
        )


class _FoldedEncoder:
    """PointEncoder; the half of ``fuse`` for the block's features runs per block, before they are broadcast."""

    def __init__(self, encoder: PointEncoder, dtype: torch.dtype) -> None:
        down, norm_down, mid, norm_mid, up = (encoder.block[i] for i in (0, 2, 3, 5, 6))
        fuse = FoldedLinear.from_linear(encoder.fuse)
        own_weight, context_weight = fuse.weight.chunk(2, dim=0)
        self.context = [
            FoldedLinear.from_linear(down).pack(dtype, SLOPE),
            Scaling.from_norm(norm_down).before(FoldedLinear.from_linear(mid)).pack(dtype, SLOPE),
            Scaling.from_norm(norm_mid).before(FoldedLinear.from_linear(up)).pack(dtype, SLOPE),
            FoldedLinear(context_weight, torch.zeros_like(fuse.bias)).pack(dtype),
        ]
        self.own = FoldedLinear.from_linear(encoder.own).pack(dtype, SLOPE)
        self.fuse = FoldedLinear(own_weight, fuse.bias).pack(dtype, SLOPE)
        self.out = FoldedLinear.from_linear(encoder.out).pack(dtype)

    def fused(self, feats: Tensor, blocks: Grouping, workspace: Workspace) -> Tensor:
        """Input of ``out`` per voxel (V, C); ``feats`` is the stage's input + the output of its voxel branch."""
        context = workspace.buffer("context", blocks.group_count, feats.shape[1], dtype=feats.dtype)
        means = PooledRows(feats, blocks.members.offsets, blocks.members.columns, total=blocks.sizes)
        fused_chain(context, means, self.context)
        fused = workspace.buffer("fused", *feats.shape, dtype=feats.dtype)
        fused_chain(fused, feats, [self.own, replace(self.fuse, add=context, add_row=blocks.group)])
        return fused


def _pooled_rows(feats: Tensor, pooling: Pooling) -> PooledRows:
    entries = pooling.by_target
    return PooledRows(feats, entries.offsets, entries.columns, entries.weight, pooling.total)
