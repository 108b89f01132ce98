"""Fill the lots along the roads: buildings, gardens, woods, car parks."""

import numpy as np

from elite.synthetic.kinds import Kind, draw
from elite.synthetic.world2 import makers
from elite.synthetic.world2.lots import Plot
from elite.synthetic.world2.populator import Populator
from elite.synthetic.world2.site import GREEN, OUTSIDE
from elite.synthetic.world2.style import Lot
from elite.synthetic.world2.surfaces import Ground

_PARKABLE = OUTSIDE | {Ground.SIDEWALK}
_DEEP = 30.0  # metres: lots without buildings are filled to this depth


def fill_lot(populator: Populator, plot: Plot) -> None:
    """Put the objects of a lot: its building first, then what stands around it."""
    green = populator.plan.style.green * populator.rng.lognormal(0, 0.4)
    fill = {
        Lot.HOUSE: _house,
        Lot.ROW: _row_house,
        Lot.BLOCK: _block,
        Lot.HALL: _hall,
        Lot.PARK: _park,
        Lot.WOODS: _woods,
        Lot.MEADOW: _meadow,
        Lot.CAR_PARK: _car_park,
        Lot.SQUARE: _square,
        Lot.YARD: _yard,
    }
    fill[plot.lot](populator, plot, green)


def _outward(plot: Plot) -> float:
    """Yaw of an object whose x axis points away from the road."""
    return plot.side * np.pi / 2


def _b(plot: Plot, out: float) -> float:
    return plot.side * (plot.edge + out)


def _building(populator: Populator, plot: Plot, setback: float, margin: float) -> None:
    """Build between the sides of the lot, ``margin`` metres from each, where there is room."""
    rng, a = populator.rng, (plot.a[0] + margin, plot.a[1] - margin)
    if plot.drive and margin > 1:
        a = (plot.drive[1] + 0.8, a[1]) if plot.drive[0] < sum(plot.a) / 2 else (a[0], plot.drive[0] - 0.8)
    width = a[1] - a[0]
    if width < 5 or not populator.site.claim(plot.box(a, (setback, setback + plot.depth)), OUTSIDE, tolerance=0.02):
        return
    storeys = int(np.clip(populator.plan.style.storeys + rng.integers(-1, 2), 1, 6))
    parts = makers.building(plot.lot, width, plot.depth, storeys, rng)
    corners = [(x, _b(plot, out)) for x in a for out in (setback, setback + plot.depth)]
    populator.put_building(parts, plot.line, sum(a) / 2, _b(plot, setback), _outward(plot), corners)


