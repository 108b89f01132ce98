"""The image of a camera with all that can be drawn on it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from elite.pictures import fit_pairs
from elite.shapes import Bool, UInt8, UInt32
from elite.types import PointPixelPairs
from elite.viewer.colors import Style
from elite.viewer.images import LABELS, REGIONS, Overlay, draw_labels, draw_points, draw_regions

TILE = 480  # pixels: width of an image among those of all cameras


@dataclass(frozen=True, eq=False)
class CameraView:
    """Image of one camera.

    Attributes:
        image: RGB.
        pairs: points in view, in descending distance.
        dense: train ids of the pixels by kind of the labels, such as ``pseudo``.
        regions: by the same kinds, a number per object and per class without instance ids; 0 = unknown.
        largest_dot: largest side of a point in pixels.
    """

    image: UInt8[np.ndarray, "h w 3"]
    pairs: PointPixelPairs
    dense: dict[str, UInt8[np.ndarray, "h w"]] = field(default_factory=dict)
    regions: dict[str, UInt32[np.ndarray, "h w"]] = field(default_factory=dict)
    largest_dot: int = 5

    @cached_property
    def tile(self) -> "CameraView":
        """The same at the width ``TILE``: overlays that are drawn on it stay sharp."""
        image, pairs = fit_pairs(self.image, self.pairs, TILE)
        row, column = (np.arange(n) * full // n for n, full in zip(image.shape[:2], self.image.shape[:2], strict=True))
        dense, regions = (
            {kind: pixels[row[:, None], column] for kind, pixels in of.items()} for of in (self.dense, self.regions)
        )
        return CameraView(image, pairs, dense, regions, largest_dot=2)

    def draw(
        self,
        overlay: str,
        colors: UInt8[np.ndarray, "n 3"],
        drawn: Bool[np.ndarray, "n"],
        style: Style,
        hidden: frozenset[int],
    ) -> UInt8[np.ndarray, "h w 3"] | None:
        """Draw an overlay; None without its labels. ``colors`` and ``drawn`` are of the points of the scan."""
        if overlay == Overlay.POINTS:
            return draw_points(self.image, self.pairs, colors, drawn, self.largest_dot)
        if overlay.startswith(REGIONS) and (kind := overlay.removeprefix(REGIONS)) in self.regions:
            return draw_regions(self.image, self.regions[kind])
        if overlay.startswith(LABELS) and (kind := overlay.removeprefix(LABELS)) in self.dense:
            return draw_labels(self.image, self.dense[kind], style, hidden)
        return self.image if overlay == Overlay.NONE else None
