"""Submanifold convolution: outputs only where there are inputs, so the set of voxels does not grow."""

import math

import torch
from torch import Tensor, nn

from elite.shapes import Float
from elite.sparse.backends import Neighbours
from elite.sparse.torch_conv import POSITIONS


def submanifold_conv(
    feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"], neighbours: Neighbours
) -> Float[Tensor, "v c_out"]:
    """out[i] = sum over neighbours j at kernel position k of feats[j] @ weight[k]; positions in order (z, y, x).

    The contract of a backend is this function with its gradients. ``KernelMap`` computes it in plain PyTorch, for CPU
    and CUDA, and is the reference of the others.
    """
    return neighbours.convolve(feats, weight)


class SubmanifoldConv3d(nn.Module):
    """3x3x3 submanifold convolution without bias. ``weight`` (27, in, out), positions in order (z, y, x)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(POSITIONS, in_channels, out_channels))
        bound = 1 / math.sqrt(POSITIONS * in_channels)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, feats: Float[Tensor, "v c_in"], neighbours: Neighbours) -> Float[Tensor, "v c_out"]:
        """Features of the same voxels."""
        return submanifold_conv(feats, self.weight, neighbours)
