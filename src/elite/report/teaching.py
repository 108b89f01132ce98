"""What the teacher sees and what the student learned, on one camera image: the same crop, answered four times.

The crop is the one that validation scores the teacher on. Pixels are (row, column), labels train ids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64, UInt8
from PIL import Image

from elite.config import ImageConfig
from elite.data.views import frame_views
from elite.geometry import Volume, in_volume
from elite.labels import IGNORE
from elite.pictures import class_colors, overlay, tinted
from elite.types import Frame, PointPixelPairs, Scan, SegmentationResult, View

if TYPE_CHECKING:  # its libraries are needed only where there is a teacher
    from elite.teacher import Teacher

Predict = Callable[[Scan], SegmentationResult]

WIDTH = 1216  # pixels that a picture is enlarged to, about


@dataclass(frozen=True)
class Lesson:
    """Who teaches, how images are cut for it, and the student before its first step if that was kept."""

    teacher: "Teacher"
    image: ImageConfig
    untrained: Predict | None = None


@dataclass(frozen=True)
class Panel:
    """One picture with its title, a few words on it, and how much of it is right (empty where nothing can be)."""

    title: str
    text: str
    picture: UInt8[np.ndarray, "h w 3"]
    right: float | None = None


@dataclass(frozen=True)
class Teaching:
    """The panels of one frame, all of one size; ``classes`` occur in them, ``points`` of them have a label."""

    id: str
    camera: str
    panels: tuple[Panel, ...]
    classes: tuple[int, ...]
    points: int


def teaching(frame: Frame, prediction: UInt8[np.ndarray, "n"], lesson: Lesson, volume: Volume) -> Teaching:
    """Image, teacher, student before and after training, truth: on the crop of the frame's first image.

    Args:
        frame: with labels and an image.
        prediction: the trained student's labels of the whole scan.
        lesson: the teacher and the untrained student.
        volume: only points inside are drawn, as only they are scored against the teacher.

    Raises:
        DataError: the image is smaller than the crop, or its camera sees no point.
    """
    from elite.teacher.prediction import predict_view

    assert frame.labels is not None
    rows = np.flatnonzero(in_volume(frame.scan.points, volume))
    view = frame_views(frame, rows, lesson.image)[0]
    seen = rows[view.pairs.point]  # the row of the scan behind each pair
    truth = frame.labels[seen]
    predicted = predict_view(lesson.teacher, view)
    answers = {"Student after training": prediction[seen]}
    if lesson.untrained is not None:
        answers = {"Student before training": lesson.untrained(frame.scan).labels[seen]} | answers
    canvas = _Canvas(view, np.linalg.norm(frame.scan.points[seen], axis=1))
    panels = (
        Panel("Camera image", "the part that the teacher sees", canvas.image),
        Panel(
            "Teacher",
            "from the image alone, every pixel",
            canvas.painted(predicted.image),
            _right(predicted.points, truth),
        ),
        *(
            Panel(title, "from the LiDAR alone, at the points in view", canvas.dotted(labels), _right(labels, truth))
            for title, labels in answers.items()
        ),
        Panel("Truth", "labels of the same points", canvas.dotted(truth)),
    )
    classes = np.unique(np.concatenate([predicted.image.ravel(), truth, *answers.values()]))
    return Teaching(
        frame.id,
        view.camera,
        panels,
        tuple(int(i) for i in classes if i != IGNORE),
        int((truth != IGNORE).sum()),
    )


def _right(labels: UInt8[np.ndarray, "m"], truth: UInt8[np.ndarray, "m"]) -> float | None:
    """The share of labelled points that ``labels`` names rightly; None without any."""
    scored = truth != IGNORE
    return float((labels == truth)[scored].mean()) if scored.any() else None


class _Canvas:
    """A view enlarged by a whole factor to about ``WIDTH``, to be painted over.

    ``distance`` (m) orders the points: a near one is drawn over a far one.
    """

    def __init__(self, view: View, distance: Float[np.ndarray, "m"]) -> None:
        height, width = view.image.shape[:2]
        self.factor = max(1, round(WIDTH / width))
        size = (width * self.factor, height * self.factor)
        self.image = np.asarray(Image.fromarray(view.image).resize(size, Image.Resampling.BICUBIC))
        self.pixel = view.pairs.pixel * self.factor + self.factor // 2
        self.far_first = np.argsort(-distance, kind="stable")
        self.dot = _dot(self.pixel)

    def painted(self, labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "y x 3"]:
        """The classes' colours over the image."""
        return tinted(self.image, labels.repeat(self.factor, axis=0).repeat(self.factor, axis=1))

    def dotted(self, labels: UInt8[np.ndarray, "m"]) -> UInt8[np.ndarray, "y x 3"]:
        """A dot in its class's colour for each pair."""
        pairs = PointPixelPairs(self.far_first, self.pixel[self.far_first])
        return overlay(self.image, pairs, class_colors(labels), dot=self.dot)


def _dot(pixel: Int64[np.ndarray, "m 2"], *, least: int = 3, most: int = 7) -> int:
    """The side of a dot that leaves some of the image between the points: two thirds of their mean spacing."""
    if not len(pixel):
        return least
    extent = (np.ptp(pixel, axis=0) + 1).prod()
    return int(np.clip(round(0.67 * np.sqrt(extent / len(pixel))), least, most))
