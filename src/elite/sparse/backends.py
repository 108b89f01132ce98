"""Who computes the submanifold convolutions: plain torch, our C++ kernels, or spconv."""

import warnings
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from elite import native
from elite.errors import ConfigError, first_line, require_extra
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
    """Return the backend for tensors on ``device``.

    ``auto`` is native on a CPU, spconv on CUDA, and torch where that one is not available, or where
    ``torch.use_deterministic_algorithms`` is on: spconv does not promise sums in one order.

    Raises:
        ConfigError: native without its kernels or for tensors elsewhere than on the CPU; spconv if it cannot compute
            there, or not deterministically.
        MissingExtraError: spconv on a CPU, but it is not installed.
    """
    on_cpu = device.type == "cpu"
    if name == "auto":
        if on_cpu:
            return "native" if native.library() is not None else "torch"
        return _automatic_cuda_backend() if device.type == "cuda" else "torch"
    if name == "native" and (not on_cpu or native.library() is None):
        found = native.describe() if on_cpu else f"the student is on {device}"
        raise ConfigError(f"backend native runs on CPUs, with its kernels built, but {found}; use --backend auto.")
    if name == "spconv":
        _require_spconv(device)
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


def _automatic_cuda_backend() -> Chosen:
    if torch.are_deterministic_algorithms_enabled():
        return "torch"
    fault = _spconv_fault("cuda")
    if fault is None:
        return "spconv"
    if find_spec("spconv") is not None:
        warn_once(f"backend auto: {fault}. Convolutions run by plain torch, more slowly. {_CUDA_REMEDY}.")
    return "torch"


def _require_spconv(device: torch.device) -> None:
    """Raises ConfigError, or MissingExtraError on a CPU, if spconv cannot compute there."""
    if device.type == "cpu":
        require_extra("spconv", "spconv")
    fault = _spconv_fault(device.type)
    if fault is not None:
        remedy = _CUDA_REMEDY if device.type == "cuda" else "Install it again"
        raise ConfigError(f"backend spconv on {device}: {fault}. {remedy}, or use --backend torch.")
    if device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        raise ConfigError(
            f"backend spconv on {device}: expected sums in one order (deterministic), which spconv does not promise. "
            "Use --backend torch."
        )


_CUDA_REMEDY = "Install spconv's package for your CUDA version, such as spconv-cu126"


@cache
def _spconv_fault(device_type: str) -> str | None:
    """What keeps spconv from computing on such devices, None if nothing does.

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
    """Warn once per process: the filters of ``warnings`` forget what they have shown when they change."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
