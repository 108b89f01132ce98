"""Training of the student by the native kernels, with gradients written by hand.

Values and gradients equal those of blocks.py, point_mlp.py and spvcnn.py to about 1e-5. The backward pass keeps less
and recomputes activations. Every sum is made in one order, for any number of threads.
V, W = voxels of a stage's input and output grid, B = 2x2x2 blocks, K = groups of points, C = channels, H = 2C.
"""

from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from elite.native import (
    NeighbourPairs,
    PackedWeight,
    PointMeanRows,
    PooledRows,
    VoxelPoints,
    column_sums,
    combine,
    fused_layer,
    point_means,
    point_means_gradient,
    pool,
    weight_gradient,
)
from elite.sparse import Geometry, Grid, Grouping, Level, Neighbours, Pooling, voxel_points
from elite.sparse.autograd import mirror
from elite.sparse.native_conv import NativeKernelMap, native_product
from elite.student.blocks import SLOPE, PointEncoder, ResidualBlock
from elite.student.native_norm import BatchStatistics, batch_norm
from elite.student.point_mlp import PointMLP
from elite.types import StageOutput, StudentOutput


def supports(student: nn.Module, points: Tensor, geometry: Geometry) -> bool:
    """Whether the functions below can replace the modules of ``student`` for this batch.

    They require training mode, native neighbours, float32 parameters, points without gradients, and batch norms that
    use the statistics of a batch. A grid of a single row is left to PyTorch, whose error explains it.
    """
    if not student.training or points.requires_grad:
        return False
    if not all(isinstance(neighbours, NativeKernelMap) for neighbours in geometry.neighbours):
        return False
    norms = [m for m in student.modules() if isinstance(m, _BatchNorm)]
    uses_batch = all(type(n) is nn.BatchNorm1d and n.training and n.affine and n.track_running_stats for n in norms)
    is_float32 = all(p.dtype is torch.float32 for p in student.parameters())
    rows = [*(len(level) for level in geometry.levels[:-1]), *(blocks.groups for blocks in geometry.blocks)]
    return uses_batch and is_float32 and min(rows) > 1


# ---- modules ----------------------------------------------------------------------------------------------------


def point_mlp(
    mlp: PointMLP, points: Float32[Tensor, "n 3"], remission: Float[Tensor, "n"], grid: Grid, level: Level
) -> Float32[Tensor, "v c"]:
    """Compute ``mlp(points, remission, grid, level)``."""
    inputs = voxel_points(points, remission, grid, level)
    means = _VoxelMeans.apply(mlp.hidden.weight, mlp.hidden.bias, inputs)
    return affine(means, mlp.out.weight, mlp.out.bias)


def from_voxels(
    stages: nn.ModuleList, classifier: nn.Sequential, feats: Float32[Tensor, "v c"], geometry: Geometry
) -> StudentOutput:
    """Compute the network after the point MLP."""
    outputs, point_feats = [], []
    for i, stage in enumerate(stages):
        voxel, pool_points = feats, geometry.pools[i]
        for block in stage.voxel:  # type: ignore[union-attr]
            voxel = residual_block(block, voxel, geometry.neighbours[i])
        point = point_encoder(stage.point, feats + voxel, geometry.blocks[i], pool_points)  # type: ignore[arg-type]
        outputs.append(StageOutput(voxel, geometry.levels[i].point_to_voxel))
        point_feats.append(point)
        feats = point + pool_points(voxel)
    logits = classify(classifier, point_feats, geometry.group_voxels)
    return StudentOutput(geometry.point_groups.broadcast(logits), tuple(outputs))


def residual_block(block: ResidualBlock, x: Float32[Tensor, "v c"], neighbours: Neighbours) -> Float32[Tensor, "v c"]:
    """Compute ``block(x, neighbours)``."""
    assert isinstance(neighbours, NativeKernelMap)
    parameters = [
        *(block.conv1.weight, block.norm1.weight, block.norm1.bias),
        *(block.conv2.weight, block.norm2.weight, block.norm2.bias),
        *(block.shortcut.weight, block.shortcut_norm.weight, block.shortcut_norm.bias),
    ]
    return _ResidualBlock.apply(x, *parameters, block, neighbours.pairs)  # type: ignore[no-any-return]


def point_encoder(
    encoder: PointEncoder, feats: Float32[Tensor, "v c"], blocks: Grouping, pool_points: Pooling
) -> Float32[Tensor, "w c"]:
    """Compute ``encoder(feats, blocks, pool_points)``; the half of ``fuse`` for the block's features runs per block."""
    down, norm_down, mid, norm_mid, up = (encoder.block[i] for i in (0, 2, 3, 5, 6))
    context = batch_norm(affine(blocks.mean(feats), down.weight, down.bias, slope=SLOPE), norm_down)
    context = batch_norm(affine(context, mid.weight, mid.bias, slope=SLOPE), norm_mid)
    context = affine(context, up.weight, up.bias, slope=SLOPE)
    own_weight, context_weight = encoder.fuse.weight.chunk(2, dim=1)
    own = affine(feats, encoder.own.weight, encoder.own.bias, slope=SLOPE)
    add = affine(context, context_weight)
    fused = affine(own, own_weight, encoder.fuse.bias, slope=SLOPE, add=add, groups=blocks)
    return affine(pool_points(fused), encoder.out.weight, encoder.out.bias)


