"""Makers of the objects of world 2, by what they are used for."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from elite.synthetic import boundaries, cars, facades, greenery, people, trees, vehicles
from elite.synthetic.classes import raw_id
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, merged
from elite.synthetic.world2.style import Lot


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
MOVABLES: dict[str, Mapping[str, Kind]] = {
    "car": cars.KINDS,
    "truck": {"truck": Kind(vehicles.truck, (-4.3, 4.3), 1.3, 3.6, label="truck")},
    "bus": {"bus": Kind(vehicles.bus, (-5.8, 5.8), 1.3, 3.3, label="other-vehicle")},
    "trailer": {"trailer": Kind(vehicles.trailer, (-2.8, 4.0), 1.2, 2.7, label="other-vehicle")},
    "bicycle": {"bicycle": Kind(people.bicycle, (-0.95, 0.95), 0.35, 1.2, label="bicycle")},
    "motorcycle": {"motorcycle": Kind(people.motorcycle, (-1.1, 1.1), 0.45, 1.4, label="motorcycle")},
    "bicyclist": {"bicyclist": Kind(people.bicyclist, (-0.95, 0.95), 0.4, 1.9, label="bicyclist")},
    "motorcyclist": {"motorcyclist": Kind(people.motorcyclist, (-1.1, 1.1), 0.5, 1.8, label="motorcyclist")},
    "stander": {"person": Kind(partial(people.person, stride=0.0), (-0.4, 0.4), 0.4, 2.0, label="person")},
    "walker": {"person": Kind(partial(people.person, stride=0.34), (-0.5, 0.5), 0.4, 2.0, label="person")},
}
