"""Who computes the submanifold convolutions: plain torch, our C++ kernels, or spconv."""

from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from elite import native
from elite.errors import ConfigError, MissingExtraError
from elite.sparse.kernel_map import KernelMap, kernel_map

Chosen = Literal["native", "torch", "spconv"]
Backend = Literal["auto"] | Chosen


@runtime_checkable
class Convolution(Protocol):
    """The neighbours of one grid, as a backend keeps them, and the convolution over them."""

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """As ``submanifold_conv``, with its gradients."""
        ...


Neighbours = KernelMap | Convolution


def choose(name: Backend, device: torch.device) -> Chosen:
    """The backend for tensors on ``device``. ``auto``: native on a CPU, spconv on CUDA, torch where there is neither.

    Raises:
        ConfigError: native, but there are no kernels, or the tensors are not on the CPU.
        MissingExtraError: spconv, but it is not installed.
    """
    if name == "auto":
        if device.type == "cpu":
            return "native" if native.library() is not None else "torch"
        return "spconv" if _spconv_knows_cuda() else "torch"
    if name == "native" and (device.type != "cpu" or native.library() is None):
        found = f"the student is on {device}" if device.type != "cpu" else native.describe()
        raise ConfigError(f"backend native runs on CPUs, with its kernels built, but {found}; use --backend auto.")
    if name == "spconv" and find_spec("spconv") is None:
        raise MissingExtraError("spconv", "spconv")
    return name


def neighbours(coords: Int64[Tensor, "v 4"], backend: Chosen) -> Neighbours:
    """The kernel map of distinct voxels (batch, z, y, x) in ascending order, as ``backend`` keeps it."""
    match backend:
        case "native":
            from elite.sparse.native_conv import NativeKernelMap

            return NativeKernelMap(coords)
        case "spconv":
            from elite.sparse.spconv_conv import SpconvKernelMap

            return SpconvKernelMap(coords)
        case "torch":
            return kernel_map(coords)


@cache
def _spconv_knows_cuda() -> bool:
    """The package for CPUs (spconv) and those for CUDA (spconv-cu126, ...) install under the same name."""
    return any(name.startswith("spconv-cu") for name in packages_distributions().get("spconv", []))
