"""Moving objects: vehicles on the main road, people on its sidewalks."""

import numpy as np

from elite.synthetic.kinds import Kind
from elite.synthetic.mesh import Part, soup
from elite.synthetic.world import Mover
from elite.synthetic.world2.plan import Plan
from elite.synthetic.world2.populator import Populator, length_of
from elite.synthetic.world2.style import Strip

_PARKED_WIDTH = 2.15
_KINDS = {"car": 1.0, "truck": 0.015, "bus": 0.02, "motorcyclist": 0.01, "bicyclist": 0.025}


def lanes(plan: Plan) -> tuple[float, float]:
    """t of the lanes of the ego vehicle and of oncoming traffic, beside parked vehicles."""
    left, right = (plan.style.half - _taken(plan, index) for index in (0, 1))
    middle, width = (left - right) / 2, left + right
    away = min(width / 4, 2.4) if width > 4.6 else max(width / 2 - 1.5, 0.1)
    return middle - away, middle + away


def _taken(plan: Plan, index: int) -> float:
    """Width of the carriageway that parked vehicles take on a side."""
    in_bays = plan.style.strips[index][0] in (Strip.BAYS, Strip.SLANTED)
    if in_bays or plan.style.parked[index] < 0.05:
        return 0.0
    return {"lane": _PARKED_WIDTH, "half": 0.9, "none": 0.0}[plan.style.kerbside[index]]


class Traffic:
    """Collects moving objects and their parts; their paints follow those of the static parts."""

    def __init__(self, populator: Populator, rng: np.random.Generator, first_row: int) -> None:
        self._populator, self._rng, self._first_row = populator, rng, first_row
        self.parts: list[Part] = []
        self.movers: list[Mover] = []

    def fill(self, ego_speed: float) -> None:
        plan, rng = self._populator.plan, self._rng
        lane, oncoming = lanes(plan)
        for way in (1, -1):
            gap = rng.uniform(12, 55)
            while rng.random() < 0.25 * plan.style.traffic and gap < 70:
                kind = self._kind()
                gap += length_of(kind) / 2
                self._add(kind, way * gap, lane + rng.normal(0, 0.2), ego_speed, follows=True)
                gap += length_of(kind) / 2 + rng.uniform(6, 30)
        if oncoming - lane > 2.2:
            self._oncoming(oncoming, ego_speed)
        self._walkers()

    def _oncoming(self, lane: float, ego_speed: float) -> None:
        plan, rng = self._populator.plan, self._rng
        speed, s = -ego_speed * rng.uniform(0.9, 2.2), plan.start + rng.uniform(0, 80)
        while s < plan.stop - 16:
            kind = self._kind()
            self._add(kind, s, lane + rng.normal(0, 0.2), speed)
            s += length_of(kind) + 8 + rng.exponential(60 / plan.style.traffic)

    def _kind(self) -> Kind:
        shares = {kind: w * (1.0 if kind == "car" else self._populator.rare) for kind, w in _KINDS.items()}
        weights = np.array(list(shares.values()))
        return self._populator.draw_movable(str(self._rng.choice(list(shares), p=weights / weights.sum())))

    def _walkers(self) -> None:
        """People on one track share a speed, so they never collide."""
        plan, rng = self._populator.plan, self._rng
        expected = 0.004 * plan.style.people * (plan.stop - plan.start)
        for side, walk, edge in zip((1, -1), plan.style.walks, plan.main.borders, strict=True):
            for way in (1, -1) if walk else ():
                speed = way * rng.uniform(1.0, 1.6)
                for _ in range(self._populator.rarely(expected / 2)):
                    t = side * (edge - walk / 2) + way * min(walk / 5, 0.5)
                    self._add(self._populator.draw_movable("walker"), rng.uniform(plan.start, plan.stop), t, speed)

    def _add(self, kind: Kind, start: float, lane: float, speed: float, *, follows: bool = False) -> None:
        parts = self._populator.movable(kind, moving=True)
        piece = soup(parts, self._first_row + len(self.parts))
        self.parts += parts
        self.movers.append(Mover(piece, float(start), float(lane), float(speed), follows, length_of(kind)))
