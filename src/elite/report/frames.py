"""Images of frames: which frames a report contains, and their views from above and on the camera image."""

from collections.abc import Callable, Sequence

import numpy as np

from elite.camera_tiles import surround_rows, tiled
from elite.datasets import Dataset
from elite.errors import EliteError
from elite.figures import bev
from elite.formatting import count, percent
from elite.geometry import Volume
from elite.metrics import confusion_matrix, score
from elite.occlusion import point_pixel_pairs
from elite.pictures import class_colors, encode_jpeg, encode_png, error_colors, fit_pairs, overlay
from elite.report.evaluation import Evaluation
from elite.report.page import Figure, FrameFigures, TeacherFigures
from elite.report.teacher_views import Models, TeacherComparison, compare_with_teacher
from elite.shapes import UInt8
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Camera, Frame, PointPixelPairs

Labels = UInt8[np.ndarray, "_"]  # of one frame; each has its own number of points

_BEV_SIZE = 720  # pixels
_PHOTO_WIDTH = 960  # pixels, at most
_TILE_WIDTH, _TILE_DOT = 400, 2  # pixels: of a photograph among those of all cameras
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
    """Draw ground truth, prediction and errors of a labelled frame, and the first two on its first camera image.

    More than two cameras are drawn in one image.
    """
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
    cameras = [camera for camera in frame.cameras if camera.name in frame.images]
    photographs = [
        (key, title, *_draw_cameras(frame, cameras, colors))
        for key, (title, _, colors) in views.items()
        if cameras and key != "error"
    ]
    on_image = [
        Figure(f"{name}_camera_{key}", title, caption, encode_jpeg(image)) for key, title, caption, image in photographs
    ]
    is_wide = all(image.shape[1] >= 2 * image.shape[0] for *_, image in photographs)
    return FrameFigures(frame.id, _summary(frame.labels, prediction, taxonomy), above, on_image, is_wide)


def _draw_cameras(
    frame: Frame, cameras: Sequence[Camera], colors: UInt8[np.ndarray, "n 3"]
) -> tuple[str, UInt8[np.ndarray, "h w 3"]]:
    """Caption, and points on the image of the first camera, or of all if there are more than two."""
    if len(cameras) < 3:
        caption = f"on the image of camera {cameras[0].name}"
        return caption, overlay(*_photograph(frame, cameras[0], _PHOTO_WIDTH), colors)
    images = {c.name: overlay(*_photograph(frame, c, _TILE_WIDTH), colors, dot=_TILE_DOT) for c in cameras}
    return "on the images of all cameras", tiled(surround_rows(cameras), images)


def _photograph(frame: Frame, camera: Camera, width: int) -> tuple[UInt8[np.ndarray, "h w 3"], PointPixelPairs]:
    """Image of at most ``width`` pixels and its points. It is resized before they are painted: they stay sharp."""
    image = frame.images[camera.name]
    pairs = point_pixel_pairs(frame.scan.points, camera, *image.shape[:2], beams=frame.beams)
    return fit_pairs(image, pairs, width) if image.shape[1] > width else (image, pairs)


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
