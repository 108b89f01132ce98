"""Overlays on the camera image: points, dense labels, regions. Pure functions on arrays; RGB."""

from enum import StrEnum

import numpy as np

from elite.pictures import dimmed, dot_size, overlay, tinted
from elite.shapes import Bool, UInt8, UInt32
from elite.taxonomy import IGNORE
from elite.types import PointPixelPairs
from elite.viewer.colors import Style

_OPAQUE = 0.55  # opacity of region colours


class Overlay(StrEnum):
    """Overlay on the camera image, except dense labels."""

    POINTS = "Points"
    NONE = "None"
    TEACHER = "Teacher"


LABELS, REGIONS = "Labels: ", "Regions: "  # followed by the kind of the dense labels, such as pseudo


def draw_points(
    image: UInt8[np.ndarray, "h w 3"],
    pairs: PointPixelPairs,
    colors: UInt8[np.ndarray, "n 3"],
    drawn: Bool[np.ndarray, "n"],
    largest_dot: int,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the selected points (``drawn``) on the grey image, with at most ``largest_dot`` pixels a side."""
    kept = drawn[pairs.point]
    dot = dot_size(image.shape[0] * image.shape[1], len(pairs), smallest=2, largest=largest_dot)
    return overlay(image, PointPixelPairs(pairs.point[kept], pairs.pixel[kept]), colors, dot=dot)


def draw_labels(
    image: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, "h w"], style: Style, hidden: frozenset[int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Blend class colours over the image, except for ``hidden`` classes."""
    return tinted(image, np.where(np.isin(labels, list(hidden)), IGNORE, labels), style.classes)


def draw_regions(image: UInt8[np.ndarray, "h w 3"], regions: UInt32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw regions (0 = none) in random colours with a light outline; equal numbers have equal colours."""
    canvas = dimmed(image)
    numbers, index = np.unique(regions, return_inverse=True)
    colors = np.array([np.random.default_rng(int(number)).uniform(60, 255, 3) for number in numbers])
    inside = regions != 0
    index = index.reshape(regions.shape)
    canvas[inside] = (1 - _OPAQUE) * canvas[inside] + _OPAQUE * colors[index[inside]]
    canvas[_outline(regions) & inside] = 235
    return canvas.round().astype(np.uint8)


def _outline(regions: UInt32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour belongs to another region."""
    outline = np.zeros(regions.shape, bool)
    outline[:-1] |= regions[:-1] != regions[1:]
    outline[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    return outline
