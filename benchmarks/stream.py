"""Latency of ``elite stream`` in an empty folder and in one with many files.

    python benchmarks/stream.py [--files 100000] [--rounds 5] [--rate 10] [--points 20000] [--threads 1]

Two commands run at the same time, one on an empty folder and one on a folder with labelled scans of one point each. In
each round both get 20 scans in turn, at RATE per second. Prints the median time from the rename of a scan to its labels
in milliseconds, the ratio of each round, and the median ratio. The scans are random subsets of those in SCANS (default:
a rendered street). Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from _timing import Raw, conditions, ratio, restart, scans, varied_student

from elite.student import save_student

PER_ROUND = 20
LINKS = 10_000  # names of one file
LIMIT_S = 60.0
EMPTY, FULL = "empty", "full"


def fill(folder: Path, count: int) -> None:
    """Write scans of one point and their labels, as links, which is faster than writing files."""
    for inner, suffix, size in (("in", "bin", 16), ("out", "label", 4)):
        (folder / inner).mkdir(parents=True)
        for i in range(count):
            path = folder / inner / f"{i:08}.{suffix}"
            if i % LINKS == 0:
                first = path
                first.write_bytes(bytes(size))
            else:
                path.hardlink_to(first)


def start(folder: Path, student: Path) -> subprocess.Popen[str]:
    paths = [student, folder / "in", "-o", folder / "out"]
    command = [sys.executable, "-m", "elite", "stream", *map(str, paths), "--device", "cpu"]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE)


def deliver(folder: Path, name: str, data: bytes) -> float:
    """Seconds from the rename of a scan to its labels."""
    scan, labels = folder / "in" / f"{name}.bin", folder / "out" / f"{name}.label"
    scan.with_suffix(".tmp").write_bytes(data)
    start = time.perf_counter()
    scan.with_suffix(".tmp").rename(scan)
    while not labels.exists():
        if time.perf_counter() - start > LIMIT_S:
            raise SystemExit(f"{labels}: expected within {LIMIT_S:.0f} s, not found.")
        time.sleep(0.0005)
    return time.perf_counter() - start


def deliver_many(folder: Path, first: int, data: list[bytes], rate: float) -> list[float]:
    seconds, due = [], time.perf_counter()
    for i, each in enumerate(data):
        seconds.append(deliver(folder, f"{90_000_000 + first + i}", each))
        due += 1 / rate
        time.sleep(max(0.0, due - time.perf_counter()))
    return seconds


def main(root: Path, given: argparse.Namespace) -> None:
    clouds, rng = scans(given.scans, 5), np.random.default_rng(0)
    save_student(varied_student(clouds[0]), root / "student.safetensors")

    def thinned(raw: Raw) -> bytes:
        return raw[rng.permutation(len(raw))[: given.points]].astype("<f4").tobytes()

    folders = {EMPTY: root / EMPTY, FULL: root / FULL}
    fill(folders[EMPTY], 0)
    fill(folders[FULL], given.files)
    running = {name: start(folder, root / "student.safetensors") for name, folder in folders.items()}
    try:
        measure(folders, [thinned(clouds[i % len(clouds)]) for i in range(PER_ROUND)], given)
    finally:
        for name, process in running.items():
            process.terminate()
            print(f"{name}: {process.communicate(timeout=LIMIT_S)[0].strip()}")


def measure(folders: dict[str, Path], data: list[bytes], given: argparse.Namespace) -> None:
    medians: dict[str, list[float]] = {EMPTY: [], FULL: []}
    print(f"{'round':>5}{'empty':>9}{'full':>9}{'full / empty':>14}")
    for i in range(given.rounds + 1):  # the first round waits for the commands to start
        for name in [EMPTY, FULL][:: 1 if i % 2 else -1]:
            seconds = deliver_many(folders[name], PER_ROUND * i, data, given.rate)
            if i:
                medians[name].append(1000 * median(seconds))
        if i:
            empty, full = medians[EMPTY][-1], medians[FULL][-1]
            print(f"{i:5}{empty:9.1f}{full:9.1f}{full / empty:14.2f}", flush=True)
    print(f"{given.files:,} files: full / empty {ratio(medians[FULL], medians[EMPTY]):.2f} (median of the rounds)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=10.0, help="scans per second (default: 10)")
    parser.add_argument("--points", type=int, default=20_000, help="points per scan (default: 20000)")
    parser.add_argument("--folder", type=Path, help="file system to measure on (default: that of temporary files)")
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else all cores")
    options = parser.parse_args()
    restart(options.threads)
    print(conditions())
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        main(Path(temporary), options)
