"""Along the kerbs: parked vehicles, street trees, lamps, signs, racks, people."""

from itertools import pairwise

import numpy as np

from elite.shapes import Float
from elite.synthetic.kinds import draw
from elite.synthetic.mesh import Part
from elite.synthetic.world2 import makers
from elite.synthetic.world2.corners import corners
from elite.synthetic.world2.layout import free_stretches
from elite.synthetic.world2.lines import Box, Line
from elite.synthetic.world2.lot_objects import vehicle
from elite.synthetic.world2.populator import Populator, length_of
from elite.synthetic.world2.site import OUTSIDE
from elite.synthetic.world2.style import Strip, pick
from elite.synthetic.world2.surfaces import Ground

_KERBSIDE = frozenset({Ground.ROAD, Ground.SIDEWALK, Ground.BAY})
_WALKED = frozenset({Ground.SIDEWALK, Ground.PLAZA})
_ANY = OUTSIDE | {Ground.SIDEWALK, Ground.VERGE, Ground.BAY}


def fill_kerbsides(populator: Populator) -> None:
    """Put everything along the kerbs of all roads."""
    plan = populator.plan
    for index, side in enumerate((1, -1)):
        for stretch in free_stretches(plan, side, 2.0):
            _parking(populator, index, side, stretch)
            _pockets(populator, index, side, stretch)
            _street_trees(populator, index, side, stretch)
            _furniture(populator, plan.main, side, stretch)
            _rare_things(populator, side, stretch)
    for junction in plan.junctions:
        _mouth(populator, junction.line, junction.radius)
    for corner in corners(plan):
        _corner_border(populator, corner.path)


def _along(side: int) -> float:
    """Yaw of traffic on this side of a road, which keeps right."""
    return 0.0 if side < 0 else np.pi


def _parking(populator: Populator, index: int, side: int, stretch: tuple[float, float]) -> None:
    """A row of vehicles in the bays or along the kerb of the main road."""
    plan, rng, main = populator.plan, populator.rng, populator.plan.main
    (strip, width), share = plan.style.strips[index], plan.style.parked[index]
    if strip in (Strip.BAYS, Strip.SLANTED):
        share = 0.3 + 0.7 * share  # bays are rarely empty
        pitch, across = (6.0, 0.0) if strip == Strip.BAYS else (2.7, side * np.pi / 2 - _along(side))
        for s in np.arange(np.ceil(stretch[0] / 6) * 6 + pitch / 2, stretch[1] - 2, pitch):
            if rng.random() < share:
                yaw = _along(side) + across + (np.pi if rng.random() < 0.2 else 0.0)
                at = s + rng.normal(0, 0.3 if strip == Strip.BAYS else 0.1), side * (main.half + width / 2)
                populator.park(vehicle(populator), main, *at, yaw, frozenset({Ground.BAY}))
        return
    where = plan.style.kerbside[index]
    if where == "none" or main.half < 2.35:
        return
    b, s = main.half - 1.05 if where == "lane" else main.half + 0.15, stretch[0] + 3.0 + rng.uniform(0, 3)
    while s < stretch[1] - 3:
        if rng.random() < share:
            kind = vehicle(populator)
            half = length_of(kind) / 2
            yaw = _along(side) + (np.pi if rng.random() < 0.12 else 0.0)
            populator.park(kind, main, s + half, side * (b + rng.normal(0, 0.08)), yaw, _KERBSIDE)
            s += 2 * half + rng.uniform(0.6, 1.8)
        else:
            s += rng.uniform(3, 7)


def _pockets(populator: Populator, index: int, side: int, stretch: tuple[float, float]) -> None:
    """Hedges and beds on the green between the bays of the main road."""
    plan, rng, (strip, width) = populator.plan, populator.rng, populator.plan.style.strips[index]
    if strip not in (Strip.BAYS, Strip.SLANTED):
        return
    sorts = ["hedge", "bed", "none"] if width < 3 else ["hedge", "bed", "shrubs", "none"]
    b = side * (plan.main.half + width / 2)
    for overlay in plan.overlays:
        (first, last), inside = overlay.box.a, overlay.box.b[0] < b < overlay.box.b[1]
        is_pocket = overlay.kind == Ground.VERGE and overlay.box.line is plan.main and inside
        if is_pocket and stretch[0] < first and (sort := str(rng.choice(sorts))) != "none" and last < stretch[1]:
            populator.lay(sort, plan.main, (first + 0.5, b), (last - 0.5, b))


def _street_trees(populator: Populator, index: int, side: int, stretch: tuple[float, float]) -> None:
    plan, rng = populator.plan, populator.rng
    strip, width = plan.style.strips[index]
    gap = plan.style.tree_gap[index]
    if gap > 45:
        return
    edge = plan.main.borders[index]
    if strip in (Strip.GREEN, Strip.PAVED, Strip.BAYS):
        b = plan.main.half + (width / 2 if width > 1 else 0.6)
    else:
        b = edge + rng.uniform(0.8, 2.0)
    kind = populator.tree()
    for s in np.arange(stretch[0] + 3, stretch[1] - 2, gap) + rng.normal(0, 0.4):
        around = Box(plan.main, (s - 0.4, s + 0.4), (side * b - 0.4, side * b + 0.4))
        if rng.random() < 0.85 and populator.site.claim(around, _ANY):
            populator.put(kind.make(rng), plan.main, s, side * b, rng.uniform(0, 6))
            if strip == Strip.GREEN and rng.random() < 0.3 * plan.style.green:
                populator.put(makers.SHRUBS["shrub"].make(rng), plan.main, s + gap / 2, side * b, rng.uniform(0, 6))


