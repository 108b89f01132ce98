"""Draw the lots along the roads of a street, with the ground that they lay."""

from dataclasses import dataclass

import numpy as np

from elite.synthetic.world2.corners import Corner, corners
from elite.synthetic.world2.layout import free_stretches
from elite.synthetic.world2.lines import Box, Line
from elite.synthetic.world2.plan import Overlay, Plan
from elite.synthetic.world2.style import Lot, Style, pick
from elite.synthetic.world2.surfaces import Ground

_OUTSIDE = frozenset({Ground.LAWN, Ground.SOIL, Ground.PLAZA})
_CROSSED = frozenset({Ground.SIDEWALK, Ground.VERGE, Ground.BAY})
_DEPTHS = {
    Lot.HOUSE: (8.0, 12.0),
    Lot.ROW: (9.0, 13.0),
    Lot.BLOCK: (10.0, 14.0),
    Lot.HALL: (15.0, 30.0),
    Lot.SQUARE: (10.0, 14.0),
    Lot.CAR_PARK: (9.0, 14.0),
    Lot.YARD: (6.0, 14.0),
}
_SIDE_REACH = 68.0  # lots along side roads end this far from the main road


@dataclass(frozen=True)
class Plot:
    """A lot at a road.

    Attributes:
        line: of the road.
        side: 1 on its left, -1 on its right.
        a: extent along the road.
        edge: distance of the lot from the line.
        lot: kind.
        setback: distance of the building from the edge.
        depth: of the building.
        drive: extent of the driveway along the road, or None.
        border: kind of the border at the sidewalk.
    """

    line: Line
    side: int
    a: tuple[float, float]
    edge: float
    lot: Lot
    setback: float
    depth: float
    drive: tuple[float, float] | None
    border: str

    @property
    def length(self) -> float:
        return self.a[1] - self.a[0]

    def box(self, a: tuple[float, float], out: tuple[float, float]) -> Box:
        """Rectangle ``out`` metres from the edge of the lot."""
        first, last = sorted((self.side * (self.edge + out[0]), self.side * (self.edge + out[1])))
        return Box(self.line, a, (first, last))


def draw_lots(plan: Plan, rng: np.random.Generator) -> tuple[list[Plot], list[Overlay]]:
    """Draw all lots: first along the main road, then along its side roads."""
    plots: list[Plot] = []
    for side in (1, -1):
        for stretch in free_stretches(plan, side, 1.0):
            plots += _row(plan, plan.main, side, stretch, rng)
    for junction in plan.junctions:
        line, first = junction.line, max(plan.main.borders) + junction.radius + 3
        ways = [(first, _SIDE_REACH)] if line.start == 0 else [(first, _SIDE_REACH), (-_SIDE_REACH, -first)]
        for way in ways:
            for side in (1, -1):
                plots += _row(plan, line, side, way, rng)
    plots += [_corner_lot(plan, corner, rng) for corner in corners(plan)]
    return plots, [overlay for plot in plots for overlay in _ground(plot, rng)]


def _corner_lot(plan: Plan, corner: Corner, rng: np.random.Generator) -> Plot:
    """A lot behind a rounded corner, whose own border follows the curve."""
    lots = {Lot.HOUSE: 3.0, Lot.BLOCK: 1.0, Lot.PARK: 1.5, Lot.WOODS: 1.0, Lot.MEADOW: 0.7}
    weights = {lot: weight * (0.15 + plan.style.district.lots.get(lot, 0.0)) for lot, weight in lots.items()}
    edge = plan.main.borders[0 if corner.side > 0 else 1]
    setback = rng.uniform(2, 7)
    first, last = corner.s
    return Plot(plan.main, corner.side, (first, last), edge, pick(weights, rng), setback, 9.0, None, "none")


def _row(plan: Plan, line: Line, side: int, stretch: tuple[float, float], rng: np.random.Generator) -> list[Plot]:
    """Lots side by side along a stretch of a road."""
    style, plots, a = plan.style, [], stretch[0]
    edge, setback = line.borders[0 if side > 0 else 1], style.setback * rng.uniform(0.6, 1.5)
    while a < stretch[1] - 8:
        lot = pick(style.district.lots, rng)
        length = rng.uniform(*style.district.plots) * (0.7 if lot == Lot.ROW else 1.0)
        last = min(a + length, stretch[1])
        if stretch[1] - last < 8:
            last = stretch[1] if lot not in (Lot.HOUSE, Lot.ROW) else last
        plots.append(_plot(style, line, side, (a, last), edge, lot, setback, rng))
        a = last + (0.0 if lot == Lot.ROW else rng.uniform(0, 3))
    return plots


