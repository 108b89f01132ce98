"""Lines of roads, and the distances from which the ground around them is made.

Plan coordinates are s along the main road and t to its left. Each road has its own: ``a`` along its line and ``b`` to
the left of it. Fields are distances from a border in metres, negative inside.
"""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float


@dataclass(frozen=True)
class Line:
    """A road with its sidewalks.

    Attributes:
        origin: plan coordinates of a = 0.
        yaw: direction there, radians from the main road's.
        half: half the width of the carriageway.
        borders: outer edges of the ground between kerb and lots, (left, right) of the line.
        start: smallest a.
        stop: largest a.
        bend: of the line: b of a straight line's point at ``a`` falls by ``bend`` a^2.
    """

    origin: tuple[float, float]
    yaw: float
    half: float
    borders: tuple[float, float]
    start: float
    stop: float
    bend: float = 0.0

    def own(
        self, s: Float[np.ndarray, "*n"] | float, t: Float[np.ndarray, "*n"] | float
    ) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
        """Plan coordinates -> (a, b)."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y = np.asarray(s, float) - self.origin[0], np.asarray(t, float) - self.origin[1]
        a = x * cos + y * sin
        return a, y * cos - x * sin - self.bend * a**2

    def plan(self, a: float, b: float) -> tuple[float, float]:
        """(a, b) -> plan coordinates."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        b += self.bend * a**2
        return float(self.origin[0] + a * cos - b * sin), float(self.origin[1] + a * sin + b * cos)

    def heading(self, a: float) -> float:
        """Direction at ``a``, radians from the main road's."""
        return float(self.yaw + np.arctan(2 * self.bend * a))

    def carriageway(self, s: Float[np.ndarray, "*n"], t: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Field of the carriageway."""
        return self._strip(*self.own(s, t), (self.half, self.half))

    def paved(self, s: Float[np.ndarray, "*n"], t: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Field of the carriageway with its sidewalks and verges."""
        return self._strip(*self.own(s, t), self.borders)

    def _strip(
        self, a: Float[np.ndarray, "*n"], b: Float[np.ndarray, "*n"], edges: tuple[float, float]
    ) -> Float[np.ndarray, "*n"]:
        # The ends are steep, because corners are rounded along a road only.
        ends = 8 * np.maximum(self.start - a, a - self.stop)
        stretch = 1.0 if self.bend == 0 else np.sqrt(1 + (2 * self.bend * a) ** 2)
        across = np.maximum(b - edges[0], -b - edges[1]) / stretch
        return np.maximum(across, ends)


@dataclass(frozen=True)
class Box:
    """A rectangle in the coordinates of a line."""

    line: Line
    a: tuple[float, float]
    b: tuple[float, float]

    def field(self, s: Float[np.ndarray, "*n"], t: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        a, b = self.line.own(s, t)
        along = np.maximum(self.a[0] - a, a - self.a[1])
        return np.maximum(along, np.maximum(self.b[0] - b, b - self.b[1]))

    @property
    def center(self) -> tuple[float, float]:
        """Plan coordinates."""
        return self.line.plan(sum(self.a) / 2, sum(self.b) / 2)

    @property
    def reach(self) -> float:
        """Radius of a circle around the centre that contains the box."""
        bow = abs(self.line.bend) * (self.a[1] - self.a[0]) * (abs(self.a[0]) + abs(self.a[1]))
        return float(np.hypot(self.a[1] - self.a[0], self.b[1] - self.b[0]) / 2 + bow)


def rounded_union(
    one: Float[np.ndarray, "*n"], other: Float[np.ndarray, "*n"], radius: float
) -> Float[np.ndarray, "*n"]:
    """Field of the union of two shapes whose inner corners are rounded."""
    u, v = np.maximum(radius - one, 0), np.maximum(radius - other, 0)
    return np.maximum(radius, np.minimum(one, other)) - np.hypot(u, v)
