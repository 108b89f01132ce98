"""Processes that share a data set, started by --devices, torchrun or SLURM."""

import atexit
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from elite.errors import ConfigError, MissingExtraError, first_line

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

Devices = int | Literal["auto"]

_TORCHRUN_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_CHILD_VARIABLES = ("NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # in processes that --devices starts
_COLLECTIVE_TIMEOUT = timedelta(days=30)  # the first process to finish waits for the last


class Processes:
    """Process ``rank`` of ``world``, on ``device``. A single process does not require Lightning."""

    def __init__(self, devices: int, device: str) -> None:
        self.fabric = _launch(devices, device) if devices > 1 or launcher() else None
        self.rank = self.fabric.global_rank if self.fabric else 0
        self.world = self.fabric.world_size if self.fabric else 1
        self.device = str(self.fabric.device) if self.fabric else device

    def gather(self, value: Any) -> list[Any]:
        """Wait for all processes, and return their values in the order of their ranks."""
        if self.fabric is None:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values


def launcher() -> Literal["torchrun", "srun"] | None:
    """Launcher that has started this process as one of several; None without a launcher.

    Raises:
        ConfigError: environment variables of a launcher are missing or contradict each other. The message names them.
    """
    if _slurm_tasks() > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun may run under srun
        _check_slurm()
        return "srun"
    if "LOCAL_WORLD_SIZE" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        _check_torchrun()
        return "torchrun"
    if "LOCAL_RANK" in os.environ and (missing := [name for name in _CHILD_VARIABLES if name not in os.environ]):
        raise _incomplete_environment("LOCAL_RANK", missing)
    return None


def is_first() -> bool:
    """Whether this is the first process of the run, which writes the results.

    Raises:
        ConfigError: as ``launcher``.
    """
    match launcher():
        case "torchrun":
            return _number("RANK") == 0
        case "srun":
            return _number("SLURM_PROCID") == 0
        case _:  # processes that Lightning starts have a number as well
            return "LOCAL_RANK" not in os.environ or _number("LOCAL_RANK") + _number("NODE_RANK") == 0


def process_counts(devices: Devices) -> tuple[Devices, int]:
    """(processes on this machine, machines), as torchrun or srun has set them; by default ``devices`` on one machine.

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
    """Lightning environment of the launcher; None = Lightning detects it.

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
            # A signal saves a checkpoint, from which --resume continues. Lightning would requeue the job.
            return SLURMEnvironment(auto_requeue=False)
    if "LOCAL_RANK" not in os.environ:
        rank_zero_only.rank = 0  # Lightning would read leftover values of RANK or SLURM_PROCID
    return LightningEnvironment() if "SLURM_NTASKS" in os.environ else None


def _slurm_tasks() -> int:
    """Number of tasks of the srun step of this process; 1 outside a step, as in a login or interactive shell."""
    inside = "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    return _number("SLURM_STEP_NUM_TASKS", 1) if inside else 1


def _check_slurm() -> None:
    tasks = _slurm_tasks()
    needed = ("SLURM_STEP_NUM_NODES", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
    if missing := [name for name in needed if name not in os.environ]:
        raise _incomplete_environment("SLURM_STEP_NUM_TASKS", missing)
    nodes, each = _number("SLURM_STEP_NUM_NODES"), _number("SLURM_NTASKS_PER_NODE", 0)
    if nodes < 1 or each * nodes != tasks or _number("SLURM_NTASKS") != tasks or _number("SLURM_PROCID") >= tasks:
        names = ("SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_NODES", "SLURM_NTASKS", "SLURM_PROCID")
        found = ", ".join(f"{name}={os.environ.get(name, 'unset')}" for name in names)
        raise ConfigError(
            f"srun: expected equally many tasks on each machine, found SLURM_STEP_NUM_TASKS={tasks} with {found}. Give "
            f"--ntasks-per-node {max(1, tasks // max(1, nodes))} (and --nodes) to srun instead of --ntasks."
        )


def _check_torchrun() -> None:
    given = "LOCAL_WORLD_SIZE" if "LOCAL_WORLD_SIZE" in os.environ else "TORCHELASTIC_RUN_ID"
    if missing := [name for name in _TORCHRUN_VARIABLES if name not in os.environ]:
        raise _incomplete_environment(given, missing)
    rank, world, local_rank, here = (_number(name) for name in _TORCHRUN_VARIABLES[:4])
    if here < 1 or world % here or not rank < world or not local_rank < here:
        found = ", ".join(f"{name}={os.environ[name]}" for name in _TORCHRUN_VARIABLES[:4])
        raise ConfigError(
            f"torchrun: expected RANK < WORLD_SIZE, LOCAL_RANK < LOCAL_WORLD_SIZE and equally many processes on "
            f"each machine, found {found}. Unset these variables, or start the command with torchrun."
        )


def _incomplete_environment(given: str, missing: list[str]) -> ConfigError:
    return ConfigError(
        f"environment: expected {', '.join(missing)} with {given}, as torchrun and srun set them, found {given} only. "
        f"Unset {given}, or start the command with torchrun or srun."
    )


def _number(name: str, default: int | None = None) -> int:
    """Value of an environment variable, a number from 0 on."""
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal():
        raise ConfigError(f"environment variable {name}: expected a number, found '{text}'. Unset or correct it.")
    return int(text)


def _launch(devices: int, device: str) -> "Fabric":
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError("lightning", "train") from error
    here, nodes = process_counts(devices)
    strategy = DDPStrategy(process_group_backend="gloo", timeout=_COLLECTIVE_TIMEOUT)
    accelerator, environment = device.split(":")[0], cast(Any, cluster_environment())
    try:
        fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=nodes, strategy=strategy, plugins=environment)
    except (RuntimeError, ValueError) as error:  # errors of Lightning are of these types
        raise ConfigError(
            f"--devices: expected to start {here} processes on each of {nodes} machines with --device {device}, found "
            f"an error ({first_line(error)}). Change --devices or --device."
        ) from error
    fabric.launch()
    leave_group_at_exit()
    return fabric


def leave_group_at_exit() -> None:
    """Close the process group before Python ends, since live gloo threads may abort an exiting process.

    Lightning does this only for NCCL.
    """
    atexit.unregister(_leave_group)
    atexit.register(_leave_group)


def _leave_group() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
