"""Makers of the objects of world 2, by what they are used for."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from elite.synthetic import boundaries, facades, greenery, people, trees, vehicles
from elite.synthetic.classes import raw_id
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, merged
from elite.synthetic.world2.style import Lot

Spot = Callable[[np.random.Generator], list[Part]]


def _hall(rng: np.random.Generator, length: float) -> list[Part]:
    """A flat building of a firm with gates; depth 12-30 m."""
    height, depth, tone = rng.uniform(4.5, 9.0), rng.uniform(12, 30), rng.uniform(0.3, 0.6)
    shell = box((depth, length, height + 1), (depth / 2, 0, height / 2 - 0.5))
    spots = np.arange(-length / 2 + 3, length / 2 - 2, rng.uniform(5, 9))
    gates = merged([box((0.2, 3.4, 3.6), (-0.03, y, 1.7)) for y in spots])
    ribs = merged([box((0.1, 0.2, height), (-0.04, y, height / 2)) for y in np.linspace(-0.5, 0.5, 9) * (length - 0.2)])
    label, gain = raw_id("building"), float(rng.lognormal(0, 0.2))
    wall = Paint(Material.BLIND, label, (tone, tone, 0.95 * tone), gain)
    return [Part(merged([shell, ribs]), wall), Part(gates, Paint(Material.METAL, label, (0.2, 0.22, 0.25)))]


def _garage(rng: np.random.Generator) -> list[Part]:
    """A garage 3 m wide; its front lies in the plane x = 0."""
    label, tone = raw_id("building"), rng.uniform(0.35, 0.6)
    shell, gate = box((5.9, 3, 3.2), (3, 0, 1.0)), box((0.06, 2.4, 2.1), (0.01, 0, 1.05))
    lid = box((6.3, 3.3, 0.2), (3, 0, 2.6))
    return [
        Part(merged([shell, lid]), Paint(Material.BLIND, label, (tone, tone, 0.95 * tone))),
        Part(gate, Paint(Material.PAINTED, label, (0.4, 0.38, 0.33))),
    ]


TREES: Mapping[str, Kind] = trees.KINDS
SHRUBS = {name: greenery.KINDS[name] for name in ("shrub", "grass tuft")}
GARAGE = Kind(_garage, (-0.2, 6.2), 1.7, 2.7)
BUILDINGS: dict[Lot, dict[str, Kind]] = {
    Lot.HOUSE: {"single house": facades.KINDS["single house"]},
    Lot.ROW: {name: facades.KINDS[name] for name in ("terrace", "townhouse", "shops")},
    Lot.BLOCK: {"flats": facades.KINDS["flats"], "townhouse": replace(facades.KINDS["townhouse"], weight=0.2)},
    Lot.HALL: {"hall": Kind(_hall, (-0.2, 30), 0.1, 10, (5, 100)), "offices": facades.KINDS["offices"]},
    Lot.SQUARE: {name: facades.KINDS[name] for name in ("townhouse", "shops", "offices")},
    Lot.CAR_PARK: {name: facades.KINDS[name] for name in ("flats", "shops", "offices")},
}
BUILDINGS[Lot.YARD] = BUILDINGS[Lot.HALL]
_fence = boundaries.KINDS
BORDERS: dict[str, dict[str, Kind]] = {
    "hedge": {"clipped": greenery.KINDS["clipped hedge"], "overgrown": greenery.KINDS["overgrown hedge"]},
    "overgrown": {
        "fence": _fence["overgrown fence"],
        "with hedge": _fence["fence with hedge"],
        "hedge": greenery.KINDS["overgrown hedge"],
    },
    "fence": {name: _fence[name] for name in _fence if name.endswith(" fence") and name != "overgrown fence"},
    "wall": {"wall": _fence["garden wall"]},
    "guardrail": {"guardrail": _fence["guard rail"]},
    "barrier": {"barrier": _fence["noise barrier"]},
    "shrubs": {"shrubs": greenery.KINDS["shrubs"], "verge": greenery.KINDS["verge"]},
    "bed": {"bed": greenery.KINDS["flower bed"], "verge": greenery.KINDS["verge"]},
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
