"""Settings of the student's volume and cells in metres."""

from dataclasses import dataclass, replace
from typing import Literal

from elite.config._checks import require
from elite.config.student import MAX_CELLS, MAX_DISTANCE_M, StudentConfig
from elite.errors import ConfigError

_HEIGHT_M = 1.73  # of SemanticKITTI's sensor above the ground, for which the default volume was chosen


@dataclass(frozen=True)
class GridConfig:
    """Volume and cells of the student in metres. They replace ``student.volume`` and ``student.cells``.

    Attributes:
        range: largest distance from the sensor along x and y, in metres; by default that of the published volume, 50.
        below: extent of the volume below the zero of ``heights``, in metres; by default 4 (ground: 2.27).
        above: extent above that zero, in metres; by default 2 (ground: 3.73).
        heights: zero of ``below`` and ``above``: sensor, or ground, by the height of the data set's sensor. For a
            height of 1.73 m, the defaults of both are the published volume.
        cell: edge length of the cells, in metres. Each axis has the nearest whole number of cells. By default, the
            volume is divided into ``student.cells``.
    """

    range: float | None = None
    below: float | None = None
    above: float | None = None
    heights: Literal["sensor", "ground"] = "sensor"
    cell: float | None = None

    def __post_init__(self) -> None:
        for name in ("range", "cell"):
            value = getattr(self, name)
            require(value is None or 0 < value <= MAX_DISTANCE_M, f"grid.{name}", "a positive number of metres", value)

    def applied_to(self, student: StudentConfig, sensor_height: float | None = None) -> StudentConfig:
        """Return the settings of the student with the volume and the cells that follow from these lengths.

        Args:
            student: its volume and its cells are kept where no length replaces them.
            sensor_height: of the sensor above the ground, in metres; None = unknown.

        Raises:
            ConfigError: the volume or the cells are set in both ways, ``heights`` requires an unknown height, or a
                length is impossible.
        """
        result = student
        if self.heights == "ground" or {self.range, self.below, self.above} != {None}:
            reach = StudentConfig.volume[1][0] if self.range is None else self.range
            low, high = self._lowest_and_highest(sensor_height)
            result = replace(result, volume=((-reach, -reach, low), (reach, reach, high)))
        if self.cell is not None:
            result = replace(result, cells=_cells(result, self.cell))
        for name in ("volume", "cells"):
            default, given, replaced = (getattr(record, name) for record in (StudentConfig, student, result))
            expected = f"the default {default}, because grid.* sets {replaced}"
            require(given in (default, replaced), f"student.{name}", expected, given, "Give one of the two.")
        return result

    def _lowest_and_highest(self, sensor_height: float | None) -> tuple[float, float]:
        """Return z of the lowest and of the highest points of the volume, in the sensor frame."""
        (*_, low), (*_, high) = StudentConfig.volume
        below, above, zero = -low, high, 0.0
        if self.heights == "ground":
            if sensor_height is None:
                raise ConfigError(
                    "grid.heights ground: expected a data set whose sensor has a height, found none. Give it in "
                    "sensor.yaml or by --data.sensor, or set --grid.heights sensor."
                )
            below, above, zero = below - _HEIGHT_M, above + _HEIGHT_M, -sensor_height
        below, above = (default if v is None else v for v, default in ((self.below, below), (self.above, above)))
        require(below + above > 0, "grid.above", f"more than {-below:g} m, which is the lower end", above)
        return round(zero - below, 6), round(zero + above, 6)  # micrometres: 1.89 instead of 1.8900000000000001


def _cells(student: StudentConfig, size: float) -> tuple[int, int, int]:
    """Numbers of cells of about this size in the volume."""
    x, y, z = (round((b - a) / size) for a, b in zip(*student.volume, strict=True))
    expected = f"a size with which the volume {student.volume} has 1 to {MAX_CELLS} cells along each axis"
    require(1 <= min(x, y, z) <= max(x, y, z) <= MAX_CELLS, "grid.cell", expected, size)
    return x, y, z
