"""Image messages as files."""

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from elite.conversion.settings import ImageFormat
from elite.errors import DataError
from elite.files import open_image
from elite.recordings import CompressedImage, RawImage, decode_image

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}
_GREY = ("mono8", "8UC1")
_START_OF_JPEG, _START_OF_PIXELS, _END_OF_JPEG = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"  # none is within the pixels
_END_OF_PNG = b"IEND"
_REMEDY = "Record the images as JPEG or PNG"


class ImageKind(NamedTuple):
    """Suffix of the file of an image, and its size (height, width)."""

    suffix: str
    size: tuple[int, int]


def image_kind(record: RawImage | CompressedImage, pixel_format: ImageFormat, source: object) -> ImageKind:
    """Return the kind of file of an image message, without decoding its pixels.

    Args:
        record: the message.
        pixel_format: of the files of raw images.
        source: names the message in errors.

    Raises:
        DataError: without pixels, or neither JPEG nor PNG.
    """
    if isinstance(record, RawImage):
        if not record.height * record.width:
            raise DataError(f"{source}: expected pixels, found {record.width} x {record.height}. Skip the message.")
        return ImageKind(f".{pixel_format}", (record.height, record.width))
    with open_image(Path(str(source)), *_SUFFIXES, remedy=_REMEDY, data=bytes(record.data)) as image:
        return ImageKind(_SUFFIXES[image.format or ""], (image.height, image.width))


def is_truncated(record: RawImage | CompressedImage) -> bool:
    """Whether a compressed image lacks its end marker. Bytes after the marker are allowed: some cameras pad images."""
    if isinstance(record, RawImage):
        return False
    data = bytes(record.data)
    if data.startswith(_START_OF_JPEG):
        return data.rfind(_END_OF_JPEG) < data.rfind(_START_OF_PIXELS)
    return _END_OF_PNG not in data


def image_content(record: RawImage | CompressedImage, pixel_format: ImageFormat, source: object) -> bytes:
    """Return the contents of the file of an image: recorded JPEG and PNG bytes as they are, pixels encoded.

    Raises:
        DataError: pixels that ``decode_image`` refuses.
    """
    if isinstance(record, CompressedImage):
        return bytes(record.data)
    pixels = decode_image(record, source)
    image = Image.fromarray(pixels[..., 0] if record.encoding in _GREY else pixels)
    file = io.BytesIO()
    if pixel_format == "png":
        image.save(file, "PNG", compress_level=1)  # five times the speed of the default for 20 % larger files
    else:
        image.save(file, "JPEG", quality=95, subsampling=0)  # differs by 1 of 255 on average
    return file.getvalue()
