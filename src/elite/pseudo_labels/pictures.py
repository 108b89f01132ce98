"""One image with its labelled points, the accepted regions, the pseudo-label, and its disagreement with the points."""

import numpy as np
from scipy.ndimage import binary_erosion

from elite.figures import stack_panels
from elite.pictures import CORRECT, WRONG, dimmed, overlay, palette, tinted
from elite.pseudo_labels.records import DenseLabel, Seeds
from elite.pseudo_labels.vote import Regions, nearest_entity
from elite.shapes import UInt8
from elite.taxonomy import Taxonomy
from elite.types import PointPixelPairs


def picture(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, regions: Regions, dense: DenseLabel, taxonomy: Taxonomy
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw five panels below each other: image, labelled points, accepted regions, pseudo-label, disagreement."""
    label, colors = np.append(seeds.entity_label, 0), palette(taxonomy)
    pairs = PointPixelPairs(np.arange(len(seeds)), seeds.pixel)
    points = overlay(image, pairs, colors[label[seeds.entity]], dot=max(2, image.shape[0] // 125))
    classes = np.flatnonzero(np.bincount(dense.label.ravel(), minlength=len(taxonomy))[1:]) + 1
    panels = {
        "Camera image": image,
        f"{len(seeds)} labelled points in view": points,
        f"{len(regions)} accepted regions of {dense.prompts} prompts, one colour each": _outlined(image, regions),
        "Pseudo-label": tinted(image, dense.label, colors),
        "Red: differs from the class of the nearest labelled point": _disagreement(image, seeds, dense.label),
    }
    return stack_panels(panels, [int(i) for i in classes], taxonomy)


def _outlined(image: UInt8[np.ndarray, "h w 3"], regions: Regions) -> UInt8[np.ndarray, "h w 3"]:
    """Regions in random colours with a light outline; higher scores cover lower ones."""
    canvas = dimmed(image)
    colors = np.random.default_rng(0).uniform(60, 255, (len(regions), 3))
    for i in np.argsort(regions.score, kind="stable"):
        inside = regions.inside[i]
        outline = inside & np.logical_not(binary_erosion(inside))
        canvas[inside] = 0.5 * canvas[inside] + 0.5 * colors[i]
        canvas[outline] = 255
    return canvas.round().astype(np.uint8)


def _disagreement(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, label: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    nearest = seeds.entity_label[nearest_entity(seeds)] if len(seeds) else label
    differs = (label > 0) & (label != nearest)
    agrees = (label > 0) & ~differs
    grey = dimmed(image)
    grey[agrees] = 0.5 * grey[agrees] + 0.5 * np.array(CORRECT)
    grey[differs] = 0.3 * grey[differs] + 0.7 * np.array(WRONG)
    return grey.round().astype(np.uint8)
