"""Style shared by all charts: colours, quiet axes, encoding. Uses matplotlib's object interface: no global state."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from elite.pictures import EncodedImage

INK = "#1d2430"
MUTED = "#6a7380"
PALE = "#b4bac4"
GRID = "#e6e8ec"
ACCENT = "#2f6fde"
PALE_ACCENT = "#9dbcf0"
WARM = "#d97a1d"
PALE_WARM = "#eebb8a"
COOL = "#159a8c"
BAR = "#8fa3bf"
WIDTH = 4.8
SMALL = 8.5
_DPI = 200


def new_figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a white figure (inches) with one pair of axes."""
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=SMALL, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def percent_axis(axes: Axes, right: float = 1.1) -> None:
    """Label x from 0 to 100 per cent, with space to the right for the values of the bars."""
    axes.set_xlim(0, right)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.spines[["left", "bottom"]].set_visible(False)


def bar_value(axes: Axes, x: float, y: float, text: str) -> None:
    """Write a value to the right of a bar, on white, which keeps grid lines out of its digits."""
    background = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(x + 0.012, y, text, color=INK, fontsize=SMALL - 0.5, va="center", bbox=background, zorder=4)


def encode(figure: Figure) -> EncodedImage:
    """Render a figure as a PNG of 256 colours. Equal charts give equal bytes."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    options: dict[str, Any] = {"method": Image.Quantize.MEDIANCUT, "dither": Image.Dither.NONE}
    Image.fromarray(np.ascontiguousarray(pixels)).quantize(256, **options).save(buffer, "PNG", optimize=True)
    return EncodedImage(buffer.getvalue(), "png")
