"""Does a segmenter that runs for hours keep its memory and its pace? Thousands of scans, no two of the same size.

    python benchmarks/soak.py [--scans FOLDER] [--count 10000] [--threads 2]

Scans are whole ones thinned out to a size of their own, from 2,000 points to all, so that no buffer fits twice. Printed
at every tenth of the way: the memory of the process, and the time a point takes (median and 99th percentile over the
scans since the line before; of scans of 20,000 points and more, below that the fixed part of a call shows).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _timing import conditions, lively_student, restart, scans

from elite.inference import Segmenter

FEWEST, LARGE = 2_000, 20_000
MB = 1 << 20
LINE = "{:>8}{:>10}{:>18}{:>12}{:>18}"


def resident() -> int:
    """Bytes of memory that the process holds now."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])


def main(folder: Path | None, count: int) -> None:
    clouds, rng = scans(folder, 5), np.random.default_rng(0)
    segmenter = Segmenter(lively_student(clouds[0]), "cpu")
    for raw in clouds:
        segmenter(raw[:, :3], raw[:, 3])  # buffers have the size of the largest from now on
    begun, pace = resident(), []
    print(LINE.format("scans", "MiB", "above the start", "us a point", "99th percentile"))
    for i in range(1, count + 1):
        raw = clouds[i % len(clouds)]
        size = int(np.exp(rng.uniform(np.log(FEWEST), np.log(len(raw)))))
        raw = raw[rng.permutation(len(raw))[:size]]
        start = time.perf_counter()
        segmenter(raw[:, :3], raw[:, 3])
        if size >= LARGE:
            pace.append(1e6 * (time.perf_counter() - start) / size)
        if i % max(1, count // 10) == 0:
            held, (middle, slow) = resident(), np.percentile(pace, (50, 99))
            print(LINE.format(i, *(f"{x:.2f}" for x in (held / MB, (held - begun) / MB, middle, slow))), flush=True)
            pace = []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else every core")
    given = parser.parse_args()
    restart(given.threads)
    print(conditions())
    main(given.scans, given.count)
