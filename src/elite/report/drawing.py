"""What all charts of a report have in common: colours, a quiet canvas, PNG bytes.

Needs matplotlib; draws through its object API, so no state is shared.
"""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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


def figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A white canvas (inches) with one quiet pair of axes."""
    made = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(made)
    axes = made.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=SMALL, length=0)
    axes.set_axisbelow(True)
    return made, axes


def percent_axis(axes: Axes, right: float = 1.1) -> None:
    """x from 0 to 100 per cent, with room to the right for the values beside the bars."""
    axes.set_xlim(0, right)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.spines[["left", "bottom"]].set_visible(False)


def halo() -> dict[str, Any]:
    """White behind a value, so that grid lines do not run through its digits."""
    return {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def short(count: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def png(figure: Figure, dpi: int = 200) -> bytes:
    buffer = io.BytesIO()
    # Without the program's name and version in it, the same chart is the same bytes.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
