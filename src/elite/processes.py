"""The processes that share a data set: started here (--devices), by torchrun or by SLURM."""

import atexit
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from elite.errors import ConfigError, MissingExtraError, first_line

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Devices = int | Literal["auto"]

_PATIENCE = timedelta(days=30)  # the first to finish waits for the last


class Processes:
    """This process among ``world`` of them, number ``rank``, on ``device``; a process alone needs no library for it."""

    def __init__(self, devices: int, device: str) -> None:
        self.fabric = _launch(devices, device) if devices > 1 or _launched() else None
        self.rank = self.fabric.global_rank if self.fabric else 0
        self.world = self.fabric.world_size if self.fabric else 1
        self.device = str(self.fabric.device) if self.fabric else device

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in the order of their numbers, once all have come here."""
        if self.fabric is None:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values


def _launched() -> bool:
    return "LOCAL_WORLD_SIZE" in os.environ or _slurm_tasks() > 1


def _slurm_tasks() -> int:
    """Tasks of the srun that this process belongs to; 1 outside of one (a login or interactive shell has no step)."""
    inside = "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if inside else 1


def sizes(devices: Devices) -> tuple[Devices, int]:
    """(processes on this machine, machines), as torchrun or SLURM say, else ``devices`` on this one."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        return here, int(os.environ["WORLD_SIZE"]) // here
    if (tasks := _slurm_tasks()) > 1:
        nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
        return tasks // nodes, nodes
    return devices, 1


def _launch(devices: int, device: str) -> "Fabric":
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError("lightning", "train") from error
    here, nodes = sizes(devices)
    strategy = DDPStrategy(process_group_backend="gloo", timeout=_PATIENCE)
    try:
        fabric = Fabric(accelerator=device.split(":")[0], devices=here, num_nodes=nodes, strategy=strategy)
    except (RuntimeError, ValueError) as error:  # Lightning's own error is a RuntimeError or a ValueError
        raise ConfigError(
            f"{here} processes on each of {nodes} machines with --device {device} cannot be had here "
            f"({first_line(error)}); change --devices or --device."
        ) from error
    fabric.launch()
    leave_group_at_exit()
    return fabric


def leave_group_at_exit() -> None:
    """Close this process's group before Python ends: one that exits with gloo's threads alive may be aborted by them.

    Lightning does this for NCCL alone.
    """
    atexit.unregister(_leave_group)
    atexit.register(_leave_group)


def _leave_group() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
