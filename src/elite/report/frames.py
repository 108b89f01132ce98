"""Images of frames: which frames a report contains, and their views from above and on the camera image."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from elite.datasets import Dataset
from elite.errors import EliteError
from elite.figures import bev
from elite.formatting import count, percent
from elite.geometry import Volume, point_pixel_pairs
from elite.metrics import confusion_matrix, score
from elite.pictures import class_colors, encode_jpeg, encode_png, error_colors, fit_width, overlay
from elite.report.evaluation import Evaluation
from elite.report.page import Figure, FrameFigures, TeacherFigures
from elite.report.teacher_views import Models, TeacherComparison, compare_with_teacher
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Camera, Frame, PointPixelPairs

Labels = UInt8[np.ndarray, "_"]  # of one frame; each has its own number of points

_BEV_SIZE = 720  # pixels
_PHOTO_WIDTH = 960  # pixels, at most
_TEACHER_FRAMES = 2  # at most, because each has up to five photographs


def select_frames(dataset: Dataset | None, limit: int, evaluation: Evaluation | None) -> tuple[list[int], bool]:
    """(positions of at most ``limit`` labelled frames, whether they are the worst ones).

    Without scores by frame they are evenly spaced from the first to the last.
    """
    labelled = dataset.labelled() if dataset is not None else []
    if dataset is None or not labelled or limit < 1:
        return [], False
    position = {str(dataset.ids[i]): i for i in labelled}
    ranked = evaluation.worst_frames() if evaluation else []
    worst = [position[score.frame] for score in ranked if score.frame in position]
    if worst:
        return worst[:limit], True
    even = np.unique(np.linspace(0, len(labelled) - 1, min(limit, len(labelled))).round().astype(int))
    return [labelled[k] for k in even], False


def draw_frame(frame: Frame, prediction: Labels, volume: Volume, taxonomy: Taxonomy) -> FrameFigures:
    """Draw ground truth, prediction and errors of a labelled frame, and the first two on its first camera image."""
    assert frame.labels is not None
    name = f"frame_{frame.id.replace('/', '_')}"
    views = {
        "ground_truth": ("Ground truth", "labels of the data set", class_colors(frame.labels, taxonomy)),
        "prediction": ("Prediction", "labels by the network", class_colors(prediction, taxonomy)),
        "error": ("Errors", "red: wrong, grey: correct, faint: not scored", error_colors(frame.labels, prediction)),
    }
    above = [
        Figure(
            f"{name}_{key}", title, caption, encode_png(bev(frame.scan.points, colors, volume=volume, size=_BEV_SIZE))
        )
        for key, (title, caption, colors) in views.items()
    ]
    camera = next((camera for camera in frame.cameras if camera.name in frame.images), None)
    colors = {title: (key, colors) for key, (title, _, colors) in views.items() if key != "error"}
    front = [] if camera is None else _draw_camera(frame, camera, name, colors)
    return FrameFigures(frame.id, _summary(frame.labels, prediction, taxonomy), above, front)


def _draw_camera(
    frame: Frame, camera: Camera, name: str, colors: dict[str, tuple[str, UInt8[np.ndarray, "n 3"]]]
) -> list[Figure]:
    image = frame.images[camera.name]
    height, width = image.shape[:2]
    pairs = point_pixel_pairs(frame.scan.points, camera, height, width)
    if width > _PHOTO_WIDTH:  # before the points are painted, which keeps these sharp
        image = fit_width(image, _PHOTO_WIDTH)
        scale = np.array(image.shape[:2]) / (height, width)
        pairs = PointPixelPairs(pairs.point, (pairs.pixel * scale).astype(np.int64))
    return [
        Figure(
            f"{name}_camera_{key}",
            title,
            f"on the image of camera {camera.name}",
            encode_jpeg(overlay(image, pairs, values)),
        )
        for title, (key, values) in colors.items()
    ]


def _summary(truth: Labels, prediction: Labels, taxonomy: Taxonomy) -> str:
    if not (truth != IGNORE).any():
        return "This frame has no labelled point."
    found = score(confusion_matrix(prediction, truth, len(taxonomy)))
    return (
        f"Accuracy {percent(found.accuracy)} on {count(found.points)} labelled points; mean IoU "
        f"{percent(found.miou_present)} over the {len(found.present)} classes of this frame."
    )


def draw_teacher(
    frames: Sequence[tuple[Frame, Labels]], load: Callable[[], Models] | None, volume: Volume, taxonomy: Taxonomy
) -> tuple[list[TeacherFigures], str]:
    """(comparisons of teacher and student on the first frames with an image, reason if there are none)."""
    if not frames or load is None:
        return [], "No images of the teacher: the report contains no frames."
    with_image = [(frame, labels) for frame, labels in frames if frame.images][:_TEACHER_FRAMES]
    if not with_image:
        return [], "No images of the teacher: none of the frames has a camera image."
    try:
        models = load()
        found = [compare_with_teacher(frame, labels, models, volume, taxonomy) for frame, labels in with_image]
    except EliteError as error:
        return [], f"No images of the teacher: {error}"
    return [_teacher_figures(comparison) for comparison in found], ""


def _teacher_figures(comparison: TeacherComparison) -> TeacherFigures:
    name = f"teacher_{comparison.id.replace('/', '_')}"
    figures = [
        Figure(f"{name}_{panel.key}", panel.title, panel.caption, encode_jpeg(panel.image), _right(panel.accuracy))
        for panel in comparison.panels
    ]
    points = (
        f"{count(comparison.points)} labelled points in view." if comparison.points else "No labelled point in view."
    )
    return TeacherFigures(comparison.id, comparison.camera, points, figures, comparison.classes)


def _right(accuracy: float | None) -> str:
    return "" if accuracy is None else f"accuracy {percent(accuracy)}"
