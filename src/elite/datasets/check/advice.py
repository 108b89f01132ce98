"""Advice in words: deviations of a survey from the description of the data set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from elite.datasets.check.alignment import Alignment
from elite.datasets.check.beam_pattern import elevation_text, matching_sensor
from elite.datasets.check.camera_measures import CameraMeasures
from elite.datasets.check.label_ids import foreign_ids
from elite.datasets.check.orientation import axis_words, quarter_turn
from elite.datasets.check.scan_measures import ScanMeasures
from elite.datasets.check.survey import Survey
from elite.datasets.check.time_offset import TimeOffset
from elite.datasets.doubts import AT_ORIGIN, BEYOND, DARKEST, full_scale, is_other_height
from elite.sensor import SensorSpec
from elite.taxonomy import Taxonomy

TURNED = 30.0  # degrees between x and the direction of motion
_DUPLICATES = 0.02  # share of points
TILT = 6.0  # degrees
_BEAMS, AZIMUTH_STEP = 0.15, 0.15  # relative deviations
_CHANCE, _CLEAR, _BETTER = 2.0, 2.5, 0.8  # standard deviations of the scores of shifted projections
_OFFSET_S = 0.02
_FEWEST_EDGES = 50


@dataclass(frozen=True)
class Advice:
    """A deviation from the description.

    Attributes:
        kind: of the doubtful property, as in ``elite.datasets.input_guard``, or another word.
        message: the expected and the found value, and a remedy.
        is_certain: whether the description or the files are to be changed; otherwise the user is to look at a picture.
    """

    kind: str
    message: str
    is_certain: bool = True


def advise(survey: Survey, sensor: SensorSpec, taxonomy: Taxonomy) -> list[Advice]:
    """Compare a survey with the description of the sensor and the classes; most harmful deviations first."""
    found: list[Advice] = []
    if (scans := survey.scans) is not None:
        found += [*_unit(survey), *_axes(survey, sensor), *_remission(scans, sensor, survey.intensities)]
    found += _labels(survey, taxonomy)
    if scans is not None:
        found += _returns(scans, sensor)
    for name, camera in survey.cameras.items():
        found += _camera(name, camera)
    if scans is not None and not any(advice.kind in ("unit", "axes") for advice in found):
        found += [*_height(scans, sensor), *_beams(scans, sensor)]
    return sorted(found, key=lambda advice: not advice.is_certain)


def _unit(survey: Survey) -> Iterator[Advice]:
    if survey.unit is not None and survey.scans is not None:
        divisor, name = survey.unit
        remedy = f"Divide x, y and z by {divisor}" if divisor else "Convert the scans to metres in the sensor frame"
        yield Advice(
            "unit",
            f"scans: expected metres, found distances of up to {survey.scans.ranges[2]:,.0f} (99 % of the points), in "
            f"{name}. {remedy}.",
        )


def _axes(survey: Survey, sensor: SensorSpec) -> Iterator[Advice]:
    """Axes by the ground, and by the direction of motion."""
    turn = np.eye(3) if survey.turn is None else survey.turn
    heading = survey.heading if survey.turn is None else None
    is_turned = heading is not None and abs(heading) > TURNED
    if survey.turn is None and not is_turned:
        return
    if is_turned and heading is not None:
        turn = quarter_turn(heading)
    found = f"the vehicle moves {_direction(heading)}" if heading is not None else "the ground is not below the sensor"
    yield Advice(
        "axes",
        f"sensor.axes: expected x forward, y left, z up, found that {found}. Set 'axes: "
        f"{axis_words(turn @ sensor.to_ours)}' in the description of the sensor, or turn the points.",
    )


def _direction(heading: float) -> str:
    """Direction in words, of degrees to the left of x."""
    side = "left" if heading > 0 else "right"
    return "backwards (along -x)" if abs(heading) > 150 else f"{abs(heading):.0f} degrees to the {side} of x"


def _remission(scans: ScanMeasures, sensor: SensorSpec, fields: tuple[str, ...]) -> Iterator[Advice]:
    if "remission" not in sensor.columns:
        return
    first, *others = fields or ("",)
    highest = sensor.remission_max * scans.remission[-1]
    expected = f"sensor.intensity: expected 0..{sensor.remission_max:g}, found up to {highest:.4g}."
    bright = sensor.remission_max * scans.bright
    if scans.unusual > BEYOND or 0 < scans.bright < DARKEST:
        name = f"field: {first}, " if first else ""
        another = f" To read {' or '.join(others)} instead, name it as the field, with its own max." if others else ""
        yield Advice(
            "remission",
            f"{expected} Set 'intensity: {{{name}max: {full_scale(bright):g}}}' in the description of the sensor."
            f"{another}",
        )
    elif scans.remission[0] == scans.remission[-1]:
        yield Advice(
            "remission",
            f"{expected} All points are equal: name another field ('intensity: {{field: reflectivity}}').",
            is_certain=False,
        )


def _labels(survey: Survey, taxonomy: Taxonomy) -> Iterator[Advice]:
    if (message := foreign_ids(survey.ids, taxonomy)) is not None:
        yield Advice("ids", f"labels: {message}")
    for name, height in survey.raised.items():
        yield Advice(
            "ids",
            f"labels: expected {name} on the ground, found half of its points {height:.1f} m or more above it. Check "
            "that the ids in the files are those of 'names', not of another labelling.",
        )


def _returns(scans: ScanMeasures, sensor: SensorSpec) -> Iterator[Advice]:
    if sensor.missing_returns:
        return
    if scans.no_return > AT_ORIGIN and sensor.no_return == "keep":
        yield Advice(
            "no-returns",
            f"scans: expected measured points, found {scans.no_return:.0%} at the origin or not finite. Set "
            "'no_return: drop' in the description of the sensor.",
        )
    if scans.duplicates > _DUPLICATES:
        yield Advice(
            "duplicates",
            f"scans: expected each point once, found {scans.duplicates:.0%} with the coordinates of another one. "
            "Remove the copies, or beams without a return, from scans and labels.",
        )


def _camera(name: str, camera: CameraMeasures) -> Iterator[Advice]:
    found = camera.alignment
    if found is None or found.points < _FEWEST_EDGES:
        return
    best, offset = found.sigmas(found.best_score), camera.offset
    if offset is not None and _is_at_another_time(found, offset):
        when = "later" if offset.best > 0 else "earlier"
        yield Advice(
            "times",
            f"cameras.{name}: expected images at their stated times, found that they match best "
            f"{1000 * abs(offset.best):.0f} ms {when} (± {1000 * offset.uncertainty:.0f} ms). Add {offset.best:.3f} to "
            "the 'time_offset' of the camera in dataset.yaml (default 0), or correct the times.",
        )
    elif best >= _CLEAR and best - found.sigmas(found.near_score) >= _BETTER:
        yield Advice(
            "alignment",
            f"cameras.{name}: expected depth edges on image edges, found the best match {_shift(found.best)}. Check "
            "T_cam_lidar, K, the lens, the size of the images and the times, and look at --pictures.",
        )
    elif found.sigmas(found.near_score) < _CHANCE:
        yield Advice(
            "alignment",
            f"cameras.{name}: expected depth edges on image edges, found a match near chance (score {found.score:.2f}, "
            f"chance {found.chance:.2f} ± {found.spread:.2f}). Look at --pictures: vegetation gives no edges, and a "
            "wrong calibration gives none either.",
            is_certain=False,
        )


def _is_at_another_time(found: Alignment, offset: TimeOffset) -> bool:
    """Whether another time matches clearly better than the stated one, and than another direction."""
    score = found.sigmas(offset.best_score)
    is_clear = score >= _CLEAR and score - found.sigmas(offset.stated_score) >= _BETTER
    is_other = max(offset.low, -offset.high) > 0 and abs(offset.best) >= _OFFSET_S
    return offset.is_determined and is_other and is_clear and offset.best_score >= found.best_score


def _shift(best: tuple[float, float]) -> str:
    """Shift (degrees to the right, degrees down) in words."""
    right, down = best
    parts = [f"{abs(right):.1f} degrees to the {'right' if right > 0 else 'left'}"] if right else []
    parts += [f"{abs(down):.1f} degrees {'down' if down > 0 else 'up'}"] if down else []
    return " and ".join(parts)


def _height(scans: ScanMeasures, sensor: SensorSpec) -> Iterator[Advice]:
    if scans.ground is None:
        return
    if sensor.height is not None and is_other_height(scans.ground, -sensor.height):
        yield Advice(
            "height",
            f"sensor.height: expected the ground at z = {-sensor.height:.2f} m, found it at {scans.ground:.2f} m. Set "
            f"'height: {-scans.ground:.2f}' in the description of the sensor, and train with --grid.heights ground.",
        )
    if scans.tilt is not None and scans.tilt > TILT:
        yield Advice(
            "tilt",
            f"scans: expected level ground, found it tilted by {scans.tilt:.0f} degrees. Rotate the points (and "
            "T_cam_lidar) so that z is up, unless the road is steep.",
            is_certain=False,
        )


def is_other_number(beams: int, stated: int) -> bool:
    """Whether so many beams are those of another LiDAR than the stated one (0 = unknown)."""
    return stated > 0 and abs(beams - stated) > _BEAMS * stated


def _beams(scans: ScanMeasures, sensor: SensorSpec) -> Iterator[Advice]:
    if scans.beams is None or scans.lowest is None or scans.highest is None:
        return
    count, stated = round(scans.beams), len(sensor.elevations)
    likely = matching_sensor(count, scans.lowest, scans.highest)
    if is_other_number(count, stated):
        remedy = f"Set 'preset: {likely}'" if likely else "Set the elevations"
        yield Advice(
            "beams",
            f"sensor: expected {stated} beams, found {count} from "
            f"{elevation_text(scans.lowest, scans.highest)}. {remedy} in the description of the sensor.",
        )
    elif not stated and likely:
        yield Advice(
            "beams",
            f"sensor: expected a description of the beams, found none. Set 'preset: {likely}', whose {count} beams "
            "have these elevations, for the occlusion test of images.",
            is_certain=False,
        )
    step = sensor.azimuth_step
    if stated and step and scans.azimuth_step and abs(scans.azimuth_step - step) > AZIMUTH_STEP * step:
        yield Advice(
            "azimuth",
            f"sensor.azimuth_step: expected {step:g} degrees, found {scans.azimuth_step:.3f}. Set 'azimuth_step: "
            f"{scans.azimuth_step:.3f}' in the description of the sensor.",
        )
