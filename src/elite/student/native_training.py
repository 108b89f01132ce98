"""The student's training by the native kernels: what its modules compute, with gradients written by hand.

The plain formulation is in blocks.py and spvcnn.py; this gives its values and gradients to about 1e-5. It keeps less
for the backward pass, where activations are computed anew. Every sum is made in one order, for any number of threads.
V, W = voxels of a stage's input and output grid, B = 2x2x2 blocks, K = classes of points, C = channels, H = 2C.
"""

from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from elite.native import (
    Packed,
    PointMean,
    Pooled,
    VoxelPoints,
    column_sums,
    combine,
    point_means,
    point_means_gradient,
    pool,
    rows,
    weight_gradient,
)
from elite.sparse import Neighbours, Pooling
from elite.sparse.conv import mirrored
from elite.sparse.native_conv import NativeKernelMap, native_product
from elite.student.native_norm import Statistics, batch_norm


def serves(module: nn.Module, kernel: Neighbours, *counts: int) -> bool:
    """Whether the functions below may stand in for ``module`` in training, over grids with ``counts`` rows.

    They are for float32 and plain batch norms that take their statistics from the batch; those of a single row are
    refused by torch, which says so better.
    """
    if not isinstance(kernel, NativeKernelMap) or not module.training or torch.is_autocast_enabled("cpu"):
        return False
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    plain = all(type(n) is nn.BatchNorm1d and n.training and n.affine and n.track_running_stats for n in norms)
    float32 = all(p.dtype is torch.float32 for p in module.parameters())
    return plain and float32 and min(counts) > 1 and kernel.pairs is not None


# ---- modules ----------------------------------------------------------------------------------------------------


def affine(
    x: Float32[Tensor, "r inner"],
    weight: Float32[Tensor, "outer inner"],
    bias: Float32[Tensor, "outer"] | None = None,
    *,
    slope: float = 1.0,
    add: Float32[Tensor, "g outer"] | None = None,
    groups: Pooling | None = None,
) -> Float32[Tensor, "r outer"]:
    """leaky(x @ weight^T + bias + add[group of the row]); ``slope`` 1 is none."""
    return _Affine.apply(x, weight, bias, add, groups, slope)  # type: ignore[no-any-return]


def voxel_means(linear: nn.Linear, inside: VoxelPoints) -> Float32[Tensor, "v c"]:
    """Mean over the points of each voxel of relu(linear(the ten numbers of the point))."""
    return _VoxelMeans.apply(linear.weight, linear.bias, inside)  # type: ignore[no-any-return]


def residual_block(block: Any, x: Float32[Tensor, "v c"], kernel: Neighbours, slope: float) -> Float32[Tensor, "v c"]:
    """As ``ResidualBlock``."""
    assert isinstance(kernel, NativeKernelMap)
    learnt = [
        *(block.conv1.weight, block.norm1.weight, block.norm1.bias),
        *(block.conv2.weight, block.norm2.weight, block.norm2.bias),
        *(block.shortcut.weight, block.shortcut_norm.weight, block.shortcut_norm.bias),
    ]
    return _ResidualBlock.apply(x, *learnt, block, kernel.pairs, slope)  # type: ignore[no-any-return]


def point_encoder(
    point: Any, g: Float32[Tensor, "v c"], blocks: Pooling, to: Pooling, slope: float
) -> Float32[Tensor, "w c"]:
    """As ``PointEncoder``; the half of ``fuse`` that reads the block's features is made per block."""
    down, norm_down, mid, norm_mid, up = (point.block[i] for i in (0, 2, 3, 5, 6))
    around = batch_norm(affine(blocks(g), down.weight, down.bias, slope=slope), norm_down)
    around = batch_norm(affine(around, mid.weight, mid.bias, slope=slope), norm_mid)
    around = affine(around, up.weight, up.bias, slope=slope)
    of_own, of_around = point.fuse.weight.chunk(2, dim=1)
    own = affine(g, point.own.weight, point.own.bias, slope=slope)
    fused = affine(own, of_own, point.fuse.bias, slope=slope, add=affine(around, of_around), groups=blocks)
    return affine(to(fused), point.out.weight, point.out.bias)


