"""The student's inference by the native kernels: batch norms folded away, buffers kept, nothing kept for gradients.

The plain formulation is :class:`elite.student.SPVCNN`; this gives its logits to about 1e-5. Below, C = channels,
H = 2C, V and W = voxels of a stage's input and output grid, K = classes of points.
"""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from elite.errors import ConfigError
from elite.native import Layer, NeighbourPairs, Packed, PointMean, Pooled, Workspace, chain, has_bf16, pool, rows
from elite.sparse import Geometry, Level, Pooling
from elite.sparse.native_geometry import build, neighbour_pairs, voxel_points
from elite.student.blocks import SLOPE, PointEncoder, ResidualBlock
from elite.student.spvcnn import SPVCNN

Precision = Literal["fp32", "bf16"]


class Engine:
    """A frozen copy of a student in eval mode, for one scan at a time on the CPU; may be called from several threads.

    Raises:
        ConfigError: bf16 on a processor that does not multiply it, or for a student whose channels do not fit.
    """

    def __init__(self, student: SPVCNN, precision: Precision = "fp32") -> None:
        if precision == "bf16" and not has_bf16():
            raise ConfigError(
                "this processor does not multiply bfloat16 (AVX512-BF16), or elite has no native kernels "
                "here ('elite env' tells); use --precision fp32."
            )
        if precision == "bf16" and student.config.channels % 4:
            raise ConfigError(
                f"bf16 multiplies channels in twos, and some layers have half of them: {student.config.channels} is no "
                "multiple of 4; use --precision fp32."
            )
        self.config, self.grid = student.config, student.grid
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        with torch.no_grad():
            self.hidden = Affine.of(student.point_mlp.hidden).packed(torch.float32)
            self.point_out = Affine.of(student.point_mlp.out).packed(self.dtype)
            self.stages = [_Stage(stage, self.dtype) for stage in student.stages]
            self._split_classifier(student.classifier)
        self._idle: list[Workspace] = []

    def _split_classifier(self, classifier: nn.Sequential) -> None:
        """The first Linear of all stages' rows side by side is a sum of one Linear per stage, made per voxel."""
        first, last = Affine.of(classifier[0]), Affine.of(classifier[2])
        stages = len(self.stages)
        parts = first.weight.chunk(stages, dim=0)
        biases = [first.bias, *[torch.zeros_like(first.bias)] * (stages - 1)]
        self.of_stage = [Affine(w, b).packed(self.dtype) for w, b in zip(parts, biases, strict=True)]
        self.last = last.packed(torch.float32)

    @torch.inference_mode()
    def __call__(
        self, points: Float32[Tensor, "n 3"], remission: Float32[Tensor, "n"]
    ) -> tuple[Float32[Tensor, "k classes"], Int64[Tensor, "n"]]:
        """(logits of every class of points, class of every point) of one scan inside the volume."""
        return self.logits(points, remission, self.prepare(points))

    @torch.inference_mode()
    def prepare(self, points: Float32[Tensor, "n 3"]) -> "Prepared":
        """The scan's geometry; to be given to :meth:`logits`, once."""
        try:
            space = self._idle.pop()  # a list gives each to one thread
        except IndexError:
            space = Workspace()
        scan = space("scan", len(points)).zero_()
        geometry = build(points, scan, self.grid, self.config.strides, space)
        assert geometry is not None  # the volume bounds the keys
        coords = [level.coords for level in geometry.levels[:-1]]
        pairs = [neighbour_pairs(c, space, f"of level {i}") for i, c in enumerate(coords)]
        return Prepared(space, geometry, pairs)

    @torch.inference_mode()
    def logits(
        self, points: Float32[Tensor, "n 3"], remission: Float32[Tensor, "n"], prepared: "Prepared"
    ) -> tuple[Float32[Tensor, "k classes"], Int64[Tensor, "n"]]:
        """As a call."""
        space, geometry = prepared.space, prepared.geometry
        feats = self._voxels(points, remission, geometry.levels[0], space)  # (V, C)
        starts = [0, *accumulate(len(level) for level in geometry.levels[1:])]
        hidden = space("hidden", starts[-1], 2 * feats.shape[1], dtype=torch.float32)  # (sum of W, H)
        for i, stage in enumerate(self.stages):
            feats = stage(feats, prepared, i, self.of_stage[i], hidden[starts[i] : starts[i + 1]])  # (W, C)
        voxels = [v.target + start for v, start in zip(geometry.voxel_classes, starts, strict=False)]
        columns = torch.stack(voxels, dim=1)  # (K, stages)
        ends = torch.arange(0, columns.numel() + 1, columns.shape[1])
        logits = torch.empty(len(columns), self.config.classes)
        chain(logits, Pooled(hidden, ends, columns.view(-1), slope=0.0), [self.last])
        point_class = geometry.class_points.target.clone()
        self._idle.append(space)
        return logits, point_class

    def _voxels(self, points: Tensor, remission: Tensor, level: Level, space: Workspace) -> Tensor:
        means = PointMean(voxel_points(points, remission, self.grid, level), self.hidden.weight, self.hidden.bias)
        feats = space("feats", len(level), self.config.channels, dtype=self.dtype)
        chain(feats, means, [self.point_out])
        return feats


@dataclass(frozen=True)
class Prepared:
    """A scan's geometry, the neighbours on every grid but the last, and the memory that all of it is in."""

    space: Workspace
    geometry: Geometry
    pairs: list[NeighbourPairs | None]


