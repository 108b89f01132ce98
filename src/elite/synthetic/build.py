"""Build the world of one sequence from its seed."""

import numpy as np

from elite.synthetic.ground import ground_parts
from elite.synthetic.mesh import soup
from elite.synthetic.populate import Populator
from elite.synthetic.raycast import TriangleScene
from elite.synthetic.scanner import Scanner
from elite.synthetic.street import Street
from elite.synthetic.traffic import Traffic
from elite.synthetic.world import Light, World, collect_paints

_MARGIN = 95.0  # metres of street before and after the drive, for any sensor: equal seeds give equal streets


def build_world(seed: int, sequence: str, path_length: float, speed: float, scanner: Scanner) -> World:
    """Build the world of ``sequence``: a drive of ``path_length`` metres at ``speed`` m/s along its street."""
    rng = np.random.default_rng((seed, int(sequence)))
    street = plan_street(seed, sequence, path_length)
    populator = Populator(street, rng)
    standing = ground_parts(street, rng) + populator.fill()
    traffic = Traffic(street, populator, rng, len(standing))
    traffic.fill(speed)
    return World(
        street=street,
        static=TriangleScene(soup(standing, 0)),
        movers=tuple(traffic.movers),
        paints=collect_paints(standing + traffic.parts),
        light=_light(rng, float(street.heading(path_length / 2))),
        speed=speed,
        scanner=scanner,
    )


def plan_street(seed: int, sequence: str, path_length: float) -> Street:
    """Build the street without objects, which is fast and sufficient for the poses of the ego vehicle."""
    return Street(np.random.default_rng((seed, int(sequence), 4)), -_MARGIN, path_length + _MARGIN)


def _light(rng: np.random.Generator, driving: float) -> Light:
    """Random sun, mostly to the side of or behind the camera, and a matching sky."""
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
