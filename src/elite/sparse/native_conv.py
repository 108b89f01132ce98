"""The submanifold convolution by our C++ kernels, with its gradients. float32 on the CPU."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from elite.native import NeighbourPairs, Packed, rows, weight_gradient
from elite.sparse.conv import convolve, submanifold_conv
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
        return convolve(feats.float().contiguous(), weight.float(), native_product, weight_gradient, self.pairs)


def native_product(
    feats: Float32[Tensor, "v c_in"], weight: Float32[Tensor, "27 c_in c_out"], pairs: NeighbourPairs
) -> Float32[Tensor, "v c_out"]:
    """The convolution itself, without gradients."""
    out = feats.new_empty(len(feats), weight.shape[2])
    rows(out, conv=feats, conv_weight=Packed.of(weight), pairs=pairs)
    return out
