"""Picture of a scan: from above, and as its sensor sees it. Needs the extra ``report``."""

from pathlib import Path

import numpy as np

from elite.config import from_plain
from elite.datasets.check.beam_pattern import angles
from elite.datasets.check.pictures import DISTANCE, ColorScale, captioned, top_picture
from elite.datasets.check.sampled_scans import IntensityField, SampledScan
from elite.datasets.check.scan_measures import measured
from elite.figures import PixelCanvas
from elite.formatting import shortened
from elite.inspection.records import CloudReport, Report
from elite.inspection.scan_statistics import ComparedScan
from elite.pictures import BACKGROUND, encode_png, paint
from elite.sensor import SensorSettings
from elite.shapes import Float, Float32, UInt8

_WIDTH = 960  # pixels of a view; the view from above is as wide
_VIEW = 350  # pixels of its height
_MARGIN = 1.0  # degrees above and below the beams
_LEFT, _RIGHT, _BELOW = 54, 14, 30  # pixels for the axes
_TICKS = (180, 135, 90, 45, 0, -45, -90, -135, -180)
_LINE = 25  # pixels
_REMISSION = ColorScale(0.0, 0.7, "remission", (0.0, 0.2, 0.4, 0.6))


def scan_picture(report: Report, scan: SampledScan) -> bytes:
    """Draw a scan of the first cloud of a report, and return the bytes of a PNG.

    Left: from above, coloured by height. Right: by azimuth and elevation, coloured by distance and by intensity.
    """
    cloud = report.clouds[0]
    guess = cloud.sensor
    if guess is not None:
        scan = scan.turned(from_plain(SensorSettings, guess.settings).spec("scan").to_ours)
    kept = measured(scan.points)
    points = scan.points[kept]
    ground = None if guess is None else guess.measures.ground
    left = top_picture(points, ground, [shortened(f"{report.path.name} {cloud.topic or ''}".strip(), 60)])
    distance = angles(points)[2]
    dot = _dot(cloud)
    right = [_view(points, distance, DISTANCE, "distance by azimuth and elevation", dot)]
    if (intensity := _intensity(cloud)) is not None:
        values = scan.intensities[intensity.name][kept]
        right.append(
            _view(points, values, _scale(intensity), f"{shortened(intensity.name, 30)} by azimuth and elevation", dot)
        )
    height = max(left.shape[0], sum(view.shape[0] for view in right))
    right.append(_text(cloud, height - sum(view.shape[0] for view in right)))
    return encode_png(np.concatenate([_padded(left, height), np.concatenate(right)], axis=1)).data


def comparison_picture(scans: tuple[ComparedScan, ComparedScan], paths: tuple[Path, Path]) -> bytes:
    """Draw a scan of each of two sources by azimuth and elevation, and return the bytes of a PNG.

    Left the first, right the second one: coloured by distance, and by remission.
    """
    columns = []
    for scan, path in zip(scans, paths, strict=True):
        distance, name = angles(scan.points)[2], shortened(path.name or str(path), 40)
        views = (distance, DISTANCE, "distance"), (scan.remission, _REMISSION, "remission")
        columns.append(
            np.concatenate([_view(scan.points, v, scale, f"{name}: {title}", 3) for v, scale, title in views])
        )
    return encode_png(np.concatenate(columns, axis=1)).data


def _intensity(cloud: CloudReport) -> IntensityField | None:
    fields = cloud.sensor.intensities if cloud.sensor else ()
    return next((field for field in fields if field.scale != "constant"), None)


def _dot(cloud: CloudReport) -> int:
    """Side of a point (pixels), so that neighbouring beams nearly touch."""
    beams = cloud.sensor.beams if cloud.sensor else None
    return 3 if beams is None else int(np.clip(np.ceil((_VIEW - _BELOW) / len(beams.numbers)), 2, 4))


