"""Colours of points. Pure functions on arrays; RGB, 0..255."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from elite.pictures import RGB, brighten, darken, error_colors
from elite.shapes import Float, UInt8
from elite.taxonomy import IGNORE, Taxonomy
from elite.viewer.cloud import Cloud


class Mode(StrEnum):
    """Value that the colours of the points show."""

    HEIGHT = "Height"
    REMISSION = "Remission"
    GROUND_TRUTH = "Ground truth"
    PREDICTION = "Prediction"
    ERROR = "Errors"
    CONFIDENCE = "Confidence"
    PROBABILITY = "Class probability"


# Values at both ends of the colour ramp, and their unit; values outside have the colour of the nearer end.
RANGES: dict[Mode, tuple[float, float, str]] = {
    Mode.HEIGHT: (-2.5, 4.0, " m"),
    Mode.REMISSION: (0.0, 0.6, ""),
    Mode.CONFIDENCE: (0.0, 1.0, ""),
    Mode.PROBABILITY: (0.0, 1.0, ""),
}
# Modes with the classes of the ground truth.
GROUND_TRUTH_MODES = (Mode.HEIGHT, Mode.REMISSION, Mode.GROUND_TRUTH, Mode.ERROR)
_RAMP = np.array([(58, 62, 148), (40, 112, 166), (38, 158, 137), (124, 197, 82), (248, 222, 60)], np.uint8)


@dataclass(frozen=True)
class Style:
    """Colours for one background: classes, correct, wrong and unscored points, and the ramp from low to high values."""

    classes: UInt8[np.ndarray, "classes 3"]
    ramp: UInt8[np.ndarray, "steps 3"]
    correct: RGB
    wrong: RGB
    unscored: RGB
    frustum: RGB
    mark: RGB


def make_style(taxonomy: Taxonomy, *, dark: bool, safe: bool) -> Style:
    """Return the colours for a dark or light background; ``safe`` uses colour-blind-safe class colours."""
    fit = brighten if dark else darken
    faint = (62, 67, 77) if dark else (205, 208, 214)
    classes = fit((taxonomy.safe_colors if safe else taxonomy.colors)[IGNORE + 1 :])
    return Style(
        classes=np.vstack([[faint], classes]).astype(np.uint8),
        ramp=fit(_RAMP),
        correct=(108, 116, 130) if dark else (168, 174, 184),
        wrong=(255, 170, 0) if safe else (255, 69, 58) if dark else (214, 28, 20),
        unscored=faint,
        frustum=(220, 224, 232) if dark else (70, 76, 88),
        mark=(255, 255, 255) if dark else (0, 0, 0),
    )


def point_colors(cloud: Cloud, mode: Mode, style: Style, class_id: int) -> UInt8[np.ndarray, "n 3"] | None:
    """Return one colour per point; None if the cloud lacks the values. ``class_id`` is used by mode PROBABILITY."""
    labels = classes_of(cloud, mode)
    if mode in (Mode.GROUND_TRUTH, Mode.PREDICTION):
        return None if labels is None else style.classes[labels]
    if mode is Mode.ERROR:
        return _errors(cloud, style)
    values = _values(cloud, mode, class_id)
    if values is None:
        return None
    low, high, _ = RANGES[mode]
    return ramp(style, (values - low) / (high - low))


def ramp(style: Style, share: Float[np.ndarray, "n"]) -> UInt8[np.ndarray, "n 3"]:
    """Map values from 0 (low) to 1 (high) to colours."""
    steps = np.linspace(0, 1, len(style.ramp))
    # A table of 256 colours is faster than three interpolations per point.
    table = np.stack([np.interp(np.linspace(0, 1, 256), steps, channel) for channel in style.ramp.T], axis=1)
    return table.round().astype(np.uint8)[(np.clip(share, 0, 1) * 255).astype(np.uint8)]


def classes_of(cloud: Cloud, mode: Mode) -> UInt8[np.ndarray, "n"] | None:
    """Return the labels that the legend counts: ground truth or prediction, depending on ``mode``.

    Height and remission use the ground truth, or the prediction without one.
    """
    predicted = cloud.prediction.labels if cloud.prediction else None
    if mode not in GROUND_TRUTH_MODES:
        return predicted
    return predicted if cloud.ground_truth is None and mode in (Mode.HEIGHT, Mode.REMISSION) else cloud.ground_truth


def missing(cloud: Cloud, mode: Mode) -> str:
    """Return why the cloud cannot be shown in a mode, and the remedy; empty if it can."""
    if mode in (Mode.GROUND_TRUTH, Mode.ERROR) and cloud.ground_truth is None:
        return "This frame has no labels, so ground truth and errors are not available."
    if mode in (Mode.PREDICTION, Mode.ERROR) and cloud.prediction is None:
        return "This frame has no prediction. Start 'elite view' with a MODEL or complete --predictions."
    if mode is Mode.CONFIDENCE and (cloud.prediction is None or cloud.prediction.confidence is None):
        return "No confidence. Start 'elite view' with a MODEL, or predict with --confidence."
    if mode is Mode.PROBABILITY and (cloud.prediction is None or cloud.prediction.logits is None):
        return "No class probabilities. Start 'elite view' with a MODEL and --votes 1."
    return ""


def _errors(cloud: Cloud, style: Style) -> UInt8[np.ndarray, "n 3"] | None:
    if cloud.ground_truth is None or cloud.prediction is None:
        return None
    fixed = {"correct": style.correct, "wrong": style.wrong, "unscored": style.unscored}
    return error_colors(cloud.ground_truth, cloud.prediction.labels, **fixed)


def _values(cloud: Cloud, mode: Mode, class_id: int) -> Float[np.ndarray, "n"] | None:
    if mode is Mode.HEIGHT:
        return cloud.points[:, 2]
    if mode is Mode.REMISSION:
        return cloud.remission
    if cloud.prediction is None:
        return None
    return cloud.prediction.confidence if mode is Mode.CONFIDENCE else cloud.prediction.shares(class_id)
