"""The images of all cameras of a vehicle in one image."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from elite.geometry import pinhole
from elite.shapes import UInt8
from elite.types import Camera

_GAP = 4  # pixels between images


def surround_rows(cameras: Sequence[Camera]) -> list[list[str]]:
    """Arrange cameras as they look from the vehicle: forward in one row, back in the next, each from left to right."""
    axes = {camera.name: pinhole(camera)[1][:, 2] for camera in cameras}
    centres = {camera.name: pinhole(camera)[2] for camera in cameras}

    def from_left(name: str) -> tuple[float, float]:
        return -round(float(axes[name][1]), 1), -float(centres[name][1])  # of two parallel cameras, the left one

    forward = [name for name, axis in axes.items() if axis[0] > -0.1]  # also exactly to the side
    rows = [sorted(names, key=from_left) for names in (forward, [name for name in axes if name not in forward])]
    return [row for row in rows if row]


def tiled(
    rows: Sequence[Sequence[str]], images: Mapping[str, UInt8[np.ndarray, "_ width 3"]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Join images of one width in rows, with their names; shorter rows are centred."""
    side = images[rows[0][0]].shape[1] + _GAP
    width = max(len(row) for row in rows) * side - _GAP
    tops = np.cumsum([0, *(max(images[name].shape[0] for name in row) + _GAP for row in rows)])
    canvas = Image.new("RGB", (width, int(tops[-1]) - _GAP))
    for row, top in zip(rows, tops, strict=False):
        left = (width - len(row) * side + _GAP) // 2
        for number, name in enumerate(row):
            canvas.paste(_named(images[name], name), (left + number * side, int(top)))
    return np.asarray(canvas)


def _named(image: UInt8[np.ndarray, "h w 3"], name: str) -> Image.Image:
    """An image with its name in the corner, white on black."""
    picture = Image.fromarray(image)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    box = draw.textbbox((6, 2), name, font)
    draw.rectangle((0, 0, box[2] + 6, box[3] + 4), fill=(0, 0, 0))
    draw.text((6, 2), name, (235, 235, 235), font)
    return picture
