"""Walls with windows that are set back, doors, sills and ornaments. All in the axes of a front.

A front lies in the plane x = 0 between y = +-width/2, faces -x and stands on z = 0; it reaches 0.6 m below the ground.
Window panes are parts of GLASS of their own, set back from the wall by the reveal.
"""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.house_styles import Style
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import bricks, pierced, quads, reveals, slab, spread, upright

BURIED = 0.6
_FLOWERS: Color = (0.5, 0.12, 0.15)


@dataclass(frozen=True)
class Openings:
    """Holes of one sort in a wall: rectangles (y0, y1, z0, z1), and how deep their panes lie (m)."""

    sort: str
    holes: Float[np.ndarray, "n 4"]
    depth: float


def wall(
    width: float,
    storeys: int,
    style: Style,
    rng: np.random.Generator,
    *,
    ground: tuple[str, ...] = (),
    fine: bool = True,
) -> list[Part]:
    """A wall with windows in all storeys. Nothing stands out by more than 0.3 m, except for steps and canopies (1.8 m).

    ``ground`` names what the bays of the ground floor have: window, door, garage, shop or blank; by default windows.
    ``fine`` adds window frames and ornaments, which the back of a house does without.
    """
    height = style.base_height + storeys * style.storey
    openings = _openings(width, storeys, style, rng, ground)
    holes = np.concatenate([o.holes for o in openings] + [np.zeros((0, 4))])
    parts = [_surface(width, height, holes, style)]
    for opening in openings:
        if len(opening.holes):
            parts += _filled(opening, style, rng, fine=fine)
    return parts + (_ornaments(width, height, storeys, holes, style, rng) if fine else [])


def wall_height(storeys: int, style: Style) -> float:
    return style.base_height + storeys * style.storey


def bays(width: float, style: Style) -> int:
    """Number of windows side by side on a wall."""
    return max(1, round(width / style.pitch))


def _openings(
    width: float, storeys: int, style: Style, rng: np.random.Generator, ground: tuple[str, ...]
) -> list[Openings]:
    count = bays(width, style)
    pitch = width / count
    middles = width / 2 - (np.arange(count) + 0.5) * pitch
    sorts = (*ground, *["window"] * count)[:count]
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for storey in range(storeys):
        for middle, sort in zip(middles, sorts, strict=True):
            kind = sort if storey == 0 else "window"
            if kind != "blank" and not (kind == "window" and rng.random() < 0.04):
                found.setdefault(kind, []).append(_hole(kind, float(middle), pitch, storey, style))
    deep = {"window": style.reveal, "door": style.reveal + 0.12, "garage": 0.25, "shop": 0.2}
    return [Openings(kind, np.array(holes), deep[kind]) for kind, holes in found.items()]


def _hole(kind: str, middle: float, pitch: float, storey: int, style: Style) -> tuple[float, float, float, float]:
    floor = style.base_height + storey * style.storey
    half = {"window": style.share * pitch / 2, "door": 0.55, "garage": 1.25, "shop": pitch / 2 - 0.15}[kind]
    half = min(half, pitch / 2 - 0.08)
    foot, head = {
        "window": (floor + style.foot * style.storey, floor + style.head * style.storey),
        "door": (floor, floor + min(2.25, 0.84 * style.storey)),
        "garage": (0.02, 2.2),
        "shop": (max(0.3, 0.6 * style.base_height), floor + 0.8 * style.storey),
    }[kind]
    return middle - half, middle + half, foot, head


def _surface(width: float, height: float, holes: Float[np.ndarray, "n 4"], style: Style) -> Part:
    """The wall around its holes, in strips of boards or bands if the style has them."""
    span, rise = (-width / 2, width / 2), (-BURIED, height)
    plain = [quads(pierced(span, rise, holes)), *([quads(reveals(holes, style.reveal + 0.2))] if len(holes) else [])]
    if style.relief == "flat":
        return Part(merged(plain), style.wall)
    step = 0.18 if style.relief == "boards" else 0.42
    edges = np.arange(style.base_height + 0.05, height, step)
    strips = []
    for i, low in enumerate(edges):
        pieces = pierced(span, (low, min(low + step, height)), holes)
        if style.relief == "boards":
            pieces[..., 0] -= np.where(pieces[..., 2] < low + 1e-6, 0.035, 0.012)
        else:
            pieces[..., 0] -= 0.04 * (i % 2)
        strips.append(pieces)
    return Part(merged([*plain, quads(np.concatenate(strips))]), style.wall)


