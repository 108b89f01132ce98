"""Submanifold convolution in plain PyTorch, on any device: the reference of the other backends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from elite.shapes import Float, Int64
from elite.sparse.autograd import convolve_with_gradients
from elite.sparse.pooling import segment_sum

POSITIONS = 27
CENTRE = 13  # kernel positions run over (dz, dy, dx) with dx fastest, so the voxel itself is number 13


@dataclass(frozen=True)
class PairChunk:
    """Pairs of the voxels start..end, sorted by kernel position. A voxel's pair with itself (position 13) is implied.

    Voxel target[p] has the neighbour source[p] at kernel position k, for splits[k] <= p < splits[k + 1].
    The pairs of voxel start + v are order[offsets[v]:offsets[v + 1]].
    """

    start: int
    end: int
    source: Int64[Tensor, "pairs"]
    target: Int64[Tensor, "pairs"]
    splits: tuple[int, ...]
    order: Int64[Tensor, "pairs"]
    offsets: Int64[Tensor, "starts"]

    @classmethod
    def build(cls, table: Int64[Tensor, "v 27"], start: int) -> "PairChunk":
        """From the neighbour of each voxel at each kernel position, -1 for none; ``start`` is the first voxel."""
        by_position = table.T.contiguous()
        exists = by_position >= 0
        counts = exists.sum(dim=1)
        rank = torch.cumsum(exists.flatten(), 0).view_as(exists) - 1
        per_voxel = exists.T
        return cls(
            start=start,
            end=start + len(table),
            source=by_position[exists],
            target=exists.nonzero()[:, 1] + start,
            splits=(0, *torch.cumsum(counts, 0).tolist()),
            order=rank.T[per_voxel],
            offsets=torch.cat([counts.new_zeros(1), torch.cumsum(per_voxel.sum(dim=1), 0)]),
        )

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """(kernel position, first pair, end of its pairs) of every position that has pairs."""
        for k, (start, end) in enumerate(pairwise(self.splits)):
            if end > start:
                yield k, start, end


def convolve_chunks(
    feats: Float[Tensor, "v c_in"], weight: Float[Tensor, "27 c_in c_out"], chunks: Sequence[PairChunk]
) -> Float[Tensor, "v c_out"]:
    """Compute the convolution with its gradients; under autocast in its 16-bit type."""
    if torch.is_autocast_enabled(feats.device.type):
        feats = feats.to(torch.get_autocast_dtype(feats.device.type))
    return convolve_with_gradients(
        feats, weight.to(feats.dtype), chunks, product=_gather_multiply_sum, weight_gradient=_weight_gradient
    )


def _gather_multiply_sum(feats: Tensor, weight: Tensor, chunks: Sequence[PairChunk]) -> Tensor:
    out = torch.mm(feats, weight[CENTRE])
    for chunk in chunks:
        gathered = feats.index_select(0, chunk.source)
        products = feats.new_empty(len(chunk.source), weight.shape[2])
        for k, start, end in chunk.runs():
            torch.mm(gathered[start:end], weight[k], out=products[start:end])
        out[chunk.start : chunk.end] += segment_sum(products, chunk.order, chunk.offsets)
    return out


def _weight_gradient(feats: Tensor, grad: Tensor, chunks: Sequence[PairChunk]) -> Tensor:
    weight = feats.new_zeros(POSITIONS, feats.shape[1], grad.shape[1])
    torch.mm(feats.T, grad, out=weight[CENTRE])
    for chunk in chunks:
        inputs, outputs = feats.index_select(0, chunk.source), grad.index_select(0, chunk.target)
        for k, start, end in chunk.runs():
            weight[k].addmm_(inputs[start:end].T, outputs[start:end])
    return weight
