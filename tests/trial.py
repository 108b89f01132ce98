"""``elite`` commands in processes of their own that may be hit: by a signal from outside, or by harm done within."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from elite.datasets.dense_labels import write_dense
from elite.layout import Layout
from elite.types import Batch
from tests.conftest import RAW_IDS, narrow_sam, random_scan, write_frame

Harm = Callable[[], None]
BATCH = "batch {} of this process begins"

# A server that has imported everything and computed nothing: what it forks begins at once, with no thread of another.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["tests.trial", "elite.cli", "elite.training.run", "elite.teacher.teacher", "transformers.models.sam.modeling_sam"]
)


class Trial:
    """``elite argv`` at work. Its output goes to ``log``, after that of trials before it."""

    def __init__(
        self, argv: list[str], log: Path, harm: Harm | None = None, told: dict[str, str] | None = None
    ) -> None:
        self.log, self.begun = log, time.monotonic()
        self._said_before = log.stat().st_size if log.exists() else 0
        self._process = _SERVER.Process(target=_command, args=(argv, log, harm, told or {}))
        self._process.start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process.pid is not None
        if self.running():
            os.kill(self._process.pid, number)

    def kill_all(self, number: int) -> None:
        """With its loader processes."""
        assert self._process.pid is not None
        os.killpg(self._process.pid, number)

    def running(self) -> bool:
        return self._process.exitcode is None

    def children(self) -> list[int]:
        """Process ids of its loader processes."""
        found = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [int(number) for path in found for number in path.read_text().split()]

    def wait(self, seconds: float = 120) -> int:
        """Its exit status, negative if a signal ended it.

        Raises:
            TimeoutError: it hangs; it is killed.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"not at its end after {seconds} s: {self.said()[-2000:]}")
        return self._process.exitcode

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Until it says so, has ended, or so many seconds are over."""
        while text not in self.said() and self.running() and time.monotonic() - self.begun < seconds:
            time.sleep(0.005)

    def said(self) -> str:
        return self.log.read_bytes()[self._said_before :].decode(errors="replace") if self.log.exists() else ""


def _command(argv: list[str], log: Path, harm: Harm | None, told: dict[str, str]) -> None:
    os.setpgid(0, 0)  # a signal may be meant for it and its loader processes alone
    multiprocessing.set_start_method("fork", force=True)  # of loader processes, as from the command line
    os.environ.update(told)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the server leaves out
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    from elite.cli import main
    from elite.training.module import Training

    torch.set_num_threads(1)
    begin, batches = Training.on_train_batch_start, count()

    def say(self: Training, batch: Batch, index: int) -> None:
        print(BATCH.format(next(batches)), flush=True)
        begin(self, batch, index)

    Training.on_train_batch_start = say  # type: ignore[method-assign]
    if harm is not None:
        harm()
    sys.exit(main(argv))


def two_machines() -> list[dict[str, str]]:
    """What torchrun tells two processes, each on a machine of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1, "LOCAL_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    own = [{"RANK": rank, "GROUP_RANK": rank} for rank in range(2)]
    return [{name: str(value) for name, value in (shared | told).items()} for told in own]


def pair(argv: list[str], log: Path) -> list[Trial]:
    """Two processes that train together."""
    return [Trial(argv, log.with_suffix(f".{i}"), told=told) for i, told in enumerate(two_machines())]


def write_drive(root: Path, scans: int, scored: int = 2) -> None:
    """Random scans with labels, images and pseudo-labels of them."""
    rng, layout = np.random.default_rng(0), Layout(root)
    for sequence, number in (("00", scans), ("08", scored)):
        for i in range(number):
            points = random_scan(rng)
            write_frame(root, sequence, f"{i:06d}", points, rng.choice(RAW_IDS, len(points)) | (i + 1 << 16))
            image = layout.image(sequence, f"{i:06d}", "image_2")
            image.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (376, 1241, 3), np.uint8)).save(image)
            ids = rng.choice(RAW_IDS, (376, 1241)).astype(np.uint16)
            write_dense(layout, sequence, f"{i:06d}", "image_2_pseudo", semantic=ids, instance=ids)


def write_foundation(folder: Path) -> None:
    """A SAM of four narrow blocks."""
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_dim": 32, "output_channels": 8}
    places = {"image_size": 512, "patch_size": 32, "window_size": 7, "global_attn_indexes": [3]}
    narrow_sam(**sizes, **places, initializer_range=0.1).save_pretrained(folder)


def train_argv(base: Path, out: Path, **settings: object) -> list[str]:
    """A small run with all that has a state: teacher, AdaLoRA, cutmix, pseudo-labels, self-training, loaders."""
    told = {
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
    told |= {name.replace("__", "."): value for name, value in settings.items()}
    return ["train", "--accelerator", "cpu", *(f"--{name}={value}" for name, value in told.items())]
