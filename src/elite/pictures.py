"""Pictures of a scan: from above, and on the camera image. Arrays in, RGB arrays out; nothing is read or written.

Pixels are (row, column); colours are RGB, 0..255, one row per point of the scan.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64, Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from elite.config import StudentConfig
from elite.geometry import Volume, in_volume
from elite.labels import COLORS, IGNORE
from elite.types import PointPixelPairs

BACKGROUND = (17, 19, 24)
RING = (62, 68, 80)
INK = (214, 219, 228)
RIGHT = (86, 92, 104)
WRONG = (255, 69, 58)
FAINT = (48, 52, 61)

_LUMA = np.array([0.299, 0.587, 0.114])


def lifted(colors: UInt8[np.ndarray, "n 3"], least: float = 72) -> UInt8[np.ndarray, "n 3"]:
    """The same hues for a dark ground: those darker than ``least`` mixed with white until they are that bright."""
    luma = (colors @ _LUMA)[:, None]
    white = np.clip((least - luma) / (255 - luma), 0, None)
    return (colors + (255 - colors) * white).round().astype(np.uint8)


def lowered(colors: UInt8[np.ndarray, "n 3"], most: float = 190) -> UInt8[np.ndarray, "n 3"]:
    """The same hues for a light ground: those brighter than ``most`` (0..255) darkened until they are no brighter."""
    luma = np.maximum(colors @ _LUMA, 1)[:, None]
    return (colors * np.minimum(most / luma, 1)).round().astype(np.uint8)


# The benchmark's colours were chosen for another viewer: on the dark ground sidewalk would hardly show, and black
# not at all, so dark hues are lifted and points without a label are faint grey.
PALETTE: UInt8[np.ndarray, "20 3"] = np.vstack([[FAINT], lifted(COLORS[IGNORE + 1 :])]).astype(np.uint8)


def as_volume(corners: Sequence[Sequence[int | float]]) -> Volume:
    """Low and high corner as plain floats, whatever a configuration file wrote.

    Raises:
        TypeError, ValueError: they are not two corners of three numbers.
    """
    (x0, y0, z0), (x1, y1, z1) = (map(float, corner) for corner in corners)
    return (x0, y0, z0), (x1, y1, z1)


def class_colors(labels: Integer[np.ndarray, "n"]) -> UInt8[np.ndarray, "n 3"]:
    """The colour of each point's class; ``labels`` are train ids 0..19."""
    return PALETTE[labels]


def error_colors(truth: Integer[np.ndarray, "n"], prediction: Integer[np.ndarray, "n"]) -> UInt8[np.ndarray, "n 3"]:
    """Grey where the prediction is right, red where it is wrong, faint where the truth is not scored."""
    colors = np.array([WRONG, RIGHT], np.uint8)[(truth == prediction).astype(np.int64)]
    colors[truth == IGNORE] = FAINT
    return colors


def bev(
    points: Float32[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
    *,
    volume: Volume | None = None,
    size: int = 960,
    dot: int = 3,
    ring: float = 10.0,
) -> UInt8[np.ndarray, "h w 3"]:
    """A scan from above: x (forward) up, y (left) to the left, the highest point of a pixel on top.

    Args:
        points: sensor frame, metres.
        colors: one per point.
        volume: only points strictly inside are drawn, and the picture is just as wide and long; the student's
            default if not given.
        size: pixels of the longer side; a point falls on pixel ((x_high - x) * s, (y_high - y) * s), rounded
            down, with s = size / the longer side in metres.
        dot: side of a point in pixels, centred on its pixel (even sizes reach one pixel further up and left).
        ring: metres between range rings; 0 draws none.
    """
    box = as_volume(volume or StudentConfig().volume)
    low, high = np.array(box)
    scale = size / float((high - low)[:2].max())
    height, width = (max(1, round(float(side) * scale)) for side in (high - low)[:2])
    sensor = (float(high[0] * scale), float(high[1] * scale))
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = BACKGROUND
    if ring > 0:
        canvas = _rings(canvas, sensor, ring * scale)
    inside = np.flatnonzero(in_volume(points, box))
    inside = inside[np.argsort(points[inside, 2], kind="stable")]
    pixel = np.floor((high[:2] - points[inside, :2]) * scale).astype(np.int64)
    canvas = _paint(canvas, pixel, colors[inside], dot)
    return _marks(canvas, sensor, ring, scale)


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    pairs: PointPixelPairs,
    colors: UInt8[np.ndarray, "n 3"],
    *,
    dot: int = 3,
    dim: float = 0.6,
) -> UInt8[np.ndarray, "h w 3"]:
    """Points on the camera image that sees them; the image itself becomes a quiet grey below.

    Args:
        image: RGB.
        pairs: which points are visible, and where (``geometry.point_pixel_pairs``).
        colors: one per point of the scan; rows that no pair names are not used.
        dot: side of a point in pixels, centred on its pixel.
        dim: brightness that is left of the image, 0..1.
    """
    grey = (luminance(image) * dim).round().astype(np.uint8)
    return _paint(np.repeat(grey[..., None], 3, axis=2), pairs.pixel, colors[pairs.point], dot)


