"""Teacher and student on one camera image: the same crop with the classes of each.

The crop is the one that validation scores the teacher on. Pixels are (row, column); labels are train ids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elite.config import ImageConfig
from elite.data.views import frame_views
from elite.geometry import Volume, in_volume
from elite.pictures import class_colors, dot_size, fit_width, overlay, palette, tinted
from elite.segmentation_result import SegmentationResult
from elite.shapes import Float, UInt8
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Frame, PointPixelPairs, Scan, View

if TYPE_CHECKING:  # needs the extra `teacher`
    from elite.teacher import Teacher

Segment = Callable[[Scan], SegmentationResult]

WIDTH = 960  # pixels of every panel


@dataclass(frozen=True)
class Models:
    """Teacher of a run, its image settings, and the student before training, if it was saved."""

    teacher: "Teacher"
    image: ImageConfig
    untrained: Segment | None = None


@dataclass(frozen=True)
class ComparisonPanel:
    """One image with its title and caption; ``accuracy`` on the labelled points in view, None if not applicable."""

    key: str
    title: str
    caption: str
    image: UInt8[np.ndarray, "h w 3"]
    accuracy: float | None = None


@dataclass(frozen=True)
class TeacherComparison:
    """Panels of one frame, all of one size.

    Attributes:
        classes: train ids that occur in the panels.
        points: number of labelled points in view.
    """

    id: str
    camera: str
    panels: tuple[ComparisonPanel, ...]
    classes: tuple[int, ...]
    points: int


def compare_with_teacher(
    frame: Frame, prediction: UInt8[np.ndarray, "n"], models: Models, volume: Volume, taxonomy: Taxonomy
) -> TeacherComparison:
    """Draw camera image, teacher, student before and after training, and ground truth on the first image of a frame.

    Args:
        frame: with labels and an image.
        prediction: labels of all points by the trained student.
        models: the teacher and the untrained student.
        volume: points outside are not drawn, because the teacher is not scored there.
        taxonomy: classes of the labels and the predictions.

    Raises:
        DataError: the image is smaller than the crop, or its camera sees no point.
    """
    from elite.teacher.prediction import predict_view

    assert frame.labels is not None
    rows = np.flatnonzero(in_volume(frame.scan.points, volume))
    view = frame_views(frame, rows, models.image)[0]
    point = rows[view.pairs.point]  # row of the scan of each pair
    truth, teacher = frame.labels[point], predict_view(models.teacher, view)
    students = {"student": ("Student after training", prediction[point])}
    if models.untrained is not None:
        untrained = models.untrained(frame.scan).labels[point]
        students = {"untrained": ("Student before training", untrained)} | students
    canvas = _Canvas(view, np.linalg.norm(frame.scan.points[point], axis=1), taxonomy)
    panels = (
        ComparisonPanel("image", "Camera image", "the crop that the teacher receives", canvas.image),
        ComparisonPanel("ground_truth", "Ground truth", "labels of the points in view", canvas.points(truth)),
        ComparisonPanel(
            "teacher",
            "Teacher",
            "from the image only",
            canvas.pixels(teacher.image),
            _accuracy(teacher.points, truth),
        ),
        *(
            ComparisonPanel(key, title, "from the LiDAR only", canvas.points(labels), _accuracy(labels, truth))
            for key, (title, labels) in students.items()
        ),
    )
    labels = [teacher.image.ravel(), truth, *(labels for _, labels in students.values())]
    classes = tuple(int(i) for i in np.unique(np.concatenate(labels)) if i != IGNORE)
    return TeacherComparison(frame.id, view.camera, panels, classes, int((truth != IGNORE).sum()))


def _accuracy(labels: UInt8[np.ndarray, "m"], truth: UInt8[np.ndarray, "m"]) -> float | None:
    """Share of the labelled points with the correct label; None without labelled points."""
    scored = truth != IGNORE
    return float((labels == truth)[scored].mean()) if scored.any() else None


class _Canvas:
    """A view resized to ``WIDTH``; points are painted in descending ``distance`` (m), so near ones cover far ones."""

    def __init__(self, view: View, distance: Float[np.ndarray, "m"], taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.image = fit_width(view.image, WIDTH)
        self.size = np.array(self.image.shape[:2]) / view.image.shape[:2]
        self.pixel = ((view.pairs.pixel + 0.5) * self.size).astype(np.int64)
        self.far_first = np.argsort(-distance, kind="stable")
        extent = (np.ptp(self.pixel, axis=0) + 1).prod() if len(self.pixel) else 0
        self.dot = dot_size(float(extent), len(self.pixel), smallest=3, largest=7)

    def pixels(self, labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "y x 3"]:
        """Class colours over the image."""
        row, column = (
            ((np.arange(n) + 0.5) / s).astype(int) for n, s in zip(self.image.shape, self.size, strict=False)
        )
        return tinted(self.image, labels[row[:, None], column], palette(self.taxonomy))

    def points(self, labels: UInt8[np.ndarray, "m"]) -> UInt8[np.ndarray, "y x 3"]:
        """A dot in its class colour for each pair."""
        pairs = PointPixelPairs(self.far_first, self.pixel[self.far_first])
        return overlay(self.image, pairs, class_colors(labels, self.taxonomy), dot=self.dot)
