"""Style of a street: its district, and the numbers drawn from the wide ranges of the district."""

from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import TypeVar

import numpy as np

Range = tuple[float, float]
T = TypeVar("T")


class Lot(IntEnum):
    """Kinds of lots along a street."""

    HOUSE = 0  # detached, in a garden
    ROW = auto()  # wall to wall with its neighbours
    BLOCK = auto()  # of flats, on a lawn
    HALL = auto()  # of a firm, with a yard
    PARK = auto()
    WOODS = auto()
    MEADOW = auto()
    CAR_PARK = auto()
    SQUARE = auto()
    YARD = auto()  # gravel, rails, works


class Strip(IntEnum):
    """Kinds of strips between the kerb and the sidewalk."""

    NONE = 0
    GREEN = auto()
    BAYS = auto()
    SLANTED = auto()  # bays across the street
    PAVED = auto()


@dataclass(frozen=True)
class District:
    """Ranges and weights from which the streets of a kind of neighbourhood are drawn. Metres."""

    weight: float
    half: Range
    lots: dict[Lot, float]
    walk: Range = (1.4, 3.6)
    walks: float = 0.9  # share of the sides with a sidewalk
    strips: dict[Strip, float] = field(default_factory=lambda: {Strip.NONE: 1.0})
    plots: Range = (11.0, 26.0)
    setback: Range = (2.0, 8.0)
    storeys: tuple[int, int] = (1, 3)
    borders: dict[str, float] = field(default_factory=lambda: {"none": 1.0})
    parked: Range = (0.0, 0.75)  # share of the places along the kerb
    tree_gap: Range = (7.0, 60.0)
    junctions: Range = (45.0, 160.0)
    green: Range = (0.5, 1.8)
    traffic: Range = (0.2, 1.0)
    people: Range = (0.2, 1.5)
    relief: Range = (0.4, 1.4)


_GARDENS = {"hedge": 5.0, "overgrown": 3.2, "fence": 3.8, "wall": 2.2, "shrubs": 1.4, "none": 0.7}
_OPEN = {"hedge": 2.5, "overgrown": 1.7, "fence": 3.0, "wall": 1.5, "shrubs": 2.5, "none": 1.5}

DISTRICTS = {
    "town": District(
        0.20,
        (2.6, 4.8),
        {Lot.ROW: 6, Lot.HOUSE: 1, Lot.BLOCK: 0.6, Lot.PARK: 0.5, Lot.CAR_PARK: 0.3, Lot.SQUARE: 0.4},
        strips={Strip.NONE: 6, Strip.BAYS: 2.2, Strip.SLANTED: 0.6, Strip.PAVED: 1, Strip.GREEN: 1},
        setback=(0.0, 5.0),
        storeys=(2, 4),
        borders={"hedge": 2.5, "fence": 2.5, "overgrown": 1.0, "wall": 2.0, "none": 1.2},
        tree_gap=(8.0, 70.0),
        junctions=(40.0, 110.0),
        green=(0.3, 1.5),
    ),
    "suburb": District(
        0.32,
        (2.4, 4.1),
        {Lot.HOUSE: 8, Lot.ROW: 1, Lot.PARK: 0.9, Lot.BLOCK: 0.4, Lot.WOODS: 0.4, Lot.CAR_PARK: 0.15},
        walk=(1.1, 2.8),
        strips={Strip.NONE: 7, Strip.GREEN: 1.5, Strip.BAYS: 1.3, Strip.SLANTED: 0.5, Strip.PAVED: 0.5},
        setback=(2.5, 10.0),
        storeys=(1, 2),
        borders=_GARDENS,
        parked=(0.0, 0.6),
        junctions=(45.0, 140.0),
        green=(0.8, 2.2),
        relief=(0.4, 2.2),
    ),
    "avenue": District(
        0.09,
        (4.2, 7.0),
        {Lot.ROW: 3, Lot.BLOCK: 3, Lot.PARK: 1.2, Lot.SQUARE: 0.5, Lot.CAR_PARK: 0.6, Lot.HALL: 0.5},
        walk=(2.2, 4.5),
        strips={Strip.NONE: 3, Strip.GREEN: 4, Strip.BAYS: 1.7, Strip.PAVED: 1},
        plots=(16.0, 40.0),
        setback=(0.0, 9.0),
        storeys=(3, 5),
        borders=_OPEN,
        tree_gap=(7.0, 24.0),
        junctions=(70.0, 180.0),
        traffic=(0.6, 2.0),
        people=(0.5, 2.0),
    ),
    "trade": District(
        0.09,
        (3.2, 5.6),
        {Lot.HALL: 5, Lot.CAR_PARK: 1.0, Lot.YARD: 0.8, Lot.MEADOW: 1, Lot.WOODS: 1.5, Lot.BLOCK: 1},
        walks=0.75,
        strips={Strip.NONE: 3, Strip.GREEN: 3, Strip.BAYS: 0.6, Strip.SLANTED: 0.3},
        plots=(25.0, 60.0),
        setback=(3.0, 14.0),
        borders={"fence": 4, "wall": 1, "hedge": 1.5, "overgrown": 2, "shrubs": 2.5, "none": 1},
        parked=(0.05, 0.5),
        junctions=(70.0, 200.0),
        people=(0.05, 0.5),
    ),
    "green": District(
        0.16,
        (2.7, 4.8),
        {Lot.PARK: 3, Lot.WOODS: 4, Lot.MEADOW: 1.6, Lot.HOUSE: 2, Lot.BLOCK: 0.8, Lot.YARD: 0.2},
        walks=0.7,
        strips={Strip.NONE: 4, Strip.GREEN: 4, Strip.BAYS: 0.5},
        plots=(14.0, 45.0),
        setback=(4.0, 14.0),
        storeys=(1, 3),
        borders={"overgrown": 3, "fence": 3.5, "wall": 1, "shrubs": 4, "hedge": 1, "none": 1},
        parked=(0.0, 0.25),
        tree_gap=(6.0, 30.0),
        junctions=(80.0, 240.0),
        green=(0.9, 2.2),
        people=(0.05, 0.8),
        relief=(0.5, 2.6),
    ),
    "country": District(
        0.10,
        (2.6, 4.8),
        {Lot.MEADOW: 4, Lot.WOODS: 4.5, Lot.YARD: 0.25, Lot.HOUSE: 0.5, Lot.HALL: 0.3},
        walks=0.15,
        strips={Strip.NONE: 1, Strip.GREEN: 1},
        plots=(25.0, 80.0),
        setback=(6.0, 18.0),
        storeys=(1, 2),
        borders={"fence": 1.5, "guardrail": 5.0, "barrier": 1.0, "shrubs": 4, "overgrown": 1.5, "none": 1.5},
        parked=(0.0, 0.05),
        tree_gap=(8.0, 80.0),
        junctions=(120.0, 400.0),
        green=(0.8, 2.2),
        traffic=(0.3, 1.6),
        people=(0.0, 0.1),
        relief=(0.6, 3.0),
    ),
}