def classify(
    classifier: nn.Sequential, point_feats: list[Float32[Tensor, "_ c"]], group_voxels: tuple[Grouping, ...]
) -> Float32[Tensor, "k out"]:
    """Logits of every group of points. The first Linear is a sum of one per stage, each computed per voxel."""
    first, last = classifier[0], classifier[2]
    weights = first.weight.chunk(len(point_feats), dim=1)  # type: ignore[operator]
    parts = [affine(x, w) for x, w in zip(point_feats, weights, strict=True)]
    hidden = _ReluOfSum.apply(first.bias, group_voxels, *parts)
    return affine(hidden, last.weight, last.bias)  # type: ignore[arg-type]


def affine(
    x: Float32[Tensor, "r inner"],
    weight: Float32[Tensor, "outer inner"],
    bias: Float32[Tensor, "outer"] | None = None,
    *,
    slope: float = 1.0,
    add: Float32[Tensor, "g outer"] | None = None,
    groups: Grouping | None = None,
) -> Float32[Tensor, "r outer"]:
    """leaky(x @ weight^T + bias + add[group of the row]); ``slope`` 1 = no leaky ReLU."""
    return _Affine.apply(x, weight, bias, add, groups, slope)  # type: ignore[no-any-return]


# ---- residual block ---------------------------------------------------------------------------------------------


