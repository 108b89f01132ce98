"""The submanifold convolution by spconv: on CUDA, or for comparison on CPUs.

On CPUs its results are exact on one thread only, and its gradients need a CUDA stream: there it only infers.
"""

import math
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from elite.errors import ConfigError
from elite.sparse.backends import warn_once
from elite.sparse.conv import submanifold_conv
from elite.sparse.kernel_map import KernelMap, kernel_map


@dataclass(frozen=True)
class SpconvKernelMap:
    """Neighbours that spconv finds at the first convolution and that later ones share; ``coords`` as ``Level.coords``.

    Convolutions run in float32, without autocast: spconv has no bfloat16 and would take float16, for which a
    ``bf16-mixed`` run has no gradient scaler.
    """

    coords: Int64[Tensor, "v 4"]
    _found: dict[str, Any] = field(default_factory=dict)

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Compute ``submanifold_conv`` in float32, with its gradients on CUDA; in float64 by plain torch.

        Raises:
            ConfigError: gradients are wanted on a CPU.
        """
        device = feats.device.type
        if device == "cpu" and torch.is_grad_enabled() and (feats.requires_grad or weight.requires_grad):
            raise ConfigError("backend spconv: training expected CUDA, found the CPU. Use --backend native or torch.")
        if torch.float64 in (feats.dtype, weight.dtype) or not self._fits:
            return submanifold_conv(feats, weight, self._plain)
        if torch.is_autocast_enabled(device):
            warn_once("backend spconv convolves in float32 at any precision. Backend torch convolves in 16 bits.")
        with torch.autocast(device, enabled=False):
            return self._product(feats.float(), weight.float())

    def _product(self, feats: Tensor, weight: Tensor) -> Tensor:
        from spconv.pytorch import SparseConvTensor

        if not len(feats):
            return feats @ weight[0]
        batch, *shape = self._shape
        given = SparseConvTensor(feats, self._shifted, shape, batch, indice_dict=self._found)
        # spconv keeps its weights as (out, z, y, x, in).
        krsc = weight.view(3, 3, 3, *weight.shape[1:]).permute(4, 0, 1, 2, 3).contiguous()
        layer = _layer(*weight.shape[1:], on_cpu=feats.device.type == "cpu")
        result = torch.func.functional_call(layer, {"weight": krsc}, (given,))
        self._found.update(result.indice_dict)  # spconv enters what it found into a copy
        return result.features

    @cached_property
    def _low(self) -> Int64[Tensor, "4"]:
        low = self.coords.amin(dim=0)
        low[0] = 0
        return low

    @cached_property
    def _shifted(self) -> Int32[Tensor, "v 4"]:
        """spconv takes int32 from 0 on."""
        return (self.coords - self._low).int().contiguous()

    @cached_property
    def _shape(self) -> list[int]:
        """Scans, then cells along z, y, x. Read from the device once, since the host waits for it."""
        return (self.coords.amax(dim=0) - self._low + 1).tolist()

    @cached_property
    def _fits(self) -> bool:
        """Whether every coordinate fits int32, and every key of a cell int64."""
        return not len(self.coords) or (max(self._shape) < 2**31 and math.prod(self._shape) < 2**63)

    @cached_property
    def _plain(self) -> KernelMap:
        return kernel_map(self.coords)


_of_thread = threading.local()


def _layer(in_channels: int, out_channels: int, *, on_cpu: bool) -> torch.nn.Module:
    """The layer of this size and thread: each call swaps its weights, so two threads must not share one.

    It is made on the meta device, since initial weights would draw from the generator of the run.
    """
    layers: dict[tuple[int, int, bool], torch.nn.Module] = _of_thread.__dict__.setdefault("layers", {})
    key = (in_channels, out_channels, on_cpu)
    if key not in layers:
        from spconv.pytorch import ConvAlgo, SubMConv3d

        algo = ConvAlgo.Native if on_cpu else None  # the default is an algorithm for CUDA only
        with torch.device("meta"):
            layers[key] = SubMConv3d(in_channels, out_channels, 3, bias=False, indice_key="grid", algo=algo)
    return layers[key]
