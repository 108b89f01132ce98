"""The submanifold convolution by spconv: on CUDA, or for comparison on CPUs.

On CPUs its answers are exact on one thread only, and its gradients ask for a CUDA stream: there it only infers.
"""

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from elite.errors import ConfigError


@dataclass(frozen=True)
class SpconvKernelMap:
    """Who is whose neighbour, found by spconv at the first convolution; ``coords`` as ``Level.coords``."""

    coords: Int64[Tensor, "v 4"]
    _found: dict[str, Any] = field(default_factory=dict)

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """As ``submanifold_conv``, with its gradients on CUDA.

        Raises:
            ConfigError: gradients are wanted on a CPU.
        """
        on_cpu = feats.device.type == "cpu"
        if on_cpu and torch.is_grad_enabled() and (feats.requires_grad or weight.requires_grad):
            raise ConfigError("spconv cannot train on a CPU; use --backend native or torch.")
        from spconv.pytorch import SparseConvTensor

        if not len(feats):
            return feats @ weight[0]
        batch, *shape = self._shape
        given = SparseConvTensor(feats, self._shifted, shape, batch, indice_dict=self._found)
        # spconv keeps its weights as (out, z, y, x, in).
        krsc = weight.view(3, 3, 3, *weight.shape[1:]).permute(4, 0, 1, 2, 3).contiguous()
        layer = _layer(*weight.shape[1:], on_cpu=on_cpu)
        return torch.func.functional_call(layer, {"weight": krsc}, (given,)).features

    @cached_property
    def _shifted(self) -> Int32[Tensor, "v 4"]:
        """spconv takes int32 from 0 on."""
        low = self.coords.amin(dim=0)
        low[0] = 0
        return (self.coords - low).int().contiguous()

    @cached_property
    def _shape(self) -> list[int]:
        """Scans, then cells along z, y, x; told once, for the host waits for it."""
        return (self._shifted.amax(dim=0) + 1).tolist()


@cache
def _layer(in_channels: int, out_channels: int, *, on_cpu: bool) -> torch.nn.Module:
    """One per size: it is called with other weights each time, and on the device of these."""
    from spconv.pytorch import ConvAlgo, SubMConv3d

    algo = ConvAlgo.Native if on_cpu else None  # by itself it would choose one that only CUDA has
    return SubMConv3d(in_channels, out_channels, 3, bias=False, indice_key="grid", algo=algo)
