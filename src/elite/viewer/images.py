"""The picture beside the points: an image with what is known of its pixels. Pure: arrays in, RGB arrays out."""

from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt32

from elite.geometry import point_pixel_pairs
from elite.labels import IGNORE
from elite.pictures import luminance, overlay, tinted
from elite.types import Camera, Frame, PointPixelPairs
from elite.viewer.colors import Style

_OPAQUE = 0.55  # of a region's colour over the image


class Picture(StrEnum):
    """What the picture shows beside the dense labels, which go by the names of their folders."""

    POINTS = "Points on the image"
    IMAGE = "Image alone"
    TEACHER = "Teacher"


REGIONS = "Regions of "  # and the name of a folder


def seen(frame: Frame, camera: Camera) -> PointPixelPairs:
    """The points that a camera sees, with their pixels, far ones first, so that near ones are drawn over them."""
    pairs = point_pixel_pairs(frame.scan.points, camera, *frame.images[camera.name].shape[:2])
    distance = np.linalg.norm(frame.scan.points[pairs.point], axis=1)
    order = np.argsort(-distance, kind="stable")
    return PointPixelPairs(pairs.point[order], pairs.pixel[order])


def with_points(
    image: UInt8[np.ndarray, "h w 3"],
    pairs: PointPixelPairs,
    colors: UInt8[np.ndarray, "n 3"],
    drawn: Bool[np.ndarray, "n"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The points that are ``drawn``, in their colours, on the image in grey."""
    kept = drawn[pairs.point]
    # Two thirds of the mean distance between points leave some of the image to be seen.
    dot = int(np.clip(round(0.67 * np.sqrt(image.shape[0] * image.shape[1] / max(1, len(pairs)))), 2, 5))
    return overlay(image, PointPixelPairs(pairs.point[kept], pairs.pixel[kept]), colors, dot=dot)


def with_labels(
    image: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, "h w"], look: Style, hidden: frozenset[int]
) -> UInt8[np.ndarray, "h w 3"]:
    """The colours of the classes over the image, but of the ``hidden`` ones."""
    return tinted(image, np.where(np.isin(labels, list(hidden)), IGNORE, labels), palette=look.classes)


def with_regions(image: UInt8[np.ndarray, "h w 3"], regions: UInt32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Every region (number; 0 = none) in a colour of its own, with a light rim. Its number decides its colour."""
    canvas: Float[np.ndarray, "h w 3"] = np.repeat(0.6 * luminance(image)[..., None], 3, axis=2)
    numbers, index = np.unique(regions, return_inverse=True)
    colors = np.array([np.random.default_rng(int(number)).uniform(60, 255, 3) for number in numbers])
    inside = regions != 0
    index = index.reshape(regions.shape)
    canvas[inside] = (1 - _OPAQUE) * canvas[inside] + _OPAQUE * colors[index[inside]]
    canvas[_rim(regions) & inside] = 235
    return canvas.round().astype(np.uint8)


def _rim(regions: UInt32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour belongs to another region."""
    rim = np.zeros(regions.shape, bool)
    rim[:-1] |= regions[:-1] != regions[1:]
    rim[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    return rim
