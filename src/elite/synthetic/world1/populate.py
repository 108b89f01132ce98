"""Populate a street: lots with houses and gardens, parked vehicles, people, poles, trees."""

from collections.abc import Callable

import numpy as np

from elite.synthetic import people, scenery, vehicles
from elite.synthetic.classes import raw_id
from elite.synthetic.mesh import Part, moved_parts, relabelled
from elite.synthetic.world import stand
from elite.synthetic.world1.street import (
    BAY_EDGE,
    CROSSING,
    LOT_EDGE,
    RAIL_EDGE,
    ROAD_EDGE,
    SIDEWALK_EDGE,
    Block,
    Lot,
    Street,
    Verge,
)

Maker = Callable[[np.random.Generator], list[Part]]

_WALLS = (
    (0.62, 0.58, 0.48),
    (0.55, 0.42, 0.26),
    (0.66, 0.63, 0.60),
    (0.45, 0.22, 0.14),
    (0.50, 0.52, 0.50),
    (0.60, 0.47, 0.38),
    (0.34, 0.16, 0.11),
    (0.42, 0.46, 0.52),
)
_ROOFS = ((0.24, 0.08, 0.05), (0.08, 0.08, 0.09), (0.16, 0.10, 0.07))
_FOLIAGE = ((0.09, 0.17, 0.03), (0.13, 0.19, 0.03), (0.06, 0.14, 0.04), (0.20, 0.17, 0.03))

MAKERS: dict[str, Maker] = {
    "car": vehicles.car,
    "truck": vehicles.truck,
    "bus": vehicles.bus,
    "trailer": vehicles.trailer,
    "bicycle": people.bicycle,
    "motorcycle": people.motorcycle,
    "bicyclist": people.bicyclist,
    "motorcyclist": people.motorcyclist,
    "stander": lambda rng: people.person(rng, stride=0.0),
    "walker": lambda rng: people.person(rng, stride=0.34),
}
CLASS_OF = {"bus": "other-vehicle", "trailer": "other-vehicle", "stander": "person", "walker": "person"}
LENGTHS = {
    "car": 4.3,
    "truck": 7.5,
    "bus": 10.5,
    "trailer": 4.5,
    "motorcycle": 2.0,
    "motorcyclist": 2.0,
    "bicyclist": 1.7,
}


