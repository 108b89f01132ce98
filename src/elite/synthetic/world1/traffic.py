"""Moving objects: a convoy near the ego vehicle, oncoming traffic, people on the sidewalks."""

import numpy as np

from elite.synthetic.mesh import Part, soup
from elite.synthetic.world import Mover
from elite.synthetic.world1.populate import LENGTHS, Populator
from elite.synthetic.world1.street import BAY_EDGE, EGO_LANE, SIDEWALK_EDGE, Street

# Vehicles that move with the ego vehicle. Order and gaps are drawn for each street: the position must not reveal
# the class. Large vehicles keep their distance, or they would occlude everything.
_AHEAD = ("motorcyclist", "car", "motorcyclist")
_FAR_AHEAD = ("truck", "car", "bus")
_BEHIND = ("motorcyclist", "car")
_FAR_BEHIND = ("bus", "truck")
_CYCLISTS = (10.0, 22.0, -8.0, -18.0)  # metres ahead of the ego vehicle, more or less
_CYCLE_LANE = -3.4
# Motorcyclists most of all: few of those in the convoy show between the cars.
_ONCOMING = (
    "car",
    "motorcyclist",
    "bicyclist",
    "car",
    "motorcyclist",
    "truck",
    "motorcyclist",
    "bicyclist",
    "car",
    "bus",
)


class Traffic:
    """Collects moving objects and their parts; their paints follow those of the static parts."""

    def __init__(self, street: Street, populator: Populator, rng: np.random.Generator, first_row: int) -> None:
        self.street, self._populator, self._rng = street, populator, rng
        self._first_row = first_row
        self.parts: list[Part] = []
        self.movers: list[Mover] = []

    def fill(self, ego_speed: float) -> None:
        self._convoy(ego_speed, _AHEAD, _FAR_AHEAD, 1)
        self._convoy(ego_speed, _BEHIND, _FAR_BEHIND, -1)
        for gap in _CYCLISTS:
            self._add("bicyclist", gap + self._rng.uniform(-3, 4), _CYCLE_LANE, ego_speed, follows=True)
        self._oncoming(ego_speed)
        self._walkers()

    def _convoy(self, speed: float, near: tuple[str, ...], far: tuple[str, ...], way: int) -> None:
        """Traffic at the ego's speed, before it (way 1) or behind it (-1), far enough off for its swaying."""
        rng = self._rng
        gap = rng.uniform(7.0, 13.0)
        for kind in (*rng.permutation(near), *rng.permutation(far)):
            half = LENGTHS[str(kind)] / 2
            gap += 3.0 + half + rng.uniform(0, 3)
            self._add(str(kind), way * gap, EGO_LANE + rng.normal(0, 0.15), speed, follows=True)
            gap += half

    def _oncoming(self, ego_speed: float) -> None:
        speed, s, turn = (
            -ego_speed * self._rng.uniform(0.9, 1.3),
            self.street.start,
            int(self._rng.integers(len(_ONCOMING))),
        )
        while s < self.street.stop - 16:
            kind = _ONCOMING[turn % len(_ONCOMING)]
            lane = 3.3 if kind == "bicyclist" else -EGO_LANE + self._rng.normal(0, 0.1)
            self._add(kind, s, lane, speed)
            s += 9 + LENGTHS[kind] + self._rng.uniform(0, 5)
            turn += 1

    def _walkers(self) -> None:
        """Both ways on both sidewalks; people on one track share a speed, so they never collide."""
        for side in (1, -1):
            for way, speed in ((1, self._rng.uniform(1.1, 1.5)), (-1, self._rng.uniform(1.1, 1.5))):
                t = side * ((BAY_EDGE + SIDEWALK_EDGE) / 2 + 0.45 * way * side)
                for s in np.arange(self.street.start, self.street.stop - 20, 22.0):
                    self._add("walker", s + self._rng.uniform(0, 17), t, way * speed)

    def _add(self, kind: str, start: float, lane: float, speed: float, *, follows: bool = False) -> None:
        parts = self._populator.movable(kind, moving=True)
        piece = soup(parts, self._first_row + len(self.parts))
        self.parts += parts
        self.movers.append(Mover(piece, float(start), float(lane), float(speed), follows, LENGTHS.get(kind, 0.5)))
