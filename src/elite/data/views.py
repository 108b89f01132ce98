"""The images of a frame as views: tied to the points of its sample, with dense labels where there are any."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64, UInt8

from elite.config import ImageConfig
from elite.geometry import require_point_pixel_pairs
from elite.pixels import keep_rows, prepare
from elite.types import Camera, Frame, View


def frame_views(
    frame: Frame,
    rows: Int64[np.ndarray, "n"],
    config: ImageConfig,
    rng: np.random.Generator | None = None,
    labels: Mapping[str, UInt8[np.ndarray, "h w"]] | None = None,
) -> tuple[View, ...]:
    """A view per image of the frame, its pairs numbered by the ``rows`` of the scan that make up the sample.

    ``labels`` are dense train ids by camera. Without ``rng`` the views are the same each time.

    Raises:
        DataError: an image is smaller than the crop, or its camera sees no point.
    """
    seen = [camera for camera in frame.cameras if camera.name in frame.images]
    whole = [_whole_view(frame, camera, rows, (labels or {}).get(camera.name)) for camera in seen]
    return tuple(prepare(view, config, rng, source=f"{view.camera} of scan {frame.id}") for view in whole)


def _whole_view(frame: Frame, camera: Camera, rows: np.ndarray, labels: np.ndarray | None) -> View:
    """Pairs of the whole scan first: what lies outside the sample still hides what is behind it."""
    image = frame.images[camera.name]
    pairs = require_point_pixel_pairs(frame.scan.points, camera, *image.shape[:2], of=f"scan {frame.id}")
    return View(camera.name, image, keep_rows(pairs, rows, len(frame.scan)), labels)
