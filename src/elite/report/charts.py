"""The charts of a report, as PNG bytes. Needs matplotlib; draws through its object API, so no state is shared."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from elite.report.pictures import PALETTE
from elite.report.run import Curve
from elite.report.scores import Band, Evaluation

INK = "#1d2430"
MUTED = "#6a7380"
PALE = "#b4bac4"
GRID = "#e6e8ec"
ACCENT = "#2f6fde"
_BAR = "#8fa3bf"
_WIDTH = 4.8
_SMALL = 8.5


def curves(series: Mapping[str, Curve], axis: str, *, percent: bool = False) -> bytes:
    """Lines over ``axis``, the first one in front in the accent colour.

    Args:
        series: what to draw, by the name for the key.
        axis: what x counts (step, epoch, row).
        percent: values are shares; label them in per cent.
    """
    figure, axes = _figure(2.9)
    for i, (name, curve) in enumerate(series.items()):
        color = (ACCENT, MUTED, PALE)[min(i, 2)]
        _line(axes, curve, color, name, zorder=5 - i)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel(axis, color=MUTED, fontsize=_SMALL)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        axes.set_ylim(bottom=0)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=_SMALL, labelcolor=INK, loc="best")
    return _png(figure)


def smooth(values: Float[np.ndarray, "n"], window: int) -> Float[np.ndarray, "n"]:
    """Mean of the ``window`` values up to and with each one (of fewer at the start); a window of 1 changes nothing."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return (total[last] - total[first]) / (last - first)


def class_bars(evaluation: Evaluation, before: Evaluation | None) -> bytes:
    """IoU of every class but the ignored one, in the order of their ids, in the class's colour.

    A thin mark shows the same class before training; a class that is absent from the truth has no bar.
    """
    ids = range(1, len(evaluation.classes))
    figure, axes = _figure(0.26 * len(ids) + 0.5)
    for y, i in enumerate(ids):
        _class_bar(axes, y, i, evaluation)
    if before is not None and len(before.iou) == len(evaluation.iou):
        present = [i for i in ids if i in evaluation.present]
        axes.vlines([before.iou[i] for i in present], [i - 1.4 for i in present], [i - 0.6 for i in present], color=INK)
    axes.set_yticks(range(len(ids)), [evaluation.classes[i] for i in ids], parse_math=False)
    for label, i in zip(axes.get_yticklabels(), ids, strict=True):
        label.set_color(INK if i in evaluation.present else PALE)
    _percent_axis(axes)
    axes.set_ylim(len(ids) - 0.4, -0.6)
    return _png(figure)


def _class_bar(axes: Axes, y: int, i: int, evaluation: Evaluation) -> None:
    if i not in evaluation.present:
        axes.text(0.012, y, "not in these frames", color=PALE, fontsize=_SMALL - 1, va="center", style="italic")
        return
    iou = evaluation.iou[i]
    # The pale yellows need an outline on white.
    axes.barh(y, iou, 0.72, color=PALETTE[i % len(PALETTE)] / 255, edgecolor="#00000040", linewidth=0.6, zorder=2)
    axes.text(iou + 0.012, y, f"{100 * iou:.1f}", color=INK, fontsize=_SMALL - 0.5, va="center", bbox=_halo(), zorder=4)


def distance_bars(bands: Sequence[Band], before: Sequence[Band]) -> bytes:
    """Mean IoU in each band of distance, with the number of points it rests on; thin marks as in ``class_bars``."""
    figure, axes = _figure(0.42 * len(bands) + 0.5)
    for y, band in enumerate(bands):
        axes.barh(y, band.miou, 0.66, color=_BAR if band.points else GRID, zorder=2)
        text = f"{100 * band.miou:.1f}   {_short(band.points)} points" if band.points else "no points"
        axes.text(band.miou + 0.012, y, text, color=INK, fontsize=_SMALL - 0.5, va="center", bbox=_halo(), zorder=4)
    if len(before) == len(bands):
        rows = np.arange(len(bands))
        axes.vlines([band.miou for band in before], rows - 0.38, rows + 0.38, color=INK, zorder=3)
    axes.set_yticks(range(len(bands)), [f"{band.low:.0f}-{band.high:.0f} m" for band in bands])
    _percent_axis(axes, right=1.32)
    axes.set_ylim(len(bands) - 0.4, -0.6)
    return _png(figure)


def confusion_chart(rates: Float[np.ndarray, "n n"], names: Sequence[str]) -> bytes:
    """A table of shades: ``rates[truth, prediction]`` 0..1 (a row of NaN = no such points), printed in per cent."""
    figure, axes = _figure(6.2, width=7.4)
    edges = np.arange(len(names) + 1) - 0.5
    cells = np.ma.masked_invalid(rates)
    axes.pcolormesh(edges, edges, cells, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    for row, column in np.argwhere(np.nan_to_num(rates) >= 0.005):
        rate = rates[row, column]
        color = "white" if rate > 0.55 else INK
        axes.text(
            column, row, f"{100 * rate:.0f}", color=color, fontsize=6.5, ha="center", va="center", in_layout=False
        )
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, list(names), rotation=50, ha="left", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, list(names), parse_math=False)
    for label, row in zip(axes.get_yticklabels(), rates, strict=True):
        label.set_color(PALE if np.isnan(row).all() else INK)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylabel("truth", color=MUTED, fontsize=_SMALL)
    axes.set_title("prediction", color=MUTED, fontsize=_SMALL)
    axes.spines[:].set_visible(False)
    return _png(figure)


def _line(axes: Axes, curve: Curve, color: str, name: str, zorder: int) -> None:
    """A long noisy curve as its running mean over a pale original; a short one with a dot at each value."""
    window = max(1, len(curve) // 40)
    if window > 1:
        axes.plot(curve.x, curve.y, color=color, alpha=0.22, linewidth=0.8, zorder=zorder)
    marker: dict[str, Any] = {"marker": "o", "markersize": 3.2} if len(curve) <= 40 else {}
    axes.plot(curve.x, smooth(curve.y, window), color=color, linewidth=1.8, label=name, zorder=zorder, **marker)


def _figure(height: float, width: float = _WIDTH) -> tuple[Figure, Axes]:
    """A white canvas (inches) with one quiet pair of axes."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=_SMALL, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _percent_axis(axes: Axes, right: float = 1.1) -> None:
    """x from 0 to 100 per cent, with room to the right for the values beside the bars."""
    axes.set_xlim(0, right)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.spines[["left", "bottom"]].set_visible(False)


def _halo() -> dict[str, Any]:
    """White behind a value, so that grid lines do not run through its digits."""
    return {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def _short(count: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the program's name and version in it, the same chart is the same bytes.
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()
