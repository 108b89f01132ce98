"""Commands in separate processes: training runs to stop by a signal or an injected fault, and a holder of a lock."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import torch

from elite.batches import Batch
from tests.support.waiting import PATIENCE_S

Fault = Callable[[], None]
BATCH = "batch {} of this process begins"

# The server imports everything and computes nothing, so a forked process starts at once and inherits no thread.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "tests.support.processes",
        "elite.cli",
        "elite.training.run",
        "elite.teacher.teacher",
        "transformers.models.sam.modeling_sam",
    ]
)


class ForkedProcess:
    """``function()`` in a separate process. Its output is appended to ``log``.

    The function is a module-level function, or a ``partial`` of one.
    """

    def __init__(self, function: Callable[[], object], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log, self.started_at = log, time.monotonic()
        self._offset = log.stat().st_size if log.exists() else 0
        self._process = _SERVER.Process(target=_call, args=(function, log, environment or {}))
        self._process.start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process.pid is not None
        if self.is_running():
            os.kill(self._process.pid, number)

    def kill_group(self, number: int) -> None:
        """Send a signal to the process and its loader processes."""
        assert self._process.pid is not None
        os.killpg(self._process.pid, number)

    def is_running(self) -> bool:
        return self._process.exitcode is None

    def children(self) -> list[int]:
        """Process ids of the loader processes."""
        found = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [int(number) for path in found for number in path.read_text().split()]

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Exit status; negative after a signal.

        Raises:
            TimeoutError: The process does not end. It is killed.
        """
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"still running after {timeout_s} s: {self.output()[-2000:]}")
        return self._process.exitcode

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the text is printed, the process has ended, or the time is over."""
        while text not in self.output() and self.is_running() and time.monotonic() - self.started_at < timeout_s:
            time.sleep(0.005)

    def output(self) -> str:
        return self.log.read_bytes()[self._offset :].decode(errors="replace") if self.log.exists() else ""


class Trial(ForkedProcess):
    """``elite argv`` in a separate process, with a fault that is injected before it starts."""

    def __init__(
        self, argv: list[str], log: Path, fault: Fault | None = None, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(partial(_command, argv, fault), log, environment)


def _call(function: Callable[[], object], log: Path, environment: dict[str, str]) -> None:
    os.setpgid(0, 0)  # kill_group reaches this process and its loaders only
    multiprocessing.set_start_method("fork", force=True)  # for loader processes, as on the command line
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores SIGINT
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    torch.set_num_threads(1)
    function()


def _command(argv: list[str], fault: Fault | None) -> None:
    from elite.cli import main
    from elite.training.loop import TrainingLoop

    train_batch, batches = TrainingLoop.train_batch, count()

    def report(self: TrainingLoop, batch: Batch) -> None:
        print(BATCH.format(next(batches)), flush=True)
        train_batch(self, batch)

    TrainingLoop.train_batch = report  # type: ignore[method-assign]
    if fault is not None:
        fault()
    sys.exit(main(argv))


def free_port() -> int:
    """Free port outside the range from which the system chooses, so that no other test is given it meanwhile."""
    for port in count(10_000 + os.getpid() % 10_000):
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def two_machines() -> list[dict[str, str]]:
    """Environment variables of two torchrun processes, each on its own machine."""
    shared = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1, "LOCAL_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "OMP_NUM_THREADS": 1}
    ranks = [{"RANK": rank, "GROUP_RANK": rank} for rank in range(2)]
    return [{name: str(value) for name, value in (shared | variables).items()} for variables in ranks]


def start_two(argv: list[str], log: Path) -> list[Trial]:
    """Start two processes of one distributed run."""
    environments = enumerate(two_machines())
    return [Trial(argv, log.with_suffix(f".{i}"), environment=variables) for i, variables in environments]


def train_argv(base: Path, out: Path, **settings: object) -> list[str]:
    """Arguments of a small run with every kind of state.

    The state is that of teacher, AdaLoRA, cutmix, pseudo-labels, self-training and loader processes.
    """
    options = {
        "data.root": base / "kitti",
        "out": out,
        "data.sequences": "00",
        "data.batch_size": 1,
        "data.workers": 2,
        "data.dense_labels": "image_2_pseudo",
        "distill.dense_stride": 16,
        "augment.cutmix.objects": 2,
        "augment.cutmix.fewest": 1,
        "image.crop": "[64,512]",
        "student.channels": 4,
        "student.cells": "[50,50,10]",
        "teacher.weights": base / "foundation",
        "teacher.channels": 8,
        "optim.lr": 0.05,
        "optim.average": 0.9,
        "self_training.weight": 0.5,
        "self_training.confidence": 0.2,
        "resume": "last",
    }
    options |= {name.replace("__", "."): value for name, value in settings.items()}
    return ["train", "--accelerator", "cpu", *(f"--{name}={value}" for name, value in options.items())]


@contextmanager
def lock_held(path: Path) -> Iterator[int]:
    """Hold the lock on ``path`` in another process, as a run does, and yield its process id."""
    program = (
        "import fcntl, json, os, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "json.dump({'pid': os.getpid(), 'host': 'there'}, file); file.flush(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.close()
