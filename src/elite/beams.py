"""Beams of a LiDAR."""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float64


@dataclass(frozen=True)
class Beams:
    """Directions of the beams of a LiDAR.

    Attributes:
        elevations: of two beams or more above the horizon, ascending, in degrees.
        azimuth_step: angle between two firings, in degrees.
    """

    elevations: tuple[float, ...]
    azimuth_step: float

    @property
    def mean_gap(self) -> float:
        """Mean angle between two neighbouring beams, in degrees."""
        return (self.elevations[-1] - self.elevations[0]) / (len(self.elevations) - 1)

    def gaps(self, elevation: Float64[np.ndarray, "n"]) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
        """Angles between the nearest beam and the next ones below and above it, for each elevation. All in radians.

        At the lowest and the highest beam, both gaps are that to the only neighbour.
        """
        angles = np.deg2rad(self.elevations)
        gaps = np.diff(angles)
        beam = np.searchsorted(angles[:-1] + gaps / 2, elevation)
        return gaps[np.maximum(beam - 1, 0)], gaps[np.minimum(beam, len(gaps) - 1)]
