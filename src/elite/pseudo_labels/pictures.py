"""What became of one image: its labelled points, the regions, the pseudo-label, and where that goes against points."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from elite.labels import CLASS_NAMES
from elite.pictures import BACKGROUND, INK, PALETTE, RIGHT, WRONG, luminance, overlay, tinted
from elite.pseudo_labels.records import DenseLabel, Seeds
from elite.pseudo_labels.vote import Regions, nearest_thing
from elite.types import PointPixelPairs

_TITLE = 26  # rows above every panel


def picture(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, regions: Regions, dense: DenseLabel
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Five panels below each other: image, labelled points, accepted regions, pseudo-label, disagreement."""
    label = np.append(seeds.thing_label, 0)
    pairs = PointPixelPairs(np.arange(len(seeds)), seeds.pixel)
    points = overlay(image, pairs, PALETTE[label[seeds.thing]], dot=max(2, image.shape[0] // 125))
    shown = np.flatnonzero(np.bincount(dense.label.ravel(), minlength=len(CLASS_NAMES))[1:]) + 1
    panels = {
        "image": image,
        f"{len(seeds)} labelled points that the camera sees": points,
        f"{len(regions)} accepted regions of {dense.prompts} prompts, a colour each": _outlined(image, regions),
        "pseudo-label": tinted(image, dense.label),
        "red: not the class of the nearest labelled point": _disagreement(image, seeds, dense.label),
    }
    return np.vstack(
        [np.vstack([_title(text, image.shape[1]), panel]) for text, panel in panels.items()]
        + [_legend(shown, image.shape[1])]
    )


def _outlined(image: UInt8[np.ndarray, "h w 3"], regions: Regions) -> UInt8[np.ndarray, "h w 3"]:
    """Every region in a colour of its own, the best on top, with a light rim."""
    canvas = np.repeat(0.6 * luminance(image)[..., None], 3, axis=2)
    colors = np.random.default_rng(0).uniform(60, 255, (len(regions), 3))
    for i in np.argsort(regions.score, kind="stable"):
        inside = regions.inside[i]
        rim = inside & ~(_shifted(inside, 0) & _shifted(inside, 1))
        canvas[inside] = 0.5 * canvas[inside] + 0.5 * colors[i]
        canvas[rim] = 255
    return canvas.round().astype(np.uint8)


def _shifted(inside: np.ndarray, axis: int) -> np.ndarray:
    return np.roll(inside, 1, axis) & np.roll(inside, -1, axis)


def _disagreement(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, label: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    nearest = seeds.thing_label[nearest_thing(seeds)] if len(seeds) else label
    differs = (label > 0) & (label != nearest)
    grey = np.repeat(0.6 * luminance(image)[..., None], 3, axis=2)
    grey[(label > 0) & ~differs] = 0.5 * grey[(label > 0) & ~differs] + 0.5 * np.array(RIGHT)
    grey[differs] = 0.3 * grey[differs] + 0.7 * np.array(WRONG)
    return grey.round().astype(np.uint8)


def _title(text: str, width: int) -> UInt8[np.ndarray, "rows w 3"]:
    image = Image.new("RGB", (width, _TITLE), BACKGROUND)
    ImageDraw.Draw(image).text((8, _TITLE // 2), text, INK, ImageFont.load_default(14), anchor="lm")
    return np.asarray(image)


def _legend(classes: np.ndarray, width: int) -> UInt8[np.ndarray, "rows w 3"]:
    """A swatch and a name per class that occurs, in as many rows as it takes."""
    font, places, x, y = ImageFont.load_default(14), [], 8, 0
    for i in classes:
        needed = 30 + int(font.getlength(CLASS_NAMES[i]))
        if x + needed > width and x > 8:
            x, y = 8, y + 22
        places.append((x, y, int(i)))
        x += needed
    image = Image.new("RGB", (width, y + 30), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for x, y, i in places:
        draw.rectangle((x, y + 9, x + 13, y + 22), fill=tuple(int(c) for c in PALETTE[i]))
        draw.text((x + 19, y + 15), CLASS_NAMES[i], INK, font, anchor="lm")
    return np.asarray(image)
