"""The processes that share a data set: started here (--devices), by torchrun or by SLURM."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from elite.errors import MissingExtraError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

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
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def _launch(devices: int, device: str) -> "Fabric":
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError("lightning", "train") from error
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    nodes = max(1, int(os.environ.get("WORLD_SIZE", here)) // here)
    fabric = Fabric(
        accelerator=device.split(":")[0],
        devices=here,
        num_nodes=nodes,
        strategy=DDPStrategy(process_group_backend="gloo", timeout=_PATIENCE),
    )
    fabric.launch()
    return fabric
