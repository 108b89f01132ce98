"""Pictures of a survey: the points on the image of each camera, and a scan from above. Needs the extra ``report``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elite.config import StudentConfig
from elite.datasets.base import Dataset
from elite.datasets.check.survey import Survey
from elite.errors import DataError
from elite.figures import PixelCanvas, bev
from elite.files import write_bytes
from elite.formatting import shortened
from elite.occlusion import points_in_view
from elite.pictures import dot_size, encode_png, fit_pairs, overlay
from elite.shapes import Float, Float32, UInt8
from elite.types import Camera, Frame

from matplotlib import colormaps  # isort: skip  (after the check for the extra in elite.figures)

_WIDTH = 1280  # pixels
_STRIP = 54  # pixels of the caption
_BAR = 360, 12  # pixels of the colour bar
_CHARACTER = 7.6  # pixels of text of 14 pixels
_FARTHEST_M = 60.0
_HEIGHT_M = 4.0  # colours end this far above the ground


@dataclass(frozen=True)
class ColorScale:
    """Colours of values between ``low`` and ``high``, by their differences or (``logarithmic``) by their ratios."""

    low: float
    high: float
    title: str
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Place of values on the scale, 0..1."""
        scale = np.log if self.logarithmic else np.asarray
        values = np.clip(values, self.low, self.high)
        return (scale(values) - scale(self.low)) / (scale(self.high) - scale(self.low))

    def colors(self, values: Float[np.ndarray, "n"]) -> UInt8[np.ndarray, "n 3"]:
        """RGB of values; those beyond the ends have the colours of the ends."""
        return (255 * colormaps["turbo"](0.08 + 0.84 * self.share(values))[:, :3]).round().astype(np.uint8)


DISTANCE = ColorScale(2.0, _FARTHEST_M, "distance (m)", (2.0, 5.0, 10.0, 20.0, 40.0, 60.0), logarithmic=True)


def write_pictures(folder: Path, dataset: Dataset, survey: Survey) -> Iterator[Path]:
    """Write ``CAMERA.png`` of each camera and ``top.png``, and yield their paths. Damaged frames are skipped.

    Raises:
        OutputError: the folder is not writable.
    """
    for name in survey.cameras:
        if (frame := _first_frame(dataset, survey, name)) is not None:
            camera = next(camera for camera in frame.cameras if camera.name == name)
            yield _write(folder / f"{name}.png", camera_picture(frame, camera, _caption(survey, frame, name)))
    if (frame := _first_frame(dataset, survey, None)) is not None:
        ground = None if survey.scans is None else survey.scans.ground
        top = "top" if "top" not in survey.cameras else "top_of_scan"
        yield _write(folder / f"{top}.png", top_picture(frame.scan.points, ground, [dataset.sensor.name, frame.id]))


def _write(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> Path:
    write_bytes(path, encode_png(image).data)
    return path


def _first_frame(dataset: Dataset, survey: Survey, camera: str | None) -> Frame | None:
    """First measured frame with an image and a calibration of a camera; None = any frame."""
    for i in survey.frames:
        try:
            if camera is None:
                return dataset.frame(i, ())
            if camera in dataset.image_cameras(i):
                frame = dataset.frame(i, (camera,))
                if any(c.name == camera for c in frame.cameras):
                    return frame
        except DataError:
            continue
    return None


def _caption(survey: Survey, frame: Frame, name: str) -> list[str]:
    found = survey.cameras[name].alignment
    match = f"alignment {found.score:.2f}, chance {found.chance:.2f} ± {found.spread:.2f}" if found else ""
    return [f"{name}, {frame.id}", *filter(None, [match])]


def camera_picture(frame: Frame, camera: Camera, caption: Sequence[str]) -> UInt8[np.ndarray, "rows w 3"]:
    """Draw the visible points on the grey image of a camera, coloured by their distance."""
    image, pairs = fit_pairs(frame.images[camera.name], points_in_view(frame, camera), _WIDTH)
    distance = np.linalg.norm(frame.scan.points.astype(np.float64), axis=1)
    dot = dot_size(image.shape[0] * image.shape[1], len(pairs), smallest=2, largest=4)
    return captioned(overlay(image, pairs, DISTANCE.colors(distance), dot=dot, dim=0.75), caption, DISTANCE)


def top_picture(
    points: Float32[np.ndarray, "n 3"], ground: float | None, caption: Sequence[str]
) -> UInt8[np.ndarray, "rows w 3"]:
    """Draw a scan from above, coloured by the height above the ground, with its axes and distances."""
    floor = float(np.quantile(points[:, 2], 0.1)) if ground is None else ground
    scale = ColorScale(-0.5, _HEIGHT_M, "height (m)", (0.0, 1.0, 2.0, 3.0, 4.0))
    (x, y, _), (far_x, far_y, _) = StudentConfig().volume
    lowest = min(float(points[:, 2].min()), 0.0) - 1, max(float(points[:, 2].max()), 0.0) + 1
    volume = (x, y, lowest[0]), (far_x, far_y, lowest[1])
    return captioned(bev(points, scale.colors(points[:, 2] - floor), volume=volume, dot=2), caption, scale)


def captioned(
    image: UInt8[np.ndarray, "h w 3"], lines: Sequence[str], scale: ColorScale
) -> UInt8[np.ndarray, "rows w 3"]:
    """Add a strip with lines of text and a colour bar below an image."""
    height, width = image.shape[:2]
    length = min(_BAR[0], width // 3)
    canvas, left, top = PixelCanvas(height + _STRIP, width), width - length - 24, height + 12
    canvas.image(image)
    for line, text in enumerate(lines):
        room = int((left - 130) / _CHARACTER)
        canvas.text(16, height + (line + 0.5) * _STRIP / len(lines), shortened(text, room), 14)
    ramp = scale.low + (scale.high - scale.low) * np.linspace(0, 1, length)
    if scale.logarithmic:
        ramp = np.geomspace(scale.low, scale.high, length)
    bar = np.broadcast_to(scale.colors(ramp), (_BAR[1], length, 3))
    canvas.figure.figimage(bar, left, _STRIP - 12 - _BAR[1], origin="upper")
    canvas.text(left - 14, top + _BAR[1] / 2, scale.title, 13, ha="right")
    for tick, share in zip(scale.ticks, scale.share(np.array(scale.ticks)), strict=True):
        canvas.text(left + length * float(share), top + _BAR[1] + 14, f"{tick:g}", 13, ha="center")
    return canvas.pixels()
