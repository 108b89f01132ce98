"""Makers of the objects of world 2, by what they are used for."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from elite.synthetic import (
    boundaries,
    buses,
    cars,
    facades,
    greenery,
    heavy_vehicles,
    outbuildings,
    passers_by,
    people,
    poles,
    street_furniture,
    trailers,
    trees,
)
from elite.synthetic.kinds import Kind, draw
from elite.synthetic.mesh import Part
from elite.synthetic.world2.style import Lot

Kinds = Mapping[str, Kind]


def _some(kinds: Kinds, *names: str) -> dict[str, Kind]:
    return {name: kinds[name] for name in names}


TREES: Kinds = trees.KINDS
SHRUBS = _some(greenery.KINDS, "shrub", "grass tuft")
SHEDS = _some(outbuildings.KINDS, "shed", "greenhouse", "carport")
GARAGES = _some(outbuildings.KINDS, "garages")
_HALLS = _some(outbuildings.KINDS, "hall", "barn")
_HOUSES: dict[Lot, Kinds] = {
    Lot.HOUSE: _some(facades.KINDS, "single house"),
    Lot.ROW: _some(facades.KINDS, "terrace", "townhouse", "shops"),
    Lot.BLOCK: _some(facades.KINDS, "flats") | {"townhouse": replace(facades.KINDS["townhouse"], weight=0.2)},
    Lot.SQUARE: _some(facades.KINDS, "townhouse", "shops", "offices"),
    Lot.CAR_PARK: _some(facades.KINDS, "flats", "shops", "offices"),
    Lot.HALL: _some(facades.KINDS, "offices"),
    Lot.YARD: _some(facades.KINDS, "offices", "shops"),
}
_HALL_SHARE = {Lot.HALL: 0.75, Lot.YARD: 0.7, Lot.CAR_PARK: 0.2}
BORDERS: dict[str, Kinds] = {
    "hedge": _some(greenery.KINDS, "clipped hedge", "overgrown hedge"),
    "overgrown": _some(boundaries.KINDS, "overgrown fence", "fence with hedge")
    | _some(greenery.KINDS, "overgrown hedge"),
    "fence": {
        name: kind for name, kind in boundaries.KINDS.items() if name.endswith(" fence") and name != "overgrown fence"
    },
    "wall": _some(boundaries.KINDS, "garden wall"),
    "guardrail": _some(boundaries.KINDS, "guard rail"),
    "barrier": _some(boundaries.KINDS, "noise barrier"),
    "shrubs": _some(greenery.KINDS, "shrubs", "verge"),
    "bed": _some(greenery.KINDS, "flower bed", "verge"),
}
MOVABLES: dict[str, Kinds] = {
    "car": cars.KINDS,
    "truck": heavy_vehicles.KINDS,
    "bus": {name: kind for name, kind in buses.KINDS.items() if name != "tram"},
    "trailer": _some(trailers.KINDS, "caravan", "motorhome", "box trailer", "boat trailer"),
    "machine": _some(trailers.KINDS, "tractor", "excavator", "wheel loader"),
    "bicycle": {"bicycle": Kind(people.bicycle, (-0.95, 0.95), 0.35, 1.2, label="bicycle")},
    "motorcycle": {"motorcycle": Kind(people.motorcycle, (-1.1, 1.1), 0.45, 1.4, label="motorcycle")},
    "bicyclist": _some(passers_by.KINDS, "bicyclist", "loaded bicyclist"),
    "motorcyclist": _some(passers_by.KINDS, "motorcyclist", "loaded motorcyclist"),
    "stander": _some(passers_by.KINDS, "stander", "child", "with umbrella", "with pram", "group"),
    "walker": _some(passers_by.KINDS, "walker", "child", "with umbrella", "with pram", "with dog", "kick scooter"),
}
POSTS: Kinds = poles.KINDS
CLUTTER: Kinds = street_furniture.KINDS


def building(lot: Lot, width: float, depth: float, storeys: int, rng: np.random.Generator) -> list[Part]:
    """A building that suits a lot, of at most ``width`` along y; empty if none is so narrow."""
    if rng.random() < _HALL_SHARE.get(lot, 0.0):
        kind = _HALLS[draw(_HALLS, rng)]
        return kind.make(rng, min(width, _longest(kind))) if width >= _shortest(kind) else []
    kinds = {name: kind for name, kind in _HOUSES[lot].items() if width >= _shortest(kind)}
    if not kinds:
        return []
    kind = kinds[draw(kinds, rng)]
    return kind.make(rng, min(width, _longest(kind)), depth=depth, storeys=storeys)


def _shortest(kind: Kind) -> float:
    return kind.lengths[0] if kind.lengths else 0.0


def _longest(kind: Kind) -> float:
    return kind.lengths[1] if kind.lengths else np.inf
