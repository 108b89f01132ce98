"""Time of the geometry of a scan (voxels, neighbours, blocks, pools, point groups) by native kernels and by torch.

    python benchmarks/geometry.py [--scans FOLDER] [--rounds 6] [--threads 2]

Each round builds the complete geometry for inference with both. The second table has milliseconds of
``elite.geometry.nearest``, which labels points outside the volume, for these scans and for difficult inputs of 130,000
points, which would take minutes in a plain k-d tree.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _timing import Raw, arguments, conditions, crop, fair_rounds, scans, spread, table, timed
from torch import Tensor

from elite.geometry import in_volume, nearest
from elite.native import describe, library
from elite.sparse import build_native_geometry, build_torch_geometry
from elite.student import SPVCNN

NATIVE, TORCH = "native", "torch"
POINTS = 130_000


def by_native(points: Tensor, student: SPVCNN) -> None:
    batch_index = torch.zeros(len(points), dtype=torch.int64)
    geometry = build_native_geometry(points, batch_index, student.grid, student.config.strides)
    assert geometry is not None
    for blocks in geometry.blocks:
        _ = blocks.sizes


def by_torch(points: Tensor, student: SPVCNN) -> None:
    batch_index = torch.zeros(len(points), dtype=torch.int64)
    geometry = build_torch_geometry(points, batch_index, student.grid, student.config.strides)
    for blocks in geometry.blocks:
        _ = blocks.sizes


def difficult_inputs(raw: Raw) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and points of difficult inputs; about half of the points are outside the volume."""
    rng, half = np.random.default_rng(0), POINTS // 2

    def sphere(radius: float) -> np.ndarray:
        points = rng.normal(size=(half, 3))
        return radius * points / np.linalg.norm(points, axis=1, keepdims=True)

    inside = rng.uniform(-1, 1, (half, 3)) * [49, 49, 1.9]
    angle = rng.uniform(0, 2 * np.pi, half)
    yield "equal points outside", np.vstack([inside, np.full((half, 3), 100.0)])
    yield "equal points inside and outside", np.vstack([np.zeros((half, 3)), np.full((half, 3), 100.0)])
    yield "points on a line", np.linspace(-100, 100, POINTS)[:, None] * [1, 0.9, 0.02]
    yield "two clusters, 100 km apart", np.vstack([inside, inside + 1e5])
    yield "one point inside", np.vstack([np.zeros((1, 3)), sphere(60), sphere(90)])
    yield "coordinates up to 3e38", np.vstack([inside, rng.uniform(-3e38, 3e38, (half, 3))])
    yield "a float64 file read as float32", raw.astype("<f8").reshape(-1).view("<f4").reshape(-1, 4)[:POINTS, :3]
    yield "sphere around its centre", np.array([51.5, 0, 0]) + np.vstack([sphere(2), sphere(1e-3)])
    yield (
        "circle under its axis",
        np.vstack([np.stack([30 * np.cos(angle), 30 * np.sin(angle), 0 * angle], 1), inside * 1e-5 + [0, 0, 5]]),
    )


def nearest_times(clouds: list[Raw], rounds: int) -> str:
    volume, lines = SPVCNN().config.volume, []
    measured = [(f"scan {i}", raw[:, :3]) for i, raw in enumerate(clouds[:2])]
    for name, points in [*measured, *difficult_inputs(clouds[0])]:
        points = np.ascontiguousarray(np.nan_to_num(points, posinf=0, neginf=0), np.float32)
        inside = in_volume(points, volume)
        seconds = [timed(lambda: nearest(points, inside)) for _ in range(rounds)]  # noqa: B023
        lines.append((name, f"{inside.sum():,}", f"{(~inside).sum():,}", f"{1000 * median(seconds):.1f}"))
    return table(("nearest", "inside", "outside", "median ms"), lines)


@torch.inference_mode()
def main(folder: Path | None, rounds: int) -> None:
    if library() is None:
        raise SystemExit(describe())
    print(conditions())
    student = SPVCNN()
    clouds = scans(folder, rounds + 1)
    points = [crop(raw, student)[0] for raw in clouds]
    contestants = {NATIVE: lambda p: by_native(p, student), TORCH: lambda p: by_torch(p, student)}
    seconds = fair_rounds(contestants, points, rounds)
    print(f"{len(points)} scans of {min(map(len, points)):,} to {max(map(len, points)):,} points in the volume")
    print(f"geometry, torch / native: {spread(seconds[TORCH], seconds[NATIVE])}")
    print(f"fastest native run: {1000 * min(seconds[NATIVE]):.1f} ms")
    print(nearest_times(clouds, rounds))


if __name__ == "__main__":
    given = arguments(__doc__, rounds=6)
    main(given.scans, given.rounds)
