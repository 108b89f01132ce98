"""Lens distortion: from the direction to a point to its pixel, for the two models of camera calibration tools.

Points are distorted into the images as they were recorded, which is exact and takes milliseconds per scan. The
alternative, undistorted images, would need a cache of the size of the data set, blurs them, and crops wide lenses.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from elite.errors import ConfigError
from elite.shapes import Float

LensModel = Literal["pinhole", "fisheye"]
_COUNTS = {"pinhole": (0, 4, 5, 8), "fisheye": (4,)}  # of coefficients
_WIDEST = np.deg2rad(89.9)  # from the optical axis: project() needs a positive depth
_STEPS = 4096


@dataclass(frozen=True)
class Lens:
    """Camera matrix and distortion of a lens, as OpenCV and ROS define them.

    Attributes:
        model: ``pinhole`` = Brown-Conrady (ROS: plumb_bob, rational_polynomial): radial polynomial, or quotient of two
            of them, and tangential terms; ``fisheye`` = Kannala-Brandt (ROS: equidistant): polynomial of the angle.
        matrix: K, from metres on the plane at depth 1 to pixels; the last row is (0, 0, 1).
        coefficients: k1 k2 p1 p2 [k3 [k4 k5 k6]] of ``pinhole``, k1 k2 k3 k4 of ``fisheye``.

    Raises:
        ConfigError: another number of coefficients, or an impossible matrix.
    """

    model: LensModel
    matrix: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (found := len(self.coefficients)) not in (counts := _COUNTS[self.model]):
            expected = "k1 k2 p1 p2 [k3 [k4 k5 k6]]" if self.model == "pinhole" else "k1 k2 k3 k4"
            raise ConfigError(
                f"dist: expected {' or '.join(map(str, counts))} coefficients of a {self.model} lens ({expected}), "
                f"found {found}. Correct them, or change the model."
            )
        (fx, _, _), (zero, fy, _), last = self.matrix
        if not (fx > 0 and fy > 0 and zero == 0 and last == (0, 0, 1)):
            raise ConfigError(
                f"K: expected [fx, 0, cx, 0, fy, cy, 0, 0, 1] in pixels, found {self.matrix}. Correct the matrix."
            )

    @property
    def is_distorted(self) -> bool:
        return self.model == "fisheye" or any(self.coefficients)

    @cached_property
    def K(self) -> Float[np.ndarray, "3 3"]:
        return np.array(self.matrix, np.float64)

    def pixels(self, plane: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Pixels (u to the right, v down) of the directions (x / z, y / z) in the frame of the camera.

        NaN for directions outside the lens: there the polynomial decreases, and would fold them back into the image.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            radius = np.linalg.norm(plane, axis=1)
            distorted = plane * self._radial(radius)[:, None]
            if self.model == "pinhole" and self.coefficients:
                distorted = distorted + self._tangential(plane, radius**2)
            distorted[~(radius <= self.largest_radius)] = np.nan
        return distorted @ self.K[:2, :2].T + self.K[:2, 2]

    def _radial(self, radius: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Factor by which the distance from the optical axis changes."""
        if self.model == "fisheye":
            angle = np.arctan(radius)
            powers = angle[:, None] ** (2 * np.arange(1, 5))
            return angle * (1 + powers @ np.array(self.coefficients)) / np.maximum(radius, 1e-12)
        k1, k2, _, _, k3, k4, k5, k6 = (*self.coefficients, *[0.0] * (8 - len(self.coefficients)))
        square = radius**2
        above = 1 + square * (k1 + square * (k2 + square * k3))
        return above / (1 + square * (k4 + square * (k5 + square * k6)))

    def _tangential(self, plane: Float[np.ndarray, "n 2"], square: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
        p1, p2 = self.coefficients[2:4]
        x, y = plane.T
        return np.stack([2 * p1 * x * y + p2 * (square + 2 * x**2), p1 * (square + 2 * y**2) + 2 * p2 * x * y], axis=1)

    @cached_property
    def largest_radius(self) -> float:
        """Largest distance from the optical axis, at depth 1, up to which distorted distances increase."""
        radius = np.tan(np.linspace(0, _WIDEST, _STEPS))
        if not self.is_distorted:
            return float(radius[-1])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            rises = np.diff(radius * self._radial(radius)) > 0
        return float(radius[-1] if rises.all() else radius[np.argmin(rises)])
