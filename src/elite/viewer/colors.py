"""Which colour a point has: by what, in which style. Pure: arrays in, RGB arrays (0..255) out."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float, UInt8

from elite.labels import COLORS, IGNORE, SAFE_COLORS
from elite.pictures import brighten, darken
from elite.viewer.layers import Cloud

RGB = tuple[int, int, int]


class Mode(StrEnum):
    """What the colours of the points tell."""

    HEIGHT = "Height"
    REMISSION = "Remission"
    TRUTH = "Truth"
    PREDICTION = "Prediction"
    ERROR = "Error"
    CONFIDENCE = "Confidence"
    PROBABILITY = "Class probability"


# Values at the two ends of the ramp, and their unit; what is beyond has the colour of the end.
RANGES: dict[Mode, tuple[float, float, str]] = {
    Mode.HEIGHT: (-2.5, 4.0, " m"),
    Mode.REMISSION: (0.0, 0.6, ""),
    Mode.CONFIDENCE: (0.0, 1.0, ""),
    Mode.PROBABILITY: (0.0, 1.0, ""),
}
OF_TRUTH = (Mode.HEIGHT, Mode.REMISSION, Mode.TRUTH, Mode.ERROR)  # whose classes are the true ones
_RAMP = np.array([(58, 62, 148), (40, 112, 166), (38, 158, 137), (124, 197, 82), (248, 222, 60)], np.uint8)


@dataclass(frozen=True)
class Style:
    """Colours on one ground: of the classes, of right, wrong and unscored points, and from low to high values."""

    classes: UInt8[np.ndarray, "20 3"]
    ramp: UInt8[np.ndarray, "steps 3"]
    right: RGB
    wrong: RGB
    faint: RGB
    frustum: RGB
    mark: RGB


def style(*, dark: bool, safe: bool) -> Style:
    """``dark`` is the ground; ``safe`` takes the colours that also red-green colour-blind eyes tell apart."""
    fit = brighten if dark else darken
    faint = (62, 67, 77) if dark else (205, 208, 214)
    classes = fit((SAFE_COLORS if safe else COLORS)[IGNORE + 1 :])
    return Style(
        classes=np.vstack([[faint], classes]).astype(np.uint8),
        ramp=fit(_RAMP),
        right=(108, 116, 130) if dark else (168, 174, 184),
        wrong=(255, 170, 0) if safe else (255, 69, 58) if dark else (214, 28, 20),
        faint=faint,
        frustum=(220, 224, 232) if dark else (70, 76, 88),
        mark=(255, 255, 255) if dark else (0, 0, 0),
    )


def point_colors(cloud: Cloud, mode: Mode, look: Style, class_id: int) -> UInt8[np.ndarray, "n 3"] | None:
    """One colour per point; None if the cloud lacks what ``mode`` shows. ``class_id`` is whose probability is shown."""
    labels = classes_of(cloud, mode)
    if mode in (Mode.TRUTH, Mode.PREDICTION):
        return None if labels is None else look.classes[labels]
    if mode is Mode.ERROR:
        return _errors(cloud, look)
    values = _values(cloud, mode, class_id)
    if values is None:
        return None
    low, high, _ = RANGES[mode]
    return ramp(look, (values - low) / (high - low))


def ramp(look: Style, share: Float[np.ndarray, "n"]) -> UInt8[np.ndarray, "n 3"]:
    """The colours of values from 0 (low) to 1 (high)."""
    steps = np.linspace(0, 1, len(look.ramp))
    # 256 colours are as many as can be told apart, and a table is quicker than three interpolations per point.
    table = np.stack([np.interp(np.linspace(0, 1, 256), steps, channel) for channel in look.ramp.T], axis=1)
    return table.round().astype(np.uint8)[(np.clip(share, 0, 1) * 255).astype(np.uint8)]


def classes_of(cloud: Cloud, mode: Mode) -> UInt8[np.ndarray, "n"] | None:
    """The classes that the legend speaks of: true ones or predicted ones, whichever ``mode`` shows.

    Where only the other kind is known, heights and remissions take that.
    """
    predicted = cloud.answer.labels if cloud.answer else None
    if mode not in OF_TRUTH:
        return predicted
    return predicted if cloud.truth is None and mode in (Mode.HEIGHT, Mode.REMISSION) else cloud.truth


def missing(cloud: Cloud, mode: Mode) -> str:
    """Why the cloud cannot be shown so, and what to do; empty if it can."""
    if mode in (Mode.TRUTH, Mode.ERROR) and cloud.truth is None:
        return "This frame has no labels, so neither truth nor errors can be shown."
    if mode in (Mode.PREDICTION, Mode.ERROR) and cloud.answer is None:
        return "There is no prediction for this frame. Give --checkpoint, or --predictions that hold it."
    if mode is Mode.CONFIDENCE and (cloud.answer is None or cloud.answer.confidence is None):
        return "No confidence is known. Give --checkpoint, or predict with --confidence."
    if mode is Mode.PROBABILITY and (cloud.answer is None or cloud.answer.logits is None):
        return "No probabilities are known. Give --checkpoint, without votes."
    return ""


def _errors(cloud: Cloud, look: Style) -> UInt8[np.ndarray, "n 3"] | None:
    if cloud.truth is None or cloud.answer is None:
        return None
    table = np.array([look.wrong, look.right], np.uint8)
    colors = table[(cloud.truth == cloud.answer.labels).astype(np.int64)]
    colors[cloud.truth == IGNORE] = look.faint
    return colors


def _values(cloud: Cloud, mode: Mode, class_id: int) -> Float[np.ndarray, "n"] | None:
    if mode is Mode.HEIGHT:
        return cloud.points[:, 2]
    if mode is Mode.REMISSION:
        return cloud.remission
    if cloud.answer is None:
        return None
    return cloud.answer.confidence if mode is Mode.CONFIDENCE else cloud.answer.shares(class_id)