def _furniture(populator: Populator, line: Line, side: int, stretch: tuple[float, float]) -> None:
    """Lamps, signs, bollards, and clutter."""
    rng, edge, length = populator.rng, line.borders[0 if side > 0 else 1], max(stretch[1] - stretch[0], 0.0)
    b = side * (line.half + 0.4 if edge > line.half + 1.2 else edge + rng.uniform(0.3, 1.0))
    towards, along = -side * np.pi / 2, _along(side)
    lamps = rng.uniform(26, 75)
    if rng.random() < 0.75:
        kind = "utility pole" if rng.random() < 0.15 else "park lamp" if rng.random() < 0.15 else "lamp post"
        for s in np.arange(stretch[0] + rng.uniform(0, lamps), stretch[1], lamps):
            _post(populator, makers.POSTS[kind].make(rng), line, s, b, towards)
    for _ in range(rng.poisson(length / 100)):
        kind = str(rng.choice(["sign", "direction board", "flag pole"], p=(0.88, 0.08, 0.04)))
        _post(populator, makers.POSTS[kind].make(rng), line, rng.uniform(*stretch), b, along + rng.normal(0, 0.3))
    if rng.random() < 0.12:
        for s in np.arange(stretch[0], min(stretch[1], stretch[0] + 20), rng.uniform(1.5, 3)):
            _post(populator, makers.POSTS["bollard"].make(rng), line, s, b, 0)
    for _ in range(rng.poisson(length / 90)):
        kind = makers.CLUTTER[draw(makers.CLUTTER, rng)]
        s, reach = rng.uniform(*stretch), max(kind.y, 0.3)
        out = side * (edge - 0.3 - max(kind.x[1], 0.2))
        if populator.site.claim(Box(line, (s - reach, s + reach), (out - 0.3, out + 0.3)), _WALKED):
            populator.put(kind.make(rng), line, s, out, towards)


def _post(populator: Populator, parts: list[Part], line: Line, a: float, b: float, yaw: float) -> None:
    if populator.site.claim(Box(line, (a - 0.2, a + 0.2), (b - 0.2, b + 0.2)), _ANY):
        populator.put(parts, line, a, b, yaw)


def _rare_things(populator: Populator, side: int, stretch: tuple[float, float]) -> None:
    """Bicycles, motorcycles and people who stand on the sidewalk."""
    plan, rng, main = populator.plan, populator.rng, populator.plan.main
    edge, length = main.borders[0 if side > 0 else 1], stretch[1] - stretch[0]
    people = plan.style.people
    for kind, expected in (("bicycle", 0.02 * people), ("motorcycle", 0.006 * people), ("stander", 0.004 * people)):
        for _ in range(populator.rarely(expected * length)):
            s, b = rng.uniform(*stretch), side * (edge - rng.uniform(0.4, 0.9))
            yaw = side * np.pi / 2 + rng.choice([0.0, 1.3]) + rng.normal(0, 0.2)
            populator.park(populator.draw_movable(kind), main, s, b, yaw, _WALKED)


def _mouth(populator: Populator, line: Line, radius: float) -> None:
    """Signs, parked vehicles and furniture along a side road."""
    plan, rng = populator.plan, populator.rng
    first = max(plan.main.borders) + radius + 2
    for way in (1, -1) if line.start < 0 else (1,):
        stretch = (first, 65.0) if way > 0 else (-65.0, -first)
        for side in (1, -1):
            _furniture(populator, line, side, stretch)
            share = rng.uniform(0, 0.7) * max(plan.style.parked)
            a = stretch[0] + 3
            while side * way < 0 and line.half > 2.5 and a < stretch[1] - 3:
                if rng.random() < share:
                    b = side * (line.half - 1.0 + rng.normal(0, 0.1))
                    populator.park(vehicle(populator), line, a, b, _along(side), _KERBSIDE)
                a += 5.5 + rng.uniform(0, 2)
        _corner_posts(populator, line, way, first - 1)


def _corner_border(populator: Populator, path: Float[np.ndarray, "k 2"]) -> None:
    """A fence, hedge or the like along a curved edge."""
    border = pick(populator.plan.style.borders, populator.rng)
    if border in ("none", "guardrail", "barrier"):
        return
    piece = populator.piece(border, populator.plan.main)
    for low, high in pairwise(path):
        way = (high - low) / max(float(np.linalg.norm(high - low)), 1e-6)
        populator.lay_piece(piece, low - 0.25 * way, high + 0.25 * way)


def _corner_posts(populator: Populator, line: Line, way: int, a: float) -> None:
    """Signs and lights at the mouth of a side road; they face the traffic that leaves it."""
    rng, facing = populator.rng, 0.0 if way < 0 else np.pi
    chances = {"sign": 0.45, "street name": 0.35, "traffic light": 0.25 if populator.plan.style.half > 4.2 else 0.02}
    for kind, chance in chances.items():
        if rng.random() < chance:
            side = way if kind != "street name" or rng.random() < 0.5 else -way
            b, at = side * (line.half + rng.uniform(0.4, 0.9)), way * (a + rng.uniform(-0.8, 0.8))
            _post(populator, makers.POSTS[kind].make(rng), line, at, b, facing)