def tinted(
    image: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    *,
    palette: UInt8[np.ndarray, "20 3"] = PALETTE,
    strength: float = 0.62,
) -> UInt8[np.ndarray, "h w 3"]:
    """Class colours over the image, whose own colours would change them and are taken out; where there is no label the
    image is darker.
    """
    grey = luminance(image)[..., None]
    mixed = np.where((labels != IGNORE)[..., None], strength * palette[labels] + (1 - strength) * grey, 0.6 * grey)
    return mixed.round().astype(np.uint8)


def luminance(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """How bright each pixel is, 0..255."""
    return image @ _LUMA


def encode_png(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The same bytes for the same picture, always."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _paint(
    canvas: UInt8[np.ndarray, "h w 3"], pixel: Int64[np.ndarray, "m 2"], colors: UInt8[np.ndarray, "m 3"], dot: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Square dots, a later one over an earlier one; what reaches over the edge is cut."""
    reach = np.arange(dot) - dot // 2
    offsets = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    # Point by point, not offset by offset: numpy keeps the last of equal indices, so the later point stays whole.
    row, column = (pixel[:, None] + offsets).reshape(-1, 2).T
    color = np.repeat(colors, len(offsets), axis=0)
    height, width = canvas.shape[:2]
    kept = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    painted = canvas.copy()
    painted[row[kept], column[kept]] = color[kept]
    return painted


def _rings(canvas: UInt8[np.ndarray, "h w 3"], sensor: tuple[float, float], step: float) -> UInt8[np.ndarray, "h w 3"]:
    """Circles around the sensor (row, column), ``step`` pixels apart, a pixel and a half wide with soft edges."""
    row, column = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
    radius = np.hypot(row + 0.5 - sensor[0], column + 0.5 - sensor[1])
    nearest_ring = np.maximum(np.round(radius / step), 1) * step
    ink: Float[np.ndarray, "h w 1"] = np.clip(1.25 - np.abs(radius - nearest_ring), 0, 1)[..., None]
    return (canvas * (1 - ink) + np.array(RING) * ink).round().astype(np.uint8)


def _marks(
    canvas: UInt8[np.ndarray, "h w 3"], sensor: tuple[float, float], ring: float, scale: float
) -> UInt8[np.ndarray, "h w 3"]:
    """The sensor as an arrow head that points forward, distances on the rings, and the axes in the corner."""
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    unit = max(canvas.shape[:2]) / 960
    row, column = sensor
    head = [(0, -13), (9, 11), (0, 6), (-9, 11)]
    draw.polygon([(column + x * unit, row + y * unit) for x, y in head], fill=INK, outline=BACKGROUND)
    if ring > 0:
        _ring_labels(draw, canvas.shape[:2], sensor, ring, scale)
    _axes(draw, canvas.shape[0], unit)
    return np.asarray(image)


def _ring_labels(
    draw: ImageDraw.ImageDraw, shape: tuple[int, ...], sensor: tuple[float, float], ring: float, scale: float
) -> None:
    """Metres beside every other ring, on the diagonal ahead to the right, where the road seldom is."""
    unit = max(shape) / 960
    for i in range(2, int(max(shape) / (ring * scale)) + 1, 2):
        offset = i * ring * scale * np.sqrt(0.5)
        x, y = sensor[1] + offset, sensor[0] - offset
        if 36 * unit < x < shape[1] - 36 * unit and 18 * unit < y < shape[0] - 18 * unit:
            _write(draw, (x, y), f"{i * ring:g} m", unit)


def _axes(draw: ImageDraw.ImageDraw, height: int, unit: float) -> None:
    """x forward and y left, in the lower left corner."""
    corner = (82 * unit, height - 30 * unit)
    for name, (dx, dy) in {"x": (0, -1), "y": (-1, 0)}.items():
        tip = (corner[0] + 42 * unit * dx, corner[1] + 42 * unit * dy)
        draw.line([corner, tip], fill=INK, width=max(1, round(2.5 * unit)))
        _write(draw, (tip[0] + 16 * unit * dx, tip[1] + 18 * unit * dy), name, unit)


def _write(draw: ImageDraw.ImageDraw, middle: tuple[float, float], text: str, unit: float) -> None:
    """``text`` around ``middle`` (x, y), with a dark rim so that it reads over points."""
    font = ImageFont.load_default(max(8.0, 30 * unit))
    draw.text(middle, text, INK, font, anchor="mm", stroke_width=max(1, round(4 * unit)), stroke_fill=BACKGROUND)
