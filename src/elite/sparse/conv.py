"""Submanifold convolution: outputs only where there are inputs, so voxels never spread."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elite.sparse.backends import Neighbours
from elite.sparse.kernel_map import CENTRE, KERNEL, Block, KernelMap
from elite.sparse.scatter import segment_sum


def submanifold_conv(
    feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"], kernel: Neighbours
) -> Float[Tensor, "v c_out"]:
    """out[i] = sum over neighbours j at kernel position k of feats[j] @ weight[k]; positions in order (z, y, x).

    The whole contract of a backend is this function with its gradients; the kernel map says which one computes it. The
    one below is plain torch, for CPU and CUDA, and what the others are tested against.
    """
    if not isinstance(kernel, KernelMap):
        return kernel.convolve(feats, weight)
    if torch.is_autocast_enabled(feats.device.type):
        feats = feats.to(torch.get_autocast_dtype(feats.device.type))
    return convolve(feats, weight.to(feats.dtype), _gather_multiply_sum, _weight_gradient, kernel)


K = TypeVar("K")


def convolve(
    feats: Float[Tensor, "v c_in"],
    weight: Float[Tensor, "27 c_in c_out"],
    product: Callable[[Tensor, Tensor, K], Tensor],
    weight_gradient: Callable[[Tensor, Tensor, K], Tensor],
    kernel: K,
) -> Float[Tensor, "v c_out"]:
    """product(feats, weight, kernel) with gradients; weight_gradient(feats, grad, kernel) is that of the weight."""
    return _SubmanifoldConv.apply(feats, weight, product, weight_gradient, kernel)  # type: ignore[no-any-return]


def mirrored(weight: Float[Tensor, "27 c_in c_out"]) -> Float[Tensor, "27 c_out c_in"]:
    """Weights of the gradient: if j is i's neighbour at k, then i is j's at 26 - k, so the same pairs serve."""
    return weight.flip(0).transpose(1, 2).contiguous()


class _SubmanifoldConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, weight: Tensor, product: Any, weight_gradient: Any, kernel: Any) -> Tensor:
        ctx.save_for_backward(feats, weight)
        ctx.product, ctx.weight_gradient, ctx.kernel = product, weight_gradient, kernel
        return product(feats, weight, kernel)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        feats, weight = ctx.saved_tensors
        grad = grad.contiguous()
        grad_feats = ctx.product(grad, mirrored(weight), ctx.kernel) if ctx.needs_input_grad[0] else None
        grad_weight = ctx.weight_gradient(feats, grad, ctx.kernel) if ctx.needs_input_grad[1] else None
        return grad_feats, grad_weight, None, None, None


def _gather_multiply_sum(feats: Tensor, weight: Tensor, kernel: KernelMap) -> Tensor:
    out = torch.mm(feats, weight[CENTRE])
    for block in kernel.blocks:
        gathered = feats.index_select(0, block.source)
        products = feats.new_empty(len(block.source), weight.shape[2])
        for k, start, end in _runs(block):
            torch.mm(gathered[start:end], weight[k], out=products[start:end])
        out[block.start : block.end] += segment_sum(products, block.order, block.offsets)
    return out


def _weight_gradient(feats: Tensor, grad: Tensor, kernel: KernelMap) -> Tensor:
    weight = feats.new_zeros(KERNEL, feats.shape[1], grad.shape[1])
    torch.mm(feats.T, grad, out=weight[CENTRE])
    for block in kernel.blocks:
        inputs, outputs = feats.index_select(0, block.source), grad.index_select(0, block.target)
        for k, start, end in _runs(block):
            weight[k].addmm_(inputs[start:end].T, outputs[start:end])
    return weight


def _runs(block: Block) -> Iterator[tuple[int, int, int]]:
    """(kernel position, first pair, end of its pairs) for every position that has pairs."""
    for k, (start, end) in enumerate(pairwise(block.splits)):
        if end > start:
            yield k, start, end


class SubmanifoldConv3d(nn.Module):
    """3x3x3 submanifold convolution without bias. ``weight`` (27, in, out), positions in order (z, y, x)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(KERNEL, in_channels, out_channels))
        bound = 1 / math.sqrt(KERNEL * in_channels)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, feats: Float[Tensor, "v c_in"], kernel: Neighbours) -> Float[Tensor, "v c_out"]:
        return submanifold_conv(feats, self.weight, kernel)
