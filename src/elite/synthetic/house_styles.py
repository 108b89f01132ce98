"""Styles of houses: colours, materials, and the proportions of their windows."""

from dataclasses import dataclass, replace

import numpy as np

from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint
from elite.synthetic.scenery import Color, tinted

BUILDING = raw_id("building")
_PLASTERS: tuple[Color, ...] = (
    *((0.62, 0.58, 0.48), (0.55, 0.42, 0.26), (0.66, 0.63, 0.60), (0.50, 0.52, 0.50), (0.60, 0.47, 0.38)),
    *((0.42, 0.46, 0.52), (0.70, 0.66, 0.52), (0.58, 0.36, 0.28), (0.45, 0.50, 0.38), (0.30, 0.30, 0.31)),
)
_BRICKS: tuple[Color, ...] = ((0.34, 0.16, 0.11), (0.45, 0.22, 0.14), (0.25, 0.13, 0.10), (0.50, 0.38, 0.25))
_STONES: tuple[Color, ...] = ((0.45, 0.38, 0.30), (0.42, 0.24, 0.18), (0.40, 0.39, 0.36))
_BOARDS: tuple[Color, ...] = ((0.30, 0.20, 0.11), (0.55, 0.55, 0.52), (0.20, 0.26, 0.30), (0.35, 0.10, 0.08))
_ROOFS: tuple[Color, ...] = ((0.24, 0.08, 0.05), (0.08, 0.08, 0.09), (0.16, 0.10, 0.07), (0.30, 0.14, 0.09))
_FRAMES: tuple[Color, ...] = ((0.70, 0.69, 0.66), (0.70, 0.69, 0.66), (0.20, 0.12, 0.07), (0.08, 0.08, 0.09))
_ACCENTS: tuple[Color, ...] = (
    (0.08, 0.20, 0.12),
    (0.25, 0.07, 0.05),
    (0.12, 0.16, 0.28),
    (0.25, 0.17, 0.09),
    (0.4, 0.4, 0.4),
)


@dataclass(frozen=True)
class Style:
    """Paints and proportions of one house.

    Attributes:
        wall, base, trim, frame, roof, accent, metal: paints; ``accent`` is that of doors and shutters.
        panes: paints of window panes, all of GLASS; a window has one of them.
        relief: surface of the wall: flat, boards or bands.
        storey: height of a storey (m).
        base_height: height of the ground floor above the ground (m).
        pitch: distance between windows (m).
        share: width of a window as a share of ``pitch``.
        foot, head: lower and upper edge of a window as shares of the storey.
        reveal: depth of the windows in the wall (m).
        sill: how far window sills stand out (m).
        surround: thickness of window surrounds (m); 0 for none.
        shutters, downpipes, plinth, courses, pilasters, quoins: whether the house has them.
    """

    wall: Paint
    base: Paint
    trim: Paint
    frame: Paint
    roof: Paint
    accent: Paint
    metal: Paint
    panes: tuple[Paint, ...]
    relief: str
    storey: float
    base_height: float
    pitch: float
    share: float
    foot: float
    head: float
    reveal: float
    sill: float
    surround: float
    shutters: bool
    downpipes: bool
    plinth: bool
    courses: bool
    pilasters: bool
    quoins: bool


def house_style(rng: np.random.Generator) -> Style:
    """Draw the style of a house: plaster, brick, stone or boards, old or new."""
    old = rng.random() < 0.5
    wall, relief = _wall_paint(rng)
    chance = rng.random(6)
    return Style(
        wall=wall,
        base=paint(Material.STONE if rng.random() < 0.5 else Material.BLIND, (0.33, 0.31, 0.28), rng),
        trim=paint(Material.BLIND, (0.52, 0.50, 0.46), rng),
        frame=paint(Material.BLIND, _pick(_FRAMES, rng), rng),
        roof=paint(Material.TILES, _pick(_ROOFS, rng), rng),
        accent=paint(Material.WOOD, _pick(_ACCENTS, rng), rng),
        metal=paint(Material.ZINC, (0.28, 0.29, 0.29), rng),
        panes=tuple(_pane(rng) for _ in range(3)),
        relief=relief,
        storey=rng.uniform(3.0, 3.7) if old else rng.uniform(2.5, 3.0),
        base_height=float(rng.choice([0.0, rng.uniform(0.15, 0.5), rng.uniform(0.5, 1.2)], p=(0.25, 0.45, 0.3))),
        pitch=rng.uniform(1.8, 2.6) if old else rng.uniform(2.2, 3.6),
        share=rng.uniform(0.4, 0.52) if old else rng.uniform(0.4, 0.68),
        foot=rng.uniform(0.22, 0.34),
        head=rng.uniform(0.78, 0.86),
        reveal=rng.uniform(0.12, 0.3),
        sill=rng.uniform(0.06, 0.2),
        surround=float(rng.choice([0.0, rng.uniform(0.02, 0.09)], p=(0.45, 0.55) if old else (0.75, 0.25))),
        shutters=chance[0] < (0.4 if old else 0.25),
        downpipes=chance[1] < 0.85,
        plinth=chance[2] < 0.7,
        courses=chance[3] < (0.6 if old else 0.15),
        pilasters=chance[4] < (0.25 if old else 0.12),
        quoins=chance[5] < (0.3 if old else 0.0),
    )


def modern(style: Style, rng: np.random.Generator) -> Style:
    """Make a style that of a block of flats or offices: low storeys, wide windows, no ornaments."""
    ribs = rng.random() < 0.4
    plain = {
        "pilasters": ribs,
        "reveal": rng.uniform(0.15, 0.35),
        "surround": 0.0,
        "shutters": False,
        "courses": rng.random() < 0.25,
        "quoins": False,
    }
    return replace(
        style, storey=rng.uniform(2.65, 3.0), pitch=rng.uniform(2.6, 4.2), share=rng.uniform(0.45, 0.7), **plain
    )


def paint(material: Material, color: Color, rng: np.random.Generator, label: int = BUILDING) -> Paint:
    """Paint near a colour, with a remission of its own."""
    return Paint(material, label, tinted(color, rng), float(rng.lognormal(0, 0.2)))


def _wall_paint(rng: np.random.Generator) -> tuple[Paint, str]:
    """(paint, relief) of a wall."""
    kind = rng.choice(["plaster", "brick", "stone", "boards"], p=(0.6, 0.22, 0.08, 0.10))
    if kind == "boards":
        return paint(Material.WOOD, _pick(_BOARDS, rng), rng), "boards"
    material, colors = {
        "plaster": (Material.BLIND, _PLASTERS),
        "brick": (Material.MASONRY, _BRICKS),
        "stone": (Material.STONE, _STONES),
    }[str(kind)]
    return paint(material, _pick(colors, rng), rng), "bands" if rng.random() < 0.15 else "flat"


def _pane(rng: np.random.Generator) -> Paint:
    """Dark glass, glass before a bright curtain, or glass before a blind."""
    color = rng.choice(
        [(0.02, 0.025, 0.035), (0.03, 0.04, 0.05), (0.22, 0.22, 0.2), (0.12, 0.11, 0.1)], p=(0.4, 0.25, 0.2, 0.15)
    )
    return Paint(Material.GLASS, BUILDING, tinted(tuple(color), rng))


def _pick(colors: tuple[Color, ...], rng: np.random.Generator) -> Color:
    return colors[rng.integers(len(colors))]
