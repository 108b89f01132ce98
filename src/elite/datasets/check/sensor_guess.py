"""A LiDAR described from its scans: beams, intensity, axes and height, as the ``sensor`` of ``dataset.yaml``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elite.datasets.check.advice import AZIMUTH_STEP, TILT, TURNED, is_other_number
from elite.datasets.check.beam_pattern import elevation_text
from elite.datasets.check.beam_table import BeamTable, beam_table, fitting_sensor, nearest_sensor
from elite.datasets.check.orientation import axis_words, length_unit, quarter_turn, upright
from elite.datasets.check.sampled_scans import IntensityField, SampledScan, intensity_fields
from elite.datasets.check.scan_measures import ScanMeasures, majority, measure_scan, measured, pooled
from elite.datasets.doubts import LEVEL
from elite.sensor import SensorSpec, load_sensor, packaged_sensors
from elite.shapes import Float64
from elite.types import Scan

_LOWEST, _HIGHEST = -10.0, -0.3  # metres: z of the ground below a sensor on a vehicle


@dataclass(frozen=True)
class SensorGuess:
    """Description of a LiDAR from its scans.

    Attributes:
        scans: number of measured scans.
        measures: their medians, in our axes, with the remission of the first of ``intensities``.
        intensities: all intensity fields, the preferred one first.
        beams: None = not visible in the points.
        preset: packaged sensor with these beams; None = there is none.
        reason: of the preset, as a sentence without its end.
        unit: name of the unit if it is not metres.
        axes: directions of x, y and z; None = as expected.
        heading: direction of motion, in degrees to the left of x; None = unknown.
        settings: plain values for ``sensor`` of ``dataset.yaml``.
        notes: sentences about properties to look at.
    """

    scans: int
    measures: ScanMeasures
    intensities: tuple[IntensityField, ...]
    beams: BeamTable | None
    preset: str | None
    reason: str
    unit: str | None
    axes: str | None
    heading: float | None
    settings: dict[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        beams = self.beams
        return {
            "scans": self.scans,
            "scan": self.measures.to_dict(),
            "intensities": [vars(field) | {"quantiles": list(field.quantiles)} for field in self.intensities],
            "beams_from": None if beams is None else beams.source,
            "elevations": None if beams is None else sorted(beams.elevations.round(3).tolist()),
            "preset": self.preset,
            "reason": self.reason,
            "unit": self.unit,
            "axes": self.axes,
            "heading": self.heading,
            "settings": self.settings,
        }


def guess_sensor(
    scans: Sequence[SampledScan],
    *,
    heading: float | None = None,
    stated: SensorSpec | None = None,
    columns: Sequence[str] | None = None,
) -> SensorGuess:
    """Describe the sensor of scans.

    Args:
        scans: at least one.
        heading: direction of motion in the axes of the files, in degrees to the left of x.
        stated: what is known of the sensor; its axes and its field of intensity are used, and its values are kept.
        columns: of files that do not name their fields; None = they do, so that the description names the intensity.
    """
    unit = majority([length_unit(scan.points[measured(scan.points)]) for scan in scans])
    turn = _turn(scans, heading, stated, is_metric=unit is None)
    turned = [scan.turned(turn) for scan in scans]
    intensities = intensity_fields(scans)
    if stated is not None and stated.intensity_field:
        intensities = tuple(sorted(intensities, key=lambda field: field.name.lower() != stated.intensity_field))
    intensity = next((field for field in intensities if field.scale != "constant"), None)
    measures = pooled([_measure(scan, intensity) for scan in turned])
    beams = beam_table(turned)
    preset = None if beams is None else fitting_sensor(beams)
    is_turned = not np.array_equal(turn, np.eye(3))
    guess = SensorGuess(
        *(len(scans), measures, intensities, beams, preset, _reason(beams, preset)),
        unit=None if unit is None else unit[1],
        axes=axis_words(turn) if is_turned else None,
        heading=heading,
        settings={},
        notes=(),
    )
    settings = _settings(guess, intensity, columns, stated)
    notes = [*_beam_notes(turned, beams, stated), *_notes(guess, intensity, unit)]
    return replace(guess, settings=settings, notes=tuple(notes))


def _turn(
    scans: Sequence[SampledScan], heading: float | None, stated: SensorSpec | None, *, is_metric: bool
) -> Float64[np.ndarray, "3 3"]:
    """Rotation to our axes: the stated one, or that which puts the ground below and the motion along x."""
    if stated is not None:
        return stated.to_ours
    turn = majority([upright(scan.points[measured(scan.points)]) for scan in scans]) if is_metric else None
    if turn is not None:
        return turn
    return np.eye(3) if heading is None or abs(heading) <= TURNED else quarter_turn(heading)


def _measure(scan: SampledScan, intensity: IntensityField | None) -> ScanMeasures:
    remission = np.zeros(len(scan), np.float32)
    if intensity is not None:
        remission = scan.intensities[intensity.name] / np.float32(intensity.max)
    stored = np.column_stack([scan.points, remission])
    kept = measured(scan.points)
    rings = scan.rings[0]
    kept_rings = None if rings is None else rings[kept]
    return measure_scan(stored, Scan(scan.points[kept], np.nan_to_num(remission[kept]), kept), kept_rings)


def _reason(beams: BeamTable | None, preset: str | None) -> str:
    if beams is None:
        return "none: beams are visible neither in a field nor in the order of the points"
    if preset is not None:
        count = len(load_sensor(preset).elevations)
        seen = beams.described() if len(beams.numbers) == count else f"{beams.described()} (the others have no points)"
        return f"{preset}: {seen}"
    near = nearest_sensor(beams)
    stated = load_sensor(near).elevations
    nearest = f"{near} ({len(stated)} beams, {elevation_text(stated[0], stated[-1])})"
    return f"none fits {beams.described()}; nearest: {nearest}"


def _settings(
    guess: SensorGuess,
    intensity: IntensityField | None,
    columns: Sequence[str] | None,
    stated: SensorSpec | None,
) -> dict[str, Any]:
    """Values for ``dataset.yaml``; those of the ``stated`` sensor replace guessed ones."""
    known: dict[str, Any] = {}
    if stated is not None:
        known = {"preset": stated.name} if stated.name in packaged_sensors() else stated.to_settings()
    found = {**({} if known else _beam_settings(guess)), **known}
    ground = guess.measures.ground
    if ground is not None and _LOWEST < ground < _HIGHEST and guess.unit is None:
        found.setdefault("height", round(-ground, 2))
    if guess.axes is not None and stated is None:
        found["axes"] = guess.axes
    if not found.keys() & {"intensity", "intensity_field", "remission_max"} and not _is_scaled(stated):
        found |= _intensity_settings(intensity, columns is None)
    if guess.measures.no_return > 0:
        found.setdefault("no_return", "drop")
    if columns is not None and stated is None and (*columns,) != SensorSpec.columns:
        found["columns"] = [*columns]
    return found


def _is_scaled(stated: SensorSpec | None) -> bool:
    return stated is not None and stated.remission_max != 1


def _beam_settings(guess: SensorGuess) -> dict[str, Any]:
    step = guess.measures.azimuth_step
    if guess.preset is not None:
        usual = load_sensor(guess.preset).azimuth_step
        is_other = bool(step and usual and abs(step - usual) > AZIMUTH_STEP * usual)
        return {"preset": guess.preset} | ({"azimuth_step": round(step, 4)} if step and is_other else {})
    if guess.beams is None or guess.beams.source == "points" or step is None:
        return {}
    return {"elevations": np.unique(guess.beams.elevations.round(2)).tolist(), "azimuth_step": round(step, 4)}


def _intensity_settings(intensity: IntensityField | None, names_fields: bool) -> dict[str, Any]:
    if intensity is None:
        return {"columns": ["x", "y", "z"]} if names_fields else {}
    values: dict[str, Any] = {"field": intensity.name} if names_fields else {}
    if intensity.max != 1:
        values["max"] = int(intensity.max) if intensity.max.is_integer() else intensity.max
    return {"intensity": values} if values else {}


def _beam_notes(scans: Sequence[SampledScan], beams: BeamTable | None, stated: SensorSpec | None) -> Iterator[str]:
    if all(scan.numbers is not None and scan.rings[1] != "field" for scan in scans):
        yield (
            "expected points of one elevation for each number of a beam, found others. Give the points in the frame of "
            "their sensor."
        )
    if stated is not None and beams is not None and is_other_number(len(beams.numbers), len(stated.elevations)):
        expected = f"expected {len(stated.elevations)} beams of {stated.name}, found {beams.described()}"
        yield f"{expected}. Check --sensor."


def _notes(guess: SensorGuess, intensity: IntensityField | None, unit: tuple[int, str] | None) -> Iterator[str]:
    measures = guess.measures
    if unit is not None:
        remedy = f"Divide x, y and z by {unit[0]}" if unit[0] else "Convert the scans to metres in the sensor frame"
        yield f"expected metres, found distances of up to {measures.ranges[2]:,.0f} in {unit[1]}. {remedy}."
    elif measures.ground is None:
        yield "expected level ground around the sensor, found none. Give the sensor its height and its axes."
    if guess.axes is not None:
        known = "" if guess.heading is not None else " Which axis points forward is not known without poses."
        yield f"expected x forward, y left, z up, found {guess.axes}. Give the sensor these axes, as below.{known}"
    if measures.tilt is not None and measures.tilt > TILT:
        yield f"expected level ground, found it tilted by {measures.tilt:.0f} degrees. Check the axes and the mounting."
    if intensity is None:
        found = f"{guess.intensities[0].name} with one value" if guess.intensities else "none"
        yield f"expected an intensity, found {found}. Train without it, or record it."
    elif intensity.scale == "raw":
        yield (
            f"expected an intensity in 0..1 or 0..255, found {intensity.name} up to {intensity.quantiles[-1]:,.4g} "
            f"({LEVEL:.0%}: {intensity.quantiles[2]:,.4g}). Check the maximum below, or record a reflectivity."
        )
