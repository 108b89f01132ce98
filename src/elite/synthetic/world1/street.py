"""The plan of a street: its centre line, its lots, and which ground lies where.

Street coordinates are s along the centre line and t across it, left positive, metres. Traffic keeps right.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from elite.shapes import Float, Int8
from elite.synthetic.noise import smooth

ROAD_EDGE = 4.0
BAY_EDGE = 6.2
SIDEWALK_EDGE = 8.8
RAIL_EDGE = 13.2
LOT_EDGE = 21.0
FAR_EDGE = 75.0
ISLAND_HALF_WIDTH = 0.8
EGO_LANE = -2.2
CROSSING = 12.0  # length of the block that a side street takes
_STEP = 0.6  # length of a ground cell along the street


class Ground(IntEnum):
    """Kinds of ground; several belong to one class."""

    ROAD = 0
    ZEBRA = 1
    JUNCTION = 2
    PARKING = 3
    SIDEWALK = 4
    ISLAND = 5
    RAIL_BED = 6
    TERRAIN = 7


# Height above the road's surface at the same place, and how bumpy it is.
_LIFT = np.array([0.0, 0.0, 0.0, 0.03, 0.12, 0.16, 0.10, 0.13])
_BUMPS = np.array([0.004, 0.004, 0.004, 0.008, 0.007, 0.012, 0.03, 0.06])


class Lot(IntEnum):
    """Kinds of lots next to the street in one block."""

    HOUSE = 0
    SHOP = 1
    PARK = 2
    CAR_PARK = 3
    RAIL = 4
    SIDE_STREET = 5


class Verge(IntEnum):
    """Kinds of strips between the road and the sidewalk."""

    BAY = 0
    GREEN = 1
    PAVED = 2


@dataclass(frozen=True)
class Block:
    """A stretch of street; lots and verges are (left, right)."""

    start: float
    stop: float
    lots: tuple[Lot, Lot]
    verges: tuple[Verge, Verge]
    island: tuple[float, float] | None = None


class Street:
    """Plan and relief of one street, from ``start`` to ``stop`` along its centre line."""

    def __init__(self, rng: np.random.Generator, start: float, stop: float) -> None:
        self.start, self.stop = start, stop
        self._bend = rng.uniform(0.12, 0.24), rng.uniform(200, 280), rng.uniform(0, 2 * np.pi)
        self._slope = rng.uniform(0.2, 0.5), rng.uniform(110, 190), rng.uniform(0, 2 * np.pi)
        self._noise_at = rng.uniform(0, 500, 2)
        self._s = np.arange(start - 20, stop + 20, 0.5)
        heading = self.heading(self._s)
        self._x = np.cumsum(np.cos(heading)) * 0.5
        self._y = np.cumsum(np.sin(heading)) * 0.5
        self.blocks = _plan_blocks(rng, start, stop)
        self.s_edges = np.arange(start, stop, _STEP)
        self.t_edges = _t_edges()
        self.cells = self._fill_cells()

    def heading(self, s: Float[np.ndarray, "*n"] | float) -> Float[np.ndarray, "*n"] | float:
        """Direction of the centre line, radians from the world's x axis."""
        amplitude, length, phase = self._bend
        return amplitude * np.sin(2 * np.pi * np.asarray(s) / length + phase)

    def locate(
        self, s: Float[np.ndarray, "*#n"] | float, t: Float[np.ndarray, "*#n"] | float
    ) -> Float[np.ndarray, "*n 2"]:
        """Street coordinates -> world x, y."""
        heading = self.heading(s)
        x = np.interp(s, self._s, self._x) - np.sin(heading) * t
        y = np.interp(s, self._s, self._y) + np.cos(heading) * t
        return np.stack([x, y], axis=-1)

    def ground_at(self, s: float, t: float) -> Ground:
        i = np.clip(np.searchsorted(self.s_edges, s) - 1, 0, self.cells.shape[0] - 1)
        j = np.clip(np.searchsorted(self.t_edges, t) - 1, 0, self.cells.shape[1] - 1)
        return Ground(self.cells[i, j])

    def height(
        self,
        s: Float[np.ndarray, "*#n"] | float,
        t: Float[np.ndarray, "*#n"] | float,
        kind: Int8[np.ndarray, "*#n"] | int,
    ) -> Float[np.ndarray, "*n"] | float:
        """World z of the ground, taken to be of ``kind`` there."""
        s, t = np.asarray(s, float), np.asarray(t, float)
        amplitude, length, phase = self._slope
        base = amplitude * np.sin(2 * np.pi * s / length + phase) - 0.02 * np.minimum(np.abs(t), 12)
        a, b = s + self._noise_at[0], t + self._noise_at[1]
        bumps = _BUMPS[kind] * (0.7 * smooth(a, b, 0.9) + 0.5 * smooth(b, a, 0.25))
        rolling = np.where(
            np.equal(kind, Ground.TERRAIN), 0.12 * smooth(a, b, 5.0) * np.clip(np.abs(t) / 30, 0.3, 2), 0
        )
        return base + _LIFT[kind] + bumps + rolling + self._rail_profile(t, kind)

    def road(self, s: float, t: float) -> float:
        """World z of the road at (s, t), as if it were there."""
        return float(self.height(s, t, Ground.ROAD))

    def surface(self, s: float, t: float) -> float:
        """World z of the ground at (s, t), with its actual kind."""
        return float(self.height(s, t, self.ground_at(s, t)))

    @staticmethod
    def _rail_profile(
        t: Float[np.ndarray, "*#n"] | float, kind: Int8[np.ndarray, "*#n"] | int
    ) -> Float[np.ndarray, "*n"] | float:
        """A rail bed is a low dam with sloping sides."""
        middle = (SIDEWALK_EDGE + RAIL_EDGE) / 2
        dam = np.clip(2.0 - np.abs(np.abs(t) - middle), 0, 0.6) * 0.6
        return np.where(np.equal(kind, Ground.RAIL_BED), dam, 0)

    def _fill_cells(self) -> Int8[np.ndarray, "i j"]:
        s = (self.s_edges[:-1] + self.s_edges[1:]) / 2
        t = (self.t_edges[:-1] + self.t_edges[1:]) / 2
        cells = np.full((len(s), len(t)), Ground.TERRAIN, np.int8)
        for block in self.blocks:
            rows = (s >= block.start) & (s < block.stop)
            for side, lot, verge in zip((1, -1), block.lots, block.verges, strict=True):
                cells[np.ix_(rows, side * t > 0)] = _cross_section(side * t[side * t > 0], lot, verge)
            if block.island:
                inside = (s > block.island[0]) & (s < block.island[1])
                cells[np.ix_(inside, np.abs(t) < ISLAND_HALF_WIDTH)] = Ground.ISLAND
        for block in self.blocks:  # last, for its zebra crossings lie on the neighbours' ground
            if block.lots[0] == Lot.SIDE_STREET:
                _lay_junction(cells, s, t, (block.start + block.stop) / 2)
        return cells


