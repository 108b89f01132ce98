"""Who launches the processes: this program, torchrun, or SLURM."""

import subprocess
import sys
from pathlib import Path

import pytest

from elite.processes import Processes, _launched, sizes

TORCHRUN = {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}
SRUN = {"SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "labels", "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3"}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SRUN):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "launched", "expected"),
    [
        ({}, False, (2, 1)),
        (TORCHRUN, True, (4, 2)),
        (SRUN, True, (2, 3)),
        (SRUN | {"SLURM_JOB_NAME": "bash"}, False, (2, 1)),  # a shell that srun opened is no step of many
        ({"SLURM_STEP_NUM_TASKS": "6"}, False, (2, 1)),  # inside of an allocation, but of no step
        (SRUN | {"SLURM_STEP_NUM_TASKS": "1"}, False, (2, 1)),
    ],
)
def test_launcher_tells_how_many(environment, launched, expected, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (_launched(), sizes(2)) == (launched, expected)


def test_one_process_gathers_its_own_value():
    alone = Processes(1, "cpu")
    assert (alone.rank, alone.world, alone.device, alone.gather("value")) == (0, 1, "cpu", ["value"])


def test_a_process_leaves_its_group_before_python_ends(tmp_path: Path):
    """Otherwise gloo's threads may abort it, now and then."""
    program = tmp_path / "program.py"  # a file: the launcher starts it once more
    program.write_text(
        "import atexit, torch.distributed as d\n"
        "atexit.register(lambda: print('left' if not d.is_initialized() else 'still in'))\n"  # runs last of all
        "from elite.processes import Processes\n"
        "processes = Processes(2, 'cpu')\n"
        "assert sorted(processes.gather(processes.rank)) == [0, 1]\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "left" in done.stdout
    assert "still in" not in done.stdout
