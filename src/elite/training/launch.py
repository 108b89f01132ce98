"""Devices, processes and precision of a training, by Lightning Fabric."""

import logging
import os
import warnings
from typing import Any

import torch
from lightning.fabric import Fabric

from elite.errors import ConfigError, first_line
from elite.processes import Devices, cluster_environment, leave_group_at_exit, process_counts

_CUBLAS_WORKSPACE = ":4096:8"  # https://docs.nvidia.com/cuda/cublas/#results-reproducibility


def build_fabric(*, accelerator: str, devices: Devices, precision: Any, flags: str) -> Fabric:
    """Fabric for these devices, whose processes ``launch`` starts.

    Raises:
        ConfigError: this machine has no such devices (``flags`` names the options to change), or does not compute in
            this precision.
    """
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    environment: Any = cluster_environment()
    here, machines = process_counts(devices)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*AMP with fp16 is not supported on CPU.*")  # an error below
            fabric = Fabric(
                accelerator=accelerator, devices=here, num_nodes=machines, precision=precision, plugins=environment
            )
    except (RuntimeError, ValueError) as error:  # Fabric's own error is a RuntimeError or a ValueError
        raise ConfigError(
            f"this machine cannot train with these devices ({first_line(error)}). Change {flags}."
        ) from error
    found = fabric.strategy.precision.precision
    if found != precision:
        raise ConfigError(
            f"precision {precision} is not available on this device, which computes in {found} instead. Set "
            f"--precision {found}."
        )
    return fabric


def processes_here(fabric: Fabric, devices: Devices) -> int:
    """Number of processes on this machine."""
    return fabric.world_size // process_counts(devices)[1]


def require_deterministic(required: bool) -> None:
    """Require deterministic operations of torch from now on, or allow others."""
    if required:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _CUBLAS_WORKSPACE)
    torch.use_deterministic_algorithms(required)


def launch(fabric: Fabric) -> None:
    """Start the other processes of the run on this machine, and connect all of them."""
    leave_group_at_exit()
    fabric.launch()
