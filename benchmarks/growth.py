"""Time and memory of the student's inference by scan size and batch size, on the CPU.

    python benchmarks/growth.py [--scans FOLDER] [--rounds 3] [--threads 2]

Scans of each size are built from full ones: rotated about z, shifted, cropped to the volume, combined and subsampled.
The engine takes one scan at a time; a batch runs through SPVCNN, native compared with torch. Memory is the peak above
the memory before the first call, in a separate process each.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _timing import (
    Raw,
    arguments,
    conditions,
    crop,
    fair_rounds,
    given_clouds,
    memory_above,
    memory_of,
    ratio,
    scans,
    table,
)

from elite.geometry import in_volume
from elite.native import library
from elite.sparse import Backend
from elite.student import SPVCNN
from elite.student.engine import Engine

ENGINE, TORCH, NATIVE = "engine", "torch", "native"
SIZES, BATCHES, FULL = (10_000, 30_000, 60_000, 120_000, 240_000), (1, 2, 4, 8), 120_000
MB = 1 << 20
Batch = list[Raw]


def cloud(full_scans: Sequence[Raw], size: int, seed: int) -> Raw:
    """Return ``size`` points inside the volume."""
    rng = np.random.default_rng(seed)
    parts: list[Raw] = []
    while sum(map(len, parts)) < size:
        moved = full_scans[(seed + len(parts)) % len(full_scans)].copy()
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        moved[:, :2] = moved[:, :2] @ turn + rng.uniform(-3, 3, 2)
        parts.append(moved[in_volume(moved[:, :3], SPVCNN().config.volume)])
    stacked = np.concatenate(parts)
    return stacked[rng.permutation(len(stacked))[:size]]


def runner(name: str) -> Callable[[Batch], object]:
    student = SPVCNN().eval()
    if name == ENGINE:
        engine = Engine(student)
        return lambda batch: engine(*(values.numpy() for values in crop(batch[0], student)))
    backend: Backend = "native" if name == NATIVE else "torch"
    student.backend = backend

    @torch.inference_mode()
    def run(batch: Batch) -> None:
        points, remission = zip(*(crop(raw, student) for raw in batch), strict=True)
        index = torch.arange(len(batch)).repeat_interleave(torch.tensor([len(p) for p in points]))
        student(torch.cat(points), torch.cat(remission), index)

    return run


def voxels(batch: Batch) -> int:
    student = SPVCNN()
    cells = [student.grid.coords(crop(raw, student)[0], 1) for raw in batch]
    return sum(len(np.unique(c.numpy() @ np.array([10**8, 10**4, 1]))) for c in cells)


def measured_line(ours: str, batches: list[Batch], label: str, rounds: int) -> list[str]:
    """Measure one line of the table: ``ours`` compared with torch, for batches of one kind."""
    seconds = fair_rounds({name: runner(name) for name in (ours, TORCH)}, batches, rounds)
    memory = [memory_of(__file__, name, batches[0]) / MB for name in (ours, TORCH)]
    per_point = 1e6 * median(seconds[ours]) / sum(map(len, batches[0]))
    return [
        label,
        ours,
        f"{voxels(batches[0]):,}",
        *(f"{1000 * median(seconds[name]):.0f}" for name in (ours, TORCH)),
        f"{ratio(seconds[TORCH], seconds[ours]):.2f}",
        f"{per_point:.2f}",
        *(f"{m:.0f}" for m in memory),
        f"{memory[0] / memory[1]:.2f}",
    ]


def child(file: str, name: str) -> None:
    batch, run = given_clouds(file), runner(name)
    print(memory_above(lambda: run(batch)))


def main(folder: Path | None, rounds: int) -> None:
    if library() is None:
        raise SystemExit("native kernels: not available. Reinstall elite with a C++ compiler.")
    print(conditions())
    full_scans, numbers, lines = scans(folder, 4), range(rounds + 1), []
    for size in SIZES:
        lines.append(
            measured_line(ENGINE, [[cloud(full_scans, size, i)] for i in numbers], f"{size // 1000}k points", rounds)
        )
    for batch in BATCHES:
        given = [[cloud(full_scans, FULL, batch * i + j) for j in range(batch)] for i in numbers]
        lines.append(measured_line(NATIVE, given, f"batch of {batch} x {FULL // 1000}k", rounds))
    header = ["", "ours", "voxels", "ours ms", "torch ms", "torch / ours", "ours us/point"]
    print(table([*header, "ours MiB", "torch MiB", "ours / torch"], lines))


if __name__ == "__main__":
    given = arguments(__doc__, rounds=3)
    if given.child:
        child(*given.child)
    else:
        main(given.scans, given.rounds)
