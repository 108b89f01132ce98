"""The native kernels as functions of tensors: contiguous, on the CPU, float32 or (where said) bfloat16.

The caller gives the output, but for gradients of weights and other sums, which are small. What each computes is written
out in kernels.h.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64, Int32, Int64
from torch import Tensor

from elite.native.library import (
    Chain,
    Combine,
    Pairs,
    PointMeans,
    PointMeansGradient,
    Pool,
    Rows,
    Sums,
    WeightGradient,
    opened,
    pointer,
)


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
        kernels = opened()
        numbers = torch.empty(count * kernels.elite_packed_size(inner, outer), dtype=dtype)
        source = weight.detach().contiguous()
        kernels.elite_pack(pointer(source), count, inner, outer, pointer(numbers), _bf16(numbers))
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
    opened().elite_rows(job, _bf16(given))


@dataclass(frozen=True)
class Pooled:
    """Row t is leaky(sum of count[e] feats[column[e]] over offsets[t] <= e < offsets[t + 1], divided by total[t])."""

    feats: Float[Tensor, "_ c"]
    offsets: Int64[Tensor, "starts"]
    column: Int64[Tensor, "e"]
    count: Int64[Tensor, "e"] | None = None
    total: Int64[Tensor, "t 1"] | None = None
    slope: float = 1.0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def channels(self) -> int:
        return self.feats.shape[1]

    def record(self, out: Tensor | None = None) -> Any:
        return Pool(
            targets=len(self),
            channels=self.channels,
            feats=pointer(self.feats),
            offsets=pointer(self.offsets),
            column=pointer(self.column),
            count=pointer(self.count),
            total=pointer(self.total),
            slope=self.slope,
            out=pointer(out),
        )


def pool(out: Float[Tensor, "t c"], pooled: Pooled) -> None:
    """Write the rows of ``pooled``."""
    assert out.dtype is pooled.feats.dtype
    assert out.shape == (len(pooled), pooled.channels)
    opened().elite_pool(pooled.record(out), _bf16(out))


@dataclass(frozen=True)
class VoxelPoints:
    """The points of each voxel: voxel v has order[offsets[v]:offsets[v + 1]]."""

    points: Float32[Tensor, "n 3"]
    remission: Float32[Tensor, "n"]
    order: Int32[Tensor, "n"]
    offsets: Int64[Tensor, "starts"]
    coords: Int64[Tensor, "v 4"]
    corner: Float32[Tensor, "3"]  # of the volume (m)
    size: Float32[Tensor, "3"]  # of a voxel (m)


@dataclass(frozen=True)
class PointMean:
    """Row v is the mean over the points of voxel v of relu(numbers @ weight + bias); the ten numbers as in PointMLP."""

    inside: VoxelPoints
    weight: Packed
    bias: Float32[Tensor, "c"]

    def __len__(self) -> int:
        return len(self.inside.coords)

    @property
    def channels(self) -> int:
        return self.weight.out_channels

    def record(self) -> Any:
        inside = self.inside
        return PointMeans(
            channels=self.channels,
            points=pointer(inside.points),
            remission=pointer(inside.remission),
            order=pointer(inside.order),
            offsets=pointer(inside.offsets),
            coords=pointer(inside.coords),
            corner=pointer(inside.corner),
            size=pointer(inside.size),
            weight=pointer(self.weight.numbers),
            bias=pointer(self.bias),
        )


def point_means(out: Float32[Tensor, "v c"], means: PointMean) -> None:
    """Write the rows of ``means``, whose weight is packed as float32."""
    opened().elite_point_means(means.record(), len(means), pointer(out))


def point_means_gradient(
    grad: Float32[Tensor, "v c"], means: PointMean, weight: Float32[Tensor, "10 c"]
) -> tuple[Float32[Tensor, "10 c"], Float32[Tensor, "c"]]:
    """Of ``weight``, which is that of ``means`` as it was before it was packed, and of the bias."""
    grad_weight, grad_bias = torch.empty_like(weight), torch.empty_like(means.bias)
    results = pointer(grad_weight), pointer(grad_bias)
    job = PointMeansGradient(means.record(), len(means), pointer(weight), pointer(grad), *results)
    opened().elite_point_means_gradient(job)
    return grad_weight, grad_bias


@dataclass(frozen=True)
class Layer:
    """Rows x become leaky(x @ weight + bias + add[add_row]); with ``total``, that + plus is written there.

    ``slope`` is that of the leaky ReLU: 1 for none, 0 for ReLU.
    """

    weight: Packed
    bias: Float32[Tensor, "out"]
    slope: float = 1.0
    add: Float[Tensor, "_ out"] | None = None
    add_row: Int64[Tensor, "r"] | None = None
    plus: Float[Tensor, "r out"] | None = None
    total: Float[Tensor, "r out"] | None = None

    def record(self, out: Tensor | None, dtype: torch.dtype) -> Any:
        return Rows(
            channels=self.weight.out_channels,
            own_weight=pointer(self.weight.numbers),
            own_channels=self.weight.in_channels,
            bias=pointer(self.bias),
            add=pointer(self.add),
            add_row=pointer(self.add_row),
            slope=self.slope,
            out=pointer(out),
            wide=int(out is not None and out.dtype is not dtype),
            plus=pointer(self.plus),
            sum=pointer(self.total),
        )


def chain(out: Float[Tensor, "r out"], rows: Tensor | Pooled | PointMean, layers: Sequence[Layer]) -> None:
    """out = ``rows`` after all ``layers``, and nothing between them is kept.

    If the layers are bfloat16, ``out`` may be float32.
    """
    dtype = layers[0].weight.numbers.dtype
    channels = rows.shape[1] if isinstance(rows, Tensor) else rows.channels
    widths = [channels, *(layer.weight.out_channels for layer in layers)]
    assert [layer.weight.in_channels for layer in layers] == widths[:-1]
    assert out.shape == (len(rows), widths[-1])
    records = [layer.record(None, dtype) for layer in layers[:-1]] + [layers[-1].record(out, dtype)]
    job = Chain(
        rows=len(rows),
        channels=channels,
        feats=pointer(rows) if isinstance(rows, Tensor) else None,
        pool=ctypes.pointer(rows.record()) if isinstance(rows, Pooled) else None,
        points=ctypes.pointer(rows.record()) if isinstance(rows, PointMean) else None,
        count=len(records),
        layers=(Rows * len(records))(*records),
    )
    opened().elite_chain(job, int(dtype is torch.bfloat16))


def weight_gradient(
    feats: Float32[Tensor, "v in_"], grad: Float32[Tensor, "v out"], pairs: NeighbourPairs | None = None
) -> Float32[Tensor, "positions in_ out"]:
    """The sum of feats[neighbour]^T grad[voxel] for each of 27 kernel positions; without ``pairs`` feats^T grad."""
    weight = torch.empty(27 if pairs else 1, feats.shape[1], grad.shape[1])
    job = WeightGradient(
        rows=len(feats),
        in_channels=feats.shape[1],
        out_channels=grad.shape[1],
        feats=pointer(feats),
        grad=pointer(grad),
        pairs=ctypes.pointer(pairs.record()) if pairs else None,
        weight=pointer(weight),
    )
    opened().elite_weight_gradient(job)
    return weight


def combine(
    out: Float32[Tensor, "r c"],
    first: Float32[Tensor, "r c"],
    first_scale: Float32[Tensor, "c"],
    shift: Float32[Tensor, "c"],
    *,
    sign: Float32[Tensor, "r c"] | None = None,
    sign_slope: float = 1.0,
    second: Float32[Tensor, "r c"] | None = None,
    second_scale: Float32[Tensor, "c"] | None = None,
    slope: float = 1.0,
) -> None:
    """out = leaky(first_scale first + second_scale second + shift); ``out`` may be one of the inputs.

    Where ``sign`` is not above zero, ``first`` counts ``sign_slope`` times only: the gradient of a leaky ReLU whose
    output was ``sign``.
    """
    job = Combine(
        rows=out.shape[0],
        channels=out.shape[1],
        first=pointer(first),
        first_scale=pointer(first_scale),
        sign=pointer(sign),
        sign_slope=sign_slope,
        second=pointer(second),
        second_scale=pointer(second_scale),
        shift=pointer(shift),
        slope=slope,
        out=pointer(out),
    )
    opened().elite_combine(job)


def column_sums(
    feats: Float32[Tensor, "r c"],
    first: Float32[Tensor, "r c"] | None = None,
    second: Float32[Tensor, "r c"] | None = None,
    *,
    sign: Float32[Tensor, "r c"] | None = None,
    slope: float = 1.0,
) -> Float64[Tensor, "3 c"]:
    """Sums over all rows of feats, feats * first and feats * second (zero without), made in double precision.

    Where ``sign`` is not above zero, ``feats`` counts ``slope`` times only.
    """
    out = torch.empty(3, feats.shape[1], dtype=torch.float64)
    job = Sums(
        rows=feats.shape[0],
        channels=feats.shape[1],
        feats=pointer(feats),
        sign=pointer(sign),
        slope=slope,
        first=pointer(first),
        second=pointer(second),
        out=pointer(out),
    )
    opened().elite_sums(job)
    return out


def _bf16(tensor: Tensor) -> int:
    return int(tensor.dtype is torch.bfloat16)
