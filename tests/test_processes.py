"""Recognition of the process launcher: this program, torchrun or SLURM."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from elite.errors import ConfigError
from elite.processes import Processes, is_first, launcher, process_counts
from tests.support.waiting import PATIENCE_S

TORCHRUN = {
    **{"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"},
    **{"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
}
SRUN = {
    **{"SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "labels", "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3"},
    **{
        "SLURM_NTASKS": "6",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
    },
}
CHILD = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def without(environment: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Sets these variables of a launcher, and no others."""
    for name in [n for n in os.environ if n in TORCHRUN or n in CHILD or n.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return lambda variables: [monkeypatch.setenv(*item) for item in variables.items()] and None


@pytest.mark.parametrize(
    ("environment", "by", "expected", "first"),
    [
        ({}, None, (2, 1), True),
        (TORCHRUN, "torchrun", (4, 2), False),
        (TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0"}, "torchrun", (4, 2), True),
        (SRUN, "srun", (2, 3), True),
        (SRUN | {"SLURM_PROCID": "5"}, "srun", (2, 3), False),
        (SRUN | TORCHRUN, "torchrun", (4, 2), False),  # srun starts torchrun
        (SRUN | {"SLURM_JOB_NAME": "bash"}, None, (2, 1), True),  # a shell that srun opened is not a step of many
        (without(SRUN, "SLURM_STEP_ID"), None, (2, 1), True),  # inside of an allocation, but not of a step
        (SRUN | {"SLURM_STEP_NUM_TASKS": "1"}, None, (2, 1), True),
        (CHILD, None, (2, 1), False),  # of --devices 2
        ({"RANK": "1", "WORLD_SIZE": "1"}, None, (2, 1), True),  # left over, or of a job of one pod
    ],
)
def test_launcher_of_each_environment_is_recognised(environment, by, expected, first, environ) -> None:
    environ(environment)
    assert (launcher(), process_counts(2), is_first()) == (by, expected, first)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"LOCAL_WORLD_SIZE": "2"},
            "expected RANK, WORLD_SIZE, LOCAL_RANK, .* with LOCAL_WORLD_SIZE, .* Unset LOCAL_WORLD",
        ),
        (without(TORCHRUN, "WORLD_SIZE"), "expected WORLD_SIZE with LOCAL_WORLD_SIZE"),
        (TORCHRUN | {"WORLD_SIZE": "many"}, "WORLD_SIZE: expected a number, found 'many'"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "3"}, "found RANK=5, WORLD_SIZE=8, LOCAL_RANK=1, LOCAL_WORLD_SIZE=3"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE=0"),
        ({"LOCAL_RANK": "1"}, "expected NODE_RANK, WORLD_SIZE, .* with LOCAL_RANK"),
        (without(SRUN, "SLURM_NTASKS_PER_NODE"), "Give --ntasks-per-node 2 .* to srun instead of --ntasks"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "4"}, "found SLURM_STEP_NUM_TASKS=6 with SLURM_NTASKS_PER_NODE=4"),
        (without(SRUN, "SLURM_PROCID"), "expected SLURM_PROCID with SLURM_STEP"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "?"}, "SLURM_STEP_NUM_TASKS: .* found '\\?'"),
    ],
)
def test_contradictory_variables_of_a_launcher_are_named(environment, message, environ) -> None:
    environ(environment)
    for ask in (launcher, is_first, lambda: process_counts(2)):
        with pytest.raises(ConfigError, match=message):
            ask()


def test_processes_of_one_gather_its_value(environ) -> None:
    environ({})
    alone = Processes(1, "cpu")
    assert (alone.rank, alone.world, alone.device, alone.gather("value")) == (0, 1, "cpu", ["value"])


def test_processes_leave_their_group_before_exit(tmp_path: Path):
    """Otherwise gloo's threads may abort it, now and then."""
    program = tmp_path / "program.py"  # a file: the launcher starts it again
    program.write_text(
        "import atexit, torch.distributed as d\n"
        "atexit.register(lambda: print('left' if not d.is_initialized() else 'still in'))\n"  # runs last of all
        "from elite.processes import Processes\n"
        "processes = Processes(2, 'cpu')\n"
        "assert sorted(processes.gather(processes.rank)) == [0, 1]\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "left" in done.stdout
    assert "still in" not in done.stdout
