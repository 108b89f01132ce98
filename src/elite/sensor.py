"""Sensors: the order and units of a point in the files of a LiDAR, its axes, and the directions of its beams."""

import re
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from elite.beams import Beams
from elite.config import from_plain, plain
from elite.descriptions import packaged_names, read_description
from elite.errors import ConfigError
from elite.files import write_bytes
from elite.sensor_rendering import Corner, SensorRendering
from elite.shapes import Bool, Float32, Float64, Int64

_PACKAGED = Path(__file__).parent / "sensors"
_AXIS = re.compile(r"([+-]?)([xyz])")
_REQUIRED = ("x", "y", "z")
RING_FIELDS = ("ring", "channel")
INTENSITY_FIELDS = ("remission", "intensity", "reflectivity", "i")


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
        height: of the sensor above the ground, in metres (0 = z is measured from the ground); None = unknown.
        range: largest measured distance, in metres; None = unknown. It matters to rendered scans only, so sensors that
            differ in it are equal.
        missing_returns: whether files contain points for beams without a return. They need a label like any other.
        intensity_field: name of the remission in files that name their fields; None = the first of ``INTENSITY_FIELDS``
            that exists, and files with several of them are reported.
        no_return: ``keep`` = every point of a file is a measured one; ``drop`` = points at the origin, and those with
            NaN or infinite numbers, are beams without a return, and have no answer.
        ego_box: low and high corner of the vehicle itself (m, x forward, y left, z up), whose points have no answer
            either; None = there is none.
        rendering: how it measures, for rendered scans; None = not known. Sensors that differ in it are equal.

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
    intensity_field: str | None = None
    no_return: Literal["keep", "drop"] = "keep"
    ego_box: tuple[Corner, Corner] | None = None
    rendering: SensorRendering | None = field(default=None, compare=False)

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
        beams = len(self.rendering.elevations) if self.rendering else 0
        self._require(beams in (0, len(self.elevations)), "as many rendering.elevations as elevations", beams)
        step = self.azimuth_step
        self._require(step is None or 0 < step < 90, "an azimuth_step in (0, 90) degrees", step)
        self._require(self.height is None or 0 <= self.height < 100, "a height in [0, 100) m", self.height)
        self._require(self.range is None or 0 < self.range < 1000, "a range in (0, 1000) m", self.range)
        low, high = self.ego_box or ((0, 0, 0), (1, 1, 1))
        self._require(all(a < b for a, b in zip(low, high, strict=True)), "an ego_box [low, high]", self.ego_box)

    def _require(self, condition: bool, expected: str, found: Any) -> None:
        if not condition:
            raise ConfigError(f"sensor {self.name}: expected {expected}, found {found}. Change the value.")

    @property
    def point_bytes(self) -> int:
        """Bytes of a point in the files: four for each column."""
        return 4 * len(self.columns)

    @property
    def beams(self) -> Beams | None:
        """Directions of the beams; None = unknown."""
        if len(self.elevations) < 2 or self.azimuth_step is None:
            return None
        return Beams(self.elevations, self.azimuth_step)

    @cached_property
    def to_ours(self) -> Float64[np.ndarray, "3 3"]:
        """Rotation from the axes of the files to x forward, y left, z up."""
        signs = [-1.0 if axis.startswith("-") else 1.0 for axis in self.axes]
        return np.array(
            [[sign * axis.endswith(other) for other in _REQUIRED] for sign, axis in zip(signs, self.axes, strict=True)]
        )

    @cached_property
    def from_ours(self) -> Float64[np.ndarray, "4 4"]:
        """Transform from our axes to those of the files: projections and poses of the files apply after it."""
        transform = np.eye(4)
        transform[:3, :3] = self.to_ours.T
        return transform

    def points_of(self, rows: Float32[np.ndarray, "n columns"]) -> Float32[np.ndarray, "n 3"]:
        """Coordinates of the rows of a file, x forward, y left, z up."""
        first = self.columns.index("x")
        is_slice = self.columns[first : first + 3] == _REQUIRED  # faster than a list of columns
        return self.in_our_axes(
            rows[:, first : first + 3] if is_slice else rows[:, [self.columns.index(axis) for axis in _REQUIRED]]
        )

    def in_our_axes(self, xyz: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
        """Coordinates of a file, x forward, y left, z up. NaN and infinity stay in their axis, unlike in a product."""
        if self.axes == _REQUIRED:
            return xyz
        with np.errstate(invalid="ignore"):  # of signalling NaN
            return xyz[:, np.abs(self.to_ours).argmax(axis=1)] * self.to_ours.sum(axis=1, dtype=np.float32)

    def remission_of(self, rows: Float32[np.ndarray, "n columns"]) -> Float32[np.ndarray, "n"]:
        """Remission (0 to 1) of the rows of a file."""
        if "remission" not in self.columns:
            return np.zeros(len(rows), np.float32)
        with np.errstate(invalid="ignore"):  # of signalling NaN
            return rows[:, self.columns.index("remission")] / np.float32(self.remission_max)

    def rings_of(self, rows: Float32[np.ndarray, "n columns"]) -> Int64[np.ndarray, "n"] | None:
        """Number of the beam of each row of a file, whose numbers are finite; None without a column ``ring``."""
        return rows[:, self.columns.index("ring")].astype(np.int64) if "ring" in self.columns else None

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the columns as fields: the remission has that of ``intensity_field``."""
        remission = self.intensity_field or "remission"
        return tuple(remission if column == "remission" else column for column in self.columns)

    @property
    def drops_points(self) -> bool:
        """Whether some points of a file have no answer."""
        return self.no_return == "drop" or self.ego_box is not None

    def measured(
        self, points: Float32[np.ndarray, "n 3"], remission: Float32[np.ndarray, "n"]
    ) -> Bool[np.ndarray, "n"]:
        """Mask of the points (x forward, y left, z up) that are measured ones, outside the vehicle."""
        kept = np.ones(len(points), bool)
        if self.no_return == "drop":
            finite, nonzero = np.isfinite(points).T, (points != 0).T  # rows are faster than all(axis=1)
            kept &= finite[0] & finite[1] & finite[2] & (nonzero[0] | nonzero[1] | nonzero[2]) & np.isfinite(remission)
        if self.ego_box is not None:
            low, high = np.array(self.ego_box, np.float32)
            with np.errstate(invalid="ignore"):
                kept &= ~((points >= low) & (points <= high)).all(axis=1)
        return kept

    @property
    def reading(self) -> dict[str, Any]:
        """Plain values that the points of a scan depend on, without those that equal the defaults."""
        names = ("columns", "axes", "no_return", "ego_box")
        return {n: plain(getattr(self, n)) for n in names if getattr(self, n) != getattr(SensorSpec, n)}

    def to_settings(self) -> dict[str, Any]:
        """Plain values without default ones, which ``sensor_from`` completes."""
        default = plain(SensorSpec(self.name))
        return {key: value for key, value in plain(self).items() if key == "name" or value != default[key]}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for results and checkpoints; see ``sensor_from``. Trained students depend on no rendering."""
        return {key: value for key, value in plain(self).items() if key != "rendering"}


@dataclass(frozen=True)
class IntensitySettings:
    """Remission in the files.

    Attributes:
        field: its name in files that name their fields.
        max: value that becomes 1.
    """

    field: str | None = None
    max: float | None = None


@dataclass(frozen=True)
class SensorSettings:
    """A sensor as YAML files describe it: values of ``SensorSpec``, where absent ones are those of the preset.

    Attributes:
        preset: name of a packaged sensor.
        intensity: field and largest value of the remission; the same as ``intensity_field`` and ``remission_max``.
        axes: as in ``SensorSpec``, or the directions of x, y and z, such as ``right-forward-up``.
        rendering: how the sensor measures, for rendered scans: values that differ from those of the preset.
    """

    preset: str | None = None
    name: str | None = None
    columns: tuple[str, ...] | None = None
    intensity: IntensitySettings | None = None
    intensity_field: str | None = None
    remission_max: float | None = None
    axes: tuple[str, str, str] | str | None = None
    elevations: tuple[float, ...] | None = None
    azimuth_step: float | None = None
    height: float | None = None
    range: float | None = None
    missing_returns: bool | None = None
    no_return: Literal["keep", "drop"] | None = None
    ego_box: tuple[Corner, Corner] | None = None
    rendering: dict[str, Any] | None = None

    def spec(self, name: str = "") -> SensorSpec:
        """Return the sensor; ``name`` is that of one without a name and a preset.

        Raises:
            ConfigError: an unknown preset, no name, or impossible values.
        """
        if self.preset is None:
            base: dict[str, Any] = {"name": name}
        elif self.preset in packaged_sensors():
            base = {f.name: getattr(load_sensor(self.preset), f.name) for f in fields(SensorSpec)}
        else:
            known = ", ".join(packaged_sensors())
            raise ConfigError(f"preset: expected {known}, found '{self.preset:.60}'. Correct the name.")
        given = {f.name: getattr(self, f.name) for f in fields(SensorSpec) if getattr(self, f.name) is not None}
        if self.intensity is not None:
            intensity = {"intensity_field": self.intensity.field, "remission_max": self.intensity.max}
            given |= {key: value for key, value in intensity.items() if value is not None}
        if isinstance(self.axes, str):
            given["axes"] = _axes_of(self.axes)
        if self.rendering is not None:
            given["rendering"] = (base.get("rendering") or SensorRendering()).changed(self.rendering)
        return SensorSpec(**base | given)


_DIRECTIONS = {
    **{"forward": (0, ""), "front": (0, ""), "backward": (0, "-"), "back": (0, "-")},
    **{"left": (1, ""), "right": (1, "-"), "up": (2, ""), "down": (2, "-")},
}


def _axes_of(words: str) -> tuple[str, str, str]:
    """Axes that point forward, left and up, from the directions of x, y and z."""
    axes = ["", "", ""]
    for axis, word in zip("xyz", words.split("-"), strict=False):
        place, sign = _DIRECTIONS.get(word, (0, ""))
        axes[place] = sign + axis
    if words.count("-") != 2 or not all(axes) or not set(words.split("-")) <= _DIRECTIONS.keys():
        raise ConfigError(
            f"axes: expected the directions of x, y and z, such as forward-left-up or right-forward-up, found "
            f"'{words:.60}'. Correct the words."
        )
    return axes[0], axes[1], axes[2]


def sensor_from(values: Any, source: str) -> SensorSpec:
    """Build a sensor from the plain values of a file; ``source`` names it.

    Raises:
        ConfigError: other values.
    """
    try:
        return from_plain(SensorSettings, values).spec()
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def load_sensor(name: str | Path) -> SensorSpec:
    """Load a packaged sensor by its name, or the one of a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that describes no sensor.
    """
    return _packaged(str(name)) if str(name) in packaged_sensors() else _read(name)


def write_sensor(path: Path, sensor: SensorSpec) -> None:
    """Write a YAML file that ``load_sensor`` reads."""
    text = yaml.safe_dump(sensor.to_settings(), sort_keys=False, default_flow_style=None, width=120)
    write_bytes(path, text.encode())


def packaged_sensors() -> tuple[str, ...]:
    """Names of the sensors in the package."""
    return packaged_names(_PACKAGED)


def _read(name: str | Path) -> SensorSpec:
    description = read_description(name, _PACKAGED, "sensor")
    with description.located():
        return from_plain(SensorSettings, description.values).spec(description.path.stem)


_packaged = cache(_read)
