"""What packed keys, shared kernel maps and blocked convolutions buy, as ratios of interleaved runs.

Each round runs every contestant once on a scan that none has seen, so no cache flatters; the printed ratio is the
median over rounds of (other / ours). Milliseconds are for orientation only. Run: make bench, or with --scans FOLDER.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import torch
from torch import Tensor

from elite.data.semantickitti import read_scan
from elite.geometry import in_volume
from elite.sparse import Geometry, kernel_map, submanifold_conv
from elite.student import SPVCNN
from elite.synthetic import DriveConfig
from elite.synthetic.drive import open_world, scan_frame


def scans(folder: Path | None, count: int) -> list[tuple[Tensor, Tensor]]:
    """(points, remission) inside the volume, of real files or of a rendered street."""
    if folder is not None:
        found = [read_scan(path) for path in sorted(folder.glob("*.bin"))[:count]]
        arrays = [(s.points, s.remission) for s in found]
    else:
        config = DriveConfig(sequences=1, frames=count)
        world, times = open_world(config, "00"), range(count)
        rendered = [scan_frame(world, world.caster(0.5 * i), config, "00", i)[0].astype(np.float32) for i in times]
        arrays = [(r[:, :3], r[:, 3]) for r in rendered]
    inside = [in_volume(points, SPVCNN().config.volume) for points, _ in arrays]
    return [
        (torch.from_numpy(np.ascontiguousarray(p[k])), torch.from_numpy(np.ascontiguousarray(r[k])))
        for (p, r), k in zip(arrays, inside, strict=True)
    ]


def coordinates(points: Tensor, student: SPVCNN, stride: int) -> Tensor:
    zyx = student.grid.coords(points, stride)
    return torch.cat([torch.zeros(len(points), 1, dtype=torch.int64), zyx], dim=1)


def unique_rows(points: Tensor, student: SPVCNN) -> None:
    """The published way to find the voxels of a scan: unique rows, once a stride."""
    for stride in student.config.strides:
        torch.unique(coordinates(points, student, stride), return_inverse=True, dim=0)


def packed_keys(points: Tensor, student: SPVCNN) -> None:
    batch_index = torch.zeros(len(points), dtype=torch.int64)
    geometry = Geometry.build(points, batch_index, student.grid, student.config.strides)
    for level in geometry.levels[:-1]:
        _ = level.kernel_map.blocks, level.blocks


def our_convolution(coords: Tensor, feats: Tensor, weight: Tensor) -> Tensor:
    return submanifold_conv(feats, weight, kernel_map(coords))


def spconv_convolution() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """The same convolution by spconv's CPU build, if it is installed. Its answers are exact on one thread only."""
    try:
        import spconv.pytorch as spconv
    except ImportError:
        return None
    layer = spconv.SubMConv3d(64, 64, 3, bias=False)

    def run(coords: Tensor, feats: Tensor, weight: Tensor) -> Tensor:
        layer.weight.data = weight.view(3, 3, 3, 64, 64).permute(4, 0, 1, 2, 3).contiguous()
        shape = (coords[:, 1:].max(dim=0).values + 1).tolist()
        return layer(spconv.SparseConvTensor(feats, coords.int().contiguous(), shape, 1)).features

    return run


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(name: str, rounds: list[tuple[float, float]]) -> None:
    ours, other = (1000 * median(times) for times in zip(*rounds, strict=True))
    ratio = median(b / a for a, b in rounds)
    print(f"{name:60s} ours {ours:7.1f} ms   other {other:7.1f} ms   other / ours {ratio:6.2f}")


@torch.inference_mode()
def main(folder: Path | None, count: int) -> None:
    student = SPVCNN().eval()
    clouds = scans(folder, count)
    print(f"{len(clouds)} scans of {len(clouds[0][0])} points and more or less, {torch.get_num_threads()} threads")
    rivals = {"all voxels and neighbours of the student against unique rows alone": []}
    whole = []
    conv, spconv_rounds, weight = spconv_convolution(), [], torch.randn(27, 64, 64) / 40
    for points, remission in clouds:
        batch_index = torch.zeros(len(points), dtype=torch.int64)
        a, b = timed(lambda: packed_keys(points, student)), timed(lambda: unique_rows(points, student))  # noqa: B023
        rivals["all voxels and neighbours of the student against unique rows alone"].append((a, b))
        whole.append(timed(lambda: student(points, remission, batch_index)))  # noqa: B023
        if conv is not None:
            coords = torch.unique(coordinates(points, student, 1), dim=0)
            feats = torch.randn(len(coords), 64)
            a = timed(lambda: our_convolution(coords, feats, weight))  # noqa: B023
            b = timed(lambda: conv(coords, feats, weight))  # noqa: B023
            spconv_rounds.append((a, b))
    for name, rounds in rivals.items():
        compare(name, rounds[1:])
    if spconv_rounds:
        compare("one 3x3x3 convolution with its neighbours, against spconv CPU", spconv_rounds[1:])
    print(f"{'whole student, points to logits':60s} ours {1000 * median(whole[1:]):7.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--count", type=int, default=6)
    args = parser.parse_args()
    main(args.scans, args.count)