def _within(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between the bounds; in lots so small that they cross, take their middle."""
    return rng.uniform(low, high) if low < high else (low + high) / 2


def _border(populator: Populator, plot: Plot, kind: str, out: float = 0.45) -> None:
    """A fence, hedge or the like along the sidewalk, open at the driveway or at a gate."""
    rng = populator.rng
    if kind == "none" or not populator.site.claim(plot.box(plot.a, (out - 0.3, out + 0.3)), OUTSIDE, tolerance=0.4):
        return
    gate = plot.a[0] + rng.uniform(0.2, 0.8) * plot.length
    gap = plot.drive or (gate, gate + rng.uniform(1.0, 1.6))
    b = _b(plot, out + rng.uniform(-0.1, 0.3))
    populator.lay(kind, plot.line, (plot.a[0] + 0.3, b), (plot.a[1] - 0.3, b), gap=gap)
    if kind in ("fence", "wall") and rng.random() < 0.45 * populator.plan.style.green:
        b = _b(plot, out + rng.uniform(0.7, 1.4))
        behind = "shrubs" if rng.random() < 0.7 else "bed"
        populator.lay(behind, plot.line, (plot.a[0] + 0.5, b), (plot.a[1] - 0.5, b), gap=gap)


def _sides(populator: Populator, plot: Plot, deep: float) -> None:
    """Fences and hedges between neighbours."""
    if populator.chance(0.65):
        kind = str(populator.rng.choice(["fence", "hedge", "overgrown", "wall"], p=(0.38, 0.30, 0.18, 0.14)))
        a = plot.a[1] + populator.rng.uniform(-0.3, 0.3)
        if populator.site.claim(plot.box((a - 0.3, a + 0.3), (1.5, deep)), OUTSIDE, tolerance=0.3):
            populator.lay(kind, plot.line, (a, _b(plot, 1.0)), (a, _b(plot, deep)))


def _back(populator: Populator, plot: Plot, deep: float) -> None:
    """The end of a garden: a hedge, a fence or shrubs behind the building."""
    if populator.chance(0.7):
        kind = str(populator.rng.choice(["hedge", "shrubs", "overgrown", "fence"], p=(0.3, 0.35, 0.2, 0.15)))
        if populator.site.claim(plot.box(plot.a, (deep - 0.3, deep + 0.3)), OUTSIDE, tolerance=0.3):
            populator.lay(kind, plot.line, (plot.a[0], _b(plot, deep)), (plot.a[1], _b(plot, deep)))


def _shrubs(populator: Populator, plot: Plot, expected: float, out: tuple[float, float]) -> None:
    """Shrubs and tufts on free green of the lot, ``out`` metres from its edge."""
    for _ in range(populator.rng.poisson(expected)):
        _plant(populator, plot, makers.SHRUBS[draw(makers.SHRUBS, populator.rng)], out)


def _trees(populator: Populator, plot: Plot, expected: float, out: tuple[float, float]) -> None:
    for _ in range(populator.rng.poisson(expected)):
        _plant(populator, plot, populator.tree(), out)


def _plant(populator: Populator, plot: Plot, kind: Kind, out: tuple[float, float]) -> None:
    rng, reach = populator.rng, 0.5
    if out[0] >= out[1]:
        return
    a, deep = _within(rng, plot.a[0] + 0.6, plot.a[1] - 0.6), _within(rng, *out)
    if populator.site.claim(plot.box((a - reach, a + reach), (deep - reach, deep + reach)), GREEN, tolerance=0.2):
        populator.put(kind.make(rng), plot.line, a, _b(plot, deep), rng.uniform(0, 6))


def _house(populator: Populator, plot: Plot, green: float) -> None:
    rng, setback = populator.rng, plot.setback
    _building(populator, plot, setback, rng.uniform(1.2, 3.5))
    _border(populator, plot, plot.border)
    _sides(populator, plot, setback + rng.uniform(2, 12))
    if plot.drive:
        _parked_on_drive(populator, plot, plot.drive)
    front = max(setback - 0.8, 1.5)
    _shrubs(populator, plot, 0.13 * green * plot.length * front, (1.0, front))
    _masses(populator, plot, 0.6 * green, (1.2, max(front, 1.6)))
    _trees(populator, plot, 0.9 * green if setback > 2.5 else 0, (1.2, front))
    back = setback + plot.depth
    if populator.chance(0.35):
        _shed(populator, plot, rng.uniform(back + 1, back + 8))
    _back(populator, plot, back + rng.uniform(5, 14))
    _trees(populator, plot, 1.2 * green, (back + 2, back + 14))
    _shrubs(populator, plot, 2.5 * green, (back + 1, back + 12))


def _shed(populator: Populator, plot: Plot, out: float) -> None:
    rng = populator.rng
    kind = makers.SHEDS[draw(makers.SHEDS, rng)]
    a = _within(rng, plot.a[0] + 2, plot.a[1] - 2)
    if populator.site.claim(plot.box((a - 2, a + 2), (out, out + 4)), OUTSIDE):
        populator.put(kind.make(rng), plot.line, a, _b(plot, out), _outward(plot))


def _parked_on_drive(populator: Populator, plot: Plot, drive: tuple[float, float]) -> None:
    rng, middle = populator.rng, sum(drive) / 2
    if populator.chance(0.45):
        out = min(plot.setback, 7.0) + rng.uniform(2, 5)
        if populator.site.claim(plot.box((middle - 1.5, middle + 1.5), (out, out + 6)), OUTSIDE, tolerance=0.1):
            corners = [(middle, _b(plot, out)), (middle, _b(plot, out + 6))]
            parts = makers.GARAGES["garages"].make(rng, 3.0)
            populator.put_building(parts, plot.line, middle, _b(plot, out), _outward(plot), corners)
    if populator.chance(0.45):
        out = rng.uniform(2.6, max(plot.setback, 3.5))
        yaw = _outward(plot) + (np.pi if populator.chance(0.3) else 0.0)
        populator.park(vehicle(populator), plot.line, middle, _b(plot, out), yaw, _PARKABLE)


def vehicle(populator: Populator) -> Kind:
    """Draw the kind of a parked vehicle."""
    rare = populator.rare
    shares = {"car": 1.0, "truck": 0.006 * rare, "trailer": 0.025 * rare, "motorcycle": 0.015 * rare}
    weights = np.array(list(shares.values()))
    return populator.draw_movable(str(populator.rng.choice(list(shares), p=weights / weights.sum())))


def _row_house(populator: Populator, plot: Plot, green: float) -> None:
    setback = plot.setback
    _building(populator, plot, setback, 0.0 if not populator.chance(0.1) else 2.0)
    if setback > 1.3:
        _border(populator, plot, plot.border)
        _shrubs(populator, plot, 0.08 * green * plot.length * setback, (0.8, setback - 0.6))
        _masses(populator, plot, 0.35 * green, (0.9, setback - 0.8))
    back = setback + plot.depth
    _back(populator, plot, back + populator.rng.uniform(4, 12))
    _trees(populator, plot, 0.8 * green, (back + 2, back + 14))


def _block(populator: Populator, plot: Plot, green: float) -> None:
    setback = plot.setback + 1
    _building(populator, plot, setback, populator.rng.uniform(1.1, 4))
    _border(populator, plot, plot.border if populator.chance(0.7) else "none")
    _sides(populator, plot, setback + plot.depth)
    _back(populator, plot, setback + plot.depth + populator.rng.uniform(4, 14))
    area = plot.length * setback
    _shrubs(populator, plot, 0.05 * green * area, (0.8, setback - 0.8))
    _masses(populator, plot, 0.45 * green, (0.9, setback - 0.8))
    _trees(populator, plot, 0.011 * green * area, (1.5, setback))
    if plot.drive:
        _parked_on_drive(populator, plot, plot.drive)


def _hall(populator: Populator, plot: Plot, green: float) -> None:
    rng = populator.rng
    _building(populator, plot, plot.setback, 1.05)
    _border(populator, plot, plot.border)
    _sides(populator, plot, plot.setback + plot.depth)
    for _ in range(rng.poisson(0.12 * plot.length * populator.plan.style.parked[0])):
        a, out = _within(rng, plot.a[0] + 4, plot.a[1] - 4), _within(rng, 3, plot.setback - 2)
        yaw = rng.choice([0.0, np.pi / 2, -np.pi / 2, np.pi])
        populator.park(vehicle(populator), plot.line, a, _b(plot, out), yaw, _PARKABLE)
    for _ in range(populator.rarely(0.15)):
        kind = str(rng.choice(["truck", "trailer", "bus", "machine"], p=(0.6, 0.25, 0.07, 0.08)))
        a, out = _within(rng, plot.a[0] + 6, plot.a[1] - 6), _within(rng, 5, plot.setback - 2)
        populator.park(
            populator.draw_movable(kind), plot.line, a, _b(plot, out), rng.choice([0.0, np.pi / 2]), _PARKABLE
        )
    _trees(populator, plot, 0.6 * green, (1, 4))


def _park(populator: Populator, plot: Plot, green: float) -> None:
    _border(populator, plot, plot.border if populator.chance(0.7) else "none")
    _sides(populator, plot, _DEEP)
    area = plot.length * _DEEP
    _trees(populator, plot, 0.006 * green * area, (1.0, _DEEP))
    _shrubs(populator, plot, 0.02 * green * area, (0.8, _DEEP))
    _masses(populator, plot, 0.5 * green, (0.9, 4))
    _masses(populator, plot, 0.5 * green, (4, 20))


def _masses(populator: Populator, plot: Plot, share: float, out: tuple[float, float]) -> None:
    """Masses of shrubs along the lot, ``out`` metres from its edge."""
    if out[0] >= out[1]:
        return
    rng, a = populator.rng, plot.a[0] + populator.rng.uniform(0, 4)
    while a < plot.a[1] - 3:
        length = rng.uniform(3, 10)
        if rng.random() < share:
            b = _b(plot, _within(rng, *out))
            tilt = rng.normal(0, 1.0)
            populator.lay("shrubs", plot.line, (a, b), (min(a + length, plot.a[1]), b + tilt))
        a += length + rng.uniform(0, 3)


def _woods(populator: Populator, plot: Plot, green: float) -> None:
    _border(populator, plot, plot.border if populator.chance(0.7) else "none")
    _masses(populator, plot, 0.85 * green, (0.9, 3.0))
    _masses(populator, plot, 0.6 * green, (4, 9))
    _masses(populator, plot, 0.4 * green, (9, 20))
    area = plot.length * _DEEP
    _trees(populator, plot, 0.014 * green * area, (2.5, _DEEP))
    _shrubs(populator, plot, 0.015 * green * area, (1.0, 12))


def _meadow(populator: Populator, plot: Plot, green: float) -> None:
    _border(populator, plot, plot.border if populator.chance(0.8) else "none", 0.8)
    _sides(populator, plot, _DEEP)
    _trees(populator, plot, 0.8 * green, (4, 40))
    _shrubs(populator, plot, 3.0 * green, (1, 40))
    _masses(populator, plot, 0.5 * green, (0.8, 4))
    if populator.chance(0.5):
        _masses(populator, plot, 0.7 * green, (22, 45))


def _car_park(populator: Populator, plot: Plot, green: float) -> None:
    rng, share = populator.rng, populator.rng.uniform(0.1, 0.85)
    for out, turn in ((3.9, 0.0), (14.8, np.pi)):
        for a in np.arange(plot.a[0] + 2, plot.a[1] - 1.9, 2.7):
            if rng.random() < share:
                yaw = _outward(plot) + turn + (np.pi if rng.random() < 0.35 else 0.0)
                place = _b(plot, out + rng.normal(0, 0.15))
                populator.park(vehicle(populator), plot.line, a, place, yaw, frozenset({Ground.CAR_PARK}))
    _border(populator, plot, plot.border)
    _building(populator, plot, 19.0, 1.0)
    _trees(populator, plot, 1.0 * green, (17.8, 24))
    _masses(populator, plot, 0.5 * green, (18, 19))


def _square(populator: Populator, plot: Plot, green: float) -> None:
    rng = populator.rng
    _building(populator, plot, plot.setback + 10, 0.5)
    for a in np.arange(plot.a[0] + 3, plot.a[1] - 2, rng.uniform(6, 10)):
        if rng.random() < min(0.7 * green, 0.9):
            populator.put(populator.tree().make(rng), plot.line, a, _b(plot, rng.uniform(3.5, 5)), rng.uniform(0, 6))
    for _ in range(populator.rarely(0.5)):
        a, out = rng.uniform(*plot.a), rng.uniform(1, 8)
        person = populator.draw_movable("stander")
        populator.park(person, plot.line, a, _b(plot, out), rng.uniform(0, 6), frozenset({Ground.PLAZA}))


def _yard(populator: Populator, plot: Plot, green: float) -> None:
    rng = populator.rng
    _border(populator, plot, plot.border)
    _building(populator, plot, rng.uniform(8, 16), 3.0)
    for _ in range(rng.poisson(1.0)):
        a, out = rng.uniform(plot.a[0] + 3, plot.a[1] - 3), rng.uniform(3, 10)
        populator.park(vehicle(populator), plot.line, a, _b(plot, out), rng.uniform(0, 6), _PARKABLE)
    _masses(populator, plot, 0.3 * green, (20, 26))