def _scale(intensity: IntensityField) -> ColorScale:
    """Colours from 0 to a round value that 95 % of the points do not exceed by much."""
    high = max(1.25 * intensity.quantiles[2], 1e-6)
    step = float(f"{high / 4:.1g}")
    ticks = tuple(step * k for k in range(int(high / step) + 1))
    return ColorScale(0.0, high, intensity.name, ticks)


def _view(
    points: Float32[np.ndarray, "n 3"], values: Float[np.ndarray, "n"], scale: ColorScale, title: str, dot: int
) -> UInt8[np.ndarray, "rows w 3"]:
    """Points by azimuth (left to the left) and elevation; nearer points cover farther ones."""
    azimuth, elevation, distance = angles(points)
    low, high = np.quantile(elevation, (0.001, 0.999)) + np.array([-_MARGIN, _MARGIN])
    width, height = _WIDTH - _LEFT - _RIGHT, _VIEW - _BELOW
    order = np.argsort(-distance, kind="stable")
    column = np.floor((180 - azimuth) / 360 * width).astype(np.int64)
    row = np.floor((high - elevation) / (high - low) * height).astype(np.int64)
    inside = ((row >= 0) & (row < height) & (column >= 0) & (column < width))[order]
    pixel = np.stack([row, column], axis=1)[order][inside]
    panel = np.full((height, width, 3), BACKGROUND, np.uint8)
    panel = paint(panel, pixel, scale.colors(values.astype(np.float64))[order][inside], dot)
    return captioned(_with_axes(panel, float(low), float(high)), [title], scale)


def _with_axes(panel: UInt8[np.ndarray, "h w 3"], low: float, high: float) -> UInt8[np.ndarray, "rows columns 3"]:
    """Add the azimuths below a panel, and the elevations at its left."""
    height, width = panel.shape[:2]
    canvas = PixelCanvas(_VIEW, _WIDTH)
    image = np.zeros((_VIEW, _WIDTH, 4), np.uint8)  # transparent above the texts, which images cover
    image[:height, _LEFT : _LEFT + width] = np.pad(panel, ((0, 0), (0, 0), (0, 1)), constant_values=255)
    canvas.image(image)
    for degrees in _TICKS:
        x = _LEFT + (180 - degrees) / 360 * width
        align = {180: "left", -180: "right"}.get(degrees, "center")
        canvas.text(x, height + 15, f"{degrees}°", 13, ha=align)
    step = next(step for step in (1, 2, 5, 10, 15, 30, 60) if (high - low) / step <= 6)
    for degrees in range(int(np.ceil(low / step)) * step, int(high) + 1, step):
        y = (high - degrees) / (high - low) * height
        if 8 < y < height - 4:
            canvas.text(_LEFT - 8, y, f"{degrees}°", 13, ha="right")
    return canvas.pixels()


def _text(cloud: CloudReport, height: int) -> UInt8[np.ndarray, "height w 3"]:
    """The guess in words."""
    canvas = PixelCanvas(max(height, 1), _WIDTH)
    for line, text in enumerate(_lines(cloud)):
        if (line + 1.5) * _LINE < height:
            canvas.text(_LEFT, (line + 1) * _LINE, shortened(text, 112), 15)
    return canvas.pixels()


def _lines(cloud: CloudReport) -> list[str]:
    names = " ".join(field.name for field in cloud.fields)
    lines = [f"{cloud.layout or 'fields'}: {names}"]
    if (guess := cloud.sensor) is not None:
        scan = guess.measures
        lines += [
            f"points: {scan.stored:,.0f}, {scan.no_return:.1%} without a return",
            f"beams: {guess.beams.described() if guess.beams else 'not visible'}",
            "ground: " + ("not found" if scan.ground is None else f"z = {scan.ground:.2f} m"),
            f"preset: {guess.reason}",
            *(f"look at: {note}" for note in cloud.notes),
        ]
    return lines


def _padded(image: UInt8[np.ndarray, "h w 3"], height: int) -> UInt8[np.ndarray, "height w 3"]:
    canvas = np.full((height, *image.shape[1:]), BACKGROUND, np.uint8)
    canvas[: image.shape[0]] = image
    return canvas