class _ResidualBlock(torch.autograd.Function):
    """y1 = conv1(x), y2 = conv2(leaky(norm1(y1))), out = leaky(norm2(y2) + shortcut_norm(shortcut(x))).

    The backward pass keeps x, y1, y2 and the output.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *arguments: Any) -> Tensor:
        *parameters, block, pairs = arguments
        conv1, weight1, bias1, conv2, weight2, bias2, shortcut, weight3, bias3 = parameters
        x = x.contiguous()
        y1 = native_product(x, conv1, pairs)
        first = BatchStatistics.update(y1, block.norm1)
        hidden = _normalise(y1, first.affine(weight1, bias1))
        y2 = native_product(hidden, conv2, pairs)
        second = BatchStatistics.update(y2, block.norm2)
        out = _multiply(x, shortcut.T)
        third = BatchStatistics.update(out, block.shortcut_norm)
        (scale, shift), (out_scale, out_shift) = second.affine(weight2, bias2), third.affine(weight3, bias3)
        combine(out, y2, scale, shift + out_shift, second=out, second_scale=out_scale, slope=SLOPE)
        ctx.save_for_backward(x, y1, y2, out, *parameters)
        ctx.statistics, ctx.pairs = (first, second, third), pairs
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y1, y2, out, *parameters = ctx.saved_tensors
        conv1, weight1, bias1, conv2, weight2, _, shortcut, weight3, _ = parameters
        (first, second, third), pairs = ctx.statistics, ctx.pairs
        needed: tuple[bool, ...] = ctx.needs_input_grad
        signed = {"sign": out, "sign_slope": SLOPE}
        grad = grad.contiguous()

        grad_shortcut = _multiply(x, shortcut.T)
        total, product2, product3 = column_sums(grad, y2, grad_shortcut, sign=out, slope=SLOPE)
        grad_weight3, grad_bias3, (a, b, c) = third.gradients(weight3, total, product3)
        combine(grad_shortcut, grad, a, c, second=grad_shortcut, second_scale=b, **signed)
        grad_weight2, grad_bias2, (a, b, c) = second.gradients(weight2, total, product2)
        grad_y2 = torch.empty_like(y2)
        combine(grad_y2, grad, a, c, second=y2, second_scale=b, **signed)

        hidden = _normalise(y1, first.affine(weight1, bias1))
        grad_conv2 = weight_gradient(hidden, grad_y2, pairs) if needed[4] else None
        grad_y1 = native_product(grad_y2, mirror(conv2), pairs)
        del grad_y2
        total, product1, _ = column_sums(grad_y1, y1, sign=hidden, slope=SLOPE)
        grad_weight1, grad_bias1, (a, b, c) = first.gradients(weight1, total, product1)
        combine(grad_y1, grad_y1, a, c, sign=hidden, sign_slope=SLOPE, second=y1, second_scale=b)
        del hidden

        grad_conv1 = weight_gradient(x, grad_y1, pairs) if needed[1] else None
        grad_shortcut_weight = weight_gradient(grad_shortcut, x)[0] if needed[7] else None
        grad_x = _gradient_of_input(grad_y1, conv1, grad_shortcut, shortcut, pairs) if needed[0] else None
        grads1 = grad_conv1, grad_weight1, grad_bias1
        grads2 = grad_conv2, grad_weight2, grad_bias2
        return grad_x, *grads1, *grads2, grad_shortcut_weight, grad_weight3, grad_bias3, None, None


def _gradient_of_input(
    grad_y1: Tensor, conv1: Tensor, grad_shortcut: Tensor, shortcut: Tensor, pairs: NeighbourPairs
) -> Tensor:
    """Sum of the gradients through the first convolution and through the shortcut."""
    out = torch.empty_like(grad_shortcut)
    fused_layer(
        out,
        conv=grad_y1,
        conv_weight=PackedWeight.pack(mirror(conv1)),
        pairs=pairs,
        dense=grad_shortcut,
        dense_weight=_pack(shortcut),
    )
    return out


def _normalise(x: Tensor, scale_and_shift: tuple[Tensor, Tensor]) -> Tensor:
    out = torch.empty_like(x)
    combine(out, x, *scale_and_shift, slope=SLOPE)
    return out


def _multiply(x: Tensor, weight: Tensor) -> Tensor:
    out = x.new_empty(len(x), weight.shape[1])
    fused_layer(out, dense=x, dense_weight=_pack(weight))
    return out


def _pack(weight: Tensor) -> PackedWeight:
    return PackedWeight.pack(weight[None])


# ---- linear layers ----------------------------------------------------------------------------------------------


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        add: Tensor | None,
        groups: Grouping | None,
        slope: float,
    ) -> Tensor:
        x = x.contiguous()
        out = x.new_empty(len(x), len(weight))
        row = None if groups is None else groups.group
        fused_layer(out, dense=x, dense_weight=_pack(weight.T), bias=bias, add=add, add_row=row, slope=slope)
        ctx.save_for_backward(x, weight, out if slope != 1 else None)
        ctx.groups, ctx.slope = groups, slope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, out = ctx.saved_tensors
        grad = _before_leaky(grad.contiguous(), out, ctx.slope)
        needs_x, needs_weight, needs_bias, needs_add = ctx.needs_input_grad[:4]
        return (
            _multiply(grad, weight) if needs_x else None,
            weight_gradient(grad, x)[0] if needs_weight else None,
            column_sums(grad)[0].float() if needs_bias else None,
            _group_sums(grad, ctx.groups) if needs_add else None,
            None,
            None,
        )


def _before_leaky(grad: Tensor, out: Tensor | None, slope: float) -> Tensor:
    """Gradient before the leaky ReLU with the output ``out`` (None = no leaky ReLU)."""
    if out is None:
        return grad
    before, channels = torch.empty_like(grad), grad.shape[1]
    combine(before, grad, torch.ones(channels), torch.zeros(channels), sign=out, sign_slope=slope)
    return before


def _group_sums(x: Tensor, groups: Grouping) -> Tensor:
    out = x.new_empty(groups.groups, x.shape[1])
    pool(out, PooledRows(x, groups.members.offsets, groups.members.columns))
    return out


class _VoxelMeans(torch.autograd.Function):
    """Mean over the points of each voxel of relu(linear(features of the point)). The backward pass recomputes them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, inputs: VoxelPoints) -> Tensor:
        ctx.save_for_backward(weight, bias)
        ctx.inputs = inputs
        out = torch.empty(len(inputs.coords), len(bias))
        point_means(out, PointMeanRows(inputs, _pack(weight.T), bias))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, bias = ctx.saved_tensors
        means = PointMeanRows(ctx.inputs, _pack(weight.T), bias)
        grad_weight, grad_bias = point_means_gradient(grad.contiguous(), means, weight.T.contiguous())
        return grad_weight.T, grad_bias, None


class _ReluOfSum(torch.autograd.Function):
    """relu(bias + sum over the stages of the row that each group of points has there)."""

    @staticmethod
    def forward(ctx: Any, bias: Tensor, group_voxels: tuple[Grouping, ...], *parts: Tensor) -> Tensor:
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + len(part))
        columns = torch.stack([g.group + start for g, start in zip(group_voxels, starts, strict=False)], dim=1)
        out = bias.new_empty(len(columns), len(bias))
        ends = torch.arange(0, columns.numel() + 1, len(parts))
        with_bias = torch.cat([parts[0] + bias, *parts[1:]])
        pool(out, PooledRows(with_bias, ends, columns.view(-1), slope=0.0))
        ctx.save_for_backward(out)
        ctx.group_voxels = group_voxels
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (out,) = ctx.saved_tensors
        grad = _before_leaky(grad.contiguous(), out, 0.0)
        grad_parts = [_group_sums(grad, g) for g in ctx.group_voxels]
        return column_sums(grad)[0].float() if ctx.needs_input_grad[0] else None, None, *grad_parts