@dataclass(frozen=True)
class Style:
    """Numbers of one street, which its plan and its population share; those of sides are (left, right). Metres."""

    district: District
    half: float
    kerb: float
    walks: tuple[float, float]
    strips: tuple[tuple[Strip, float], tuple[Strip, float]]
    setback: float
    storeys: int
    parked: tuple[float, float]
    tree_gap: tuple[float, float]
    junctions: float
    green: float
    traffic: float
    people: float
    relief: float
    marked: bool
    kerbside: tuple[str, str]  # of sides without bays: "lane", "half" (on the sidewalk) or "none"
    borders: dict[str, float]


def draw_style(rng: np.random.Generator) -> Style:
    """Draw the style of a street."""
    weights = np.array([d.weight for d in DISTRICTS.values()])
    district = list(DISTRICTS.values())[rng.choice(len(weights), p=weights / weights.sum())]
    half = rng.uniform(*district.half)
    twin = rng.random() < 0.5  # both sides alike
    left, right = _side(district, rng), _side(district, rng)
    favoured = {
        name: w * rng.lognormal(0, 0.9) for name, w in district.borders.items()
    }  # neighbours imitate each other
    return Style(
        district=district,
        half=half,
        kerb=float(rng.choice([rng.uniform(0.0, 0.05), rng.uniform(0.06, 0.18)], p=(0.2, 0.8))),
        walks=(left[0], left[0] if twin else right[0]),
        strips=(left[1], left[1] if twin else right[1]),
        setback=rng.uniform(*district.setback),
        storeys=int(rng.integers(district.storeys[0], district.storeys[1] + 1)),
        parked=(rng.uniform(*district.parked), rng.uniform(*district.parked)),
        tree_gap=(left[2], left[2] if twin else right[2]),
        junctions=rng.uniform(*district.junctions),
        green=rng.uniform(*district.green),
        traffic=rng.uniform(*district.traffic),
        people=rng.uniform(*district.people),
        relief=rng.uniform(*district.relief),
        marked=bool(half > 3.2 and rng.random() < np.clip((half - 2.8) / 2, 0.1, 0.9)),
        kerbside=_kerbside(half, rng),
        borders=favoured,
    )


def _kerbside(half: float, rng: np.random.Generator) -> tuple[str, str]:
    """Places of parked vehicles along the kerbs, (left, right), with room left for traffic."""
    left, right = (str(rng.choice(["lane", "half", "none"], p=(0.6, 0.22, 0.18))) for _ in range(2))
    if half < (3.9 if "lane" in (left, right) else 3.0):  # on one side only
        return (left, "none") if rng.random() < 0.5 else ("none", right)
    return left, right


_STRIP_WIDTHS = {
    Strip.NONE: (0.0, 0.0),
    Strip.GREEN: (0.8, 4.0),
    Strip.BAYS: (1.9, 2.5),
    Strip.SLANTED: (4.4, 5.2),
    Strip.PAVED: (0.6, 2.5),
}


def _side(district: District, rng: np.random.Generator) -> tuple[float, tuple[Strip, float], float]:
    """(width of the sidewalk, strip with its width, distance of street trees) of a side."""
    walk = rng.uniform(*district.walk) if rng.random() < district.walks else 0.0
    strip = pick(district.strips, rng)
    return walk, (strip, rng.uniform(*_STRIP_WIDTHS[strip])), rng.uniform(*district.tree_gap)


def pick(weights: dict[T, float], rng: np.random.Generator) -> T:
    """Draw a key by weight."""
    values = np.array(list(weights.values()))
    return list(weights)[rng.choice(len(values), p=values / values.sum())]
