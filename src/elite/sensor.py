"""Sensors: the order and units of a point in the files of a LiDAR, its axes, and the directions of its beams."""

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float32, Float64

from elite.config import from_plain, plain
from elite.descriptions import packaged_names, read_description
from elite.errors import ConfigError
from elite.files import write_bytes

_PACKAGED = Path(__file__).parent / "sensors"
_AXIS = re.compile(r"([+-]?)([xyz])")
_REQUIRED = ("x", "y", "z")


@dataclass(frozen=True)
class SensorSpec:
    """A LiDAR, as far as the library depends on it.

    Attributes:
        name: such as ``hdl-64e``.
        columns: names of the numbers of a point, in the order of the file. ``x``, ``y`` and ``z`` are required; without
            ``remission`` it is 0.
        remission_max: value in the files that becomes a remission of 1.
        axes: axes of the files that point forward, left and up, such as ``("y", "-x", "z")``.
        elevations: of the beams, in degrees above the horizon, ascending; none = unknown.
        azimuth_step: angle between two firings, in degrees; None = unknown.
        height: of the sensor above the ground, in metres; None = unknown.
        range: largest measured distance, in metres; None = unknown. It matters to rendered scans only, so sensors that
            differ in it are equal.
        missing_returns: whether files contain points for beams without a return. They need a label like any other.

    Raises:
        ConfigError: impossible values.
    """

    name: str
    columns: tuple[str, ...] = ("x", "y", "z", "remission")
    remission_max: float = 1.0
    axes: tuple[str, str, str] = ("x", "y", "z")
    elevations: tuple[float, ...] = ()
    azimuth_step: float | None = None
    height: float | None = None
    range: float | None = field(default=None, compare=False)
    missing_returns: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise ConfigError(f"sensor: expected a printable name, found {self.name!r}. Correct the name.")
        missing = [column for column in _REQUIRED if self.columns.count(column) != 1]
        self._require(not missing, "columns with x, y and z once", self.columns)
        self._require(len(set(self.columns)) == len(self.columns), "columns that differ", self.columns)
        self._require(0 < self.remission_max < float("inf"), "a positive remission_max", self.remission_max)
        matched = [_AXIS.fullmatch(axis) for axis in self.axes]
        is_frame = all(matched) and {m[2] for m in matched if m} == set(_REQUIRED)
        self._require(is_frame, "axes such as [y, -x, z] for forward, left and up", self.axes)
        self._require(np.linalg.det(self.to_ours) > 0, "right-handed axes", self.axes)
        rises = all(a < b for a, b in zip(self.elevations, self.elevations[1:], strict=False))
        within = all(-90 < angle < 90 for angle in self.elevations)
        self._require(rises and within, "ascending elevations in (-90, 90) degrees", self.elevations)
        step = self.azimuth_step
        self._require(step is None or 0 < step < 90, "an azimuth_step in (0, 90) degrees", step)
        self._require(self.height is None or 0 < self.height < 100, "a height in (0, 100) m", self.height)
        self._require(self.range is None or 0 < self.range < 1000, "a range in (0, 1000) m", self.range)

    def _require(self, condition: bool, expected: str, found: Any) -> None:
        if not condition:
            raise ConfigError(f"sensor {self.name}: expected {expected}, found {found}. Change the value.")

    @cached_property
    def to_ours(self) -> Float64[np.ndarray, "3 3"]:
        """Rotation from the axes of the files to x forward, y left, z up."""
        signs = [-1.0 if axis.startswith("-") else 1.0 for axis in self.axes]
        return np.array(
            [[sign * axis.endswith(other) for other in _REQUIRED] for sign, axis in zip(signs, self.axes, strict=True)]
        )

    def points_of(self, rows: Float32[np.ndarray, "n columns"]) -> Float32[np.ndarray, "n 3"]:
        """Coordinates of the rows of a file, x forward, y left, z up."""
        xyz = rows[:, [self.columns.index(axis) for axis in _REQUIRED]]
        return xyz if self.axes == _REQUIRED else (xyz @ self.to_ours.T.astype(np.float32))

    def remission_of(self, rows: Float32[np.ndarray, "n columns"]) -> Float32[np.ndarray, "n"]:
        """Remission (0 to 1) of the rows of a file."""
        if "remission" not in self.columns:
            return np.zeros(len(rows), np.float32)
        return rows[:, self.columns.index("remission")] / np.float32(self.remission_max)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for files and checkpoints; see ``sensor_from``."""
        return plain(self)


def sensor_from(values: Any, source: str) -> SensorSpec:
    """Build a sensor from the plain values of a file; ``source`` names it.

    The values can contain ``preset``, the name of a packaged sensor: the others then replace its values.

    Raises:
        ConfigError: other values.
    """
    try:
        return from_plain(SensorSpec, _with_preset(values))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _with_preset(values: Any) -> Any:
    if not isinstance(values, dict) or "preset" not in values:
        return values
    if not isinstance(preset := values["preset"], str) or preset not in packaged_sensors():
        raise ConfigError(f"preset: expected {', '.join(packaged_sensors())}, found {preset!r:.60}. Correct the name.")
    return load_sensor(preset).to_dict() | {key: value for key, value in values.items() if key != "preset"}


def load_sensor(name: str | Path) -> SensorSpec:
    """Load a packaged sensor by its name, or the one of a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that describes no sensor.
    """
    return _packaged(str(name)) if str(name) in packaged_sensors() else _read(name)


def write_sensor(path: Path, sensor: SensorSpec) -> None:
    """Write a YAML file that ``load_sensor`` reads."""
    write_bytes(path, yaml.safe_dump(sensor.to_dict(), sort_keys=False, default_flow_style=None, width=120).encode())


def packaged_sensors() -> tuple[str, ...]:
    """Names of the sensors in the package."""
    return packaged_names(_PACKAGED)


def _read(name: str | Path) -> SensorSpec:
    description = read_description(name, _PACKAGED, "sensor")
    with description.located():
        return from_plain(SensorSpec, _with_preset(description.values))


_packaged = cache(_read)
