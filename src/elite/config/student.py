"""Settings of the student."""

from dataclasses import dataclass
from typing import Any

from elite.config._records import require, rises
from elite.errors import ConfigError


@dataclass(frozen=True)
class StudentConfig:
    """The sparse-voxel student.

    Attributes:
        channels: width of every stage.
        strides: voxel strides of the grids; stage i goes from strides[i] to strides[i + 1].
        volume: low and high corner (m) of the box that is segmented.
        cells: cells of the stride-1 grid along x, y, z.
        classes: number of classes with the ignored class 0.
    """

    channels: int = 64
    strides: tuple[int, ...] = (1, 2, 4, 8, 16)
    volume: tuple[tuple[float, float, float], tuple[float, float, float]] = ((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0))
    cells: tuple[int, int, int] = (1000, 1000, 60)
    classes: int = 20

    def __post_init__(self) -> None:
        require(
            self.channels >= 2 and self.channels % 2 == 0,
            f"student.channels must be even and at least 2, found {self.channels}.",
        )
        require(
            len(self.strides) >= 2 and min(self.strides) == self.strides[0] == 1 and rises(self.strides),
            f"student.strides must start at 1 and rise, at least one step; found {self.strides}.",
        )
        require(
            self.classes >= 2,
            f"student.classes counts the ignored class 0 too, so at least 2; found {self.classes}.",
        )
        low, high = self.volume
        require(
            all(a < b for a, b in zip(low, high, strict=True)),
            f"student.volume must go from its low to its high corner, found {self.volume}.",
        )
        require(min(self.cells) >= 1, f"student.cells must be positive, found {self.cells}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StudentConfig":
        """From plain values (lists where tuples belong), as checkpoints store them."""
        try:
            values = dict(values)
            for name in ("strides", "cells"):
                if name in values:
                    values[name] = tuple(values[name])
            if "volume" in values:
                low, high = values["volume"]
                values["volume"] = (tuple(low), tuple(high))
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"these are no student settings ({error}); the file comes from another version."
            ) from error
