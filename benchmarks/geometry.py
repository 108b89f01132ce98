"""What the native geometry buys: a scan's voxels, neighbours, blocks, pools and classes, by C++ and by plain torch.

Each round makes all that the student's inference needs of a scan, by both. Run: make bench, or with --scans FOLDER.
"""

from pathlib import Path

import torch
from _timing import arguments, conditions, crop, fair_rounds, scans, spread
from torch import Tensor

from elite.native import Workspace, describe, library
from elite.sparse import Geometry, kernel_map
from elite.sparse.native_geometry import build, neighbour_pairs
from elite.student import SPVCNN

NATIVE, TORCH = "native", "torch"


def by_native(points: Tensor, student: SPVCNN, space: Workspace) -> None:
    geometry = build(points, space("scan", len(points)).zero_(), student.grid, student.config.strides, space)
    assert geometry is not None
    for level in geometry.levels[:-1]:
        neighbour_pairs(level.coords, space, str(level.stride))


def by_torch(points: Tensor, student: SPVCNN) -> None:
    scan = torch.zeros(len(points), dtype=torch.int64)
    geometry = Geometry.build(points, scan, student.grid, student.config.strides)
    for level in geometry.levels[:-1]:
        kernel_map(level.coords)
        _ = level.blocks.by_target, level.blocks.total
    for pool in geometry.pools:
        _ = pool.by_target, pool.total


@torch.inference_mode()
def main(folder: Path | None, rounds: int) -> None:
    if library() is None:
        raise SystemExit(describe())
    print(conditions())
    student, space = SPVCNN(), Workspace()
    points = [crop(raw, student)[0] for raw in scans(folder, rounds + 1)]
    contestants = {NATIVE: lambda p: by_native(p, student, space), TORCH: lambda p: by_torch(p, student)}
    seconds = fair_rounds(contestants, points, rounds)
    print(f"{len(points)} scans of {min(map(len, points)):,} to {max(map(len, points)):,} points in the volume")
    print(f"geometry for inference, torch / native: {spread(seconds[TORCH], seconds[NATIVE])}")
    print(f"native at its quickest: {1000 * min(seconds[NATIVE]):.1f} ms")


if __name__ == "__main__":
    given = arguments(__doc__, rounds=6)
    main(given.scans, given.rounds)