def _plot(
    style: Style,
    line: Line,
    side: int,
    a: tuple[float, float],
    edge: float,
    lot: Lot,
    setback: float,
    rng: np.random.Generator,
) -> Plot:
    depth = rng.uniform(*_DEPTHS.get(lot, (0.0, 0.0)))
    if lot == Lot.ROW:
        setback = min(setback, 4.0)
    elif lot in (Lot.HOUSE, Lot.BLOCK):
        setback = max(setback + rng.normal(0, 0.8), 1.2)
    chance = {Lot.HOUSE: 0.65, Lot.ROW: 0.12, Lot.HALL: 0.9, Lot.CAR_PARK: 1.0, Lot.YARD: 0.8, Lot.BLOCK: 0.3}
    drive = None
    if rng.random() < chance.get(lot, 0.05) and a[1] - a[0] > 9:
        width = rng.uniform(2.6, 3.6) if lot in (Lot.HOUSE, Lot.ROW) else rng.uniform(4, 7)
        first = a[0] + 0.6 if rng.random() < 0.5 else a[1] - 0.6 - width
        drive = (first, first + width)
    return Plot(line, side, a, edge, lot, setback, depth, drive, pick(style.borders, rng))


def _ground(plot: Plot, rng: np.random.Generator) -> list[Overlay]:
    """Paved yards, squares, car parks, driveways."""
    a, length = plot.a, plot.length
    overlays = []
    if plot.lot == Lot.CAR_PARK:
        overlays.append(Overlay(Ground.CAR_PARK, plot.box((a[0] + 0.5, a[1] - 0.5), (1.2, 17.5)), _OUTSIDE))
    elif plot.lot == Lot.SQUARE:
        overlays.append(Overlay(Ground.PLAZA, plot.box(a, (0, plot.setback + 14)), _OUTSIDE))
    elif plot.lot == Lot.YARD:
        overlays.append(Overlay(Ground.GRAVEL, plot.box((a[0] + 0.5, a[1] - 0.5), (0.6, 24)), _OUTSIDE))
    elif plot.lot == Lot.HALL:
        yard = Ground(int(rng.choice([Ground.PLAZA, Ground.CAR_PARK, Ground.GRAVEL], p=(0.4, 0.5, 0.1))))
        overlays.append(Overlay(yard, plot.box((a[0] + 1, a[1] - 1), (0.8, plot.setback + plot.depth)), _OUTSIDE))
    elif plot.lot in (Lot.HOUSE, Lot.ROW, Lot.BLOCK) and plot.setback > 0.3 and rng.random() < 0.4:
        paving = Ground.PLAZA if rng.random() < 0.9 else Ground.GRAVEL
        overlays.append(Overlay(paving, plot.box(a, (0.0, plot.setback + 0.2)), _OUTSIDE))
    elif plot.lot == Lot.ROW and plot.setback < 1.2:
        overlays.append(Overlay(Ground.PLAZA, plot.box(a, (0.0, plot.setback + 0.2)), _OUTSIDE))
    elif plot.lot == Lot.WOODS or (plot.lot == Lot.PARK and rng.random() < 0.2):
        overlays.append(Overlay(Ground.SOIL, plot.box(a, (rng.uniform(0.5, 3), 40)), _OUTSIDE))
    if plot.lot in (Lot.HOUSE, Lot.BLOCK) and rng.random() < 0.5:  # the way to the door
        middle = rng.uniform(a[0] + 0.3 * length, a[1] - 0.3 * length)
        overlays.append(Overlay(Ground.PLAZA, plot.box((middle, middle + 1.3), (0, plot.setback)), _OUTSIDE))
    if plot.drive:
        overlays += _driveway(plot, plot.drive, rng)
    return overlays


def _driveway(plot: Plot, drive: tuple[float, float], rng: np.random.Generator) -> list[Overlay]:
    """The driveway on the lot, and its crossing of the sidewalk."""
    inner = min(plot.setback + rng.uniform(2, 7), 14) if plot.lot in (Lot.HOUSE, Lot.ROW, Lot.BLOCK) else 1.3
    across = plot.box((drive[0] - 0.4, drive[1] + 0.4), (plot.line.half - plot.edge, 0.0))
    kind = Ground.DRIVEWAY if rng.random() < 0.4 else Ground.SIDEWALK
    return [
        Overlay(Ground.DRIVEWAY, plot.box(drive, (0.0, inner)), _OUTSIDE),
        Overlay(kind, across, _CROSSED, lowers=True),
    ]
