"""Pixels of image messages as RGB."""

from pathlib import Path

import numpy as np

from elite.datasets.formats import read_image
from elite.errors import DataError
from elite.files import MAX_PIXELS
from elite.recordings.messages import CompressedImage, RawImage
from elite.shapes import Float32, UInt8

# Channels of a pixel, and which of them are red, green and blue.
_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
    "8UC1": (1, [0, 0, 0]),
    "8UC3": (3, [2, 1, 0]),  # OpenCV's order is blue, green, red
    "8UC4": (4, [2, 1, 0]),
}
# Colours of the first two pixels of the first row, then of the second row.
_BAYER = {f"bayer_{colors}8": colors for colors in ("rggb", "bggr", "gbrg", "grbg")}
_CROSS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32)
_SQUARE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)


def decode_image(message: RawImage | CompressedImage, source: object) -> UInt8[np.ndarray, "h w 3"]:
    """Return the pixels of a message as RGB.

    Args:
        message: raw pixels of 8 bits per channel (rgb8, bgr8, rgba8, bgra8, mono8, bayer_*8), or a JPEG or PNG file.
        source: names the message in errors.

    Raises:
        DataError: another encoding, or fewer bytes than its size requires.
    """
    if isinstance(message, CompressedImage):
        return read_image(Path(str(source)), bytes(message.data))
    channels, order = _CHANNELS.get(message.encoding, (1, None))
    if order is None and message.encoding not in _BAYER:
        known = ", ".join(("rgb8, bgr8, rgba8, bgra8, mono8", *_BAYER))
        raise DataError(
            f"{source}: expected an image of the encoding {known}, found {message.encoding!r:.60}. Convert the images."
        )
    pixels = _pixels(message, channels, source)
    return pixels[..., order] if order is not None else _demosaic(pixels[..., 0], _BAYER[message.encoding])


def _pixels(message: RawImage, channels: int, source: object) -> UInt8[np.ndarray, "h w channels"]:
    height, width, used = message.height, message.width, message.width * channels
    too_many = not 0 < height * width <= MAX_PIXELS
    if too_many or message.step < used or message.height * message.step > len(message.data):
        raise DataError(
            f"{source}: expected {height} x {width} pixels of {channels} bytes, found {len(message.data)} bytes in "
            f"rows of {message.step}. Correct its driver, or skip it."
        )
    rows = message.data[: height * message.step].reshape(height, message.step)
    return rows[:, :used].reshape(height, width, channels)


def _demosaic(values: UInt8[np.ndarray, "h w"], colors: str) -> UInt8[np.ndarray, "h w 3"]:
    """Interpolate the missing colours of each pixel bilinearly from the pixels around it."""
    rgb = np.empty((*values.shape, 3), np.uint8)
    for channel, color in enumerate("rgb"):
        mask = np.zeros(values.shape, np.float32)
        for place in (i for i in range(4) if colors[i] == color):
            mask[place // 2 :: 2, place % 2 :: 2] = 1
        kernel = _CROSS if color == "g" else _SQUARE
        rgb[..., channel] = np.round(_sums(values * mask, kernel) / np.maximum(_sums(mask, kernel), 1))
    return rgb


def _sums(values: Float32[np.ndarray, "h w"], kernel: Float32[np.ndarray, "3 3"]) -> Float32[np.ndarray, "h w"]:
    """Sums of the neighbours of each pixel, with weights; beyond the image, they are 0."""
    (height, width), padded = values.shape, np.pad(values, 1)
    parts = (weight * padded[y : y + height, x : x + width] for (y, x), weight in np.ndenumerate(kernel) if weight)
    return sum(parts, np.zeros_like(values))
