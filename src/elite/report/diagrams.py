"""Charts of one evaluation: how sure the network is against how right, and each class by distance. PNG bytes."""

from collections.abc import Sequence

import numpy as np

from elite.report import drawing
from elite.report.drawing import ACCENT, GRID, INK, MUTED, PALE, SMALL
from elite.report.scores import Band, Calibration


def calibration_chart(found: Calibration) -> bytes:
    """Accuracy against confidence, bin by bin; on the diagonal the network is as sure as it is right.

    Below, the share of the points in each bin.
    """
    points = np.array([row[0] for row in found.bins], np.float64)
    accuracy, confidence = (np.array([row[k] for row in found.bins]) for k in (1, 2))
    width, there = 1 / len(points), points > 0
    middle = (np.arange(len(points)) + 0.5) * width
    figure, axes = drawing.figure(4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.bar(middle[there], accuracy[there], width * 0.88, color=ACCENT, alpha=0.85, label="right")
    axes.scatter(confidence[there], accuracy[there], s=11, color=INK, zorder=4)
    axes.bar(middle, -0.18 * points / points.max(), width * 0.88, bottom=-0.06, color=PALE, label="points")
    axes.axhline(0, color=GRID, linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.26, 1.02)
    ticks = np.linspace(0, 1, 5)
    labels = ["0", "25", "50", "75", "100 %"]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel("confidence", color=MUTED, fontsize=SMALL)
    axes.set_ylabel("points that are right", color=MUTED, fontsize=SMALL, y=0.6)
    axes.spines[["left", "bottom"]].set_visible(False)
    return drawing.png(figure)


def distance_table(bands: Sequence[Band], names: Sequence[str], present: Sequence[int]) -> bytes:
    """IoU of the ``present`` classes (ids) in each band, as a table of shades; empty where a class has no point."""
    iou = np.array([[band.iou[i] if i in band.present else np.nan for band in bands] for i in present])
    figure, axes = drawing.figure(0.3 * len(present) + 0.6)
    edges = [np.arange(size + 1) - 0.5 for size in (len(bands), len(present))]
    axes.pcolormesh(*edges, np.ma.masked_invalid(iou), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    for row, column in np.argwhere(~np.isnan(iou)):
        value = iou[row, column]
        color = "white" if value > 0.55 else INK
        axes.text(column, row, f"{100 * value:.0f}", color=color, fontsize=SMALL - 0.5, ha="center", va="center")
    axes.set_xticks(range(len(bands)), [f"{band.low:.0f}-{band.high:.0f} m" for band in bands])
    axes.set_yticks(range(len(present)), [names[i] for i in present], parse_math=False)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    return drawing.png(figure)
