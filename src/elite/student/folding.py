"""Batch norms in eval mode folded into the layers next to them, in float64."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from elite.native import Layer, PackedWeight


@dataclass(frozen=True)
class FoldedLinear:
    """Linear layer with the batch norms next to it folded in: x @ weight + bias."""

    weight: Float[Tensor, "in_ out"]
    bias: Float[Tensor, "out"]

    @classmethod
    def from_linear(cls, linear: nn.Module) -> "FoldedLinear":
        """From an ``nn.Linear``, with or without a bias."""
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.detach().T.double()
        bias = weight.new_zeros(weight.shape[1]) if linear.bias is None else linear.bias.detach().double()
        return cls(weight, bias)

    def pack(self, dtype: torch.dtype, slope: float = 1.0) -> Layer:
        """Return the layer for the native kernels, followed by a leaky ReLU (``slope`` 1 = none)."""
        return Layer(PackedWeight.pack(self.weight[None].float(), dtype), self.bias.float().contiguous(), slope)


@dataclass(frozen=True)
class Scaling:
    """x * scale + shift per channel, as a batch norm computes it in eval mode."""

    scale: Float[Tensor, "c"]
    shift: Float[Tensor, "c"]

    @classmethod
    def from_norm(cls, norm: nn.Module) -> "Scaling":
        """From the running statistics of an ``nn.BatchNorm1d``."""
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
        return cls(scale, norm.bias.detach().double() - norm.running_mean.double() * scale)

    def after(self, layer: FoldedLinear) -> FoldedLinear:
        """Return ``layer`` followed by this."""
        return FoldedLinear(layer.weight * self.scale, layer.bias * self.scale + self.shift)

    def before(self, layer: FoldedLinear) -> FoldedLinear:
        """Return this followed by ``layer``."""
        return FoldedLinear(self.scale[:, None] * layer.weight, self.shift @ layer.weight + layer.bias)
