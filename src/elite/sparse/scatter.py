"""Means over groups of rows, forward and backward by the same gather kernel.

A scatter with atomics adds in any order; a gather over sorted entries adds in one order, so results repeat,
and it is faster on the CPU.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Pooling:
    """Weighted mean of source rows per target row: out[t] = sum_e count[e] feats[source[e]] / sum_e count[e].

    The sums run over the entries e with target[e] = t; every target has at least one entry. ``count`` None means
    that every entry counts once. Sources ascend.
    """

    source: Int64[Tensor, "e"]
    target: Int64[Tensor, "e"]
    count: Int64[Tensor, "e"] | None
    sources: int
    targets: int

    @classmethod
    def groups(cls, group: Int64[Tensor, "n"], groups: int) -> "Pooling":
        """Row i belongs to group[i]; plain mean."""
        return cls(torch.arange(len(group), device=group.device), group, None, len(group), groups)

    def __call__(self, feats: Float[Tensor, "sources c"]) -> Float[Tensor, "targets c"]:
        return _PoolingFunction.apply(feats, self)  # type: ignore[no-any-return]

    def spread(self, feats: Float[Tensor, "targets c"]) -> Float[Tensor, "sources c"]:
        """Of ``groups``: the row of its group back to every source row, out[i] = feats[group[i]]."""
        assert self.count is None
        return _SpreadFunction.apply(feats, self)  # type: ignore[no-any-return]

    @cached_property
    def total(self) -> Int64[Tensor, "targets 1"]:
        ones = torch.ones_like(self.target) if self.count is None else self.count
        total = torch.zeros(self.targets, dtype=torch.int64, device=ones.device).index_add_(0, self.target, ones)
        return total[:, None]

    @cached_property
    def by_target(self) -> "Csr":
        return Csr.build(self.target, self.source, self.count, self.targets)

    @cached_property
    def by_source(self) -> "Csr":
        offsets = torch.searchsorted(self.source, torch.arange(self.sources + 1, device=self.source.device))
        return Csr(offsets, self.target, self.count)


@dataclass(frozen=True)
class Csr:
    """Entries sorted by their row: row r gathers columns[offsets[r]:offsets[r + 1]]."""

    offsets: Int64[Tensor, "starts"]
    columns: Int64[Tensor, "e"]
    weight: Int64[Tensor, "e"] | Float[Tensor, "e"] | None

    @classmethod
    def build(cls, row: Tensor, column: Tensor, weight: Tensor | None, rows: int) -> "Csr":
        ordered, order = torch.sort(row, stable=True)
        offsets = torch.searchsorted(ordered, torch.arange(rows + 1, device=row.device))
        return cls(offsets, column[order], None if weight is None else weight[order])

    def sum(self, feats: Float[Tensor, "columns c"]) -> Float[Tensor, "rows c"]:
        """Weighted sum of each row, in at least float32."""
        feats = at_least_float32(feats)
        weight = None if self.weight is None else self.weight.to(feats.dtype)
        return segment_sum(feats, self.columns, self.offsets, weight)


def at_least_float32(feats: Float[Tensor, "rows c"]) -> Float[Tensor, "rows c"]:
    """Convert 16-bit numbers to float32.

    A count above 256 is rounded in bfloat16, and a sum of many rows exceeds 65504, the largest number of float16.
    """
    return feats.to(torch.promote_types(feats.dtype, torch.float32))


def segment_sum(
    feats: Float[Tensor, "rows c"],
    index: Int64[Tensor, "e"],
    offsets: Int64[Tensor, "starts"],
    weight: Float[Tensor, "e"] | None = None,
) -> Float[Tensor, "_ c"]:
    """out[s] = sum of (weight[e]) feats[index[e]] over e in [offsets[s], offsets[s + 1]); no gradient."""
    if not len(index):
        return feats.new_zeros(len(offsets) - 1, feats.shape[1])
    return F.embedding_bag(index, feats, offsets, mode="sum", per_sample_weights=weight, include_last_offset=True)


class _PoolingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, pooling: Pooling) -> Tensor:
        ctx.pooling = pooling
        return (pooling.by_target.sum(feats) / pooling.total).to(feats.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.pooling.by_source.sum(at_least_float32(grad) / ctx.pooling.total).to(grad.dtype), None


class _SpreadFunction(torch.autograd.Function):
    """A gather whose gradient is summed in one order; indexing would add it with atomics, differently every time."""

    @staticmethod
    def forward(ctx: Any, feats: Tensor, pooling: Pooling) -> Tensor:
        ctx.pooling = pooling
        return feats.index_select(0, pooling.target)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.pooling.by_target.sum(grad.contiguous()).to(grad.dtype), None
