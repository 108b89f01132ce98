"""Memory and speed of a segmenter over thousands of scans of different sizes.

    python benchmarks/soak.py [--scans FOLDER] [--count 10000] [--threads 2]

Scans are random subsets of full ones, from 2,000 points to all, so that buffers never fit twice. Each of ten lines has
the memory of the process and the time per point (median and 99th percentile since the line before, for scans of at
least 20,000 points; below that the fixed cost of a call dominates).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _timing import conditions, process_memory, restart, scans, varied_student

from elite.inference import Segmenter

SMALLEST, LARGE = 2_000, 20_000
MB = 1 << 20
LINE = "{:>8}{:>10}{:>18}{:>12}{:>18}"


def main(folder: Path | None, count: int) -> None:
    clouds, rng = scans(folder, 5), np.random.default_rng(0)
    segmenter = Segmenter(varied_student(clouds[0]), "cpu")
    for raw in clouds:
        segmenter(raw[:, :3], raw[:, 3])  # buffers now have the size of the largest scan
    start_bytes, per_point = process_memory("VmRSS"), []
    print(LINE.format("scans", "MiB", "above the start", "us/point", "99th percentile"))
    for i in range(1, count + 1):
        raw = clouds[i % len(clouds)]
        size = int(np.exp(rng.uniform(np.log(SMALLEST), np.log(len(raw)))))
        raw = raw[rng.permutation(len(raw))[:size]]
        start = time.perf_counter()
        segmenter(raw[:, :3], raw[:, 3])
        if size >= LARGE:
            per_point.append(1e6 * (time.perf_counter() - start) / size)
        if i % max(1, count // 10) == 0:
            now, (middle, slow) = process_memory("VmRSS"), np.percentile(per_point or [np.nan], (50, 99))
            print(LINE.format(i, *(f"{x:.2f}" for x in (now / MB, (now - start_bytes) / MB, middle, slow))), flush=True)
            per_point = []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else all cores")
    given = parser.parse_args()
    restart(given.threads)
    print(conditions())
    main(given.scans, given.count)
