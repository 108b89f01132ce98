"""Views of a frame: its images, paired with the points of the sample, and their dense labels."""

from collections.abc import Mapping

import numpy as np

from elite.config import ImageConfig
from elite.occlusion import require_point_pixel_pairs
from elite.pixels import keep_rows, prepare
from elite.shapes import Int64, UInt8
from elite.types import Camera, Frame, View


def frame_views(
    frame: Frame,
    rows: Int64[np.ndarray, "n"],
    config: ImageConfig,
    rng: np.random.Generator | None = None,
    labels: Mapping[str, UInt8[np.ndarray, "h w"]] | None = None,
) -> tuple[View, ...]:
    """Make one view of each image of a frame.

    Args:
        frame: scan, images and cameras.
        rows: rows of the scan that are points of the sample; pairs refer to them.
        config: crop and augmentation.
        rng: generator of the augmentation; None = no augmentation.
        labels: dense train ids by camera.

    Raises:
        DataError: an image is smaller than the crop, or its camera sees no point.
    """
    cameras = [camera for camera in frame.cameras if camera.name in frame.images]
    complete = [_complete_view(frame, camera, rows, (labels or {}).get(camera.name)) for camera in cameras]
    return tuple(prepare(view, config, rng, source=f"{view.camera} of scan {frame.id}") for view in complete)


def _complete_view(frame: Frame, camera: Camera, rows: np.ndarray, labels: np.ndarray | None) -> View:
    """View without crop. Points outside the sample take part in the occlusion test, since they occlude others."""
    image = frame.images[camera.name]
    pairs = require_point_pixel_pairs(
        frame.scan.points, camera, *image.shape[:2], beams=frame.beams, of=f"scan {frame.id}"
    )
    return View(camera.name, image, keep_rows(pairs, rows, len(frame.scan)), labels)
