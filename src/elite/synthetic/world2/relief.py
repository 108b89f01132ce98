"""Heights of the land on which a street lies."""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.noise import smooth

Values = Float[np.ndarray, "*n"]


@dataclass(frozen=True)
class Relief:
    """Waves along the road, fall across it, rolling land beside it, and slopes of the lots.

    Attributes:
        waves: (height m, length m, phase) of each wave along the road.
        fall: slope across the road, positive = its left side is higher.
        rolling: deviation of the land far from the road (m).
        shift: place in the random field.
        knots: s of the values of ``rises``.
        rises: height of the lots above the sidewalk, (left, right) for each knot (m).
        ease: distance over which a lot rises (m).
    """

    waves: tuple[tuple[float, float, float], ...]
    fall: float
    rolling: float
    shift: tuple[float, float]
    knots: Float[np.ndarray, "k"]
    rises: Float[np.ndarray, "2 k"]
    ease: float

    def land(self, s: Values, t: Values) -> Values:
        """Height of the road's surface, as if it were everywhere."""
        z = self.fall * np.clip(t, -25, 25)
        for height, length, phase in self.waves:
            z = z + height * np.sin(2 * np.pi * s / length + phase)
        rolling = smooth(s + self.shift[0], t + self.shift[1], 14.0) * np.clip(np.abs(t) / 25, 0.08, 1.2)
        return z + self.rolling * rolling

    def lot(self, s: Values, t: Values, away: Values) -> Values:
        """Height of the lots above the sidewalk, ``away`` metres from it."""
        share = np.clip(0.5 + t / 10, 0, 1)
        rise = np.interp(s, self.knots, self.rises[0]) * share + np.interp(s, self.knots, self.rises[1]) * (1 - share)
        x = np.clip(away / self.ease, 0, 1)
        return rise * x * x * (3 - 2 * x)

    def bumps(self, s: Values, t: Values, small: float, waves: float) -> Values:
        """Unevenness of a surface; deviations in metres."""
        a, b = s + self.shift[0], t + self.shift[1]
        return np.asarray(small * (0.8 * smooth(a, b, 0.8) + 0.6 * smooth(b, a, 0.3)) + waves * smooth(a, b, 3.0))


def draw_relief(scale: float, start: float, stop: float, rng: np.random.Generator) -> Relief:
    """Draw the relief of a street from ``start`` to ``stop``, hillier for a larger ``scale``."""
    knots = np.arange(start, stop + 15, 15.0)
    steep = np.clip(rng.normal(0, 0.35 * scale, (2, 1)) + rng.normal(0, 0.3 * scale, (2, len(knots))), -2.2, 2.2)
    rises = steep * (rng.random((2, len(knots))) < np.clip(0.35 + 0.2 * scale, 0, 0.9))
    long = rng.normal(0, 1.2 * scale), rng.uniform(220, 500), rng.uniform(0, 2 * np.pi)
    short = rng.normal(0, 0.38 * scale), rng.uniform(80, 170), rng.uniform(0, 2 * np.pi)
    return Relief(
        waves=(long, short),
        fall=float(np.clip(rng.normal(0, 0.018 * scale), -0.05, 0.05)),
        rolling=rng.uniform(0.05, 0.4) * scale,
        shift=(rng.uniform(0, 500), rng.uniform(0, 500)),
        knots=knots,
        rises=rises,
        ease=rng.uniform(2.5, 8.0),
    )
