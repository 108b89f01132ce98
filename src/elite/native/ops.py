"""Native kernels of the forward pass as functions of tensors: contiguous, on the CPU, float32, bfloat16 or uint8.

Each writes to the output that the caller provides. kernels.h documents what each computes. Rows of uint8 are int8
numbers + 128, followed by the four bytes of their scale (float32), so ``row_width`` exceeds the number of channels.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elite.native.loader import opened
from elite.native.records import Chain, Pairs, PointMeans, Pool, Rows
from elite.native.tensors import number_format, pointer
from elite.shapes import Float32, Int32, Int64, Num

_SCALE_BYTES = 4


def row_width(channels: int, dtype: torch.dtype) -> int:
    """Numbers of this type in a row of ``channels``."""
    return channels + (_SCALE_BYTES if dtype is torch.uint8 else 0)


def _channels(rows: Num[Tensor, "_ _"]) -> int:
    return rows.shape[1] - row_width(0, rows.dtype)


@dataclass(frozen=True)
class NeighbourPairs:
    """Neighbouring voxels of a grid.

    For kernel position k < 13 (z, y, x order) voxel ``first[k, p]`` has the neighbour ``second[k, p]``, p < count[k],
    both ascending. Position 26 - k has the same pairs exchanged, and at position 13 a voxel is its own neighbour.
    """

    first: Int32[Tensor, "13 v"]
    second: Int32[Tensor, "13 v"]
    count: Int64[Tensor, "13"]

    def __len__(self) -> int:
        return self.first.shape[1]

    def to_c(self) -> Any:
        return Pairs(pointer(self.first), pointer(self.second), pointer(self.count), len(self))


@dataclass(frozen=True)
class PackedWeight:
    """Matrices (count, in, out) in the layout of the kernels, which depends on the instruction set in use."""

    numbers: Num[Tensor, "numbers"]
    in_channels: int
    out_channels: int

    @classmethod
    def pack(cls, weight: Float32[Tensor, "count in_ out"], dtype: torch.dtype = torch.float32) -> "PackedWeight":
        count, inner, outer = weight.shape
        assert dtype is not torch.bfloat16 or inner % 2 == 0  # multiplied in twos
        kernels, layout = opened(), number_format(dtype)
        numbers = torch.empty(count * kernels.elite_packed_size(inner, outer, layout), dtype=dtype)
        source = weight.detach().contiguous()
        kernels.elite_pack(pointer(source), count, inner, outer, pointer(numbers), layout)
        return cls(numbers, inner, outer)


def fused_layer(
    out: Num[Tensor, "r _"],
    *,
    conv: Num[Tensor, "r _"] | None = None,
    conv_weight: PackedWeight | None = None,
    pairs: NeighbourPairs | None = None,
    dense: Num[Tensor, "r _"] | None = None,
    dense_weight: PackedWeight | None = None,
    bias: Float32[Tensor, "out"] | None = None,
    add: Num[Tensor, "_ _"] | None = None,
    add_row: Int64[Tensor, "r"] | None = None,
    slope: float = 1.0,
    plus: Num[Tensor, "r _"] | None = None,
    total: Num[Tensor, "r _"] | None = None,
) -> None:
    """out = leaky(bias + convolution of conv + dense @ dense_weight + add[add_row]), and total = out + plus.

    ``slope`` belongs to the leaky ReLU: 1 for none, 0 for ReLU. The type of ``out`` may differ from that of the inputs.
    """
    feats = conv if conv is not None else dense
    assert feats is not None
    channels = (conv_weight or dense_weight).out_channels  # type: ignore[union-attr]
    assert out.shape == (len(feats), row_width(channels, out.dtype))
    job = Rows(
        rows=len(out),
        channels=channels,
        conv=pointer(conv),
        conv_weight=pointer(conv_weight.numbers) if conv_weight else None,
        conv_channels=conv_weight.in_channels if conv_weight else 0,
        pairs=ctypes.pointer(pairs.to_c()) if pairs else None,
        dense=pointer(dense),
        dense_weight=pointer(dense_weight.numbers) if dense_weight else None,
        dense_channels=dense_weight.in_channels if dense_weight else 0,
        bias=pointer(bias),
        add=pointer(add),
        add_row=pointer(add_row),
        slope=slope,
        out=pointer(out),
        out_format=number_format(out.dtype),
        plus=pointer(plus),
        sum=pointer(total),
    )
    opened().elite_rows(job, number_format(feats.dtype))


@dataclass(frozen=True)
class PooledRows:
    """Rows to compute: t is leaky(sum of count[e] feats[column[e]] / total[t]), offsets[t] <= e < offsets[t + 1]."""

    feats: Num[Tensor, "_ _"]
    offsets: Int64[Tensor, "starts"]
    column: Int64[Tensor, "e"]
    count: Int64[Tensor, "e"] | None = None
    total: Int64[Tensor, "t 1"] | None = None
    slope: float = 1.0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def channels(self) -> int:
        return _channels(self.feats)

    def to_c(self, out: Tensor | None = None) -> Any:
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


def pool(out: Num[Tensor, "t _"], pooled: PooledRows) -> None:
    """Compute the rows of ``pooled``."""
    assert out.dtype is pooled.feats.dtype
    assert out.shape == (len(pooled), pooled.feats.shape[1])
    opened().elite_pool(pooled.to_c(out), number_format(out.dtype))


@dataclass(frozen=True)
class VoxelPoints:
    """The points of each voxel: voxel v has order[offsets[v]:offsets[v + 1]]. Lengths in metres, sensor frame."""

    points: Float32[Tensor, "n 3"]
    remission: Float32[Tensor, "n"]
    order: Int32[Tensor, "n"]
    offsets: Int64[Tensor, "starts"]
    coords: Int64[Tensor, "v 4"]
    corner: Float32[Tensor, "3"]  # low corner of the volume
    size: Float32[Tensor, "3"]  # of a voxel


@dataclass(frozen=True)
class PointMeanRows:
    """Rows to compute: v is the mean over the points of voxel v of relu(features @ weight + bias).

    The ten features of a point are those of ``PointMLP``.
    """

    inside: VoxelPoints
    weight: PackedWeight
    bias: Float32[Tensor, "c"]

    def __len__(self) -> int:
        return len(self.inside.coords)

    @property
    def channels(self) -> int:
        return self.weight.out_channels

    def to_c(self) -> Any:
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


def point_means(out: Float32[Tensor, "v c"], means: PointMeanRows) -> None:
    """Compute the rows of ``means``, whose weight is packed as float32."""
    opened().elite_point_means(means.to_c(), len(means), pointer(out))


@dataclass(frozen=True)
class Layer:
    """Layer of a chain: leaky(x @ weight + bias + add[add_row]); with ``total``, this + plus is written there.

    ``slope`` belongs to the leaky ReLU: 1 for none, 0 for ReLU.
    """

    weight: PackedWeight
    bias: Float32[Tensor, "out"]
    slope: float = 1.0
    add: Num[Tensor, "_ _"] | None = None
    add_row: Int64[Tensor, "r"] | None = None
    plus: Num[Tensor, "r _"] | None = None
    total: Num[Tensor, "r _"] | None = None

    def to_c(self, out: Tensor | None = None) -> Any:
        return Rows(
            channels=self.weight.out_channels,
            dense_weight=pointer(self.weight.numbers),
            dense_channels=self.weight.in_channels,
            bias=pointer(self.bias),
            add=pointer(self.add),
            add_row=pointer(self.add_row),
            slope=self.slope,
            out=pointer(out),
            out_format=0 if out is None else number_format(out.dtype),
            plus=pointer(self.plus),
            sum=pointer(self.total),
        )


def fused_chain(out: Num[Tensor, "r _"], rows: Tensor | PooledRows | PointMeanRows, layers: Sequence[Layer]) -> None:
    """out = ``rows`` after all ``layers``, without intermediate results in memory.

    The type of ``out`` may differ from that of the layers.
    """
    dtype = layers[0].weight.numbers.dtype
    channels = _channels(rows) if isinstance(rows, Tensor) else rows.channels
    widths = [channels, *(layer.weight.out_channels for layer in layers)]
    assert [layer.weight.in_channels for layer in layers] == widths[:-1]
    assert out.shape == (len(rows), row_width(widths[-1], out.dtype))
    records = [layer.to_c() for layer in layers[:-1]] + [layers[-1].to_c(out)]
    job = Chain(
        rows=len(rows),
        channels=channels,
        feats=pointer(rows) if isinstance(rows, Tensor) else None,
        pool=ctypes.pointer(rows.to_c()) if isinstance(rows, PooledRows) else None,
        points=ctypes.pointer(rows.to_c()) if isinstance(rows, PointMeanRows) else None,
        count=len(records),
        layers=(Rows * len(records))(*records),
    )
    opened().elite_chain(job, number_format(dtype))
