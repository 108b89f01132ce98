"""Texts of the window, as HTML and as labels. Text from files is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from elite.formatting import count, hex_color, percent, shortened
from elite.shapes import Int64
from elite.taxonomy import IGNORE, Taxonomy
from elite.test_time_augmentation import softmax
from elite.viewer.cloud import Cloud
from elite.viewer.colors import RANGES, Mode, Style

KEYS = (
    ("Space", "play or pause"),
    ("N / B", "next or previous frame"),
    ("1 ... 7", "colours: height, remission, ..."),
    ("C", "view from behind the car"),
    ("V", "view from above"),
    ("F", "cameras"),
    ("O", "colour-blind-safe colours"),
    ("L", "light or dark background"),
    ("WASD, QE", "move; arrows rotate"),
)
_NAME = 24  # characters; longer class names are cut in the legend
_TITLE, _FRAME = 24, 18  # characters; longer titles are smaller, and longer frames are cut in the table
_ROWS = 32  # more classes scroll within the legend
DATA_KEYS = (("X", "next of the worst frames"), ("M", "map of the sequence"))  # not for a stream


def status(title: str, cloud: Cloud | None, note: str = "") -> str:
    """Headline: frame, number of points, scores of this frame, and a note on missing values."""
    size = 1.15 if len(title) <= _TITLE else 0.95
    words = escape(title).replace("/", "/<wbr>")  # may wrap here, or anywhere if a part is longer than a line
    lines = [f"<b style='font-size:{size}em;overflow-wrap:anywhere'>{words}</b>"]
    if cloud is not None:
        lines.append(f"{count(len(cloud))} points{_scored(cloud)}")
    if note:
        lines.append(f"<span style='color:#d9822b'>{escape(note)}</span>")
    return _block("<br>".join(lines))


def _scored(cloud: Cloud) -> str:
    found = cloud.score
    if found is None:
        return ""
    return (
        f"<br>mean IoU <b>{percent(found.miou_present)}</b> over {len(found.present)} classes, "
        f"accuracy <b>{percent(found.accuracy)}</b>"
    )


def legend_label(class_id: int, cloud: Cloud, points: Int64[np.ndarray, "classes"]) -> str:
    """Entry of the legend: class name, and its IoU in this frame, or its number of points without a score."""
    name, found = legend_name(cloud.taxonomy.names[class_id]), cloud.score
    if found is None or class_id == IGNORE:
        return f"{name}\t{count(int(points[class_id]))}"
    return f"{name}\t{percent(found.iou[class_id])}" if class_id in found.present else f"{name}\tabsent"


def legend_name(name: str) -> str:
    """Class name as the legend shows it."""
    return shortened(name, _NAME)


def legend_head(cloud: Cloud, mode: Mode, style: Style) -> str:
    """Meaning of the colours of a mode, above the classes."""
    if mode in RANGES:
        return _block(_gradient(mode, style))
    if mode is Mode.ERROR:
        parts = (("correct", style.correct), ("wrong", style.wrong), ("not scored", style.unscored))
        return _block(" &nbsp; ".join(f"{_swatch(color)} {name}" for name, color in parts))
    number = "IoU in this frame" if cloud.score is not None else "points"
    return _block(f"Click a class to hide it. Numbers: {number}.")


def _gradient(mode: Mode, style: Style) -> str:
    low, high, unit = RANGES[mode]
    colors = ",".join(hex_color(color) for color in style.ramp)
    return (
        f"<div style='height:0.7em;border-radius:3px;background:linear-gradient(90deg,{colors})'></div>"
        f"<div style='display:flex;justify-content:space-between'><span>{low:g}{unit}</span>"
        f"<span>{high:g}{unit}</span></div>"
    )


def legend_css(ids: dict[str, int], style: Style, names: Sequence[str]) -> str:
    """CSS that turns the checkboxes of the classes into a legend: swatch, name, number, checkbox.

    It depends on the structure of viser's page. If that changes, plain checkboxes with names and numbers remain.

    Args:
        ids: train ids by the id of their element.
        style: colours.
        names: class names; long ones get more space.
    """
    labels = {f"label[for='{element}']": i for element, i in ids.items()}
    every, tab = ",".join(labels), max(9.5, 2 + 0.56 * max(len(legend_name(name)) for name in names))
    rows = f"div:has(> div > div > div > p > {next(iter(labels))}) {{max-height:45vh; overflow-y:auto}}"
    swatches = "".join(f"{label}::before {{background:{hex_color(style.classes[i])}}}" for label, i in labels.items())
    return (
        f"<style>:is({every}) {{white-space:pre; tab-size:{tab:g}em; cursor:pointer; display:block; letter-spacing:0;"
        "color:var(--mantine-color-text)}"
        f":is({every})::before {{content:''; display:inline-block; width:.8em; height:.8em; margin-right:.6em;"
        "border-radius:3px; border:1px solid #8886}"
        f"div:has(> p > :is({every})) {{width:auto !important; flex-grow:1}}"
        f"div:has(> p > :is({every})) + div {{flex-grow:0 !important}}"
        f"div:has(> div > div > p > :is({every})) {{padding-bottom:.15em !important}}"
        f"{rows if len(labels) > _ROWS else ''}{swatches}</style>"
    )


def picked(cloud: Cloud, i: int, raw: int | None, pixels: dict[str, tuple[int, int]]) -> str:
    """Values of one point: ``raw`` is the raw id of its ground truth, ``pixels`` its (row, column) in each image."""
    x, y, z = cloud.points[i].tolist()
    rows = {
        "point": f"{i}",
        "x, y, z": f"{x:.2f}, {y:.2f}, {z:.2f} m",
        "distance": f"{float(np.linalg.norm(cloud.points[i])):.2f} m",
        "remission": f"{float(cloud.remission[i]):.2f}",
    }
    if cloud.ground_truth is not None:
        rows["ground truth"] = _class(cloud.taxonomy, int(cloud.ground_truth[i]), raw)
    if cloud.objects is not None and cloud.objects[i]:
        rows["instance"] = str(int(cloud.objects[i]) & 0xFFFF)
    if cloud.prediction is not None:
        label = int(cloud.prediction.labels[i])
        rows["prediction"] = _class(cloud.taxonomy, label, cloud.taxonomy.classes[label].raw_ids[0])
    if cloud.prediction is not None and cloud.prediction.confidence is not None:
        rows["confidence"] = percent(float(cloud.prediction.confidence[i]))
    rows |= {f"pixel in {escape(camera)}": f"row {row}, column {column}" for camera, (row, column) in pixels.items()}
    body = "".join(f"<tr><td style='opacity:.65;padding-right:1em'>{k}</td><td>{v}</td></tr>" for k, v in rows.items())
    return _block(f"<table style='border-spacing:0'>{body}</table>{_logits(cloud, i)}")


def _class(taxonomy: Taxonomy, train_id: int, raw: int | None) -> str:
    ids = f"train id {train_id}" + ("" if raw is None else f", raw id {raw}")
    return f"<b>{escape(taxonomy.names[train_id])}</b><br>{ids}"


def _logits(cloud: Cloud, i: int, most: int = 5) -> str:
    """Table of the classes with the largest logits."""
    if cloud.prediction is None or cloud.prediction.logits is None:
        return ""
    logits, names = cloud.prediction.logits[i, IGNORE + 1 :], cloud.taxonomy.names[IGNORE + 1 :]
    (shares,) = softmax(logits[None])
    rows = "".join(
        f"<tr><td style='padding-right:1em'>{escape(names[k])}</td><td style='text-align:right'>{logits[k]:.2f}</td>"
        f"<td style='text-align:right;padding-left:1em'>{percent(float(shares[k]))}</td></tr>"
        for k in np.argsort(-logits)[:most]
    )
    head = "<tr style='opacity:.65'><td>class</td><td>logit</td><td style='padding-left:1em'>probability</td></tr>"
    return f"<table style='margin-top:.5em;border-spacing:0'>{head}{rows}</table>"


def worst(ranked: Sequence[tuple[str, float, float]], done: int, of: int) -> str:
    """Table of the frames with the lowest mean IoU, as (id, mean IoU, accuracy), and the progress."""
    if not of:
        return _block("No frame has both ground truth and a prediction.")
    rows = "".join(
        f"<tr><td style='padding-right:1em;white-space:nowrap' title='{escape(name)}'>"
        f"{escape(shortened(name, _FRAME))}</td>"
        f"<td style='text-align:right'>{percent(miou)}</td>"
        f"<td style='text-align:right;padding-left:1em'>{percent(accuracy)}</td></tr>"
        for name, miou, accuracy in ranked
    )
    head = "<tr style='opacity:.65'><td>frame</td><td>mean IoU</td><td style='padding-left:1em'>accuracy</td></tr>"
    progress = "" if done == of else f"{done} of {of} frames scored<br>"
    return _block(f"{progress}<table style='border-spacing:0'>{head}{rows}</table>")


def keys(*, live: bool) -> str:
    rows = "".join(
        f"<tr><td style='padding-right:1em;white-space:nowrap'><b>{key}</b></td><td>{meaning}</td></tr>"
        for key, meaning in (KEYS if live else KEYS + DATA_KEYS)
    )
    return _block(f"<table style='border-spacing:0'>{rows}</table>")


def plain(text: str) -> str:
    return _block(escape(text))


def _block(html: str) -> str:
    return f"<div style='padding:0 .75em .5em;font-size:.875em;line-height:1.45'>{html}</div>"


def _swatch(color: Iterable[int]) -> str:
    shape = "display:inline-block;width:.8em;height:.8em;border-radius:3px"
    return f"<span style='{shape};background:{hex_color(color)}'></span>"