def classify(
    classifier: Any, stages: list[Float32[Tensor, "_ c"]], classes: tuple[Pooling, ...]
) -> Float32[Tensor, "k out"]:
    """Logits of every class of points. The first Linear is a sum of one per stage, each made per voxel."""
    first, last = classifier[0], classifier[2]
    parts = [affine(x, w) for x, w in zip(stages, first.weight.chunk(len(stages), dim=1), strict=True)]
    hidden = _ReluOfSum.apply(first.bias, classes, *parts)
    return affine(hidden, last.weight, last.bias)


# ---- residual block ---------------------------------------------------------------------------------------------


class _ResidualBlock(torch.autograd.Function):
    """x -> y1 = conv1(x) -> leaky(norm1(y1)) -> y2 = conv2 of it -> leaky(norm2(y2) + shortcut_norm(shortcut(x))).

    Kept are x, y1, y2 and the output.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Any) -> Tensor:
        *learnt, block, pairs, slope = given
        conv1, weight1, bias1, conv2, weight2, bias2, shortcut, weight3, bias3 = learnt
        x = x.contiguous()
        y1 = native_product(x, conv1, pairs)
        first = Statistics.of(y1, block.norm1)
        hidden = _normalised(y1, first.affine(weight1, bias1), slope)
        y2 = native_product(hidden, conv2, pairs)
        second = Statistics.of(y2, block.norm2)
        out = _multiply(x, shortcut.T)
        third = Statistics.of(out, block.shortcut_norm)
        (scale, shift), (out_scale, out_shift) = second.affine(weight2, bias2), third.affine(weight3, bias3)
        combine(out, y2, scale, shift + out_shift, second=out, second_scale=out_scale, slope=slope)
        ctx.save_for_backward(x, y1, y2, out, *learnt)
        ctx.statistics, ctx.pairs, ctx.slope = (first, second, third), pairs, slope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y1, y2, out, *learnt = ctx.saved_tensors
        conv1, weight1, bias1, conv2, weight2, _, shortcut, weight3, _ = learnt
        (first, second, third), pairs, slope = ctx.statistics, ctx.pairs, ctx.slope
        wanted: tuple[bool, ...] = ctx.needs_input_grad
        signed = {"sign": out, "sign_slope": slope}
        grad = grad.contiguous()

        grad_shortcut = _multiply(x, shortcut.T)
        total, product2, product3 = column_sums(grad, y2, grad_shortcut, sign=out, slope=slope)
        grad_weight3, grad_bias3, (a, b, c) = third.gradients(weight3, total, product3)
        combine(grad_shortcut, grad, a, c, second=grad_shortcut, second_scale=b, **signed)
        grad_weight2, grad_bias2, (a, b, c) = second.gradients(weight2, total, product2)
        grad_y2 = torch.empty_like(y2)
        combine(grad_y2, grad, a, c, second=y2, second_scale=b, **signed)

        hidden = _normalised(y1, first.affine(weight1, bias1), slope)
        grad_conv2 = weight_gradient(hidden, grad_y2, pairs) if wanted[4] else None
        grad_y1 = native_product(grad_y2, mirrored(conv2), pairs)
        del grad_y2
        total, product1, _ = column_sums(grad_y1, y1, sign=hidden, slope=slope)
        grad_weight1, grad_bias1, (a, b, c) = first.gradients(weight1, total, product1)
        combine(grad_y1, grad_y1, a, c, sign=hidden, sign_slope=slope, second=y1, second_scale=b)
        del hidden

        grad_conv1 = weight_gradient(x, grad_y1, pairs) if wanted[1] else None
        grad_own = weight_gradient(grad_shortcut, x)[0] if wanted[7] else None
        grad_x = None
        if wanted[0]:
            grad_x = torch.empty_like(x)
            back = Packed.of(mirrored(conv1))
            rows(grad_x, conv=grad_y1, conv_weight=back, pairs=pairs, own=grad_shortcut, own_weight=_packed(shortcut))
        of_first = grad_conv1, grad_weight1, grad_bias1
        of_second = grad_conv2, grad_weight2, grad_bias2
        return grad_x, *of_first, *of_second, grad_own, grad_weight3, grad_bias3, None, None, None


def _normalised(x: Tensor, scale_and_shift: tuple[Tensor, Tensor], slope: float) -> Tensor:
    out = torch.empty_like(x)
    combine(out, x, *scale_and_shift, slope=slope)
    return out


def _multiply(x: Tensor, weight: Tensor) -> Tensor:
    out = x.new_empty(len(x), weight.shape[1])
    rows(out, own=x, own_weight=_packed(weight))
    return out


def _packed(weight: Tensor) -> Packed:
    return Packed.of(weight[None])


# ---- linear layers ----------------------------------------------------------------------------------------------


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        add: Tensor | None,
        groups: Pooling | None,
        slope: float,
    ) -> Tensor:
        x = x.contiguous()
        out = x.new_empty(len(x), len(weight))
        row = None if groups is None else groups.target
        rows(out, own=x, own_weight=_packed(weight.T), bias=bias, add=add, add_row=row, slope=slope)
        ctx.save_for_backward(x, weight, out if slope != 1 else None)
        ctx.groups, ctx.slope = groups, slope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, out = ctx.saved_tensors
        grad = _unleaked(grad.contiguous(), out, ctx.slope)
        of_x, of_weight, of_bias, of_add = ctx.needs_input_grad[:4]
        return (
            _multiply(grad, weight) if of_x else None,
            weight_gradient(grad, x)[0] if of_weight else None,
            column_sums(grad)[0].float() if of_bias else None,
            _group_sums(grad, ctx.groups) if of_add else None,
            None,
            None,
        )


def _unleaked(grad: Tensor, out: Tensor | None, slope: float) -> Tensor:
    """The gradient before the leaky ReLU that gave ``out``, None if there was none."""
    if out is None:
        return grad
    before, channels = torch.empty_like(grad), grad.shape[1]
    combine(before, grad, torch.ones(channels), torch.zeros(channels), sign=out, sign_slope=slope)
    return before


def _group_sums(x: Tensor, groups: Pooling) -> Tensor:
    out = x.new_empty(groups.targets, x.shape[1])
    pool(out, Pooled(x, groups.by_target.offsets, groups.by_target.columns))
    return out


class _VoxelMeans(torch.autograd.Function):
    """Nothing is kept: the hidden rows of the points are computed anew."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, inside: VoxelPoints) -> Tensor:
        ctx.save_for_backward(weight, bias)
        ctx.inside = inside
        out = torch.empty(len(inside.coords), len(bias))
        point_means(out, PointMean(inside, _packed(weight.T), bias))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, bias = ctx.saved_tensors
        means = PointMean(ctx.inside, _packed(weight.T), bias)
        grad_weight, grad_bias = point_means_gradient(grad.contiguous(), means, weight.T.contiguous())
        return grad_weight.T, grad_bias, None


class _ReluOfSum(torch.autograd.Function):
    """relu(bias + sum over the stages of the row that each class of points has there)."""

    @staticmethod
    def forward(ctx: Any, bias: Tensor, classes: tuple[Pooling, ...], *parts: Tensor) -> Tensor:
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + len(part))
        columns = torch.stack([c.target + start for c, start in zip(classes, starts, strict=False)], dim=1)
        out = bias.new_empty(len(columns), len(bias))
        ends = torch.arange(0, columns.numel() + 1, len(parts))
        with_bias = torch.cat([parts[0] + bias, *parts[1:]])
        pool(out, Pooled(with_bias, ends, columns.view(-1), slope=0.0))
        ctx.save_for_backward(out)
        ctx.classes = classes
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (out,) = ctx.saved_tensors
        grad = _unleaked(grad.contiguous(), out, 0.0)
        grad_parts = [_group_sums(grad, c) for c in ctx.classes]
        return column_sums(grad)[0].float() if ctx.needs_input_grad[0] else None, None, *grad_parts
