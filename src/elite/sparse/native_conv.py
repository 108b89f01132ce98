"""The submanifold convolution by our C++ kernels, with its gradients. float32 on the CPU."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from elite.native import NeighbourPairs, Packed, rows, weight_gradient
from elite.sparse.conv import submanifold_conv
from elite.sparse.kernel_map import KernelMap, kernel_map
from elite.sparse.native_geometry import neighbour_pairs


@dataclass(frozen=True)
class NativeKernelMap:
    """Who is whose neighbour, for the native kernels; ``coords`` as ``Level.coords``."""

    coords: Int64[Tensor, "v 4"]

    @cached_property
    def pairs(self) -> NeighbourPairs | None:
        """None if the voxels lie too far apart for one key each."""
        return neighbour_pairs(self.coords)

    @cached_property
    def plain(self) -> KernelMap:
        return kernel_map(self.coords)

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Of half precision in float32, which is faster here; of float64 by plain torch."""
        if self.pairs is None or torch.float64 in (feats.dtype, weight.dtype):
            return submanifold_conv(feats, weight, self.plain)
        return _NativeConv.apply(feats.float().contiguous(), weight.float(), self.pairs)  # type: ignore[no-any-return]


class _NativeConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, weight: Tensor, pairs: NeighbourPairs) -> Tensor:
        ctx.save_for_backward(feats, weight)
        ctx.pairs = pairs
        return _convolve(feats, weight, pairs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        feats, weight = ctx.saved_tensors
        grad = grad.contiguous()
        # If j is i's neighbour at k, then i is j's at 26 - k: the same pairs serve, with mirrored weights.
        mirrored = weight.flip(0).transpose(1, 2)
        grad_feats = _convolve(grad, mirrored, ctx.pairs) if ctx.needs_input_grad[0] else None
        grad_weight = weight_gradient(feats, grad, ctx.pairs) if ctx.needs_input_grad[1] else None
        return grad_feats, grad_weight, None


def _convolve(feats: Tensor, weight: Tensor, pairs: NeighbourPairs) -> Tensor:
    out = feats.new_empty(len(feats), weight.shape[2])
    rows(out, conv=feats, conv_weight=Packed.of(weight), pairs=pairs)
    return out
