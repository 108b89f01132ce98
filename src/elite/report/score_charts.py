"""Bar charts of one evaluation: IoU per class, IoU by distance, calibration."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from elite.pictures import EncodedImage
from elite.report import canvas
from elite.report.canvas import ACCENT, BAR, GRID, INK, MUTED, PALE, SMALL
from elite.report.evaluation import Calibration, DistanceBand, Evaluation
from elite.shapes import UInt8


def class_chart(
    evaluation: Evaluation, before: Evaluation | None, colors: UInt8[np.ndarray, "classes 3"]
) -> EncodedImage:
    """IoU of each class except the ignored one, in the order of their ids and in the colour of the class.

    A thin mark is the IoU before training. A class that is absent from the ground truth has no bar.
    """
    ids, present = range(1, len(evaluation.classes)), evaluation.present_in()
    untrained = before.iou if before is not None and len(before.iou) == len(evaluation.iou) else ()
    figure, axes = canvas.new_figure(0.26 * len(ids) + 0.5)
    for y, i in enumerate(ids):
        if i in present:
            _draw_class(axes, y, colors[i], evaluation.iou[i] or 0.0, untrained[i] if untrained else None)
        else:
            note = {"color": PALE, "fontsize": SMALL - 1, "va": "center", "style": "italic"}
            axes.text(0.012, y, "not in these frames", **note)
    axes.set_yticks(range(len(ids)), evaluation.short_names(ids), parse_math=False)
    for label, i in zip(axes.get_yticklabels(), ids, strict=True):
        label.set_color(INK if i in present else PALE)
    canvas.percent_axis(axes)
    axes.set_ylim(len(ids) - 0.4, -0.6)
    return canvas.encode(figure)


def _draw_class(axes: Axes, y: int, color: UInt8[np.ndarray, "3"], iou: float, untrained: float | None) -> None:
    # Pale yellow needs an outline on white.
    axes.barh(y, iou, 0.72, color=color / 255, edgecolor="#00000040", linewidth=0.6, zorder=2)
    if untrained is not None:
        axes.vlines(untrained, y - 0.4, y + 0.4, color=INK, zorder=3)
    canvas.bar_value(axes, max(iou, untrained or 0.0), y, f"{100 * iou:.1f}")


def distance_chart(bands: Sequence[DistanceBand], before: Sequence[DistanceBand]) -> EncodedImage:
    """Mean IoU and number of points of each distance band; a thin mark is the mean IoU before training."""
    figure, axes = canvas.new_figure(0.42 * len(bands) + 0.5)
    untrained = [band.score for band in before] if len(before) == len(bands) else []
    for y, band in enumerate(bands):
        axes.barh(y, band.score, 0.66, color=BAR if band.points else GRID, zorder=2)
        text = f"{100 * band.score:.1f}   {_short(band.points)} points" if band.points else "no points"
        canvas.bar_value(axes, max([band.score, *untrained[y : y + 1]]), y, text)
    axes.vlines(untrained, np.arange(len(untrained)) - 0.38, np.arange(len(untrained)) + 0.38, color=INK, zorder=3)
    axes.set_yticks(range(len(bands)), [f"{band.low:.0f}-{band.high:.0f} m" for band in bands])
    canvas.percent_axis(axes, right=1.32)
    axes.set_ylim(len(bands) - 0.4, -0.6)
    return canvas.encode(figure)


def calibration_chart(calibration: Calibration) -> EncodedImage:
    """Accuracy against confidence, with the diagonal of perfect calibration; below it, the points of each bin."""
    points = np.array([b.points for b in calibration.bins], np.float64)
    accuracy = np.array([b.accuracy for b in calibration.bins])
    confidence = np.array([b.confidence for b in calibration.bins])
    width, filled = 1 / len(points), points > 0
    middle = (np.arange(len(points)) + 0.5) * width
    figure, axes = canvas.new_figure(4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.bar(middle[filled], accuracy[filled], width * 0.88, color=ACCENT, alpha=0.85)
    axes.scatter(confidence[filled], accuracy[filled], s=11, color=INK, zorder=4)
    axes.bar(middle, -0.18 * points / points.max(), width * 0.88, bottom=-0.06, color=PALE)
    axes.axhline(0, color=GRID, linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.26, 1.02)
    ticks, labels = np.linspace(0, 1, 5), ["0", "25", "50", "75", "100 %"]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel("confidence", color=MUTED, fontsize=SMALL)
    axes.set_ylabel("accuracy", color=MUTED, fontsize=SMALL, y=0.6)
    axes.spines[["left", "bottom"]].set_visible(False)
    return canvas.encode(figure)


def _short(count: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
