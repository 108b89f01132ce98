"""Tables of a survey as lines of text."""

from collections.abc import Iterator, Sequence

from elite.datasets.check.beam_pattern import elevation_text
from elite.datasets.check.camera_measures import CameraMeasures
from elite.datasets.check.scan_measures import RANGES, REMISSIONS, ScanMeasures
from elite.datasets.check.survey import Survey
from elite.datasets.check.trained import TrainedInput
from elite.remission import quantile
from elite.sensor import SensorSpec

_UNKNOWN = "-"
_Rows = list[tuple[str, ...]]


def survey_tables(survey: Survey, sensor: SensorSpec, trained: TrainedInput | None = None) -> Iterator[str]:
    """Yield the lines of the tables of the sensor and of the cameras, each after an empty one.

    The values of the training scans of a student are another column of the first one.
    """
    yield ""
    yield (
        f"{survey.labelled:,} labelled, {survey.unlabelled:,} unlabelled scans"
        + ("; --config few-labels trains on both" if survey.labelled and survey.unlabelled else "")
        + f" (measured: {len(survey.frames)})"
    )
    if survey.scans is not None:
        yield ""
        head = ("sensor", "found", f"stated ({sensor.name})")
        rows = [head, *_sensor_rows(survey, survey.scans, sensor)]
        if trained is not None:
            cells = {"sensor": f"trained ({trained.name})"} | _trained_cells(trained)
            rows = [(*row, cells.get(row[0], "")) for row in rows]
        yield from aligned(rows)
    if survey.cameras:
        yield ""
        yield from aligned([_CAMERA_HEAD, *(_camera_row(name, camera) for name, camera in survey.cameras.items())])


def _sensor_rows(survey: Survey, scans: ScanMeasures, sensor: SensorSpec) -> _Rows:
    return [
        ("points", f"{scans.stored:,.0f}, of which {scans.kept:.1%} are kept", ""),
        ("no returns", f"{scans.no_return:.1%}", "part of the files" if sensor.missing_returns else sensor.no_return),
        ("duplicates", f"{scans.duplicates:.1%}", ""),
        ("distance (m)", quantile_text(scans.ranges, RANGES), number_text(sensor.range, "up to {:g}")),
        ("remission", quantile_text(scans.remission, REMISSIONS, digits=3), "0 to 1"),
        ("ground (m)", number_text(scans.ground, "{:.2f}"), number_text(sensor.height and -sensor.height, "{:.2f}")),
        ("tilt (degrees)", number_text(scans.tilt, "{:.1f}"), ""),
        ("beams", _beams(scans.beams, scans.lowest, scans.highest), _stated_beams(sensor)),
        (
            "azimuth step",
            number_text(scans.azimuth_step, "{:.3f} degrees"),
            number_text(sensor.azimuth_step, "{:.3f} degrees"),
        ),
        ("motion", number_text(survey.heading, "{:.0f} degrees to the left of x"), "along x"),
    ]


def _trained_cells(trained: TrainedInput) -> dict[str, str]:
    """Values of the training scans, by the name of the row."""
    sensor, (low, high), quantiles = trained.sensor, trained.volume, trained.remission
    farthest = max(map(abs, (*low[:2], *high[:2])))
    return {
        "distance (m)": f"volume up to {farthest:g}",
        "remission": "not recorded"
        if quantiles is None
        else quantile_text([quantile(quantiles, share) for share in REMISSIONS], REMISSIONS, digits=3),
        "ground (m)": number_text(sensor.height and -sensor.height, "{:.2f}"),
        "beams": _stated_beams(sensor),
        "azimuth step": number_text(sensor.azimuth_step, "{:.3f} degrees"),
    }


def _stated_beams(sensor: SensorSpec) -> str:
    ends = sensor.elevations
    return _beams(len(ends), ends[0], ends[-1]) if ends else _UNKNOWN


def _beams(count: float | None, lowest: float | None, highest: float | None) -> str:
    if count is None or lowest is None or highest is None:
        return _UNKNOWN
    return f"{count:.0f}, {elevation_text(lowest, highest)}"


_CAMERA_HEAD = (
    *("camera", "images", "after scan (ms)", "looks left (degrees)", "points in image"),
    *("alignment (chance)", "best shift (degrees)", "best time (ms)"),
)


def _camera_row(name: str, camera: CameraMeasures) -> tuple[str, ...]:
    low, middle, high = (f"{1000 * gap:.0f}" for gap in camera.gaps or (0.0, 0.0, 0.0))
    found, offset = camera.alignment, camera.offset
    return (
        name,
        f"{camera.images:,} of {camera.frames:,}",
        f"{middle} ({low} to {high})" if camera.gaps else _UNKNOWN,
        number_text(camera.looks and round(camera.looks) + 0.0, "{:.0f}"),
        _UNKNOWN if camera.share is None else f"{camera.share:.1%}",
        f"{found.score:.2f} ({found.chance:.2f} ± {found.spread:.2f})" if found else _UNKNOWN,
        f"{found.best[0]:+.2f} right, {found.best[1]:+.2f} down" if found else _UNKNOWN,
        f"{1000 * offset.best:+.0f} ± {1000 * offset.uncertainty:.0f}" if offset and offset.is_determined else _UNKNOWN,
    )


def number_text(value: float | None, form: str, unknown: str = _UNKNOWN) -> str:
    """A number in a form such as ``{:.2f} m``."""
    return unknown if value is None else form.format(value)


def quantile_text(values: Sequence[float], shares: Sequence[float], digits: int = 1) -> str:
    """Median, and quantiles with their shares."""
    low, middle, high, largest = (f"{value:,.{digits}f}" for value in values)
    return f"{middle} ({100 * shares[0]:.0f} %: {low}, {100 * shares[2]:.0f} %: {high}, largest: {largest})"


def aligned(rows: _Rows) -> Iterator[str]:
    """Columns of equal widths."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}s}" for cell, width in zip(row, widths, strict=True)).rstrip()
