"""The processes that share a data set: started here (--devices), by torchrun or by SLURM."""

import atexit
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from elite.errors import ConfigError, MissingExtraError, first_line

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

Devices = int | Literal["auto"]

_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_OF_CHILDREN = ("NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of those that --devices starts
_PATIENCE = timedelta(days=30)  # the first to finish waits for the last


class Processes:
    """This process among ``world`` of them, number ``rank``, on ``device``; a process alone needs no library for it."""

    def __init__(self, devices: int, device: str) -> None:
        self.fabric = _launch(devices, device) if devices > 1 or launcher() else None
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


def launcher() -> Literal["torchrun", "srun"] | None:
    """What has started this process as one of several, None if nothing did.

    Raises:
        ConfigError: variables of a launcher are missing, left over, or contradict each other; they are named.
    """
    if _slurm_tasks() > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun may itself run under srun
        _check_slurm()
        return "srun"
    if "LOCAL_WORLD_SIZE" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        _check_torchrun()
        return "torchrun"
    if "LOCAL_RANK" in os.environ and (missing := [name for name in _OF_CHILDREN if name not in os.environ]):
        raise _left_over("LOCAL_RANK", missing)
    return None


def is_first() -> bool:
    """Whether this is the first process of its run, which writes the results.

    Raises:
        ConfigError: as ``launcher``.
    """
    match launcher():
        case "torchrun":
            return _number("RANK") == 0
        case "srun":
            return _number("SLURM_PROCID") == 0
        case _:  # Lightning's own children have a number too
            return "LOCAL_RANK" not in os.environ or _number("LOCAL_RANK") + _number("NODE_RANK") == 0


def sizes(devices: Devices) -> tuple[Devices, int]:
    """(processes on this machine, machines), of torchrun or srun if one started this process, else ``devices`` on one.

    Raises:
        ConfigError: as ``launcher``.
    """
    match launcher():
        case "torchrun":
            here = _number("LOCAL_WORLD_SIZE")
            return here, _number("WORLD_SIZE") // here
        case "srun":
            nodes = _number("SLURM_STEP_NUM_NODES")
            return _slurm_tasks() // nodes, nodes
        case _:
            return devices, 1


def cluster_environment() -> "ClusterEnvironment | None":
    """Lightning's environment for ``launcher``; None = as Lightning finds it.

    Raises:
        ConfigError: as ``launcher``.
    """
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    match launcher():
        case "torchrun":
            return TorchElasticEnvironment()
        case "srun":
            # A signal saves and stops as everywhere, and --resume continues; Lightning would requeue by itself.
            return SLURMEnvironment(auto_requeue=False)
    if "LOCAL_RANK" not in os.environ:
        rank_zero_only.rank = 0  # Lightning takes it from RANK or SLURM_PROCID, whoever left them there
    return LightningEnvironment() if "SLURM_NTASKS" in os.environ else None


def _slurm_tasks() -> int:
    """Tasks of the srun that this process belongs to; 1 outside of one (a login or interactive shell has no step)."""
    inside = "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    return _number("SLURM_STEP_NUM_TASKS", 1) if inside else 1


def _check_slurm() -> None:
    tasks = _slurm_tasks()
    needed = ("SLURM_STEP_NUM_NODES", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
    if missing := [name for name in needed if name not in os.environ]:
        raise _left_over("SLURM_STEP_NUM_TASKS", missing)
    nodes, each = _number("SLURM_STEP_NUM_NODES"), _number("SLURM_NTASKS_PER_NODE", 0)
    if nodes < 1 or each * nodes != tasks or _number("SLURM_NTASKS") != tasks or _number("SLURM_PROCID") >= tasks:
        shown = ("SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_NODES", "SLURM_NTASKS", "SLURM_PROCID")
        found = ", ".join(f"{name}={os.environ.get(name, 'unset')}" for name in shown)
        raise ConfigError(
            f"srun: expected as many tasks on each machine, found SLURM_STEP_NUM_TASKS={tasks} with {found}. Give "
            f"--ntasks-per-node {max(1, tasks // max(1, nodes))} (and --nodes) to srun instead of --ntasks."
        )


def _check_torchrun() -> None:
    given = "LOCAL_WORLD_SIZE" if "LOCAL_WORLD_SIZE" in os.environ else "TORCHELASTIC_RUN_ID"
    if missing := [name for name in _OF_TORCHRUN if name not in os.environ]:
        raise _left_over(given, missing)
    rank, world, local_rank, here = (_number(name) for name in _OF_TORCHRUN[:4])
    if here < 1 or world % here or not rank < world or not local_rank < here:
        found = ", ".join(f"{name}={os.environ[name]}" for name in _OF_TORCHRUN[:4])
        raise ConfigError(
            f"torchrun: expected RANK < WORLD_SIZE, LOCAL_RANK < LOCAL_WORLD_SIZE and as many processes on each "
            f"machine, found {found}. Unset these variables, or start the command with torchrun."
        )


def _left_over(given: str, missing: list[str]) -> ConfigError:
    return ConfigError(
        f"the environment has {given}, expected {', '.join(missing)} beside it, as torchrun or srun set them. Unset "
        f"{given}, or start the command with torchrun or srun."
    )


def _number(name: str, default: int | None = None) -> int:
    """The value of an environment variable, a number from 0."""
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal():
        raise ConfigError(f"the environment variable {name} is '{text}', expected a number. Unset it, or correct it.")
    return int(text)


def _launch(devices: int, device: str) -> "Fabric":
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError("lightning", "train") from error
    here, nodes = sizes(devices)
    strategy = DDPStrategy(process_group_backend="gloo", timeout=_PATIENCE)
    accelerator, environment = device.split(":")[0], cast(Any, cluster_environment())
    try:
        fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=nodes, strategy=strategy, plugins=environment)
    except (RuntimeError, ValueError) as error:  # Lightning's own error is a RuntimeError or a ValueError
        raise ConfigError(
            f"cannot start {here} processes on each of {nodes} machines with --device {device} "
            f"({first_line(error)}). Change --devices or --device."
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
