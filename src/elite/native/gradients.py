"""Native kernels of training: gradients of weights, and passes over all rows. float32, contiguous, on the CPU.

kernels.h documents what each computes. Sums do not depend on the number of threads.
"""

import ctypes

import torch
from torch import Tensor

from elite.native.loader import opened
from elite.native.ops import NeighbourPairs, PointMeanRows
from elite.native.records import Combine, PointMeansGradient, Sums, WeightGradient
from elite.native.tensors import pointer
from elite.shapes import Float32, Float64


def weight_gradient(
    feats: Float32[Tensor, "v in_"], grad: Float32[Tensor, "v out"], pairs: NeighbourPairs | None = None
) -> Float32[Tensor, "positions in_ out"]:
    """Sum of feats[neighbour]^T grad[voxel] for each of 27 kernel positions; without ``pairs`` feats^T grad."""
    weight = torch.empty(27 if pairs else 1, feats.shape[1], grad.shape[1])
    job = WeightGradient(
        rows=len(feats),
        in_channels=feats.shape[1],
        out_channels=grad.shape[1],
        feats=pointer(feats),
        grad=pointer(grad),
        pairs=ctypes.pointer(pairs.to_c()) if pairs else None,
        weight=pointer(weight),
    )
    opened().elite_weight_gradient(job)
    return weight


def point_means_gradient(
    grad: Float32[Tensor, "v c"], means: PointMeanRows, weight: Float32[Tensor, "10 c"]
) -> tuple[Float32[Tensor, "10 c"], Float32[Tensor, "c"]]:
    """Gradients of the weight and bias of ``means`` from its gradient; ``weight`` is its weight before packing."""
    grad_weight, grad_bias = torch.empty_like(weight), torch.empty_like(means.bias)
    results = pointer(grad_weight), pointer(grad_bias)
    job = PointMeansGradient(means.to_c(), len(means), pointer(weight), pointer(grad), *results)
    opened().elite_point_means_gradient(job)
    return grad_weight, grad_bias


def combine(
    out: Float32[Tensor, "r c"],
    first: Float32[Tensor, "r c"],
    first_scale: Float32[Tensor, "c"],
    shift: Float32[Tensor, "c"],
    *,
    sign: Float32[Tensor, "r c"] | None = None,
    sign_slope: float = 1.0,
    second: Float32[Tensor, "r c"] | None = None,
    second_scale: Float32[Tensor, "c"] | None = None,
    slope: float = 1.0,
) -> None:
    """out = leaky(first_scale first + second_scale second + shift); ``out`` may be one of the inputs.

    Where ``sign`` is not above zero, ``first`` is multiplied by ``sign_slope``: the gradient of a leaky ReLU with the
    output ``sign``.
    """
    job = Combine(
        rows=out.shape[0],
        channels=out.shape[1],
        first=pointer(first),
        first_scale=pointer(first_scale),
        sign=pointer(sign),
        sign_slope=sign_slope,
        second=pointer(second),
        second_scale=pointer(second_scale),
        shift=pointer(shift),
        slope=slope,
        out=pointer(out),
    )
    opened().elite_combine(job)


def column_sums(
    feats: Float32[Tensor, "r c"],
    first: Float32[Tensor, "r c"] | None = None,
    second: Float32[Tensor, "r c"] | None = None,
    *,
    sign: Float32[Tensor, "r c"] | None = None,
    slope: float = 1.0,
) -> Float64[Tensor, "3 c"]:
    """Sums over all rows of feats, feats * first and feats * second (zero if None), in double precision.

    Where ``sign`` is not above zero, ``feats`` is multiplied by ``slope``.
    """
    out = torch.empty(3, feats.shape[1], dtype=torch.float64)
    job = Sums(
        rows=feats.shape[0],
        channels=feats.shape[1],
        feats=pointer(feats),
        sign=pointer(sign),
        slope=slope,
        first=pointer(first),
        second=pointer(second),
        out=pointer(out),
    )
    opened().elite_sums(job)
    return out
