"""Bilinear sampling of maps at pixels, with a deterministic gradient.

On CUDA, the gradient of ``grid_sample`` of torch is not deterministic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elite.batches import Pixels
from elite.shapes import Float
from elite.sparse.pooling import Csr


def sample(
    maps: Sequence[Float[Tensor, "w channels _ _"]], pixels: Pixels, size: tuple[int, int]
) -> list[Float[Tensor, "p channels"]]:
    """Sample each map at pixels of images of ``size`` (rows, columns). The result of 16-bit maps is float32."""
    grids = [(len(m), m.shape[2], m.shape[3]) for m in maps]
    sampling = {grid: Sampling.build(pixels, size, grid) for grid in set(grids)}
    return [sampling[grid](m) for grid, m in zip(grids, maps, strict=True)]


@dataclass(frozen=True)
class Sampling:
    """Cells around each pixel and their bilinear weights; cells are numbered consecutively over all maps.

    The result equals bilinear enlargement of the maps to the image size (align_corners=False), followed by indexing.
    """

    by_pixel: Csr
    cells: int

    @classmethod
    def build(cls, pixels: Pixels, size: tuple[int, int], grid: tuple[int, int, int]) -> "Sampling":
        """Build the sampling of maps of ``grid`` (count, rows, columns) for images of ``size`` (rows, columns)."""
        count, *extent = grid
        device = pixels.position.device
        cells = torch.tensor(extent, device=device)
        # Double precision: in float32, positions in a map of 300 columns have an error of 1e-5 of a cell.
        place = (pixels.position.double() + 0.5) * cells / torch.tensor(size, device=device) - 0.5
        place = torch.minimum(place.clamp(min=0), (cells - 1).double())
        low = place.floor().long()
        share = (place - low).float()
        rows, columns = torch.stack([low, torch.minimum(low + 1, cells - 1)], dim=2).unbind(1)  # (p, 2) each
        row_weights, column_weights = torch.stack([1 - share, share], dim=2).unbind(1)
        corner = (pixels.view[:, None] * extent[0] + rows)[:, :, None] * extent[1] + columns[:, None]  # (p, 2, 2)
        weight = row_weights[:, :, None] * column_weights[:, None]
        offsets = torch.arange(0, corner.numel() + 1, 4, device=device)
        return cls(Csr(offsets, corner.flatten(), weight.flatten()), count * extent[0] * extent[1])

    def __call__(self, maps: Float[Tensor, "w channels h x"]) -> Float[Tensor, "p channels"]:
        return _SamplingFunction.apply(maps.permute(0, 2, 3, 1).flatten(0, 2), self)  # type: ignore[no-any-return]

    @cached_property
    def by_cell(self) -> Csr:
        """Pixels to which each cell contributes."""
        pixel = torch.arange(len(self.by_pixel.columns), device=self.by_pixel.columns.device) // 4
        return Csr.build(self.by_pixel.columns, pixel, self.by_pixel.weight, self.cells)


class _SamplingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, sampling: Sampling) -> Tensor:
        ctx.sampling, ctx.dtype = sampling, cells.dtype
        return sampling.by_pixel.sum(cells)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.sampling.by_cell.sum(grad.contiguous()).to(ctx.dtype), None
