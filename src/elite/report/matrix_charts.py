"""Charts of numbers in cells: the confusion matrix, and the IoU of each class by distance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from elite.pictures import EncodedImage
from elite.report import canvas
from elite.report.canvas import INK, MUTED, PALE, SMALL
from elite.report.evaluation import Evaluation
from elite.shapes import Float

CLASSES_PER_CHART = 60  # of the confusion matrix; the cells of more would be too small


def confusion_scale(classes: int) -> float:
    """Size of a confusion matrix relative to one of up to 20 classes; its cells have a constant size."""
    return max(1.0, min(classes, CLASSES_PER_CHART) / 20)


def confusion_chart(rates: Float[np.ndarray, "n n"], names: Sequence[str]) -> EncodedImage:
    """Confusion matrix in per cent: ``rates[ground truth, prediction]`` 0..1, a row of NaN = class without points."""
    scale = confusion_scale(len(names))
    figure, axes = canvas.new_figure(6.2 * scale, width=7.4 * scale)
    _draw_cells(axes, rates, size=6.5, smallest=0.005)
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, list(names), rotation=50, ha="left", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, list(names), parse_math=False)
    for label, row in zip(axes.get_yticklabels(), rates, strict=True):
        label.set_color(PALE if np.isnan(row).all() else INK)
    axes.tick_params(length=0)
    axes.set_ylabel("ground truth", color=MUTED, fontsize=SMALL)
    axes.set_title("prediction", color=MUTED, fontsize=SMALL)
    return canvas.encode(figure)


def class_distance_chart(evaluation: Evaluation, ids: Sequence[int]) -> EncodedImage:
    """IoU of some classes in each distance band, in per cent; empty where a class has no point."""
    bands = evaluation.by_distance
    present = [evaluation.present_in(band) for band in bands]
    rows = [[band.iou[i] if i in known else None for band, known in zip(bands, present, strict=True)] for i in ids]
    iou = np.array(rows, np.float64)  # NaN for None
    figure, axes = canvas.new_figure(0.3 * len(ids) + 0.6)
    _draw_cells(axes, iou, size=SMALL - 0.5)
    axes.set_xticks(range(len(bands)), [f"{band.low:.0f}-{band.high:.0f} m" for band in bands])
    axes.set_yticks(range(len(ids)), evaluation.short_names(ids), parse_math=False)
    return canvas.encode(figure)


def _draw_cells(axes: Axes, shares: Float[np.ndarray, "rows columns"], size: float, smallest: float = 0.0) -> None:
    """Shaded cells, and the values of those that are at least ``smallest``, in per cent."""
    edges = [np.arange(n + 1) - 0.5 for n in shares.shape[::-1]]
    cells = np.ma.masked_invalid(shares)
    axes.pcolormesh(*edges, cells, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for row, column in np.argwhere(np.nan_to_num(shares, nan=-1.0) >= smallest):
        share = shares[row, column]
        style = {"color": "white" if share > 0.55 else INK, "ha": "center", "va": "center", "in_layout": False}
        axes.text(column, row, f"{100 * share:.0f}", fontsize=size, **style)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
