"""Training of the student by the native kernels, with gradients written by hand.

Values and gradients equal those of blocks.py, point_mlp.py and spvcnn.py to about 1e-5. The backward pass keeps less
and recomputes activations. Every sum is made in one order, for any number of threads.
V, W = voxels of a stage's input and output grid, B = 2x2x2 blocks, K = groups of points, C = channels, H = 2C.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from elite.batches import StageOutput, StudentOutput
from elite.native.gradients import column_sums, combine, weight_gradient
from elite.native.ops import NeighbourPairs, PackedWeight, fused_layer
from elite.shapes import Float, Float32
from elite.sparse import Geometry, Grid, Grouping, Level, Neighbours, Pooling, voxel_points
from elite.sparse.autograd import mirror
from elite.sparse.native_conv import NativeKernelMap, native_product
from elite.student.blocks import SLOPE, PointEncoder, ResidualBlock, Stage
from elite.student.native_layers import linear_leaky, multiply, pack_weight, relu_of_sum, voxel_means
from elite.student.native_norm import BatchStatistics, batch_norm
from elite.student.point_mlp import PointMLP, point_features


def supports(student: nn.Module, points: Tensor, geometry: Geometry) -> bool:
    """Whether the functions below can replace the modules of ``student`` for this batch.

    They require training mode, native neighbours, float32 parameters, points without gradients, and plain batch norms.
    A grid of a single row is left to PyTorch, whose error explains it.
    """
    if not student.training or points.requires_grad:
        return False
    if not all(isinstance(neighbours, NativeKernelMap) for neighbours in geometry.neighbours):
        return False
    norms = [m for m in student.modules() if isinstance(m, _BatchNorm)]
    is_plain = all(type(n) is nn.BatchNorm1d and n.affine and n.track_running_stats for n in norms)
    is_float32 = all(p.dtype is torch.float32 for p in student.parameters())
    rows = [*(len(level) for level in geometry.levels[:-1]), *(blocks.group_count for blocks in geometry.blocks)]
    return is_plain and is_float32 and min(rows) > 1


# ---- modules ----------------------------------------------------------------------------------------------------


def point_mlp(
    mlp: PointMLP,
    points: Float32[Tensor, "n 3"],
    remission: Float[Tensor, "n"],
    grid: Grid,
    level: Level,
    age: Float32[Tensor, "n"] | None = None,
) -> Float32[Tensor, "v c"]:
    """Compute ``mlp(points, remission, grid, level, age)``."""
    if age is None:
        means = voxel_means(mlp.hidden, voxel_points(points, remission, grid, level))
    else:  # the kernel of ``voxel_means`` has ten features
        features = point_features(points, remission.float(), grid, level, age)
        hidden = linear_leaky(features, mlp.hidden.weight, mlp.hidden.bias, slope=0.0)
        means = level.points_by_voxel.mean(hidden)
    return linear_leaky(means, mlp.out.weight, mlp.out.bias)


def from_voxels(
    stages: nn.ModuleList, classifier: nn.Sequential, feats: Float32[Tensor, "v c"], geometry: Geometry
) -> StudentOutput:
    """Compute the network after the point MLP. A stage with frozen statistics runs its own modules."""
    outputs, point_feats = [], []
    for i, module in enumerate(stages):
        assert isinstance(module, Stage)
        inputs = feats, geometry.neighbours[i], geometry.blocks[i], geometry.pools[i]
        voxel, point, feats = stage(module, *inputs) if _uses_batch_statistics(module) else module(*inputs)
        outputs.append(StageOutput(voxel, geometry.levels[i].point_to_voxel))
        point_feats.append(point)
    logits = classify(classifier, point_feats, geometry.group_voxels)
    return StudentOutput(geometry.point_groups.broadcast(logits), tuple(outputs))


def stage(
    module: Stage, feats: Float32[Tensor, "v c"], neighbours: Neighbours, blocks: Grouping, pool_points: Pooling
) -> tuple[Float32[Tensor, "v c"], Float32[Tensor, "w c"], Float32[Tensor, "w c"]]:
    """Compute ``module(feats, neighbours, blocks, pool_points)``."""
    voxel = feats
    for block in module.voxel:
        voxel = residual_block(block, voxel, neighbours)  # type: ignore[arg-type]
    point = point_encoder(module.point, feats + voxel, blocks, pool_points)
    return voxel, point, point + pool_points(voxel)


def _uses_batch_statistics(module: nn.Module) -> bool:
    return all(norm.training for norm in module.modules() if isinstance(norm, _BatchNorm))


def residual_block(block: ResidualBlock, x: Float32[Tensor, "v c"], neighbours: Neighbours) -> Float32[Tensor, "v c"]:
    """Compute ``block(x, neighbours)``."""
    assert isinstance(neighbours, NativeKernelMap)
    parameters = [
        *(block.conv1.weight, block.norm1.weight, block.norm1.bias),
        *(block.conv2.weight, block.norm2.weight, block.norm2.bias),
        *(block.shortcut.weight, block.shortcut_norm.weight, block.shortcut_norm.bias),
    ]
    return _ResidualBlock.apply(x, *parameters, block, neighbours.neighbour_pairs)  # type: ignore[no-any-return]


def point_encoder(
    encoder: PointEncoder, feats: Float32[Tensor, "v c"], blocks: Grouping, pool_points: Pooling
) -> Float32[Tensor, "w c"]:
    """Compute ``encoder(feats, blocks, pool_points)``; the half of ``fuse`` for the block's features runs per block."""
    layers: Any = encoder.block
    down, norm_down, mid, norm_mid, up = (layers[i] for i in (0, 2, 3, 5, 6))
    context = batch_norm(linear_leaky(blocks.mean(feats), down.weight, down.bias, slope=SLOPE), norm_down)
    context = batch_norm(linear_leaky(context, mid.weight, mid.bias, slope=SLOPE), norm_mid)
    context = linear_leaky(context, up.weight, up.bias, slope=SLOPE)
    own_weight, context_weight = encoder.fuse.weight.chunk(2, dim=1)
    own = linear_leaky(feats, encoder.own.weight, encoder.own.bias, slope=SLOPE)
    add = linear_leaky(context, context_weight)
    fused = linear_leaky(own, own_weight, encoder.fuse.bias, slope=SLOPE, add=add, groups=blocks)
    return linear_leaky(pool_points(fused), encoder.out.weight, encoder.out.bias)


