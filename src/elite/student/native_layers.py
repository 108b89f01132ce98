"""Layers for training by the native kernels, with gradients written by hand.

Every sum is made in one order, for any number of threads. V = voxels, K = groups of points, C = channels.
"""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elite.native.gradients import column_sums, combine, point_means_gradient, weight_gradient
from elite.native.ops import PackedWeight, PointMeanRows, PooledRows, VoxelPoints, fused_layer, point_means, pool
from elite.shapes import Float32
from elite.sparse import Grouping


def linear_leaky(
    x: Float32[Tensor, "r inner"],
    weight: Float32[Tensor, "outer inner"],
    bias: Float32[Tensor, "outer"] | None = None,
    *,
    slope: float = 1.0,
    add: Float32[Tensor, "g outer"] | None = None,
    groups: Grouping | None = None,
) -> Float32[Tensor, "r outer"]:
    """leaky(x @ weight^T + bias + add[group of the row]); ``slope`` 1 = no leaky ReLU."""
    return _LinearLeaky.apply(x, weight, bias, add, groups, slope)  # type: ignore[no-any-return]


def voxel_means(linear: nn.Linear, inputs: VoxelPoints) -> Float32[Tensor, "v c"]:
    """Mean over the points of each voxel of relu(linear(the ten features of the point))."""
    return _VoxelMeans.apply(linear.weight, linear.bias, inputs)  # type: ignore[no-any-return]


def relu_of_sum(
    bias: Float32[Tensor, "c"], group_voxels: tuple[Grouping, ...], parts: list[Float32[Tensor, "_ c"]]
) -> Float32[Tensor, "k c"]:
    """relu(bias + sum over the stages of the row of ``parts`` that each group of points has there)."""
    return _ReluOfSum.apply(bias, group_voxels, *parts)  # type: ignore[no-any-return]


def relu_of_stage_sums(rows: Float32[Tensor, "_ c"], group_voxels: tuple[Grouping, ...]) -> PooledRows:
    """relu(sum over the stages of the row that each group of points has there); ``rows`` are those of all stages."""
    starts = accumulate((voxels.group_count for voxels in group_voxels), initial=0)
    columns = torch.stack([v.group + start for v, start in zip(group_voxels, starts, strict=False)], dim=1)
    offsets = torch.arange(0, columns.numel() + 1, columns.shape[1])
    return PooledRows(rows, offsets, columns.view(-1), slope=0.0)


def multiply(x: Float32[Tensor, "r inner"], weight: Float32[Tensor, "inner outer"]) -> Float32[Tensor, "r outer"]:
    """x @ weight, without gradients."""
    out = x.new_empty(len(x), weight.shape[1])
    fused_layer(out, dense=x, dense_weight=pack_weight(weight))
    return out


def pack_weight(weight: Float32[Tensor, "inner outer"]) -> PackedWeight:
    """One matrix in the layout of the kernels."""
    return PackedWeight.pack(weight[None])


class _LinearLeaky(torch.autograd.Function):
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
        fused_layer(out, dense=x, dense_weight=pack_weight(weight.T), bias=bias, add=add, add_row=row, slope=slope)
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
            multiply(grad, weight) if needs_x else None,
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
    out = x.new_empty(groups.group_count, x.shape[1])
    pool(out, PooledRows(x, groups.members.offsets, groups.members.columns))
    return out


class _VoxelMeans(torch.autograd.Function):
    """The backward pass recomputes the hidden rows of the points."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, inputs: VoxelPoints) -> Tensor:
        ctx.save_for_backward(weight, bias)
        ctx.inputs = inputs
        out = torch.empty(len(inputs.coords), len(bias))
        point_means(out, PointMeanRows(inputs, pack_weight(weight.T), bias))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, bias = ctx.saved_tensors
        means = PointMeanRows(ctx.inputs, pack_weight(weight.T), bias)
        grad_weight, grad_bias = point_means_gradient(grad.contiguous(), means, weight.T.contiguous())
        return grad_weight.T, grad_bias, None


class _ReluOfSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bias: Tensor, group_voxels: tuple[Grouping, ...], *parts: Tensor) -> Tensor:
        sums = relu_of_stage_sums(torch.cat([parts[0] + bias, *parts[1:]]), group_voxels)
        out = bias.new_empty(len(sums), len(bias))
        pool(out, sums)
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
