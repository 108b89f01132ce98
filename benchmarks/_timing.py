"""Helpers of the benchmarks: scans, fair rounds, the machine's own peak, memory of a process, tables.

The rules: contestants meet in every round, on the same scan and in another order each time; a contestant never sees a
scan twice in a row; the first round is thrown away; a ratio is the median over the rounds of that round's ratio.
Milliseconds are for orientation only, ratios travel. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from elite.datasets.formats import read_scan
from elite.geometry import in_volume
from elite.native import describe
from elite.student import SPVCNN
from elite.synthetic import DriveConfig
from elite.synthetic.drive import open_world, scan_frame

Raw = Float32[np.ndarray, "n 4"]
T = TypeVar("T")
Contestants = Mapping[str, Callable[[T], object]]


def arguments(told: str | None, rounds: int, *, files: bool = True) -> argparse.Namespace:
    """scans, rounds, and child: None, or (file of clouds, whose memory to measure) in a process of its own.

    Without ``files`` no scans are asked for.
    """
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    if files:
        parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else every core")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    restart((given := parser.parse_args()).threads)
    return given


def restart(threads: int | None) -> None:
    """Begin again with ``threads`` in the environment, which OpenMP reads once, before any import.

    Threads of two libraries must not spin against each other either, which would slow spconv down.
    """
    count = str(threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count())
    wanted = {"GOMP_SPINCOUNT": "10000"} | os.environ | {"OMP_NUM_THREADS": count}
    if wanted != os.environ:
        os.execve(sys.executable, sys.orig_argv, wanted)


def conditions() -> str:
    """Processor, threads, versions, load: what a figure needs beside it."""
    model = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0].strip("\t :")
    changes = ", with changes" if _git("status", "--porcelain", "src", "benchmarks") else ""
    commit = (_git("rev-parse", "--short", "HEAD") or "unknown") + changes
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = " -- BUSY: others run here, mind the ratios only, if at all" if load > 0.5 * cores else ""
    built = f"torch {torch.__version__}; {describe()}; commit {commit}"
    return f"{model}, {torch.get_num_threads()} of {cores} threads; {built}; load before the start {load:.1f}{busy}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parents[1]), "--no-optional-locks", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def scans(folder: Path | None, count: int) -> list[Raw]:
    """Up to ``count`` whole scans (x y z remission), of real files or of a rendered street; at least two."""
    if folder is not None:
        found = [read_scan(path) for path in sorted(folder.glob("*.bin"))[:count]]
        if len(found) < 2:
            raise SystemExit(f"{folder} holds {len(found)} .bin files; expected two scans or more.")
        return [np.column_stack([s.points, s.remission]) for s in found]
    config = DriveConfig(sequences=1, frames=max(2, count))
    world = open_world(config, "00")
    return [scan_frame(world, world.caster(i / 2), config, "00", i)[0].astype(np.float32) for i in range(config.frames)]


def crop(raw: Raw, student: SPVCNN) -> tuple[Float32[Tensor, "n 3"], Float32[Tensor, "n"]]:
    """(points, remission) inside the student's volume. Every contestant begins with this."""
    points = np.ascontiguousarray(raw[:, :3])
    inside = in_volume(points, student.config.volume)
    return torch.from_numpy(points.compress(inside, axis=0)), torch.from_numpy(raw[:, 3].compress(inside))


@torch.no_grad()
def lively_student(raw: Raw) -> SPVCNN:
    """Random weights, but batch norms that know a scan, and answers of many classes. Else agreement proves nothing."""
    torch.manual_seed(0)
    student = SPVCNN().train()
    for module in student.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    points, remission = crop(raw, student)
    logits = student(points, remission, torch.zeros(len(points), dtype=torch.int64)).logits
    last, mean, std = student.classifier[2], logits.mean(dim=0), logits.std(dim=0)
    assert isinstance(last, nn.Linear)
    last.weight /= std[:, None]
    last.bias.copy_((last.bias - mean) / std)
    return student.eval()


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fair_rounds(contestants: Contestants[T], inputs: Sequence[T], count: int) -> dict[str, list[float]]:
    """Seconds of every contestant in each of ``count`` rounds, after one that is not counted."""
    names, seconds = list(contestants), {name: [] for name in contestants}
    for i in range(count + 1):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            took = timed(lambda: contestants[name](inputs[i % len(inputs)]))  # noqa: B023
            if i:
                seconds[name].append(took)
    return seconds


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over the rounds."""
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def spread(numerator: Sequence[float], denominator: Sequence[float]) -> str:
    """The median ratio with the lowest and highest round: ``9.81 (9.60-10.02)``."""
    each = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f})"


class Gemm:
    """The machine's peak, as torch.mm reaches it: the best of several sizes, several times each."""

    SIZES = ((768, 768, 768), (1024, 1024, 1024), (2048, 1024, 1024), (1536, 1536, 1536))
    REPEATS = 3

    def __init__(self, dtype: torch.dtype) -> None:
        sizes = [size for size in self.SIZES for _ in range(self.REPEATS)]
        self.pairs = [(torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)) for m, k, n in sizes]
        self.seconds_per_mac: list[float] = []  # one a call

    def __call__(self, _: object = None) -> None:
        each = [timed(lambda: torch.mm(a, b)) / (a.numel() * b.shape[1]) for a, b in self.pairs]  # noqa: B023
        self.seconds_per_mac.append(min(each))

    def floors(self, macs: Sequence[int]) -> list[float]:
        """Seconds that the multiplications of each counted round cost at least."""
        return [m * s for m, s in zip(macs, self.seconds_per_mac[1:], strict=True)]

    def giga_flops(self) -> float:
        return 2e-9 / min(self.seconds_per_mac)


def memory_above(run: Callable[[], object]) -> int:
    """Bytes by which ``run`` raises this process's memory at its peak.

    By the kernel's VmHWM, set back first: ``ru_maxrss`` remembers the parent's memory across the start of a program.
    """

    def memory(name: str) -> int:
        return 1024 * int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])

    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    run()
    return memory("VmHWM") - before


def memory_of(script: str, name: str, clouds: Sequence[Raw]) -> float:
    """The bytes that ``script --child FILE name`` prints, a process of its own; FILE is an .npz of the clouds."""
    with tempfile.NamedTemporaryFile() as file:
        np.savez(file, *clouds)
        file.flush()
        done = subprocess.run([sys.executable, script, "--child", file.name, name], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def given_clouds(path: str) -> list[Raw]:
    with np.load(path) as file:
        return [file[name] for name in file.files]


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]

    def row(line: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))

    return "\n".join(map(row, [header, ["-" * w for w in widths], *lines]))