def classify(
    classifier: nn.Sequential, point_feats: list[Float32[Tensor, "_ c"]], group_voxels: tuple[Grouping, ...]
) -> Float32[Tensor, "k out"]:
    """Logits of every group of points. The first Linear is a sum of one per stage, each computed per voxel."""
    layers: Any = classifier
    first, last = layers[0], layers[2]
    weights = first.weight.chunk(len(point_feats), dim=1)
    parts = [linear_leaky(x, w) for x, w in zip(point_feats, weights, strict=True)]
    hidden = relu_of_sum(first.bias, group_voxels, parts)
    return linear_leaky(hidden, last.weight, last.bias)


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
        hidden = _normalise(y1, first.scale_and_shift(weight1, bias1))
        y2 = native_product(hidden, conv2, pairs)
        second = BatchStatistics.update(y2, block.norm2)
        out = multiply(x, shortcut.T)
        third = BatchStatistics.update(out, block.shortcut_norm)
        scale, shift = second.scale_and_shift(weight2, bias2)
        out_scale, out_shift = third.scale_and_shift(weight3, bias3)
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

        grad_shortcut = multiply(x, shortcut.T)
        total, product2, product3 = column_sums(grad, y2, grad_shortcut, sign=out, slope=SLOPE)
        grad_weight3, grad_bias3, (a, b, c) = third.gradients(weight3, total, product3)
        combine(grad_shortcut, grad, a, c, second=grad_shortcut, second_scale=b, **signed)
        grad_weight2, grad_bias2, (a, b, c) = second.gradients(weight2, total, product2)
        grad_y2 = torch.empty_like(y2)
        combine(grad_y2, grad, a, c, second=y2, second_scale=b, **signed)

        hidden = _normalise(y1, first.scale_and_shift(weight1, bias1))
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
        dense_weight=pack_weight(shortcut),
    )
    return out


def _normalise(x: Tensor, scale_and_shift: tuple[Tensor, Tensor]) -> Tensor:
    out = torch.empty_like(x)
    combine(out, x, *scale_and_shift, slope=SLOPE)
    return out
