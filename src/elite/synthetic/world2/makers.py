"""Makers of the objects of world 2: spots, pieces along a line, buildings, vehicles and people.

A spot is made by ``maker(rng)``, a piece along its y axis by ``maker(rng, length)``.
"""

from collections.abc import Callable

import numpy as np

from elite.synthetic import people, scenery, vehicles
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, merged, moved_parts

Spot = Callable[[np.random.Generator], list[Part]]
Piece = Callable[[np.random.Generator, float], list[Part]]

_FOLIAGE = ((0.09, 0.17, 0.03), (0.13, 0.19, 0.03), (0.06, 0.14, 0.04), (0.20, 0.17, 0.03))
_WALLS = ((0.62, 0.58, 0.48), (0.55, 0.42, 0.26), (0.66, 0.63, 0.60), (0.45, 0.22, 0.14), (0.50, 0.52, 0.50))
_ROOFS = ((0.24, 0.08, 0.05), (0.08, 0.08, 0.09), (0.16, 0.10, 0.07))


def _leaf(rng: np.random.Generator) -> scenery.Color:
    return _FOLIAGE[rng.integers(len(_FOLIAGE))]


def _scaled(parts: list[Part], *factors: float) -> list[Part]:
    return moved_parts(parts, np.diag([*factors, 1.0]))


def tree(rng: np.random.Generator) -> list[Part]:
    make = scenery.conifer if rng.random() < 0.15 else scenery.tree
    return _scaled(make(rng, _leaf(rng)), *[rng.uniform(0.7, 1.8)] * 3)


def shrub(rng: np.random.Generator) -> list[Part]:
    wide, tall = rng.uniform(0.7, 1.9), rng.uniform(0.6, 1.8)
    return _scaled(scenery.bush(rng, _leaf(rng)), wide, wide, tall)


def shrubs(rng: np.random.Generator, length: float) -> list[Part]:
    """A mass of shrubs."""
    parts = []
    for y in np.arange(-length / 2 + 0.8, length / 2 - 0.5, 1.3):
        matrix = np.eye(4)
        matrix[:2, 3] = rng.normal(0, 0.5), y
        parts += moved_parts(shrub(rng), matrix)
    return parts or shrub(rng)


def hedge(rng: np.random.Generator, length: float) -> list[Part]:
    return _scaled(scenery.hedge(length, rng, _leaf(rng)), rng.uniform(0.9, 2.0), 1.0, rng.uniform(0.7, 1.7))


def fence(rng: np.random.Generator, length: float) -> list[Part]:
    return scenery.fence(length, rng)


def garden_wall(rng: np.random.Generator, length: float) -> list[Part]:
    height, thick = rng.uniform(0.5, 2.0), rng.uniform(0.15, 0.35)
    paint = Paint(Material.BLIND, raw_id("fence"), (0.42, 0.4, 0.37), float(rng.lognormal(0, 0.15)))
    return [Part(box((thick, length, height + 0.5), (0, 0, height / 2 - 0.25)), paint)]


def guardrail(rng: np.random.Generator, length: float) -> list[Part]:
    posts = [box((0.1, 0.1, 0.9), (0.08, y, 0.2)) for y in np.arange(-length / 2 + 1, length / 2, 2.0)]
    rail = [box((0.06, length, 0.12), (0, 0, z)) for z in (0.52, 0.7)]
    return [Part(merged([*rail, *posts]), Paint(Material.ZINC, raw_id("fence"), (0.4, 0.41, 0.42)))]


def building(rng: np.random.Generator, width: float, depth: float, storeys: int) -> list[Part]:
    """A building whose front lies in the plane x = 0 and faces -x."""
    wall, roof = _WALLS[rng.integers(len(_WALLS))], _ROOFS[rng.integers(len(_ROOFS))]
    return scenery.building(width, depth, storeys, wall, roof, rng)


def hall(rng: np.random.Generator, width: float, depth: float) -> list[Part]:
    """A flat building of a firm."""
    height, tone = rng.uniform(4.5, 9.0), rng.uniform(0.3, 0.6)
    shell = box((depth, width, height + 1), (depth / 2, 0, height / 2 - 0.5))
    gates = [box((0.1, 3.4, 3.6), (-0.03, y, 1.7)) for y in np.arange(-width / 2 + 4, width / 2 - 3, 8.0)]
    label = raw_id("building")
    parts = [Part(shell, Paint(Material.BLIND, label, (tone, tone, 0.95 * tone), float(rng.lognormal(0, 0.2))))]
    return [*parts, Part(merged(gates), Paint(Material.METAL, label, (0.2, 0.22, 0.25)))] if gates else parts


def garage(rng: np.random.Generator) -> list[Part]:
    """A garage 3 m wide, front in the plane x = 0."""
    shell = box((6, 3, 3.2), (3, 0, 1.0))
    return [Part(shell, Paint(Material.BLIND, raw_id("building"), (0.5, 0.49, 0.46)))]


PIECES: dict[str, Piece] = {
    "hedge": hedge,
    "overgrown": lambda rng, length: shrubs(rng, length) + (fence(rng, length) if rng.random() < 0.5 else []),
    "fence": fence,
    "wall": garden_wall,
    "guardrail": guardrail,
    "shrubs": shrubs,
}
MOVABLES: dict[str, tuple[str, Spot]] = {  # kind -> class, maker
    "car": ("car", vehicles.car),
    "truck": ("truck", vehicles.truck),
    "bus": ("other-vehicle", vehicles.bus),
    "trailer": ("other-vehicle", vehicles.trailer),
    "bicycle": ("bicycle", people.bicycle),
    "motorcycle": ("motorcycle", people.motorcycle),
    "bicyclist": ("bicyclist", people.bicyclist),
    "motorcyclist": ("motorcyclist", people.motorcyclist),
    "stander": ("person", lambda rng: people.person(rng, stride=0.0)),
    "walker": ("person", lambda rng: people.person(rng, stride=0.34)),
}
LENGTHS = {
    "car": 4.5,
    "truck": 8.0,
    "bus": 11.5,
    "trailer": 5.5,
    "motorcycle": 2.1,
    "motorcyclist": 2.1,
    "bicyclist": 1.8,
    "bicycle": 1.8,
}