class _Stage:
    def __init__(self, stage: nn.Module, dtype: torch.dtype) -> None:
        self.blocks = [_Block(block, dtype) for block in stage.voxel]  # type: ignore[union-attr]
        self.point = _Point(stage.point, dtype)  # type: ignore[arg-type]

    def __call__(self, feats: Tensor, prepared: Prepared, i: int, classify: Layer, hidden: Tensor) -> Tensor:
        """Input of the next stage (W, C). What ``classify`` makes of the point features goes to ``hidden`` (W, H)."""
        space, geometry = prepared.space, prepared.geometry
        voxel, both = feats, space("both", *feats.shape, dtype=feats.dtype)
        for number, block in enumerate(self.blocks):
            out = space(f"voxel {number}", *feats.shape, dtype=feats.dtype)
            last = block is self.blocks[-1]
            block(voxel, prepared.pairs[i], out, space, **({"plus": feats, "total": both} if last else {}))
            voxel = out
        blocks, to = geometry.levels[i].blocks, geometry.pools[i]
        fused = self.point.fused(both, blocks, space)
        pooled, following = (space(n, to.targets, feats.shape[1], dtype=feats.dtype) for n in ("pooled", "following"))
        pool(pooled, mean(voxel, to))
        chain(hidden, mean(fused, to), [replace(self.point.out, plus=pooled, total=following), classify])
        return following


class _Block:
    """ResidualBlock: two passes over the neighbours; the shortcut rides along with the second."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        first, second = norm_of(block.norm1), norm_of(block.norm2)
        shortcut = norm_of(block.shortcut_norm).after(Affine.of(block.shortcut))
        self.first = Packed.of((block.conv1.weight * first.scale).float(), dtype)
        self.second = Packed.of((block.conv2.weight * second.scale).float(), dtype)
        self.shortcut = Packed.of(shortcut.weight[None].float(), dtype)
        self.first_bias = first.shift.float()
        self.bias = (second.shift + shortcut.bias).float()

    def __call__(
        self, x: Tensor, pairs: NeighbourPairs | None, out: Tensor, space: Workspace, **totals: Tensor
    ) -> None:
        between = space("between", *x.shape, dtype=x.dtype)
        rows(between, conv=x, conv_weight=self.first, pairs=pairs, bias=self.first_bias, slope=SLOPE)
        rows(
            out,
            conv=between,
            conv_weight=self.second,
            pairs=pairs,
            own=x,
            own_weight=self.shortcut,
            bias=self.bias,
            slope=SLOPE,
            **totals,
        )


class _Point:
    """PointEncoder: the half of ``fuse`` that reads the block's features is made per block, before they spread."""

    def __init__(self, point: PointEncoder, dtype: torch.dtype) -> None:
        down, norm_down, mid, norm_mid, up = (point.block[i] for i in (0, 2, 3, 5, 6))
        own, around = Affine.of(point.fuse).weight.chunk(2, dim=0)
        fuse_bias = Affine.of(point.fuse).bias
        self.block = [
            Affine.of(down).packed(dtype, SLOPE),
            norm_of(norm_down).before(Affine.of(mid)).packed(dtype, SLOPE),
            norm_of(norm_mid).before(Affine.of(up)).packed(dtype, SLOPE),
            Affine(around, torch.zeros_like(fuse_bias)).packed(dtype),
        ]
        self.own = Affine.of(point.own).packed(dtype, SLOPE)
        self.fuse = Affine(own, fuse_bias).packed(dtype, SLOPE)
        self.out = Affine.of(point.out).packed(dtype)

    def fused(self, g: Tensor, blocks: Pooling, space: Workspace) -> Tensor:
        """What ``out`` takes, per voxel (V, C); ``g`` is the stage's input + what its voxel branch makes of it."""
        spread = space("spread", blocks.targets, g.shape[1], dtype=g.dtype)
        chain(spread, mean(g, blocks), self.block)
        fused = space("fused", *g.shape, dtype=g.dtype)
        chain(fused, g, [self.own, replace(self.fuse, add=spread, add_row=blocks.target)])
        return fused


def mean(feats: Tensor, pooling: Pooling) -> Pooled:
    csr = pooling.by_target
    return Pooled(feats, csr.offsets, csr.columns, csr.weight, pooling.total)


# ---- folding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Affine:
    """x @ weight + bias, in float64 until it is packed."""

    weight: Float[Tensor, "in_ out"]
    bias: Float[Tensor, "out"]

    @classmethod
    def of(cls, linear: nn.Module) -> "Affine":
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.detach().T.double()
        bias = weight.new_zeros(weight.shape[1]) if linear.bias is None else linear.bias.detach().double()
        return cls(weight, bias)

    def packed(self, dtype: torch.dtype, slope: float = 1.0) -> Layer:
        return Layer(Packed.of(self.weight[None].float(), dtype), self.bias.float().contiguous(), slope)


@dataclass(frozen=True)
class Norm:
    """A batch norm that does not learn any more: x * scale + shift."""

    scale: Float[Tensor, "c"]
    shift: Float[Tensor, "c"]

    def after(self, layer: Affine) -> Affine:
        return Affine(layer.weight * self.scale, layer.bias * self.scale + self.shift)

    def before(self, layer: Affine) -> Affine:
        return Affine(self.scale[:, None] * layer.weight, self.shift @ layer.weight + layer.bias)


def norm_of(module: nn.Module) -> Norm:
    assert isinstance(module, nn.BatchNorm1d)
    assert module.running_var is not None
    assert module.running_mean is not None
    scale = module.weight.detach().double() / torch.sqrt(module.running_var.double() + module.eps)
    return Norm(scale, module.bias.detach().double() - module.running_mean.double() * scale)
