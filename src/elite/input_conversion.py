"""Conversion of scans to those that a student was trained with, where its user states a difference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from elite.datasets.doubts import Kind
from elite.datasets.input_guard import InputGuard
from elite.errors import ConfigError, DataError
from elite.remission import Quantiles, mapped_by_rank
from elite.shapes import Float32
from elite.student.trained import TrainedStudent

if TYPE_CHECKING:
    from elite.student.spvcnn import SPVCNN

Intensity = Literal["scale", "quantile", "zero"]


@dataclass(frozen=True)
class InputConversion:
    """Conversion of the points and the remission of a scan.

    Attributes:
        intensity: scale = remission as given, which readers divide by the largest value of the sensor; quantile =
            replaced by the training value of the same rank; zero = 0 for all points.
        shift: added to z, in metres.
        quantiles: of the remission of the training scans.
    """

    intensity: Intensity = "scale"
    shift: float = 0.0
    quantiles: Quantiles | None = None

    def points(self, points: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
        """Shift points to the mounting height of the training scans."""
        return points + np.array([0, 0, self.shift], np.float32) if self.shift else points

    def remission(self, remission: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Convert the remission of a scan."""
        if self.intensity == "zero":
            return np.zeros_like(remission)
        if self.intensity == "quantile":
            assert self.quantiles is not None
            return mapped_by_rank(remission, self.quantiles)
        return remission


def conversion_for(student: "TrainedStudent | SPVCNN", intensity: Intensity, height: float | None) -> InputConversion:
    """Conversion of scans for a student.

    Args:
        student: with the sensor and the remission of its training scans.
        intensity: as in ``InputConversion``.
        height: mounting height of the sensor of the scans, in metres; None = that of the training scans.

    Raises:
        ConfigError: the student file lacks the remission or the height of the training scans.
    """
    if intensity not in ("scale", "quantile", "zero"):
        raise ConfigError(f"intensity: expected scale, quantile or zero, found '{intensity}'. Correct the name.")
    if intensity == "quantile" and student.remission is None:
        raise ConfigError(
            "intensity: expected a student that records the remission of its training scans, found one of an earlier "
            "version or of another program. Give --intensity zero, or train again."
        )
    if height is None:
        return InputConversion(intensity, quantiles=student.remission)
    if student.sensor.height is None:
        raise ConfigError(
            f"height: expected a student whose sensor has a height, found none for {student.sensor.name}. Shift z "
            "yourself, or train with 'height' for the sensor."
        )
    shift = np.float32(height) - np.float32(student.sensor.height)  # as programs that call libelite
    return InputConversion(intensity, float(shift), student.remission)


def guard_for(
    student: "TrainedStudent | SPVCNN", conversion: InputConversion, report: Callable[[str], None], strict: bool
) -> InputGuard:
    """Guard of the scans of a student before their conversion; ``report`` and ``strict`` as those of the guard."""
    sensor, (low, high), shift = student.sensor, student.config.volume, conversion.shift
    if sensor.height is not None:
        sensor = replace(sensor, height=sensor.height + shift)
    volume = (*low[:2], low[2] - shift), (*high[:2], high[2] - shift)
    ignored: dict[Intensity, tuple[Kind, ...]] = {"quantile": ("remission",), "zero": ("remission", "intensity field")}
    kinds = ignored.get(conversion.intensity, ())
    return InputGuard(volume, report, strict=strict, sensor=sensor, remission=student.remission, ignored=kinds)


def require_scan(
    points: ArrayLike, remission: ArrayLike, source: object
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n"]]:
    """Check the arrays of a scan, and return them as contiguous float32 arrays.

    Raises:
        DataError: other shapes, or numbers that are not finite.
    """
    try:
        with np.errstate(over="ignore"):  # numbers too large become infinite and are refused below
            points, remission = np.asarray(points, np.float32), np.asarray(remission, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{source}: expected arrays of numbers, points (N, 3) and remission (N,), found others ({error}). Convert "
            "them to float32."
        ) from error
    if points.ndim != 2 or points.shape[1] != 3 or remission.shape != points.shape[:1]:
        raise DataError(
            f"{source}: expected points (N, 3) and remission (N,), found {points.shape} and {remission.shape}. Split "
            "an (N, 4) scan into scan[:, :3] and scan[:, 3]."
        )
    if not (np.isfinite(points).all() and np.isfinite(remission).all()):
        raise DataError(
            f"{source}: expected finite numbers, found NaN or infinite ones. Remove those points, "
            "or give elite.read(points)."
        )
    return np.ascontiguousarray(points), np.ascontiguousarray(remission)
