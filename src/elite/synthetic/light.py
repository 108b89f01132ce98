"""Sun and sky of a sequence."""

import numpy as np

from elite.synthetic.world import Light


def daylight(rng: np.random.Generator, driving: float) -> Light:
    """Draw a sun, mostly to the side of or behind a camera that faces ``driving`` (radians), and a matching sky."""
    up = np.deg2rad(rng.uniform(24, 55))
    turn = driving + rng.choice([-1, 1]) * np.deg2rad(rng.uniform(50, 150))
    warmth = np.clip(1.3 - up, 0.2, 1.0)
    sun_color = np.array([3.4, 3.2 - 0.4 * warmth, 2.9 - 1.0 * warmth]) * rng.uniform(0.9, 1.1)
    return Light(
        sun=np.array([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)]),
        sun_color=sun_color,
        zenith=np.array([0.11, 0.27, 0.72]) * rng.uniform(0.85, 1.15),
        horizon=np.array([0.60 + 0.14 * warmth, 0.73, 0.92 - 0.16 * warmth]),
        clouds=float(rng.uniform(-0.4, 0.9)),
        haze=float(rng.uniform(350, 900)),
        sky_offset=rng.uniform(0, 1000, 2),
    )