def _t_edges() -> Float[np.ndarray, "j"]:
    """Cell borders across the street: fine where people and cars are, coarse far away."""
    half = np.concatenate(
        [
            np.linspace(0, ROAD_EDGE, 6),
            np.linspace(ROAD_EDGE, BAY_EDGE, 5),
            np.linspace(BAY_EDGE, SIDEWALK_EDGE, 5),
            np.linspace(SIDEWALK_EDGE, RAIL_EDGE, 12),
            np.linspace(RAIL_EDGE, LOT_EDGE, 14),
            np.linspace(LOT_EDGE, 40, 16),
            np.linspace(40, FAR_EDGE, 8),
        ]
    )
    half = np.unique(np.round(half, 6))
    return np.concatenate([-half[:0:-1], half])


def _cross_section(t: Float[np.ndarray, "j"], lot: Lot, verge: Verge) -> Int8[np.ndarray, "j"]:
    """Ground of one side of a block; t >= 0 outwards."""
    between = {Verge.BAY: Ground.PARKING, Verge.GREEN: Ground.TERRAIN, Verge.PAVED: Ground.SIDEWALK}[verge]
    beside = {Lot.CAR_PARK: Ground.PARKING, Lot.RAIL: Ground.RAIL_BED, Lot.SHOP: Ground.SIDEWALK}
    depth = {Lot.CAR_PARK: LOT_EDGE, Lot.RAIL: RAIL_EDGE, Lot.SHOP: 11.5}.get(lot, SIDEWALK_EDGE)
    kind = np.full(len(t), Ground.TERRAIN, np.int8)
    kind[t < depth] = beside.get(lot, Ground.TERRAIN)
    kind[t < SIDEWALK_EDGE] = Ground.SIDEWALK
    kind[t < BAY_EDGE] = between
    kind[t < ROAD_EDGE] = Ground.ROAD
    return kind


def _lay_junction(
    cells: Int8[np.ndarray, "i j"], s: Float[np.ndarray, "i"], t: Float[np.ndarray, "j"], middle: float
) -> None:
    """A side street across both sides, with its own sidewalks, and zebra crossings over the main road."""
    away = np.abs(s - middle)
    outside = np.abs(t) > SIDEWALK_EDGE
    cells[np.ix_(away < 5.6, outside)] = Ground.SIDEWALK
    cells[np.ix_(away < 3.6, np.abs(t) > ROAD_EDGE)] = Ground.JUNCTION
    cells[np.ix_(away < 3.6, np.abs(t) < ROAD_EDGE)] = Ground.JUNCTION
    cells[np.ix_((away > 5.6) & (away < 8.8), np.abs(t) < ROAD_EDGE)] = Ground.ZEBRA


def _plan_blocks(rng: np.random.Generator, start: float, stop: float) -> list[Block]:
    """Blocks from start to stop. Each side repeats all kinds of lots in random order."""
    kinds = (Lot.HOUSE, Lot.SHOP, Lot.PARK, Lot.CAR_PARK, Lot.RAIL, Lot.HOUSE)
    queues: tuple[list[Lot], list[Lot]] = ([], [])
    blocks: list[Block] = []
    s = start
    while s < stop:
        if len(blocks) % 6 == 3:
            blocks.append(Block(s, s + CROSSING, (Lot.SIDE_STREET, Lot.SIDE_STREET), (Verge.PAVED, Verge.PAVED)))
            s += CROSSING
            continue
        for queue in queues:
            if not queue:
                queue += [kinds[i] for i in rng.permutation(len(kinds))]
        length = rng.uniform(15, 24)
        verges = tuple(Verge(v) for v in rng.choice(3, 2, p=(0.46, 0.36, 0.18)))
        island = (s + 3, s + length - 3) if len(blocks) % 3 == 1 else None
        lots = queues[0].pop(), queues[1].pop()
        blocks.append(Block(s, s + length, lots, (verges[0], verges[1]), island))
        s += length
    return blocks