class Populator:
    """Collects the static parts of one street, block by block, and assigns instance ids."""

    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self.street, self.rng = street, rng
        self.parts: list[Part] = []
        self.instances = 0
        self._walls = [_WALLS[i] for i in rng.permutation(len(_WALLS))[:4]]
        self._roofs = [_ROOFS[i] for i in rng.permutation(len(_ROOFS))[:2]]
        self._foliage = [_FOLIAGE[i] for i in rng.permutation(len(_FOLIAGE))[:2]]

    def fill(self) -> list[Part]:
        """Return all static parts in world coordinates."""
        for block in self.street.blocks:
            if block.lots[0] == Lot.SIDE_STREET:
                self._side_street(block)
                continue
            for side, lot, verge in zip((1, -1), block.lots, block.verges, strict=True):
                self._verge(block, side, verge)
                self._sidewalk(block, side)
                self._lot(block, side, lot)
            if block.island:
                self._island(block.island)
        return self.parts

    def movable(self, kind: str, *, moving: bool = False) -> list[Part]:
        """Create a new instance of a movable object in its own coordinates."""
        self.instances += 1
        name = CLASS_OF.get(kind, kind)
        return relabelled(MAKERS[kind](self.rng), raw_id(name, moving=moving), self.instances)

    def _put(self, parts: list[Part], s: float, t: float, yaw: float, length: float = 0.0) -> None:
        if self.street.start + 3 < s < self.street.stop - 3:
            self.parts += moved_parts(parts, stand(self.street, s, t, yaw, length))

    def _park(self, kind: str, s: float, t: float, yaw: float) -> None:
        self._put(self.movable(kind), s, t, yaw + self.rng.normal(0, 0.03), LENGTHS.get(kind, 0.0))

    def _outward(self, side: int) -> float:
        """Yaw of an object whose x axis points away from the road."""
        return side * np.pi / 2

    def _along(self, side: int) -> float:
        """Yaw of traffic on this side of the road, which keeps right."""
        return 0.0 if side < 0 else np.pi

    def _leaf(self) -> scenery.Color:
        return self._foliage[self.rng.integers(len(self._foliage))]

    def _verge(self, block: Block, side: int, verge: Verge) -> None:
        rng, middle = self.rng, side * (ROAD_EDGE + BAY_EDGE) / 2
        if verge == Verge.BAY:
            s = block.start + rng.uniform(2.5, 3.5)
            while s < block.stop - 2.5:
                s += self._bay(s, block.stop, side)
        elif verge == Verge.GREEN:
            for s in np.arange(block.start + 2.5, block.stop - 1, 7.5) + rng.uniform(0, 1.5):
                self._put(scenery.tree(rng, self._leaf()), s, middle, rng.uniform(0, 6))
                if rng.random() < 0.6:
                    self._put(scenery.bush(rng, self._leaf()), s + 2.5, middle, 0)
        else:
            self._rack(block.start + 3.0, middle, side)
            self._put(scenery.fence(6.0, rng), block.stop - 4.0, side * (BAY_EDGE - 0.3), self._outward(-side))

    def _bay(self, s: float, stop: float, side: int) -> float:
        """Park a vehicle at s next to the kerb. Returns the occupied length."""
        kind = self.rng.choice(["car", "motorcycle", "truck", "trailer", "none"], p=(0.55, 0.20, 0.09, 0.09, 0.07))
        middle = side * (ROAD_EDGE + BAY_EDGE) / 2 + self.rng.normal(0, 0.06)
        if kind == "motorcycle":
            for k in range(3):
                self._park("motorcycle", s - 1.2 + 1.1 * k, middle, self._outward(-side) + 0.5)
            return 4.5
        length = LENGTHS.get(kind, 3.5)
        if kind == "none" or s + length / 2 > stop:
            return 5.0
        self._park(kind, s + max(0.0, length - 5) / 2, middle, self._along(side))
        return length + self.rng.uniform(1.2, 2.2)

    def _rack(self, s: float, t: float, side: int) -> None:
        """A row of parked bicycles."""
        for k in range(self.rng.integers(4, 8)):
            self._park("bicycle", s + 0.75 * k, t + self.rng.normal(0, 0.1), self._outward(side) + 0.25)

    def _sidewalk(self, block: Block, side: int) -> None:
        rng, length = self.rng, block.stop - block.start
        kerb, house = side * (BAY_EDGE + 0.25), side * (SIDEWALK_EDGE - 0.45)
        self._put(scenery.lamp_post(rng), block.start + 0.8, kerb, self._outward(-side))
        self._put(
            scenery.traffic_sign(rng), block.start + rng.uniform(4, 7), kerb, self._along(side) + rng.normal(0, 0.12)
        )
        self._put(
            scenery.traffic_sign(rng), block.stop - rng.uniform(2, 5), kerb, self._along(side) + rng.normal(0, 0.12)
        )
        for s in block.start + np.sort(rng.uniform(1, length - 1, rng.integers(2, 5))):
            t = side * rng.uniform(BAY_EDGE + 0.7, SIDEWALK_EDGE - 0.7)
            self._put(self.movable("stander"), s, t, rng.uniform(0, 6))
        start = block.start + rng.uniform(1, 0.6 * length)
        if rng.random() < 0.7:
            self._rack(start, house, side)
        else:
            for k in range(2):
                self._park("motorcycle", start + 1.3 * k, house, self._outward(side) + 0.4)

    def _lot(self, block: Block, side: int, lot: Lot) -> None:
        fill = {
            Lot.HOUSE: self._house,
            Lot.SHOP: self._shop,
            Lot.PARK: self._park_green,
            Lot.CAR_PARK: self._car_park,
            Lot.RAIL: self._rail,
        }[lot]
        fill(block, side)

    def _building(self, block: Block, side: int, setback: float, gap: float) -> None:
        rng, width = self.rng, block.stop - block.start - gap
        parts = scenery.building(
            width,
            rng.uniform(8, 12),
            int(rng.integers(2, 5)),
            self._walls[rng.integers(4)],
            self._roofs[rng.integers(2)],
            rng,
        )
        self._put(parts, (block.start + block.stop) / 2, side * setback, self._outward(side))

    def _border(self, block: Block, side: int, t: float, *, green: float) -> None:
        """Hedges (share ``green``) and fences along the lot, with a gate between them."""
        middle, length = (block.start + block.stop) / 2, (block.stop - block.start) / 2 - 1.0
        for s in (middle - length / 2 - 0.6, middle + length / 2 + 0.6):
            living = self.rng.random() < green
            parts = scenery.hedge(length, self.rng, self._leaf()) if living else scenery.fence(length, self.rng)
            self._put(parts, s, side * t, self._outward(side))

    def _house(self, block: Block, side: int) -> None:
        rng = self.rng
        self._building(block, side, rng.uniform(12.5, 15.0), rng.uniform(1.0, 5.0))
        self._border(block, side, SIDEWALK_EDGE + 0.4, green=0.35)
        for s in rng.uniform(block.start + 1, block.stop - 1, 3):
            self._put(scenery.bush(rng, self._leaf()), s, side * rng.uniform(10.2, 11.4), 0)

    def _shop(self, block: Block, side: int) -> None:
        self._building(block, side, 11.6, self.rng.uniform(0, 1.5))
        self._rack(block.start + self.rng.uniform(2, 6), side * 10.6, side)
        for s in block.start + self.rng.uniform(1, 12, 2):
            self._put(self.movable("stander"), s, side * self.rng.uniform(9.2, 10), self.rng.uniform(0, 6))

    def _park_green(self, block: Block, side: int) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            self._border(block, side, SIDEWALK_EDGE + 0.4, green=0.3)
        for _ in range(6):
            make = scenery.conifer if rng.random() < 0.25 else scenery.tree
            self._put(
                make(rng, self._leaf()),
                rng.uniform(block.start + 1, block.stop - 1),
                side * rng.uniform(12, 38),
                rng.uniform(0, 6),
            )
        for _ in range(6):
            self._put(
                scenery.bush(rng, self._leaf()), rng.uniform(block.start, block.stop), side * rng.uniform(10.5, 30), 0
            )

    def _car_park(self, block: Block, side: int) -> None:
        rng = self.rng
        for t, facing in ((11.8, side), (18.2, -side)):
            for s in np.arange(block.start + 2, block.stop - 1.5, 2.7):
                kind = rng.choice(["car", "trailer", "truck", "motorcycle", "none"], p=(0.55, 0.07, 0.05, 0.08, 0.25))
                if kind != "none":
                    self._park(kind, s, side * (t + (1.5 if kind == "truck" else 0)), self._outward(facing))
        self._border(block, side, LOT_EDGE + 0.6, green=0.5)
        self._building(block, side, LOT_EDGE + rng.uniform(5, 9), 3.0)

    def _rail(self, block: Block, side: int) -> None:
        """Behind the rail bed, which is part of the ground: a fence, trees, a house."""
        self._border(block, side, RAIL_EDGE + 0.4, green=0.0)
        for s in self.rng.uniform(block.start + 1, block.stop - 1, 3):
            self._put(scenery.tree(self.rng, self._leaf()), s, side * self.rng.uniform(15, 18), 0)
        self._building(block, side, self.rng.uniform(22, 27), 3.0)

    def _island(self, extent: tuple[float, float]) -> None:
        first, last = extent
        self._put(scenery.traffic_sign(self.rng), first + 0.8, 0, 0)
        self._put(scenery.traffic_sign(self.rng), last - 0.8, 0, np.pi)
        self._put(scenery.bollard(self.rng), (first + last) / 2, 0, 0)

    def _side_street(self, block: Block) -> None:
        rng, middle = self.rng, (block.start + block.stop) / 2
        for side in (1, -1):
            for t, kind in ((rng.uniform(12, 16), "car"), (rng.uniform(26, 32), "truck"), (rng.uniform(38, 45), "bus")):
                self._put(self.movable(kind), middle - 1.7 * side, side * t, self._outward(-side), LENGTHS[kind])
            for s in (-1, 1):
                self._put(scenery.traffic_sign(rng), middle + s * (CROSSING / 2 - 0.7), side * 7.5, self._along(side))
                self._put(scenery.bollard(rng), middle + s * 4.2, side * 6.6, 0)
                self._put(scenery.bollard(rng), middle + s * 4.2, side * 8.6, 0)
            self._put(self.movable("stander"), middle + 4.9, side * 7.3, self._outward(-side))