def _filled(opening: Openings, style: Style, rng: np.random.Generator, *, fine: bool) -> list[Part]:
    """Panes, frames and surroundings of windows; leaves of doors and garages."""
    holes, depth = opening.holes, opening.depth
    if opening.sort == "door":
        return _doors(holes, depth, style, rng)
    if opening.sort == "garage":
        leaf = upright(holes, depth)
        return [Part(quads(leaf), Paint(Material.PAINTED, style.accent.label, style.trim.color, style.trim.gain))]
    chosen = rng.integers(0, len(style.panes), len(holes))
    blinds = rng.random(len(holes)) < (0.12 if opening.sort == "window" else 0.0)
    parts = [
        Part(quads(upright(holes[chosen == i], depth)), p) for i, p in enumerate(style.panes) if (chosen == i).any()
    ]
    if blinds.any():
        lowered = holes[blinds].copy()
        lowered[:, 2] += rng.uniform(0, 0.7, blinds.sum()) * (lowered[:, 3] - lowered[:, 2])
        parts.append(Part(quads(upright(lowered, depth - 0.05)), style.trim))
    if fine:
        parts.append(Part(quads(_frames(holes, depth - 0.03, rng)), style.frame))
        parts += _window_trim(holes, style, rng) if opening.sort == "window" else []
    return parts


def _frames(holes: Float[np.ndarray, "n 4"], depth: float, rng: np.random.Generator) -> Float[np.ndarray, "m 4 3"]:
    """Borders of the panes, with a mullion or a transom."""
    y0, y1, z0, z1 = holes.T
    b, middle, bar = 0.07, (y0 + y1) / 2, z0 + rng.uniform(0.6, 0.75) * (z1 - z0)
    sides = [(y0, y0 + b, z0, z1), (y1 - b, y1, z0, z1), (y0, y1, z1 - b, z1), (y0, y1, z0, z0 + b)]
    if rng.random() < 0.8:
        sides.append((middle - b / 2, middle + b / 2, z0, z1))
    if rng.random() < 0.4:
        sides.append((y0, y1, bar - b / 2, bar + b / 2))
    return upright(np.concatenate([np.stack(side, 1) for side in sides]), depth)


def _window_trim(holes: Float[np.ndarray, "n 4"], style: Style, rng: np.random.Generator) -> list[Part]:
    """Sills, surrounds, shutters and flower boxes."""
    y0, y1, z0, z1 = holes.T
    parts = [Part(bricks(np.stack([y0 - 0.06, y1 + 0.06, z0 - 0.06, z0], 1), -style.sill, style.reveal), style.trim)]
    if style.surround:
        b = 0.14
        rims = [(y0 - b, y0, z0, z1 + b), (y1, y1 + b, z0, z1 + b), (y0, y1, z1, z1 + b)]
        parts.append(Part(bricks(np.concatenate([np.stack(r, 1) for r in rims]), -style.surround, 0.02), style.trim))
    if style.shutters:
        w = np.minimum(0.5 * (y1 - y0), 0.55)
        wings = [(y0 - w, y0, z0, z1), (y1, y1 + w, z0, z1)]
        parts.append(Part(bricks(np.concatenate([np.stack(r, 1) for r in wings]), -0.07, -0.01), style.accent))
    boxed = rng.random(len(holes)) < (0.3 if rng.random() < 0.15 else 0.0)
    if boxed.any():
        at = np.stack([y0, y1, z0, z0 + 0.3], 1)[boxed]
        parts.append(Part(bricks(at, -0.3, -0.05), Paint(Material.LEAF, style.wall.label, tinted(_FLOWERS, rng, 0.4))))
    return parts


def _doors(holes: Float[np.ndarray, "n 4"], depth: float, style: Style, rng: np.random.Generator) -> list[Part]:
    """Leaves in frames, steps where the floor is high, and canopies or surrounds."""
    parts = [
        Part(quads(upright(holes, depth)), style.accent),
        Part(quads(_frames(holes, depth - 0.03, rng)), style.frame),
    ]
    canopy = rng.random() < 0.4
    for y0, y1, foot, head in holes:
        if foot > 0.1:
            parts.append(Part(_steps(y0, y1, foot, rng), style.base))
        if canopy:
            parts.append(
                Part(slab((-rng.uniform(0.6, 1.3), y0 - 0.25, head + 0.1), (0, y1 + 0.25, head + 0.2)), style.metal)
            )
        elif rng.random() < 0.4:
            rims = np.array([(y0 - 0.2, y0, 0, head + 0.2), (y1, y1 + 0.2, 0, head + 0.2), (y0, y1, head, head + 0.2)])
            parts.append(Part(bricks(rims, -rng.uniform(0.05, 0.15), 0.02), style.trim))
    return parts


