"""Charts of training curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elite.pictures import EncodedImage
from elite.report import canvas
from elite.report.canvas import ACCENT, COOL, GRID, INK, MUTED, PALE, PALE_ACCENT, PALE_WARM, SMALL, WARM
from elite.report.curves import Curve, Curves
from elite.shapes import Float


@dataclass(frozen=True)
class Line:
    """A curve with its name in the legend and its colour."""

    name: str
    curve: Curve
    color: str = ACCENT


def loss_chart(curves: Curves) -> EncodedImage | None:
    """Total loss; None if it was not logged."""
    return _draw(_lines(curves.columns, {"train/loss": ("training loss", ACCENT)}), curves.axis)


def score_chart(curves: Curves) -> EncodedImage | None:
    """Mean IoU of the student and, if the run has one, of the teacher."""
    has_teacher = "val/teacher_miou_present" in curves.columns
    styles = {
        "val/miou_present": ("student", ACCENT),
        "val/miou": ("student, all classes", PALE_ACCENT if has_teacher else MUTED),
        "train/miou_present": ("student, training frames", PALE),
        "val/teacher_miou_present": ("teacher", WARM),
        "val/teacher_miou": ("teacher, all classes", PALE_WARM),
    }
    if not has_teacher:
        names = {"student": "classes in the ground truth"}
        styles = {key: (names.get(name, name.removeprefix("student, ")), c) for key, (name, c) in styles.items()}
    return _draw(_lines(curves.columns, styles), curves.axis, percent=True)


def term_chart(curves: Curves) -> EncodedImage | None:
    """The large loss terms; None if there is only one."""
    styles = {
        "student": ("student", ACCENT),
        "student heads": ("student heads", COOL),
        "teacher heads": ("teacher heads", WARM),
    }
    lines = _lines(curves.terms, styles)
    return _draw(lines, curves.axis) if len(lines) > 1 else None


def small_term_chart(curves: Curves) -> EncodedImage | None:
    """The small loss terms, on a logarithmic axis."""
    styles = {"divergence": ("divergence", ACCENT), "orthogonality": ("orthogonality", WARM)}
    return _draw(_lines(curves.terms, styles), curves.axis, log=True)


def smooth(values: Float[np.ndarray, "n"], window: int) -> Float[np.ndarray, "n"]:
    """Running mean over the last ``window`` values (fewer at the start)."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return (total[last] - total[first]) / (last - first)


def _lines(curves: Mapping[str, Curve], styles: Mapping[str, tuple[str, str]]) -> list[Line]:
    """Curves with at least one finite value, by their (name, colour)."""
    return [Line(name, curves[key], color) for key, (name, color) in styles.items() if len(curves.get(key, ()))]


def _draw(lines: Sequence[Line], axis: str, *, percent: bool = False, log: bool = False) -> EncodedImage | None:
    """Lines over ``axis``, the first one in front; None without lines.

    ``percent``: values are shares, labelled in per cent. ``log``: logarithmic axis, without values <= 0.
    """
    if not lines:
        return None
    figure, axes = canvas.new_figure(2.9)
    for i, line in enumerate(lines):
        _draw_line(axes, line, zorder=len(lines) + 2 - i)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel(axis, color=MUTED, fontsize=SMALL)
    if all(len(line.curve) == 1 for line in lines):
        axes.set_xlim(left=0)  # else the ticks would be around the only value
    if log:
        axes.set_yscale("log", nonpositive="mask")
        axes.tick_params(which="minor", length=0)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        axes.set_ylim(bottom=0)
    if len(lines) > 1:
        _draw_legend(figure, columns=2 if len(lines) > 3 else 3)
    return canvas.encode(figure)


def _draw_legend(figure: Figure, columns: int) -> None:
    """Above the axes, where it covers no curve."""
    style = {"frameon": False, "fontsize": SMALL, "labelcolor": INK, "columnspacing": 1.4, "handlelength": 1.4}
    figure.legend(loc="outside upper left", ncols=columns, borderpad=0, **style)


def _draw_line(axes: Axes, line: Line, zorder: int) -> None:
    """Long curves as a running mean over the pale original; short ones with a dot at each value."""
    curve, window = line.curve, max(1, len(line.curve) // 40)
    if window > 1:
        axes.plot(curve.x, curve.y, color=line.color, alpha=0.22, linewidth=0.8, zorder=zorder)
    marker: dict[str, Any] = {"marker": "o", "markersize": 3.2} if len(curve) <= 40 else {}
    mean = smooth(curve.y, window)
    axes.plot(curve.x, mean, color=line.color, linewidth=1.8, label=line.name, zorder=zorder, **marker)
