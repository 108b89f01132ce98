"""Doubtful properties of a single scan or image, each with the expected and the found value, and the setting to change.

The settings are those of a sensor: of ``dataset.yaml``, ``sensor.yaml``, or the file of ``--sensor``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from elite.datasets.surroundings import Ground
from elite.geometry import Volume, in_volume, pinhole
from elite.remission import Quantiles, quantile
from elite.shapes import Float32
from elite.types import Camera, PastPoints, Scan

Kind = Literal["no-returns", "intensity field", "remission", "height", "axes", "volume", "poses", "past scans"]

FEWEST = 500  # points: fewer suffice neither for the ground nor for a range of remission
_HEIGHT_TOLERANCE_M = 0.3  # metres; five real and 200 rendered scans lie within 0.1 m
_STEEPEST = 15.0  # degrees: slope of the ground in the sensor frame
AT_ORIGIN, _REPEATED = 0.01, 0.1  # shares of points at the origin, and of points that equal their predecessor
BEYOND = 0.001  # share of points with a remission outside 0..1
_BRIGHTEST, DARKEST = 1.0, 0.05  # range of the largest remission of a scan, if that of training is unknown
LEVEL, _UNLIKE = 0.95, 8.0  # quantile of the remission, and factor between those of sensors that differ in unit
_SAMPLED = 10_000  # points: a quantile of all takes milliseconds
_OUTSIDE = 0.5  # share of points outside the volume
_ABOVE = 0.5  # metres: ground this far above the sensor means that z points down
_LONGEST_STEP_M = 50.0  # metres between successive scans: half a volume
_OFF_CENTRE = 0.2  # of the image's width and height


@dataclass(frozen=True)
class Doubt:
    """A doubtful property of a scan. The message has the expected and the found value, and a remedy."""

    kind: Kind
    message: str


def past_doubts(past: PastPoints | None) -> Iterator[Doubt]:
    """Yield doubts if the sensor jumps between successive scans, or past scans cannot be read."""
    if past is None:
        return
    if past.longest_step > _LONGEST_STEP_M:
        yield Doubt(
            "poses",
            f"expected at most {_LONGEST_STEP_M:g} m between successive scans, found {past.longest_step:.4g} m by the "
            "poses. Check that they are in metres and belong to these scans, and that no scans are missing.",
        )
    for _, fault in past.faults[:1]:
        yield Doubt("past scans", f"expected its past scans, found {len(past.faults)} unreadable: {fault}")


def volume_doubts(scan: Scan, volume: Volume) -> Iterator[Doubt]:
    """Yield a doubt if most points are outside the volume."""
    outside = 1 - in_volume(scan.points, volume).mean()
    if _OUTSIDE < outside < 1:  # 1 is a certain fault, which raises an error elsewhere
        yield Doubt(
            "volume",
            f"expected most points in the volume {volume[0]} .. {volume[1]} m, found {outside:.0%} outside, which are "
            "labelled like their nearest neighbour inside. Give metres in the sensor frame (x forward, y left, z up), "
            "or 'axes' for the sensor.",
        )


def no_return_doubts(scan: Scan) -> Iterator[Doubt]:
    """Yield a doubt if many points are at the origin, or equal to their predecessor."""
    x, y, z = scan.points.T
    at_origin = float(((x == 0) & (y == 0) & (z == 0)).mean())
    if at_origin > AT_ORIGIN:
        yield Doubt(
            "no-returns",
            f"expected measured points only, found {at_origin:.0%} at the origin: points without a return. Give "
            "'no_return: drop' for the sensor, or remove them from scan and labels. Otherwise, they are labelled like "
            "measured points.",
        )
    elif len(scan) >= FEWEST:
        repeated = float(((x[1:] == x[:-1]) & (y[1:] == y[:-1]) & (z[1:] == z[:-1])).mean())
        if repeated > _REPEATED:
            yield Doubt(
                "no-returns",
                f"expected measured points only, found {repeated:.0%} equal to the previous point: points without a "
                "return, or duplicates. Write those without a return as zeros and give 'no_return: drop' for the "
                "sensor.",
            )


def field_doubts(scan: Scan) -> Iterator[Doubt]:
    """Yield a doubt if another field may be the remission, so that a remedy for its values may concern a wrong one."""
    if (message := unnamed_field(scan)) is not None:
        yield Doubt("intensity field", message)


def unnamed_field(scan: Scan) -> str | None:
    """Describe a choice among several fields that the sensor does not state; None if there is none."""
    if not scan.candidates:
        return None
    first, *others = scan.candidates
    return (
        f"expected one intensity field, or a sensor that names it, found {' and '.join(scan.candidates)}, of which "
        f"{first} is read. Give the field of the training scans and its value that means 1, such as 'intensity: "
        f"{{field: {others[0]}, max: 255}}', for the sensor."
    )


def remission_doubts(scan: Scan, trained: Quantiles | None = None) -> Iterator[Doubt]:
    """Yield a doubt if the remission is probably not in 0..1, or unlike that of the ``trained`` scans."""
    remission = scan.remission
    if trained is not None and max(trained) == 0:
        message = _not_zero(remission)
    else:
        message = out_of_range(remission, trained or (0.0, _BRIGHTEST))
        if message is None and len(remission) >= FEWEST:
            message = _zero(remission) or _other_unit(remission, trained)
    if message is not None:
        yield Doubt("remission", message)


def _not_zero(remission: Float32[np.ndarray, "n"]) -> str | None:
    if not remission.any():
        return None
    return (
        f"expected remission 0 for all points, as in the training scans, found {_range(remission)}. Give --intensity "
        "zero."
    )


def out_of_range(remission: Float32[np.ndarray, "n"], trained: Quantiles = (0.0, _BRIGHTEST)) -> str | None:
    """Describe remission outside the range of the ``trained`` scans; None if it is within."""
    low, high = min(trained[0], 0.0), max(trained[-1], _BRIGHTEST)
    message = f"expected remission in {low:g}..{high:g}, found {_range(remission)}."
    if float((remission < low).mean()) > BEYOND:
        return f"{message} Give another 'intensity: {{field: NAME}}' for the sensor."
    if float((remission > high).mean()) > BEYOND:
        return f"{message} {_division(full_scale(_largest(remission)) / high)}."
    return None


def _zero(remission: Float32[np.ndarray, "n"]) -> str | None:
    if remission.any():
        return None
    return (
        "expected remission in 0..1, found 0 for all points. Give 'intensity: {field: NAME}' for the sensor. If it has "
        "none, give 'columns' without remission to train, and --intensity zero to predict."
    )


def _other_unit(remission: Float32[np.ndarray, "n"], trained: Quantiles | None) -> str | None:
    if trained is None:
        if float(remission.max()) >= DARKEST:
            return None
        return f"expected remission in 0..1, found {_range(remission)}. {_division(full_scale(_largest(remission)))}."
    usual, level = quantile(trained, LEVEL), remission_level(remission)
    if not is_other_unit(level, usual):
        return None
    remedy = _division(_two_digits(level / usual)) if level else "Give another 'intensity: {field: NAME}'"
    return (
        f"expected a remission of up to about {usual:.2g} in {LEVEL:.0%} of the points, as in the training scans, "
        f"found up to {level:.2g}. {remedy}, or --intensity quantile."
    )


def remission_level(remission: Float32[np.ndarray, "n"]) -> float:
    """Remission that 95 % of the points do not exceed."""
    return float(np.quantile(remission[:: len(remission) // _SAMPLED + 1], LEVEL))


def is_other_unit(level: float, usual: float) -> bool:
    """Whether a level of remission differs so much from the usual one (0 = unknown) that the unit is another one."""
    return usual > 0 and not usual / _UNLIKE <= level <= usual * _UNLIKE


def is_other_height(ground: float, usual: float) -> bool:
    """Whether two heights of the ground (z, m) are those of different mountings."""
    return abs(ground - usual) > _HEIGHT_TOLERANCE_M


def _range(remission: Float32[np.ndarray, "n"]) -> str:
    return f"{float(remission.min()):g} to {float(remission.max()):g}"


def _division(divisor: float) -> str:
    setting = f"'intensity: {{max: {divisor:g}}}' of the sensor"
    return f"Divide it by {divisor:g}, such as by {setting} ('max' times {divisor:g}, if the sensor has one)"


def _largest(remission: Float32[np.ndarray, "n"]) -> float:
    """Value that almost no point exceeds; of bytes no point."""
    top = float(remission.max())
    return top if 2 < top <= 255 else float(np.quantile(remission, 0.999))


def full_scale(largest: float) -> float:
    """Value that probably means a remission of 1, from one that almost no point exceeds.

    It is 255 of a byte, otherwise the next number of two digits.
    """
    if 2 < largest <= 255:
        return 255.0
    power = 10.0 ** (math.floor(math.log10(max(largest, 1e-6))) - 1)
    return float(f"{math.ceil(round(largest / power, 6)) * power:.2g}")


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def ground_doubts(ground: Ground, sensor_height: float | None) -> Iterator[Doubt]:
    """Yield a doubt if the ground is not level, or not at the mounting height of the sensor below it."""
    if ground.slope > _STEEPEST or ground.height > _ABOVE:
        yield Doubt(
            "axes",
            f"expected level ground below the sensor (z up), found it at z = {ground.height:.2f} m with a slope of "
            f"{ground.slope:.0f} degrees. Give the sensor the directions of x, y and z, such as 'axes: "
            "forward-right-down', or rotate the points.",
        )
    elif sensor_height is not None and is_other_height(ground.height, -sensor_height):
        height = f"{max(-ground.height, 0):.2f}"
        yield Doubt(
            "height",
            f"expected the ground at z = {-sensor_height:.2f} m, found it at {ground.height:.2f} m. If these are "
            f"metres, give --height {height} to shift z by {-sensor_height - ground.height:+.2f} m, or train with "
            f"'height: {height}' for the sensor.",
        )


def size_doubt(camera: Camera, height: int, width: int) -> str | None:
    """Describe an image size that does not match the calibration; None if it does.

    The principal point of a camera lies near the middle of its image. It does not after the image was resized.
    """
    intrinsics, _, _ = pinhole(camera)
    u, v = intrinsics[:2, 2]
    if abs(u - width / 2) <= _OFF_CENTRE * width and abs(v - height / 2) <= _OFF_CENTRE * height:
        return None
    return (
        f"expected the principal point of {camera.name} near the middle of the {width} x {height} pixels, found "
        f"({u:.0f}, {v:.0f}) in the calibration. Give images of the calibrated size, or scale the calibration."
    )
