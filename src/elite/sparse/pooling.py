"""Means over groups of rows, and rows back to their members; forward and backward by the same gather kernel.

A scatter with atomics adds in any order. A gather over sorted entries adds in one order, so results repeat, and it is
faster on the CPU.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from elite.native import library
from elite.native.tensors import call
from elite.shapes import Float, Int32, Int64


@dataclass(frozen=True)
class Csr:
    """Entries sorted by row (compressed sparse rows): row r gathers columns[offsets[r]:offsets[r + 1]]."""

    offsets: Int64[Tensor, "starts"]
    columns: Int64[Tensor, "e"] | Int32[Tensor, "e"]
    weight: Int64[Tensor, "e"] | Float[Tensor, "e"] | None = None

    @classmethod
    def build(cls, row: Int64[Tensor, "e"], column: Int64[Tensor, "e"], weight: Tensor | None, rows: int) -> "Csr":
        """Sort entries (row, column, weight) in any order; entries of one row keep theirs."""
        ordered, order = torch.sort(row, stable=True)
        offsets = torch.searchsorted(ordered, torch.arange(rows + 1, device=row.device))
        return cls(offsets, column[order], None if weight is None else weight[order])

    def sum(self, feats: Float[Tensor, "columns c"]) -> Float[Tensor, "rows c"]:
        """Weighted sum of each row, in at least float32."""
        feats = at_least_float32(feats)
        weight = None if self.weight is None else self.weight.to(feats.dtype)
        return segment_sum(feats, self.columns.long(), self.offsets, weight)


@dataclass(frozen=True)
class Grouping:
    """Rows in groups: row i belongs to ``group[i]``, which is below ``group_count``.

    Attributes:
        known_members: the rows of each group, ascending, if they are known already.
    """

    group: Int64[Tensor, "n"]
    group_count: int
    known_members: Csr | None = None

    @cached_property
    def members(self) -> Csr:
        """The rows of each group, ascending."""
        return self.known_members or group_members(self.group, self.group_count)

    @cached_property
    def sizes(self) -> Int64[Tensor, "groups 1"]:
        """Number of rows in each group."""
        return self.members.offsets.diff()[:, None]

    def mean(self, feats: Float[Tensor, "n c"]) -> Float[Tensor, "groups c"]:
        """Mean over the rows of each group; no group may be empty."""
        return _GroupMean.apply(feats, self)  # type: ignore[no-any-return]

    def broadcast(self, feats: Float[Tensor, "groups c"]) -> Float[Tensor, "n c"]:
        """Each row gets its group's features: out[i] = feats[group[i]]."""
        return _Broadcast.apply(feats, self)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Pooling:
    """Weighted mean of source rows per target row: out[t] = sum_e count[e] feats[source[e]] / total[t].

    The sums run over the entries e with target[e] = t, and total[t] is the sum of their counts. Every target has an
    entry. Entries ascend by source, then target.

    Attributes:
        by_target: the same entries sorted by target, then source.
        sources: number of source rows.
    """

    source: Int64[Tensor, "e"]
    target: Int64[Tensor, "e"]
    count: Int64[Tensor, "e"]
    total: Int64[Tensor, "targets 1"]
    by_target: Csr
    sources: int

    @classmethod
    def build(
        cls, source: Int64[Tensor, "e"], target: Int64[Tensor, "e"], count: Int64[Tensor, "e"], shape: tuple[int, int]
    ) -> "Pooling":
        """From entries in ascending order; ``shape`` is (sources, targets)."""
        sources, targets = shape
        total = count.new_zeros(targets).index_add_(0, target, count)[:, None]
        return cls(source, target, count, total, Csr.build(target, source, count, targets), sources)

    @property
    def targets(self) -> int:
        """Number of target rows."""
        return len(self.total)

    @cached_property
    def by_source(self) -> Csr:
        """The entries by source, which the gradient gathers."""
        offsets = torch.searchsorted(self.source, torch.arange(self.sources + 1, device=self.source.device))
        return Csr(offsets, self.target, self.count)

    def __call__(self, feats: Float[Tensor, "sources c"]) -> Float[Tensor, "targets c"]:
        """The means, with their gradient."""
        return _WeightedMean.apply(feats, self)  # type: ignore[no-any-return]


def group_members(group: Int64[Tensor, "n"], group_count: int) -> Csr:
    """The rows of each group, ascending; on a CPU by the native kernels where available, with the same result."""
    if group.device.type != "cpu" or library() is None:
        return Csr.build(group, torch.arange(len(group), device=group.device), None, group_count)
    order, offsets = torch.empty_like(group), group.new_empty(group_count + 1)
    completed = call("elite_group", group.contiguous(), len(group), group_count, order, offsets)
    assert completed  # a counting sort has no limits
    return Csr(offsets, order)


def gather_deterministic(feats: Float[Tensor, "rows c"], index: Int64[Tensor, "n"]) -> Float[Tensor, "n c"]:
    """Return feats[index]; the gradient is summed in one order, so it repeats on any device."""
    return Grouping(index, len(feats)).broadcast(feats)


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


class _WeightedMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, pooling: Pooling) -> Tensor:
        ctx.pooling = pooling
        return (pooling.by_target.sum(feats) / pooling.total).to(feats.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.pooling.by_source.sum(at_least_float32(grad) / ctx.pooling.total).to(grad.dtype), None


class _GroupMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, groups: Grouping) -> Tensor:
        ctx.groups = groups
        return (groups.members.sum(feats) / groups.sizes).to(feats.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        share = (at_least_float32(grad) / ctx.groups.sizes).to(grad.dtype)
        return share.index_select(0, ctx.groups.group), None


class _Broadcast(torch.autograd.Function):
    """A gather whose gradient is summed in one order. The gradient of indexing is added with atomics, in any order."""

    @staticmethod
    def forward(ctx: Any, feats: Tensor, groups: Grouping) -> Tensor:
        ctx.groups = groups
        return feats.index_select(0, groups.group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.groups.members.sum(grad.contiguous()).to(grad.dtype), None
