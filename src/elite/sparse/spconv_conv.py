"""Submanifold convolution by spconv: on CUDA, or for comparison on CPUs.

On a CPU its results are exact on one thread only, and it provides inference only: its gradients need a CUDA stream.
"""

import math
import threading
import warnings
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from elite.errors import ConfigError, first_line
from elite.shapes import Float, Int32, Int64
from elite.sparse.kernel_map import KernelMap


@dataclass(frozen=True)
class SpconvKernelMap:
    """Neighbouring voxels of a grid for spconv; ``coords`` as ``Level.coords``.

    spconv finds the neighbours at the first convolution, and later ones share them. Convolutions run in float32,
    without autocast: spconv has no bfloat16 and would take float16, for which a ``bf16-mixed`` run has no gradient
    scaler.
    """

    coords: Int64[Tensor, "v 4"]
    _index: dict[str, Any] = field(default_factory=dict)

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Compute ``submanifold_conv`` in float32, with its gradients on CUDA; float64 by plain PyTorch.

        Raises:
            ConfigError: gradients on a CPU.
        """
        device = feats.device.type
        if device == "cpu" and torch.is_grad_enabled() and (feats.requires_grad or weight.requires_grad):
            raise ConfigError("backend spconv: training expected CUDA, found the CPU. Use --backend native or torch.")
        if torch.float64 in (feats.dtype, weight.dtype) or not self._fits:
            return self._torch_neighbours.convolve(feats, weight)
        if torch.is_autocast_enabled(device):
            warn_once("backend spconv convolves in float32 at any precision. Backend torch convolves in 16 bits.")
        with torch.autocast(device, enabled=False):
            return self._product(feats.float(), weight.float())

    def _product(self, feats: Tensor, weight: Tensor) -> Tensor:
        from spconv.pytorch import SparseConvTensor

        if not len(feats):
            return feats @ weight[0]
        batch, *shape = self._shape
        sparse = SparseConvTensor(feats, self._shifted, shape, batch, indice_dict=self._index)
        # spconv keeps its weights as (out, z, y, x, in).
        krsc = weight.view(3, 3, 3, *weight.shape[1:]).permute(4, 0, 1, 2, 3).contiguous()
        layer = _layer(*weight.shape[1:], on_cpu=feats.device.type == "cpu")
        result = torch.func.functional_call(layer, {"weight": krsc}, (sparse,))
        self._index.update(result.indice_dict)  # spconv adds the neighbours to a copy
        return result.features

    @cached_property
    def _low(self) -> Int64[Tensor, "4"]:
        low = self.coords.amin(dim=0)
        low[0] = 0
        return low

    @cached_property
    def _shifted(self) -> Int32[Tensor, "v 4"]:
        """spconv requires int32 indices from 0 on."""
        return (self.coords - self._low).int().contiguous()

    @cached_property
    def _shape(self) -> list[int]:
        """Scans, then cells along z, y, x. Read from the device once, because the host waits for it."""
        return (self.coords.amax(dim=0) - self._low + 1).tolist()

    @cached_property
    def _fits(self) -> bool:
        """Whether every coordinate fits int32, and every key of a cell int64."""
        return not len(self.coords) or (max(self._shape) < 2**31 and math.prod(self._shape) < 2**63)

    @cached_property
    def _torch_neighbours(self) -> KernelMap:
        return KernelMap.build(self.coords)


class _ThreadLayers(threading.local):
    """Layers of one thread by (input channels, output channels, on a CPU).

    Each convolution swaps the weights of its layer, so two threads must not share one.
    """

    def __init__(self) -> None:
        self.layers: dict[tuple[int, int, bool], torch.nn.Module] = {}


_thread = _ThreadLayers()


def _layer(in_channels: int, out_channels: int, *, on_cpu: bool) -> torch.nn.Module:
    """This thread's layer of a size, on the meta device: initial weights would draw from the run's generator."""
    key = (in_channels, out_channels, on_cpu)
    if key not in _thread.layers:
        from spconv.pytorch import ConvAlgo, SubMConv3d

        algo = ConvAlgo.Native if on_cpu else None  # the default is an algorithm for CUDA only
        with torch.device("meta"):
            _thread.layers[key] = SubMConv3d(in_channels, out_channels, 3, bias=False, indice_key="grid", algo=algo)
    return _thread.layers[key]


# ---- installed build ----------------------------------------------------------------------------------------------


@cache
def spconv_fault(device_type: str) -> str | None:
    """Reason why spconv cannot compute on such devices, None if it can.

    The package's name is not enough: builds for CPUs (spconv) and for CUDA (spconv-cu126, ...) install the same
    folder, so the last one installed replaces the others, and a build for another CUDA version does not load.
    """
    if find_spec("spconv") is None:
        return "spconv is not installed"
    name = " and ".join(sorted(set(packages_distributions().get("spconv", [])))) or "spconv"
    try:
        import spconv.pytorch  # noqa: F401
        from spconv.cppconstants import CPU_ONLY_BUILD  # not documented, and the only statement about the build
    except Exception as error:  # a library that does not load, or fits another version of torch, fails in many ways
        return f"{name} is installed, but cannot be imported ({first_line(error)})"
    if device_type == "cuda" and CPU_ONLY_BUILD:
        return f"expected a build for CUDA, found {name}, a build for CPUs"
    return None


@cache
def warn_once(message: str) -> None:
    """Warn once per process: the filters of ``warnings`` forget earlier warnings when they change."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
