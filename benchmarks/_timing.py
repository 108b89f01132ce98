"""Scans, interleaved rounds, peak of the machine, memory of a process, tables.

All contestants run in each round on the same scan, in a rotating order, and never twice in a row on one scan. The first
round is discarded. A ratio is the median of the ratios of the rounds; milliseconds depend on the machine. Linux only.
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
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from elite.datasets.scan_files import read_scan
from elite.geometry import in_volume
from elite.native import describe
from elite.sensor import load_sensor
from elite.student import SPVCNN
from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.drive import scan_frame

Raw = Float32[np.ndarray, "n 4"]
T = TypeVar("T")
Clock = Callable[[], float]
Contestants = Mapping[str, Callable[[T], object]]


def arguments(
    description: str | None, rounds: int, *, files: bool = True, flags: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """Parse ``--scans`` (with ``files``), ``--rounds``, ``--threads`` and ``--child``, and restart with the threads.

    ``flags`` are further options with their help.

    ``child`` is None, or in a process whose memory is measured: (file of clouds, name of the contestant).
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if files:
        parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else all cores")
    for flag, text in (flags or {}).items():
        parser.add_argument(flag, action="store_true", help=text)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    restart((given := parser.parse_args()).threads)
    return given


def restart(threads: int | None) -> None:
    """Restart the program with ``threads`` in the environment, which OpenMP reads once, before any import.

    Idle threads of two libraries must not spin against each other, which would slow spconv down.
    """
    count = str(threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count())
    wanted = {"GOMP_SPINCOUNT": "10000"} | os.environ | {"OMP_NUM_THREADS": count}
    if wanted != os.environ:
        os.execve(sys.executable, sys.orig_argv, wanted)


def conditions() -> str:
    """Processor, threads, versions and load, which each figure depends on."""
    model = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0].strip("\t :")
    changes = ", with changes" if _git("status", "--porcelain", "src", "benchmarks") else ""
    commit = (_git("rev-parse", "--short", "HEAD") or "unknown") + changes
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = " -- BUSY: other programs are running, so only ratios are usable, if at all" if load > 0.5 * cores else ""
    built = f"torch {torch.__version__}; {describe()}; commit {commit}"
    return f"{model}, {torch.get_num_threads()} of {cores} threads; {built}; load before the start {load:.1f}{busy}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parents[1]), "--no-optional-locks", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def scans(folder: Path | None, count: int) -> list[Raw]:
    """Return up to ``count`` full scans (x, y, z, remission) from files or a rendered street; at least two."""
    if folder is not None:
        found = [read_scan(path, load_sensor("hdl-64e")) for path in sorted(folder.glob("*.bin"))[:count]]
        if len(found) < 2:
            raise SystemExit(f"{folder}: expected at least two .bin files, found {len(found)}.")
        return [np.column_stack([s.points, s.remission]) for s in found]
    config = DriveConfig(sequences=1, frames=max(2, count))
    world = open_world(config, "00")
    return [scan_frame(world, world.caster(i / 2), config, "00", i)[0].astype(np.float32) for i in range(config.frames)]


def crop(raw: Raw, student: SPVCNN) -> tuple[Float32[Tensor, "n 3"], Float32[Tensor, "n"]]:
    """Points and remission inside the student's volume. Part of each measured call."""
    points = np.ascontiguousarray(raw[:, :3])
    inside = in_volume(points, student.config.volume)
    return torch.from_numpy(points.compress(inside, axis=0)), torch.from_numpy(raw[:, 3].compress(inside))


@torch.no_grad()
def varied_student(raw: Raw) -> SPVCNN:
    """Student with random weights, batch norms fitted to a scan, and predictions of many classes.

    With predictions of one class, agreement between contestants would prove nothing.
    """
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


def timed(run: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    start = clock()
    run()
    return clock() - start


def fair_rounds(
    contestants: Contestants[T], inputs: Sequence[T], count: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each contestant in each of ``count`` rounds, after a discarded one.

    Args:
        clock: of elapsed time, or ``time.process_time`` where other programs are running.
    """
    names, seconds = list(contestants), {name: [] for name in contestants}
    for i in range(count + 1):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            duration = timed(lambda: contestants[name](inputs[i % len(inputs)]), clock)  # noqa: B023
            if i:
                seconds[name].append(duration)
    return seconds


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median of the ratios of the rounds."""
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def spread(numerator: Sequence[float], denominator: Sequence[float]) -> str:
    """Median ratio with lowest and highest round: ``9.81 (9.60-10.02)``."""
    each = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f})"


class Gemm:
    """Peak of the machine by torch.mm (int8: torch._int_mm): the best of several sizes, several times each."""

    SIZES = ((768, 768, 768), (1024, 1024, 1024), (2048, 1024, 1024), (1536, 1536, 1536))
    REPEATS = 3

    def __init__(self, dtype: torch.dtype) -> None:
        sizes = [size for size in self.SIZES for _ in range(self.REPEATS)]
        self.product = getattr(torch, "_int_mm" if dtype is torch.int8 else "mm")
        self.pairs = [(_numbers(m, k, dtype), _numbers(k, n, dtype)) for m, k, n in sizes]
        self.seconds_per_mac: list[float] = []  # one per call

    def __call__(self, _: object = None) -> None:
        each = [timed(lambda: self.product(a, b)) / (a.numel() * b.shape[1]) for a, b in self.pairs]  # noqa: B023
        self.seconds_per_mac.append(min(each))

    def floors(self, macs: Sequence[int]) -> list[float]:
        """Minimum seconds for the multiplications of each counted round."""
        return [m * s for m, s in zip(macs, self.seconds_per_mac[1:], strict=True)]

    def giga_flops(self) -> float:
        return 2e-9 / min(self.seconds_per_mac)


def _numbers(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    return (40 * torch.randn(rows, columns)).clamp(-127, 127).to(dtype)


def process_memory(field: Literal["VmRSS", "VmHWM"]) -> int:
    """Bytes of this process: resident now, or at the peak (``ru_maxrss`` includes the memory of the parent process)."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


def memory_above(run: Callable[[], object]) -> int:
    """Bytes by which ``run`` raises the peak memory of this process."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = process_memory("VmRSS")
    run()
    return process_memory("VmHWM") - before


def memory_of(script: str, name: str, clouds: Sequence[Raw]) -> float:
    """Return the bytes that ``script --child FILE name`` prints in a new process; FILE is an .npz of the clouds."""
    with tempfile.NamedTemporaryFile() as file:
        np.savez(file, *clouds)
        file.flush()
        done = subprocess.run([sys.executable, script, "--child", file.name, name], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} --child {name}: expected exit status 0, found {done.returncode}.\n{done.stderr}")
    return float(done.stdout.split()[-1])


def given_clouds(path: str) -> list[Raw]:
    with np.load(path) as file:
        return [file[name] for name in file.files]


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Text table with aligned columns; the first is left-aligned, the others are right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]

    def row(line: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))

    return "\n".join(map(row, [header, ["-" * w for w in widths], *lines]))
