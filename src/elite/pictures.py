"""Colours of classes and errors, and points and labels painted on images. Pure numpy: arrays in, RGB arrays out.

Pixels are (row, column); colours are RGB, 0..255, one row per point of the scan. ``figures.py`` adds axes and legends.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from elite.shapes import Float, Int64, Integer, UInt8
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import PointPixelPairs

RGB = tuple[int, int, int]

BACKGROUND = (17, 19, 24)
RING = (62, 68, 80)
INK = (214, 219, 228)
CORRECT = (86, 92, 104)
WRONG = (255, 69, 58)
UNSCORED = (48, 52, 61)

_LUMA = np.array([0.299, 0.587, 0.114])


def brighten(colors: UInt8[np.ndarray, "n 3"], minimum: float = 72) -> UInt8[np.ndarray, "n 3"]:
    """Mix colours that are darker than ``minimum`` (luminance, 0..255) with white, for a dark background."""
    luma = (colors @ _LUMA)[:, None]
    white = np.clip((minimum - luma) / (255 - luma), 0, None)
    return (colors + (255 - colors) * white).round().astype(np.uint8)


def darken(colors: UInt8[np.ndarray, "n 3"], maximum: float = 190) -> UInt8[np.ndarray, "n 3"]:
    """Scale colours that are brighter than ``maximum`` (luminance, 0..255) down to it, for a light background."""
    luma = np.maximum(colors @ _LUMA, 1)[:, None]
    return (colors * np.minimum(maximum / luma, 1)).round().astype(np.uint8)


@lru_cache(maxsize=16)
def palette(taxonomy: Taxonomy) -> UInt8[np.ndarray, "classes 3"]:
    """Return the colours of classes on a dark background, one per train id; the array is read-only.

    Data sets chose their colours for other backgrounds: on a dark one, SemanticKITTI's sidewalk is nearly invisible.
    Dark hues are therefore brightened, and unlabelled points are faint grey.
    """
    colors = np.vstack([[UNSCORED], brighten(taxonomy.colors[IGNORE + 1 :])]).astype(np.uint8)
    colors.flags.writeable = False
    return colors


def class_colors(labels: Integer[np.ndarray, "n"], taxonomy: Taxonomy) -> UInt8[np.ndarray, "n 3"]:
    """Return the class colour of each point; ``labels`` are train ids."""
    return palette(taxonomy)[labels]


def error_colors(
    ground_truth: Integer[np.ndarray, "n"],
    prediction: Integer[np.ndarray, "n"],
    *,
    correct: RGB = CORRECT,
    wrong: RGB = WRONG,
    unscored: RGB = UNSCORED,
) -> UInt8[np.ndarray, "n 3"]:
    """Return the colours of correct points, of wrong ones, and of those without ground truth."""
    colors = np.array([wrong, correct], np.uint8)[(ground_truth == prediction).astype(np.int64)]
    colors[ground_truth == IGNORE] = unscored
    return colors


def luminance(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """Return the brightness of each pixel, 0..255."""
    return image @ _LUMA


def dimmed(image: UInt8[np.ndarray, "h w 3"], brightness: float = 0.6) -> Float[np.ndarray, "h w 3"]:
    """Return the grey image at a share (0..1) of its brightness, as a dark background for colours."""
    return np.repeat(brightness * luminance(image)[..., None], 3, axis=2)


def dot_size(area: float, count: int, *, smallest: int, largest: int) -> int:
    """Side (pixels) of the dots of ``count`` points on an ``area`` (pixels), which keeps some of the image visible.

    It is two thirds of the mean distance between points.
    """
    return int(np.clip(round(0.67 * np.sqrt(area / max(1, count))), smallest, largest))


def paint(
    canvas: UInt8[np.ndarray, "h w channels"],
    pixel: Int64[np.ndarray, "m 2"],
    colors: UInt8[np.ndarray, "m channels"],
    dot: int,
) -> UInt8[np.ndarray, "h w channels"]:
    """Paint square dots of ``dot`` pixels; later dots cover earlier ones, and dots are cut at the edge."""
    reach = np.arange(dot) - dot // 2
    offsets = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    # Point by point, not offset by offset: numpy keeps the last of equal indices, which keeps later dots complete.
    row, column = (pixel[:, None] + offsets).reshape(-1, 2).T
    color = np.repeat(colors, len(offsets), axis=0)
    height, width = canvas.shape[:2]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    painted = canvas.copy()
    painted[row[inside], column[inside]] = color[inside]
    return painted


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    pairs: PointPixelPairs,
    colors: UInt8[np.ndarray, "n 3"],
    *,
    dot: int = 3,
    dim: float = 0.6,
) -> UInt8[np.ndarray, "h w 3"]:
    """Paint points on the camera image, which is converted to grey.

    Args:
        image: RGB.
        pairs: visible points and their pixels (``occlusion.point_pixel_pairs``).
        colors: one per point of the scan; only rows in ``pairs.point`` are used.
        dot: side of a point in pixels, centred on its pixel.
        dim: brightness of the grey image relative to the original, 0..1.
    """
    grey = (luminance(image) * dim).round().astype(np.uint8)
    return paint(np.repeat(grey[..., None], 3, axis=2), pairs.pixel, colors[pairs.point], dot)


def tinted(
    image: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    colors: UInt8[np.ndarray, "classes 3"],
    *,
    strength: float = 0.62,
) -> UInt8[np.ndarray, "h w 3"]:
    """Blend the ``colors`` of classes over the grey image; pixels without a label are darker.

    The image is grey because its own colours would distort those of the classes.
    """
    grey = luminance(image)[..., None]
    mixed = np.where((labels != IGNORE)[..., None], strength * colors[labels] + (1 - strength) * grey, 0.6 * grey)
    return mixed.round().astype(np.uint8)


@dataclass(frozen=True)
class EncodedImage:
    """An image as the bytes of a PNG or JPEG file."""

    data: bytes
    format: Literal["png", "jpeg"]

    @property
    def suffix(self) -> str:
        return ".png" if self.format == "png" else ".jpg"


def encode_png(image: UInt8[np.ndarray, "h w 3"]) -> EncodedImage:
    """Encode without loss, with a palette if 256 colours suffice. Equal images give equal bytes.

    Only palettes are compressed as much as possible: true colours would be 8 % smaller, after eight times the time.
    """
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colors, index = np.unique(packed, return_inverse=True)
    if len(colors) > 256:
        return EncodedImage(_encoded(Image.fromarray(image), "PNG"), "png")
    indexed = Image.fromarray(index.reshape(packed.shape).astype(np.uint8)).convert("P")
    indexed.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.uint8).tobytes())
    return EncodedImage(_encoded(indexed, "PNG", optimize=True), "png")


def encode_jpeg(image: UInt8[np.ndarray, "h w 3"], *, quality: int = 72) -> EncodedImage:
    """Encode with loss, for photographs. Colours keep the full resolution: subsampling would blur small dots."""
    return EncodedImage(_encoded(Image.fromarray(image), "JPEG", quality=quality, subsampling=0, optimize=True), "jpeg")


def _encoded(image: Image.Image, format: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def fit_pairs(
    image: UInt8[np.ndarray, "h w 3"], pairs: PointPixelPairs, width: int
) -> tuple[UInt8[np.ndarray, "height width 3"], PointPixelPairs]:
    """Resize an image to ``width`` columns, and move the pixels of its points."""
    fitted = fit_width(image, width)
    scale = np.array(fitted.shape[:2]) / image.shape[:2]
    return fitted, PointPixelPairs(pairs.point, (pairs.pixel * scale).astype(np.int64))


def fit_width(image: UInt8[np.ndarray, "h w 3"], width: int) -> UInt8[np.ndarray, "height width 3"]:
    """Resize an image to ``width`` columns, with its aspect ratio."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
