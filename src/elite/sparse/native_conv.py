"""Submanifold convolution by the C++ kernels, with its gradients: float32 on the CPU."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elite.native import library
from elite.native.gradients import weight_gradient
from elite.native.ops import NeighbourPairs, PackedWeight, fused_layer
from elite.native.tensors import call
from elite.shapes import Float, Float32, Int64
from elite.sparse.autograd import convolve_with_gradients
from elite.sparse.kernel_map import KernelMap
from elite.sparse.torch_conv import CENTRE


@dataclass(frozen=True)
class NativeKernelMap:
    """Neighbouring voxels of a grid for the native kernels; ``coords`` as ``Level.coords``."""

    coords: Int64[Tensor, "v 4"]
    neighbour_pairs: NeighbourPairs

    @classmethod
    def build(cls, coords: Int64[Tensor, "v 4"]) -> "NativeKernelMap | None":
        """Find the neighbours of ascending distinct voxels.

        Returns:
            None without the kernels, or if the voxels are not on the CPU or are too far apart for 63-bit keys.
        """
        if coords.device.type != "cpu" or library() is None:
            return None
        first, second = torch.empty(2, CENTRE, len(coords), dtype=torch.int32)
        count = torch.empty(CENTRE, dtype=torch.int64)
        completed = call("elite_neighbours", coords.contiguous(), len(coords), first, second, count)
        return cls(coords, NeighbourPairs(first, second, count)) if completed else None

    @cached_property
    def torch_neighbours(self) -> KernelMap:
        """The same neighbours for plain PyTorch, which float64 input requires."""
        return KernelMap.build(self.coords)

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Compute ``submanifold_conv``: 16-bit input in float32, which is faster here; float64 by plain PyTorch."""
        if torch.float64 in (feats.dtype, weight.dtype):
            return self.torch_neighbours.convolve(feats, weight)
        return convolve_with_gradients(
            feats.float().contiguous(),
            weight.float(),
            self.neighbour_pairs,
            product=native_product,
            weight_gradient=weight_gradient,
        )


def native_product(
    feats: Float32[Tensor, "v c_in"], weight: Float32[Tensor, "27 c_in c_out"], pairs: NeighbourPairs
) -> Float32[Tensor, "v c_out"]:
    """The convolution, without gradients."""
    out = feats.new_empty(len(feats), weight.shape[2])
    fused_layer(out, conv=feats, conv_weight=PackedWeight.pack(weight), pairs=pairs)
    return out
