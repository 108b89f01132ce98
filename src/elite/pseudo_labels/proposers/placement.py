"""Conversion between an image and the square input of SAM: pixels, mask prompts from seeds, masks at full size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import PretrainedConfig

from elite.pseudo_labels.records import Prompt, Seeds
from elite.shapes import Float, Float32, Int64, UInt8
from elite.teacher.backbone import MEAN, STD

_OFFSET = 1.0  # logits; the stability compares masks at thresholds +1 and -1
_CELLS_PER_PATCH = 4  # cells of masks and mask prompts along the side of a patch, in every SAM


@dataclass(frozen=True)
class Placement:
    """Placement of an image in the square input of the network: in the upper left corner, the rest is padding.

    Attributes:
        size: rows and columns of the image.
        inner: rows and columns of the square that the image covers.
        side: side of the square in pixels.
        grid: side of masks and mask prompts in cells; they cover the square.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    side: int
    grid: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells that overlap the image."""
        rows, columns = (math.ceil(n * self.grid / self.side) for n in self.inner)
        return rows, columns

    def positions(self, pixel: Int64[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Centre of each pixel (row, column) of the image, as (row, column) in the square with its corner at (0, 0)."""
        return (pixel + 0.5) * (np.array(self.inner) / np.array(self.size))

    def cell(self, pixel: Int64[np.ndarray, "n 2"]) -> Int64[np.ndarray, "n 2"]:
        """Cell (row, column) that contains the centre of each pixel."""
        return (self.positions(pixel) * (self.grid / self.side)).astype(np.int64)


def place(config: PretrainedConfig, size: tuple[int, int]) -> Placement:
    """Return the placement of an image of ``size``: SAM keeps the aspect ratio, SAM 2 scales both sides."""
    side, patch = config.prompt_encoder_config.image_size, config.prompt_encoder_config.patch_size
    grid = _CELLS_PER_PATCH * (side // patch)
    if config.model_type.startswith("sam2"):
        return Placement(size, (side, side), side, grid)
    rows, columns = (max(1, int(n * side / max(size) + 0.5)) for n in size)
    return Placement(size, (rows, columns), side, grid)


def to_square(image: UInt8[np.ndarray, "h w 3"], placement: Placement) -> Float[Tensor, "1 3 side side"]:
    """Return the input of the network: the image resized, normalised, and then padded with zeros."""
    rows, columns = placement.inner
    small = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR), np.float32)
    normal = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    padding = (0, placement.side - columns, 0, placement.side - rows)
    return F.pad(torch.from_numpy(normal).permute(2, 0, 1)[None], padding)


def point_prompts(placement: Placement, prompts: Sequence[Prompt]) -> Float32[np.ndarray, "prompts 1 points 2"]:
    """Return (x, y) of the points of prompts with equally many points.

    The origin is the centre of the first pixel of the square, because the network adds the half pixel itself.
    """
    points = np.stack([placement.positions(p.points) for p in prompts])[:, None, :, ::-1]
    return points.astype(np.float32) - np.float32(0.5)


def mask_prompts(
    seeds: Seeds, placement: Placement, prompts: Sequence[Prompt]
) -> Float32[np.ndarray, "prompts grid grid"]:
    """Draw one mask prompt (logits) per prompt from the seeds; 0 in cells without a seed.

    Precedence in a cell with several kinds of seeds: the segment, its class without instance ids, other objects of its
    class, all others.
    """
    row, column = placement.cell(seeds.pixel).T
    maps = np.zeros((len(prompts), placement.grid, placement.grid), np.float32)
    for drawn, prompt in zip(maps, prompts, strict=True):
        same_class = seeds.label == seeds.label[prompt.segment]
        prompted = np.arange(len(same_class)) == prompt.segment
        kinds = (
            (same_class & (seeds.instance > 0), prompt.object_logit),
            (same_class & (seeds.instance == 0), prompt.class_logit),
        )
        drawn[row, column] = prompt.other_logit
        for segments, logit in (*kinds, (prompted, prompt.segment_logit)):
            chosen = segments[seeds.segment]
            drawn[row[chosen], column[chosen]] = logit
    return maps


def full_size(
    logits: Float[Tensor, "prompts masks grid grid"], placement: Placement
) -> Float[Tensor, "prompts masks h w"]:
    """Resize logits from cells to pixels of the image: enlarge to the square, crop, resize, as SAM does.

    Padding is removed before enlarging, except for the margin that the interpolation needs.
    """
    rows, columns = (min(placement.grid, n + 1) for n in placement.cells)
    up = F.interpolate(logits[..., :rows, :columns], scale_factor=placement.side / placement.grid, mode="bilinear")
    inner = up[..., : placement.inner[0], : placement.inner[1]]
    return F.interpolate(inner, placement.size, mode="bilinear")


def stability(logits: Float[Tensor, "prompts masks grid grid"], placement: Placement) -> Float[Tensor, "prompts masks"]:
    """IoU between each mask at thresholds +1 and -1, on the cells that overlap the image; 0 for empty masks."""
    valid = logits[..., : placement.cells[0], : placement.cells[1]]
    tight, wide = ((valid > level).flatten(2).sum(-1) for level in (_OFFSET, -_OFFSET))
    return tight / wide.clamp(min=1)