def _steps(y0: float, y1: float, height: float, rng: np.random.Generator) -> Mesh:
    """Steps up to a door, with a landing and mostly a rail."""
    count, landing, side = max(1, round(height / 0.17)), rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.4)
    stride = min(0.28, 0.9 / count)
    pieces = [
        slab((-landing - stride * i, y0 - side, -0.3), (0.1, y1 + side, height - i * height / count))
        for i in range(count)
    ]
    out = landing + stride * (count - 1)
    if count > 2 and rng.random() < 0.7:
        for y in (y0 - side + 0.04, y1 + side - 0.04):
            pieces.append(tube((-out, y, 1.0), (-landing, y, height + 0.9), 0.022, sections=5))
            pieces.append(tube((-landing, y, height + 0.9), (0, y, height + 0.9), 0.022, sections=5))
            pieces += [tube((-x, y, 0), (-x, y, z), 0.02, sections=5) for x, z in ((out, 1.0), (landing, height + 0.9))]
    return merged(pieces)


def _ornaments(
    width: float, height: float, storeys: int, holes: Float[np.ndarray, "n 4"], style: Style, rng: np.random.Generator
) -> list[Part]:
    """Plinth, string courses, pilasters, quoins, downpipes and lamps."""
    half, parts = width / 2, []
    low = holes[holes[:, 2] < 0.5] if len(holes) else holes
    if style.plinth:
        foot = pierced((-half, half), (-0.3, max(0.35, style.base_height)), low)
        spans = np.stack([foot[:, 1, 1], foot[:, 0, 1], foot[:, 0, 2], foot[:, 2, 2]], 1)
        parts.append(Part(bricks(spans, -rng.uniform(0.03, 0.09), 0.05), style.base))
    if style.courses:
        z = style.base_height + np.arange(1, storeys + 1) * style.storey - 0.05
        lines = np.stack([0 * z - half, 0 * z + half, z - 0.1, z + 0.08], 1)
        parts.append(Part(bricks(lines, -rng.uniform(0.05, 0.14), 0.02), style.trim))
    if style.pilasters:
        y = np.linspace(-half + 0.15, half - 0.15, bays(width, style) + 1)
        parts.append(
            Part(
                bricks(np.stack([y - 0.15, y + 0.15, 0 * y, 0 * y + height], 1), -rng.uniform(0.06, 0.16), 0.02),
                style.trim,
            )
        )
    if style.quoins:
        z = np.arange(0.0, height - 0.4, 0.44)
        long = np.where(np.arange(len(z)) % 2, 0.5, 0.3)
        for a, b in ((0 * z - half, long - half), (half - long, 0 * z + half)):
            parts.append(Part(bricks(np.stack([a, b, z, z + 0.38], 1), -0.05, 0.02), style.base))
    if style.downpipes:
        ends = [half - 0.15] if width < 8 else [half - 0.15, -half + 0.15]
        pipes = [tube((-0.1, y, 0), (-0.1, y, height), 0.05, sections=6) for y in ends]
        parts.append(Part(merged(pipes), style.metal))
    return parts


def railing(width: float, height: float, sort: str) -> Mesh:
    """A railing in the plane x = 0 along y, its foot on z = 0: bars, rails, or a solid panel."""
    half = width / 2
    top = np.array([(-half, half, height - 0.05, height)])
    if sort == "panel":
        return bricks(np.array([(-half, half, 0.05, height)]), -0.02, 0.02)
    if sort == "rails":
        z = np.linspace(0.15, height - 0.15, 5)
        lines = np.stack([0 * z - half, 0 * z + half, z, z + 0.03], 1)
        return merged(
            [
                quads(upright(np.concatenate([lines, top]))),
                bricks(np.array([(-half, -half + 0.04, 0, height), (half - 0.04, half, 0, height)]), -0.02, 0.02),
            ]
        )
    y = spread(-half, half, 0.13)
    bars = np.stack([y - 0.012, y + 0.012, 0 * y + 0.04, 0 * y + height], 1)
    return merged([quads(upright(bars)), bricks(np.concatenate([top, [(-half, half, 0.04, 0.08)]]), -0.02, 0.02)])
