"""Transformations of an image with its pairs and dense labels: pure functions from view to view."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageEnhance

from elite.config import ImageConfig
from elite.errors import DataError
from elite.shapes import Bool, Int32, Int64, UInt8
from elite.types import PointPixelPairs, View


def prepare(
    view: View,
    config: ImageConfig,
    rng: np.random.Generator | None,
    *,
    source: object = "the image",
    any_row: bool = False,
) -> View:
    """Resize, crop, jitter and perhaps mirror a view, as the teacher receives it.

    Args:
        view: an image with its pairs and dense labels.
        config: scale, crop, jitter and share of mirrored images.
        rng: generator of the augmentation; None keeps the middle columns, without jitter and mirroring.
        source: name of the image in error messages.
        any_row: crop at any height. Otherwise, the lowest rows are kept, which show the scanned surroundings.

    Raises:
        DataError: the image is smaller than the crop.
    """
    view = resize(view, config.scale)
    (height, width), (rows, columns) = view.image.shape[:2], config.crop
    if height < rows or width < columns:
        raise DataError(
            f"{source}: expected at least the {rows} x {columns} pixels (rows x columns) of image.crop, found {height} "
            f"x {width} after image.scale {config.scale:g}. Lower image.crop or raise image.scale."
        )
    top = height - rows if rng is None or not any_row else int(rng.integers(height - rows + 1))
    left = (width - columns) // 2 if rng is None else int(rng.integers(width - columns + 1))
    view = crop(view, top, left, rows, columns)
    if rng is None:
        return view
    view = jitter(view, config.jitter, rng)
    return mirror(view) if rng.random() < config.flip else view


def resize(view: View, scale: float) -> View:
    """Scale rows and columns, rounded. The image is interpolated; labels are those of the nearest pixel.

    The centre of an old pixel determines the new pixel of its pairs. Several pairs may have the same new pixel.
    """
    if scale == 1:
        return view
    old = np.array(view.image.shape[:2])
    new = np.maximum(1, np.round(old * scale)).astype(np.int64)
    return View(
        view.camera,
        _resized(view.image, new, Image.Resampling.BILINEAR),
        replace(view.pairs, pixel=(2 * view.pairs.pixel + 1) * new // (2 * old)),  # floor((pixel + 0.5) * new / old)
        None if view.labels is None else _resized(view.labels, new, Image.Resampling.NEAREST),
    )


def crop(view: View, top: int, left: int, height: int, width: int) -> View:
    """Keep the pixels [top, top + height) x [left, left + width), which must exist, and their pairs."""
    assert 0 <= top <= top + height <= view.image.shape[0]
    assert 0 <= left <= left + width <= view.image.shape[1]
    window = np.s_[top : top + height, left : left + width]
    pixel = view.pairs.pixel - (top, left)
    row, column = pixel.T
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return View(
        view.camera,
        view.image[window],
        _select_pairs(replace(view.pairs, pixel=pixel), inside),
        None if view.labels is None else view.labels[window],
    )


def mirror(view: View) -> View:
    """Mirror left and right."""
    row, column = view.pairs.pixel.T
    return View(
        view.camera,
        view.image[:, ::-1],
        replace(view.pairs, pixel=np.stack([row, view.image.shape[1] - 1 - column], axis=1)),
        None if view.labels is None else view.labels[:, ::-1],
    )


def jitter(view: View, amount: float, rng: np.random.Generator) -> View:
    """Change brightness, contrast and saturation by uniform factors in [1 - amount, 1 + amount], in random order."""
    image = Image.fromarray(view.image)
    factors = rng.uniform(1 - amount, 1 + amount, len(_ENHANCERS))
    for i in rng.permutation(len(_ENHANCERS)):
        image = _ENHANCERS[i](image).enhance(float(factors[i]))
    return replace(view, image=np.asarray(image))


_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def keep_rows(pairs: PointPixelPairs, rows: Int64[np.ndarray, "kept"], points: int) -> PointPixelPairs:
    """Keep the pairs of some ``rows`` of a scan of ``points`` points; new point numbers are places in ``rows``."""
    place = np.full(points, -1, np.int64)
    place[rows] = np.arange(len(rows))
    point = place[pairs.point]
    return _select_pairs(replace(pairs, point=point), point >= 0)


def _select_pairs(pairs: PointPixelPairs, keep: Bool[np.ndarray, "m"]) -> PointPixelPairs:
    return PointPixelPairs(pairs.point[keep], pairs.pixel[keep])


def _resized(
    values: UInt8[np.ndarray, "h w *channels"] | Int32[np.ndarray, "h w"],
    size: Int64[np.ndarray, "2"],
    method: Image.Resampling,
) -> UInt8[np.ndarray, "height width *channels"] | Int32[np.ndarray, "height width"]:
    return np.asarray(Image.fromarray(values).resize((int(size[1]), int(size[0])), method))
