"""Figures with axes and legends, drawn by matplotlib at exact pixel sizes. Needs the extra ``report``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elite.config import StudentConfig
from elite.errors import require_extra
from elite.formatting import hex_color, shortened
from elite.geometry import Volume, in_volume
from elite.pictures import BACKGROUND, INK, RING, paint, palette
from elite.shapes import Float32, UInt8
from elite.taxonomy import Taxonomy

require_extra("matplotlib", "report", needed_for="'elite report' and --pictures")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Circle, Patch, Polygon  # noqa: E402
from matplotlib.patheffects import withStroke  # noqa: E402

_DPI = 100
_NARROWEST = 440  # pixels of the longest title of a panel
_NAME = 40  # characters of a class name; longer ones are cut


class PixelCanvas:
    """A figure whose data coordinates are pixels: x to the right, y down, (0, 0) at the upper left corner."""

    def __init__(self, height: int, width: int) -> None:
        # A hundredth of a pixel more, because matplotlib rounds the size down.
        size = (width + 0.01) / _DPI, (height + 0.01) / _DPI
        self.height, self.width = height, width
        self.figure = Figure(figsize=size, dpi=_DPI, facecolor=hex_color(BACKGROUND))
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def image(self, image: UInt8[np.ndarray, "h w channels"], *, top: int = 0) -> None:
        """Place an RGB or RGBA image, one pixel of it on one pixel of the figure."""
        self.figure.figimage(image, 0, self.height - top - image.shape[0], origin="upper")

    def text(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        """Write text of ``size`` pixels at (x, y)."""
        style = {"color": hex_color(INK), "va": "center", "parse_math": False} | style
        self.axes.text(x, y, text, fontsize=points(size), **style)

    def pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        self.canvas.draw()
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()


def points(pixels: float) -> float:
    """Typographic points of so many pixels."""
    return pixels * 72 / _DPI


def bev(
    points: Float32[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
    *,
    volume: Volume | None = None,
    size: int = 960,
    dot: int = 3,
    ring: float = 10.0,
) -> UInt8[np.ndarray, "h w 3"]:
    """Bird's-eye view of a scan: x (forward) up, y (left) to the left; higher points cover lower ones.

    Args:
        points: sensor frame, metres.
        colors: one per point.
        volume: region of the view; points outside are not drawn. Default: the student's default volume.
        size: pixels of the longer side. A point falls on pixel ((x_high - x) * s, (y_high - y) * s), rounded down,
            with s = size / longer side in metres.
        dot: side of a point in pixels, centred on its pixel (even sizes reach one pixel further up and left).
        ring: metres between range rings (0 = no rings).
    """
    low, high = (np.array(corner, float) for corner in volume or StudentConfig().volume)
    scale = size / float((high - low)[:2].max())
    height, width = (max(1, round(float(side) * scale)) for side in (high - low)[:2])
    canvas = PixelCanvas(height, width)
    sensor = float(high[1] * scale), float(high[0] * scale)
    if ring > 0:
        _draw_rings(canvas, sensor, ring * scale)
    inside = np.flatnonzero(in_volume(points, (tuple(low), tuple(high))))
    inside = inside[np.argsort(points[inside, 2], kind="stable")]
    pixel = np.floor((high[:2] - points[inside, :2]) * scale).astype(np.int64)
    opaque = np.pad(colors[inside], ((0, 0), (0, 1)), constant_values=255)
    canvas.image(paint(np.zeros((height, width, 4), np.uint8), pixel, opaque, dot))
    _draw_marks(canvas, sensor, ring, scale)
    return canvas.pixels()


def _draw_rings(canvas: PixelCanvas, sensor: tuple[float, float], step: float) -> None:
    """Circles around the sensor (x, y), ``step`` pixels apart."""
    for i in range(1, int(np.hypot(canvas.height, canvas.width) / step) + 1):
        circle = Circle(sensor, i * step, fill=False, edgecolor=hex_color(RING), linewidth=points(1.5), zorder=-1)
        canvas.axes.add_patch(circle)


def _draw_marks(canvas: PixelCanvas, sensor: tuple[float, float], ring: float, scale: float) -> None:
    """The sensor as an arrow head that points forward, the distances of the rings, and the axes."""
    unit = max(canvas.height, canvas.width) / 960
    head = np.array(sensor) + unit * np.array([(0, -13), (9, 11), (0, 6), (-9, 11)])
    canvas.axes.add_patch(Polygon(head, facecolor=hex_color(INK), edgecolor=hex_color(BACKGROUND), linewidth=points(1)))
    if ring > 0:
        _draw_distances(canvas, sensor, ring, scale, unit)
    _draw_axes(canvas, unit)


def _draw_distances(canvas: PixelCanvas, sensor: tuple[float, float], ring: float, scale: float, unit: float) -> None:
    """Metres at every other ring, on the diagonal to the front right, where roads are rare."""
    for i in range(2, int(max(canvas.height, canvas.width) / (ring * scale)) + 1, 2):
        offset = i * ring * scale * np.sqrt(0.5)
        x, y = sensor[0] + offset, sensor[1] - offset
        if 40 * unit < x < canvas.width - 40 * unit and 20 * unit < y < canvas.height - 20 * unit:
            _label(canvas, x, y, f"{i * ring:g} m", unit)


def _draw_axes(canvas: PixelCanvas, unit: float) -> None:
    """x forward and y left, in the lower left corner."""
    origin = 84 * unit, canvas.height - 28 * unit
    for name, (dx, dy) in {"x": (0, -1), "y": (-1, 0)}.items():
        tip = origin[0] + 46 * unit * dx, origin[1] + 46 * unit * dy
        arrow = {
            "arrowstyle": "-|>",
            "color": hex_color(INK),
            "linewidth": points(2.5 * unit),
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": points(16 * unit),
        }
        canvas.axes.annotate("", tip, origin, arrowprops=arrow)
        _label(canvas, tip[0] + 16 * unit * dx, tip[1] + 18 * unit * dy, name, unit)


def _label(canvas: PixelCanvas, x: float, y: float, text: str, unit: float) -> None:
    """Text with a dark outline, which is readable on points."""
    outline = [withStroke(linewidth=points(8 * unit), foreground=hex_color(BACKGROUND))]
    canvas.text(x, y, text, 28 * unit, ha="center", path_effects=outline)


def stack_panels(
    panels: Mapping[str, UInt8[np.ndarray, "h w 3"]], classes: Sequence[int], taxonomy: Taxonomy
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Images of one size below each other, each under its title, and a legend of ``classes`` (train ids).

    Small images are enlarged by a whole factor, so that the titles fit.
    """
    title, row = 30, 24
    factor = max(1, -(-_NARROWEST // next(iter(panels.values())).shape[1]))
    panels = {text: image.repeat(factor, axis=0).repeat(factor, axis=1) for text, image in panels.items()}
    height, width = next(iter(panels.values())).shape[:2]
    names = [shortened(taxonomy.names[i], _NAME) for i in classes]
    columns = max(1, width // max(140, 36 + 8 * max(map(len, names), default=0)))
    rows = -(-len(classes) // columns)
    canvas = PixelCanvas(len(panels) * (title + height) + rows * row + (14 if rows else 0), width)
    for i, (text, image) in enumerate(panels.items()):
        top = i * (title + height)
        canvas.text(8, top + title / 2, text, 15)
        canvas.image(image, top=top + title)
    if rows:
        _draw_legend(canvas, names, palette(taxonomy)[list(classes)], columns)
    return canvas.pixels()


def _draw_legend(
    canvas: PixelCanvas, names: Sequence[str], colors: UInt8[np.ndarray, "classes 3"], columns: int
) -> None:
    legend = canvas.axes.legend(
        [Patch(facecolor=color / 255) for color in colors],
        names,
        ncols=columns,
        loc="lower left",
        frameon=False,
        borderaxespad=0.4,
        handlelength=1.0,
        handleheight=1.0,
        handletextpad=0.5,
        columnspacing=1.4,
        fontsize=points(14),
        labelcolor=hex_color(INK),
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # $ in a name
