"""Backends of the submanifold convolution: plain PyTorch, the C++ kernels, and spconv."""

from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from elite import native
from elite.device import Backend, ResolvedBackend
from elite.errors import ConfigError, require_extra
from elite.shapes import Float, Int64
from elite.sparse.kernel_map import KernelMap
from elite.sparse.native_conv import NativeKernelMap
from elite.sparse.spconv_conv import SpconvKernelMap, spconv_fault, warn_once

_CUDA_REMEDY = "Install spconv's package for your CUDA version, such as spconv-cu126"


@runtime_checkable
class Neighbours(Protocol):
    """Neighbouring voxels of one grid, in the form that a backend reads."""

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Compute ``submanifold_conv`` with its gradients."""
        ...


def find_neighbours(coords: Int64[Tensor, "v 4"], backend: ResolvedBackend) -> Neighbours:
    """Find the neighbours of distinct voxels (batch, z, y, x) in ascending order.

    Voxels too far apart for the native kernels get neighbours for plain PyTorch.
    """
    match backend:
        case "native":
            return NativeKernelMap.build(coords) or KernelMap.build(coords)
        case "spconv":
            return SpconvKernelMap(coords)
        case "torch":
            return KernelMap.build(coords)


def resolve_backend(name: Backend, device: torch.device) -> ResolvedBackend:
    """Return the backend for tensors on ``device``.

    ``auto`` is native on a CPU and spconv on CUDA. It is torch where that backend is not available, or where
    ``torch.use_deterministic_algorithms`` is on: spconv does not promise sums in one order.

    Raises:
        ConfigError: native without its kernels or for tensors on another device than the CPU; spconv if it cannot
            compute there, or not deterministically.
        MissingExtraError: spconv on a CPU, if it is not installed.
    """
    on_cpu = device.type == "cpu"
    if name == "auto":
        if on_cpu:
            return "native" if native.library() is not None else "torch"
        return _automatic_cuda_backend() if device.type == "cuda" else "torch"
    if name == "native" and (not on_cpu or native.library() is None):
        found = native.describe() if on_cpu else f"a student on {device}"
        raise ConfigError(f"backend native: expected a CPU and built kernels, found {found}. Use --backend auto.")
    if name == "spconv":
        _require_spconv(device)
    return name


def _automatic_cuda_backend() -> ResolvedBackend:
    if torch.are_deterministic_algorithms_enabled():
        return "torch"
    fault = spconv_fault("cuda")
    if fault is None:
        return "spconv"
    if find_spec("spconv") is not None:
        warn_once(f"backend auto: {fault}. Falling back to plain PyTorch, which is slower. {_CUDA_REMEDY}.")
    return "torch"


def _require_spconv(device: torch.device) -> None:
    """Raises ConfigError, or MissingExtraError on a CPU, if spconv cannot compute there."""
    if device.type == "cpu":
        require_extra("spconv", "spconv")
    fault = spconv_fault(device.type)
    if fault is not None:
        remedy = _CUDA_REMEDY if device.type == "cuda" else "Install it again"
        raise ConfigError(f"backend spconv on {device}: {fault}. {remedy}, or use --backend torch.")
    if device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        raise ConfigError(
            f"backend spconv on {device}: expected sums in one order (deterministic), found a backend that does not "
            "promise them. Use --backend torch."
        )
