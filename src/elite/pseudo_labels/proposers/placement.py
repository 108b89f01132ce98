"""Between an image and the square that a SAM sees: pixels, seeds as mask prompts, and masks back at full size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image
from torch import Tensor
from transformers import PretrainedConfig

from elite.pseudo_labels.records import Prompt, Seeds
from elite.teacher.backbone import MEAN, STD

_OFFSET = 1.0  # logits: how much tighter and wider a mask is drawn to measure its stability
_CELLS_PER_PATCH = 4  # of mask prompts and masks, either way, in every SAM


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the square that the network sees: at its upper left, the rest is padding.

    Attributes:
        size: rows and columns of the image.
        inner: rows and columns of the square that it covers.
        side: pixels of the square's side.
        grid: cells of the side of a mask or a mask prompt, which cover the square.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    side: int
    grid: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells that the image touches."""
        rows, columns = (math.ceil(n * self.grid / self.side) for n in self.inner)
        return rows, columns

    def positions(self, pixel: Int64[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Middle of each (row, column) of the image, as (row, column) in the square, whose corner is (0, 0)."""
        return (pixel + 0.5) * (np.array(self.inner) / np.array(self.size))

    def cell(self, pixel: Int64[np.ndarray, "n 2"]) -> Int64[np.ndarray, "n 2"]:
        """(row, column) of the cell that each pixel's middle falls into."""
        return (self.positions(pixel) * (self.grid / self.side)).astype(np.int64)


def place(config: PretrainedConfig, size: tuple[int, int]) -> Placement:
    """How a network takes an image of ``size``: SAM scales the longest side to the square's, SAM 2 both sides."""
    side, patch = config.prompt_encoder_config.image_size, config.prompt_encoder_config.patch_size
    grid = _CELLS_PER_PATCH * (side // patch)
    if config.model_type.startswith("sam2"):
        return Placement(size, (side, side), side, grid)
    rows, columns = (max(1, int(n * side / max(size) + 0.5)) for n in size)
    return Placement(size, (rows, columns), side, grid)


def to_square(image: UInt8[np.ndarray, "h w 3"], placement: Placement) -> Float[Tensor, "1 3 side side"]:
    """The network's input: the image resized, normalised, and padded with zeros after that, as SAM was trained."""
    rows, columns = placement.inner
    small = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR), np.float32)
    normal = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    padding = (0, placement.side - columns, 0, placement.side - rows)
    return F.pad(torch.from_numpy(normal).permute(2, 0, 1)[None], padding)


def point_prompts(placement: Placement, prompts: Sequence[Prompt]) -> Float32[np.ndarray, "prompts 1 points 2"]:
    """(x, y) of the points of prompts that have equally many of them, as the network counts: from the middle of the
    square's first pixel, for it adds that half itself.
    """
    points = np.stack([placement.positions(p.points) for p in prompts])[:, None, :, ::-1]
    return points.astype(np.float32) - np.float32(0.5)


def mask_prompts(
    seeds: Seeds, placement: Placement, prompts: Sequence[Prompt]
) -> Float32[np.ndarray, "prompts grid grid"]:
    """One mask prompt (logits) per prompt, drawn from the seeds; 0 where there is none.

    If several kinds of seeds share a cell, the segment's own count, then those akin to it, then other objects.
    """
    row, column = placement.cell(seeds.pixel).T
    maps = np.zeros((len(prompts), placement.grid, placement.grid), np.float32)
    for drawn, prompt in zip(maps, prompts, strict=True):
        alike = seeds.label == seeds.label[prompt.segment]
        own = np.arange(len(alike)) == prompt.segment
        kinds = ((alike & (seeds.instance > 0), prompt.sibling), (alike & (seeds.instance == 0), prompt.akin))
        drawn[row, column] = prompt.other
        for segments, logit in (*kinds, (own, prompt.own)):
            chosen = segments[seeds.segment]
            drawn[row[chosen], column[chosen]] = logit
    return maps


def full_size(
    logits: Float[Tensor, "prompts answers grid grid"], placement: Placement
) -> Float[Tensor, "prompts answers h w"]:
    """Logits of the square's cells at the image's own pixels: drawn up to the square, cropped, resized, as SAM does.

    Padding is left out before rather than after drawing up, but for a margin that the interpolation reaches into.
    """
    rows, columns = (min(placement.grid, n + 1) for n in placement.cells)
    up = F.interpolate(logits[..., :rows, :columns], scale_factor=placement.side / placement.grid, mode="bilinear")
    inner = up[..., : placement.inner[0], : placement.inner[1]]
    return F.interpolate(inner, placement.size, mode="bilinear")


def stability(
    logits: Float[Tensor, "prompts answers grid grid"], placement: Placement
) -> Float[Tensor, "prompts answers"]:
    """IoU of each mask drawn tighter and wider by one logit, on the cells that the image touches; 0 if it has none."""
    valid = logits[..., : placement.cells[0], : placement.cells[1]]
    tight, wide = ((valid > level).flatten(2).sum(-1) for level in (_OFFSET, -_OFFSET))
    return tight / wide.clamp(min=1)
