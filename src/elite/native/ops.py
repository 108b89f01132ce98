"""The native kernels as functions of tensors: contiguous, on the CPU, float32 or (where said) bfloat16.

The caller gives the output; nothing is allocated here. What each computes is written out in kernels.h.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from elite.native.library import Pairs, PointMeans, Pool, Rows, WeightGradient, library, pointer


@dataclass(frozen=True)
class NeighbourPairs:
    """Which voxels of a grid are neighbours.

    For kernel position k < 13 (z, y, x order) voxel ``first[k, p]`` has the neighbour ``second[k, p]``, p < count[k],
    both ascending. Position 26 - k has the same pairs exchanged, and at position 13 a voxel is its own neighbour.
    """

    first: Int32[Tensor, "13 v"]
    second: Int32[Tensor, "13 v"]
    count: Int64[Tensor, "13"]

    def __len__(self) -> int:
        return self.first.shape[1]

    def record(self) -> Any:
        return Pairs(pointer(self.first), pointer(self.second), pointer(self.count), len(self))


@dataclass(frozen=True)
class Packed:
    """Matrices (count, in, out) laid out as the kernels read them; of the instruction set in use only."""

    numbers: Float[Tensor, "numbers"]
    in_channels: int
    out_channels: int

    @classmethod
    def of(cls, weight: Float32[Tensor, "count in_ out"], dtype: torch.dtype = torch.float32) -> "Packed":
        count, inner, outer = weight.shape
        assert dtype is torch.float32 or inner % 2 == 0  # bfloat16 numbers are multiplied in twos
        opened = _library()
        numbers = torch.empty(count * opened.elite_packed_size(inner, outer), dtype=dtype)
        source = weight.detach().contiguous()
        opened.elite_pack(pointer(source), count, inner, outer, pointer(numbers), _bf16(numbers))
        return cls(numbers, inner, outer)


def rows(
    out: Float[Tensor, "r out"],
    *,
    conv: Float[Tensor, "r in_"] | None = None,
    conv_weight: Packed | None = None,
    pairs: NeighbourPairs | None = None,
    own: Float[Tensor, "r inner"] | None = None,
    own_weight: Packed | None = None,
    bias: Float32[Tensor, "out"] | None = None,
    add: Float[Tensor, "_ out"] | None = None,
    add_row: Int64[Tensor, "r"] | None = None,
    slope: float = 1.0,
    plus: Float[Tensor, "r out"] | None = None,
    total: Float[Tensor, "r out"] | None = None,
) -> None:
    """out = leaky(bias + conv over ``pairs`` + own @ own_weight + add[add_row]), and total = out + plus.

    ``slope`` is that of the leaky ReLU: 1 for none, 0 for ReLU. If the inputs are bfloat16, ``out`` may be float32.
    """
    given = conv if conv is not None else own
    assert given is not None
    assert out.shape == (len(given), (conv_weight or own_weight).out_channels)  # type: ignore[union-attr]
    job = Rows(
        rows=len(out),
        channels=out.shape[1],
        conv=pointer(conv),
        conv_weight=pointer(conv_weight.numbers) if conv_weight else None,
        conv_channels=conv_weight.in_channels if conv_weight else 0,
        pairs=ctypes.pointer(pairs.record()) if pairs else None,
        own=pointer(own),
        own_weight=pointer(own_weight.numbers) if own_weight else None,
        own_channels=own_weight.in_channels if own_weight else 0,
        bias=pointer(bias),
        add=pointer(add),
        add_row=pointer(add_row),
        slope=slope,
        out=pointer(out),
        wide=int(out.dtype is not given.dtype),
        plus=pointer(plus),
        sum=pointer(total),
    )
    _library().elite_rows(job, _bf16(given))


def pool(
    out: Float[Tensor, "t c"],
    feats: Float[Tensor, "_ c"],
    offsets: Int64[Tensor, "starts"],
    column: Int64[Tensor, "e"],
    *,
    count: Int64[Tensor, "e"] | None = None,
    total: Int64[Tensor, "t 1"] | None = None,
    slope: float = 1.0,
) -> None:
    """out[t] = leaky(sum of count[e] feats[column[e]] over offsets[t] <= e < offsets[t + 1], divided by total[t])."""
    assert out.dtype is feats.dtype
    job = Pool(
        targets=len(out),
        channels=out.shape[1],
        feats=pointer(feats),
        offsets=pointer(offsets),
        column=pointer(column),
        count=pointer(count),
        total=pointer(total),
        slope=slope,
        out=pointer(out),
    )
    _library().elite_pool(job, _bf16(feats))


def point_means(
    out: Float[Tensor, "v c"],
    points: Float32[Tensor, "n 3"],
    remission: Float32[Tensor, "n"],
    *,
    order: Int32[Tensor, "n"],
    offsets: Int64[Tensor, "starts"],
    coords: Int64[Tensor, "v 4"],
    corner: Float32[Tensor, "3"],
    size: Float32[Tensor, "3"],
    weight: Float32[Tensor, "10 c"],
    bias: Float32[Tensor, "c"],
) -> None:
    """Mean over the points of each voxel of relu(numbers @ weight + bias); the ten numbers as in PointMLP.

    The points of voxel v are order[offsets[v]:offsets[v + 1]]; ``corner`` is the volume's, ``size`` a voxel's (m).
    """
    job = PointMeans(
        voxels=len(out),
        channels=out.shape[1],
        points=pointer(points),
        remission=pointer(remission),
        order=pointer(order),
        offsets=pointer(offsets),
        coords=pointer(coords),
        corner=pointer(corner),
        size=pointer(size),
        weight=pointer(weight),
        bias=pointer(bias),
        out=pointer(out),
    )
    _library().elite_point_means(job, _bf16(out))


def weight_gradient(
    feats: Float32[Tensor, "v in_"], grad: Float32[Tensor, "v out"], pairs: NeighbourPairs
) -> Float32[Tensor, "27 in_ out"]:
    """Of a submanifold convolution: for each kernel position the sum of feats[neighbour]^T grad[voxel]."""
    weight = torch.empty(27, feats.shape[1], grad.shape[1])
    job = WeightGradient(
        rows=len(feats),
        in_channels=feats.shape[1],
        out_channels=grad.shape[1],
        feats=pointer(feats),
        grad=pointer(grad),
        pairs=ctypes.pointer(pairs.record()),
        weight=pointer(weight),
    )
    _library().elite_weight_gradient(job)
    return weight


def _library() -> ctypes.CDLL:
    opened = library()
    assert opened is not None
    return opened


def _bf16(tensor: Tensor) -> int:
    return int(tensor.dtype is torch.bfloat16)
