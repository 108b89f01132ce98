"""Neighbouring voxels of a grid: one sortable key per voxel, and the search for neighbours within 3x3x3."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elite.shapes import Float, Int64
from elite.sparse.torch_conv import CENTRE, POSITIONS, PairChunk, convolve_chunks

_INT64_MAX = (1 << 63) - 1
# Voxels in one chunk of pairs. On the CPU their products then stay in cache, and no buffer is so large that the
# system hands out fresh pages for it every time (about 7 pairs per voxel: 15 MB at 64 channels).
_CHUNK_VOXELS = 8192


@dataclass(frozen=True)
class KernelMap:
    """Neighbours for the convolution in plain PyTorch: their row at each kernel position, -1 for none."""

    neighbours: Int64[Tensor, "v 27"]

    @classmethod
    def build(cls, coords: Int64[Tensor, "v 4"]) -> "KernelMap":
        """Find the neighbours within 3x3x3 of distinct voxels (batch, z, y, x) in ascending order."""
        keys, (step_z, step_y) = voxel_keys(coords)
        return cls(_neighbours(keys, step_z, step_y))

    @cached_property
    def chunks(self) -> tuple[PairChunk, ...]:
        """The neighbour pairs in chunks; one chunk on a GPU."""
        count = len(self.neighbours)
        size = _CHUNK_VOXELS if self.neighbours.device.type == "cpu" else max(1, count)
        return tuple(PairChunk.build(self.neighbours[start : start + size], start) for start in range(0, count, size))

    def convolve(
        self, feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"]
    ) -> Float[Tensor, "v c_out"]:
        """Compute ``submanifold_conv`` with its gradients."""
        return convolve_chunks(feats, weight, self.chunks)


def voxel_keys(coords: Int64[Tensor, "v 4"]) -> tuple[Int64[Tensor, "v"], tuple[int, int]]:
    """Return one int64 key per (batch, z, y, x), in that order of significance, and the key's steps along (z, y).

    Any index is allowed, including negative and huge ones. The occupied box keeps one empty cell on every side: a step
    of one along any axis never reaches a cell of another row.
    """
    if not len(coords):
        return coords.new_empty(0), (1, 1)
    spans = _spans(coords)
    if _volume(spans) > _INT64_MAX:
        coords = torch.stack([_close_gaps(column) for column in coords.unbind(1)], dim=1)
        spans = _spans(coords)
    b, z, y, x = (coords[:, axis] - low for axis, (low, _) in enumerate(spans))
    _, nz, ny, nx = (high - low + 3 for low, high in spans)
    keys = (((b * nz + z + 1) * ny) + y + 1) * nx + x + 1
    return keys, (ny * nx, nx)


def _spans(coords: Tensor) -> list[tuple[int, int]]:
    low, high = torch.aminmax(coords, dim=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _volume(spans: list[tuple[int, int]]) -> int:
    volume = 1
    for low, high in spans:
        volume *= high - low + 3
    return volume


def _close_gaps(column: Int64[Tensor, "v"]) -> Int64[Tensor, "v"]:
    """Renumber so that steps of one stay steps of one, and every longer gap becomes a step of two."""
    values, inverse = torch.unique(column, return_inverse=True)
    step = torch.ones_like(values)
    step[0] = 0
    step[1:][values[1:] - values[:-1] != 1] = 2
    return torch.cumsum(step, 0)[inverse]


def _neighbours(keys: Int64[Tensor, "v"], step_z: int, step_y: int) -> Int64[Tensor, "v 27"]:
    """Row of the neighbour at each kernel position, -1 for none.

    Keys are sorted, and neighbours along x are next to each other: one search per line (dz, dy) finds all three dx.
    Neighbourhood is mutual, so the 4 lines before the voxel's line and the voxel just before it are enough.
    """
    count = len(keys)
    table = keys.new_full((count, POSITIONS), -1)
    rows = torch.arange(count, device=keys.device)
    padded = torch.cat([keys, keys.new_full((3,), -1)])
    for line, (dz, dy) in enumerate(((-1, -1), (-1, 0), (-1, 1), (0, -1))):
        wanted = keys + (dz * step_z + dy * step_y - 1)
        start = torch.searchsorted(keys, wanted)
        for dx in range(3):
            # Of the entries start, start + 1, ... the first whose key is wanted + dx is at most dx ahead.
            for ahead in range(dx + 1):
                _link(table, rows, start + ahead, padded[start + ahead] == wanted + dx, 3 * line + dx)
    _link(table, rows[1:], rows[:-1], keys[1:] - keys[:-1] == 1, CENTRE - 1)
    return table


def _link(table: Tensor, rows: Tensor, neighbour: Tensor, found: Tensor, position: int) -> None:
    """Enter the found neighbours at ``position``, and the voxels themselves at the mirrored one."""
    here, there = rows[found], neighbour[found]
    table[here, position] = there
    table[there, POSITIONS - 1 - position] = here
