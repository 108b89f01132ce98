"""The charts of a report, as PNG bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text

from elite.labels import CLASS_NAMES
from elite.pictures import PALETTE
from elite.report import drawing
from elite.report.drawing import ACCENT, BAR, COOL, GRID, INK, MUTED, PALE, PALE_ACCENT, PALE_WARM, SMALL, WARM
from elite.report.run import Curve, Run
from elite.report.scores import Band, Evaluation
from elite.report.teaching import Panel, Teaching


@dataclass(frozen=True)
class Line:
    """A curve, its name in the key, and its colour."""

    name: str
    curve: Curve
    color: str = ACCENT


def loss_chart(run: Run) -> bytes | None:
    """The total; None if it was not logged."""
    return _curves(_lines(run.curves, {"train/loss": ("training loss", ACCENT)}), run.axis)


def score_chart(run: Run) -> bytes | None:
    """Mean IoU of the student, which is called so only beside a teacher, and of the teacher."""
    taught = "val/teacher_miou_present" in run.curves
    whose = "student, " if taught else ""
    styles = {
        "val/miou_present": (f"{whose}classes in the truth", ACCENT),
        "val/miou": (f"{whose}all classes", PALE_ACCENT if taught else MUTED),
        "train/miou_present": (f"{whose}training frames", PALE),
        "val/teacher_miou_present": ("teacher, classes in the truth", WARM),
        "val/teacher_miou": ("teacher, all classes", PALE_WARM),
    }
    return _curves(_lines(run.curves, styles), run.axis, percent=True)


def term_chart(run: Run) -> bytes | None:
    """The parts of the loss that are of the size of the whole; None if there is only one."""
    styles = {
        "student": ("student", ACCENT),
        "student heads": ("student heads", COOL),
        "teacher heads": ("teacher heads", WARM),
    }
    lines = _lines(run.terms, styles)
    return _curves(lines, run.axis) if len(lines) > 1 else None


def small_term_chart(run: Run) -> bytes | None:
    """The parts of the loss that are far smaller than the others, in powers of ten."""
    styles = {"divergence": ("divergence", ACCENT), "orthogonality": ("orthogonality", WARM)}
    return _curves(_lines(run.terms, styles), run.axis, log=True)


def _lines(curves: Mapping[str, Curve], styles: Mapping[str, tuple[str, str]]) -> list[Line]:
    """Those of the curves that are there and have a finite value, by their (name, colour)."""
    return [Line(name, curves[key], color) for key, (name, color) in styles.items() if len(curves.get(key, ()))]


def _curves(lines: Sequence[Line], axis: str, *, percent: bool = False, log: bool = False) -> bytes | None:
    """Lines over ``axis`` (step, epoch, row), the first one in front; None if there is none.

    ``percent``: values are shares, labelled in per cent. ``log``: powers of ten; what is not positive is left out.
    """
    if not lines:
        return None
    figure, axes = drawing.figure(2.9)
    for i, line in enumerate(lines):
        _draw_line(axes, line, zorder=len(lines) + 2 - i)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel(axis, color=MUTED, fontsize=SMALL)
    if log:
        axes.set_yscale("log", nonpositive="mask")
        axes.tick_params(which="minor", length=0)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        axes.set_ylim(bottom=0)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="best")
    return drawing.png(figure)


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
    figure, axes = drawing.figure(0.26 * len(ids) + 0.5)
    for y, i in enumerate(ids):
        _class_bar(axes, y, i, evaluation)
    if before is not None and len(before.iou) == len(evaluation.iou):
        present = [i for i in ids if i in evaluation.present]
        axes.vlines([before.iou[i] for i in present], [i - 1.4 for i in present], [i - 0.6 for i in present], color=INK)
    axes.set_yticks(range(len(ids)), [evaluation.classes[i] for i in ids], parse_math=False)
    for label, i in zip(axes.get_yticklabels(), ids, strict=True):
        label.set_color(INK if i in evaluation.present else PALE)
    drawing.percent_axis(axes)
    axes.set_ylim(len(ids) - 0.4, -0.6)
    return drawing.png(figure)


def _class_bar(axes: Axes, y: int, i: int, evaluation: Evaluation) -> None:
    if i not in evaluation.present:
        axes.text(0.012, y, "not in these frames", color=PALE, fontsize=SMALL - 1, va="center", style="italic")
        return
    iou = evaluation.iou[i]
    # The pale yellows need an outline on white.
    axes.barh(y, iou, 0.72, color=PALETTE[i % len(PALETTE)] / 255, edgecolor="#00000040", linewidth=0.6, zorder=2)
    axes.text(
        iou + 0.012,
        y,
        f"{100 * iou:.1f}",
        color=INK,
        fontsize=SMALL - 0.5,
        va="center",
        bbox=drawing.halo(),
        zorder=4,
    )


def distance_bars(bands: Sequence[Band], before: Sequence[Band]) -> bytes:
    """Mean IoU in each band of distance, with the number of points it rests on; thin marks as in ``class_bars``."""
    figure, axes = drawing.figure(0.42 * len(bands) + 0.5)
    for y, band in enumerate(bands):
        axes.barh(y, band.miou, 0.66, color=BAR if band.points else GRID, zorder=2)
        text = f"{100 * band.miou:.1f}   {drawing.short(band.points)} points" if band.points else "no points"
        axes.text(
            band.miou + 0.012,
            y,
            text,
            color=INK,
            fontsize=SMALL - 0.5,
            va="center",
            bbox=drawing.halo(),
            zorder=4,
        )
    if len(before) == len(bands):
        rows = np.arange(len(bands))
        axes.vlines([band.miou for band in before], rows - 0.38, rows + 0.38, color=INK, zorder=3)
    axes.set_yticks(range(len(bands)), [f"{band.low:.0f}-{band.high:.0f} m" for band in bands])
    drawing.percent_axis(axes, right=1.32)
    axes.set_ylim(len(bands) - 0.4, -0.6)
    return drawing.png(figure)


def confusion_chart(rates: Float[np.ndarray, "n n"], names: Sequence[str]) -> bytes:
    """A table of shades: ``rates[truth, prediction]`` 0..1 (a row of NaN = no such points), printed in per cent."""
    figure, axes = drawing.figure(6.2, width=7.4)
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
    axes.set_ylabel("truth", color=MUTED, fontsize=SMALL)
    axes.set_title("prediction", color=MUTED, fontsize=SMALL)
    axes.spines[:].set_visible(False)
    return drawing.png(figure)


def stacked(lesson: Teaching) -> bytes:
    """The panels one under another, a pixel for a pixel, each below its caption, and a key of the classes."""
    height, width = lesson.panels[0].picture.shape[:2]
    unit = width / 1216
    step = height + round(52 * unit)
    names = [(CLASS_NAMES[i], PALETTE[i] / 255) for i in lesson.classes]
    key = round((34 + 26 * -(-len(names) // _KEY_COLUMNS)) * unit)
    canvas = _Stack(width, step * len(lesson.panels) + key, unit)
    for i, panel in enumerate(lesson.panels):
        canvas.panel(panel, top=i * step, room=step - height)
    canvas.key(names)
    return canvas.png()


_KEY_COLUMNS = 8


class _Stack:
    """A white sheet of ``width`` x ``height`` pixels, measured from its top; sizes of text are in ``unit`` pixels."""

    def __init__(self, width: int, height: int, unit: float) -> None:
        self.width, self.height, self.unit = width, height, unit
        self.figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def panel(self, panel: Panel, *, top: int, room: int) -> None:
        """The caption, its share of right points at the right edge, and the picture ``room`` pixels below ``top``."""
        line = top + room - 15 * self.unit
        title = self._write(0, line, panel.title, 21, INK, weight="bold")
        self._write(title.get_window_extent().x1 + 10 * self.unit, line, panel.text, 17, MUTED)
        if panel.right is not None:
            text = f"{100 * panel.right:.1f} % right"
            self._write(self.width, line, text, 21, INK, weight="bold", ha="right")
        self.figure.figimage(panel.picture, 0, self.height - top - room - panel.picture.shape[0], origin="upper")

    def key(self, names: Sequence[tuple[str, Any]]) -> None:
        """The classes by their colours, in the lowest rows."""
        swatches = [Patch(facecolor=color, edgecolor="#00000040", label=name) for name, color in names]
        self.axes.legend(
            handles=swatches,
            ncols=_KEY_COLUMNS,
            loc="lower left",
            frameon=False,
            borderaxespad=0,
            borderpad=0.1,
            handlelength=0.9,
            handleheight=0.9,
            handletextpad=0.5,
            columnspacing=1.5,
            fontsize=self._points(16.5),
            labelcolor=INK,
        )

    def png(self) -> bytes:
        return drawing.png(self.figure, dpi=100)

    def _write(self, x: float, y: float, text: str, size: float, color: str, **style: Any) -> Text:
        font = {"fontsize": self._points(size), "color": color, "parse_math": False}
        return self.axes.text(x, y, text, va="baseline", **font, **style)

    def _points(self, size: float) -> float:
        return size * self.unit * 72 / 100


def _draw_line(axes: Axes, line: Line, zorder: int) -> None:
    """A long noisy curve as its running mean over a pale original; a short one with a dot at each value."""
    curve, window = line.curve, max(1, len(line.curve) // 40)
    if window > 1:
        axes.plot(curve.x, curve.y, color=line.color, alpha=0.22, linewidth=0.8, zorder=zorder)
    marker: dict[str, Any] = {"marker": "o", "markersize": 3.2} if len(curve) <= 40 else {}
    mean = smooth(curve.y, window)
    axes.plot(curve.x, mean, color=line.color, linewidth=1.8, label=line.name, zorder=zorder, **marker)
