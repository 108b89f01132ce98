"""Cars of many body types: small cars to vans of one body, x forward, standing on z = 0. Class car; pickups are trucks.

SemanticKITTI's classes: cars include jeeps and vans whose cabin and load space are one body; vans with a separate body
and pickups are trucks.
"""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.car_bodies import (
    CARRIER,
    COUPE,
    ESTATE,
    HATCHBACK,
    LARGE_VAN,
    PICKUP,
    SALOON,
    SMALL,
    SUV,
    VAN,
    Body,
)
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, box, merged, tube
from elite.synthetic.shapes import loft, mirrored, quads, slab
from elite.synthetic.vehicle_parts import (
    DARK,
    GLASS,
    RUBBER,
    STEEL,
    car_paint,
    head_lamps,
    mirrors,
    plates,
    tail_lamps,
    wheels,
)


@dataclass(frozen=True)
class _Size:
    """Lengths of one car (m), from the middle of its wheelbase."""

    front: float
    back: float
    half: float
    height: float
    belt: float
    cowl: float
    tail: float
    body: Body


def car(rng: np.random.Generator, body: Body = HATCHBACK) -> list[Part]:
    """A car of a body type; its middle is at x = 0. Mirrors stand out by 0.16 m."""
    size, paint = _size(body, rng), car_paint(rng)
    radius = rng.uniform(0.29, 0.33) + (0.04 if body.clearance > 0.22 else 0.0)
    length = size.front - size.back
    axles = size.front - rng.uniform(0.17, 0.2) * length, size.back + rng.uniform(0.17, 0.22) * length
    panelled = body.panelled > 0 and rng.random() < 0.75
    parts = [
        Part(_hull(size), paint),
        *_cabin(size, paint, panelled=panelled),
        *wheels(axles, size.half - 0.01, radius),
        *_ends(size),
        mirrors(size.cowl - 0.3, size.half, size.belt + 0.07),
    ]
    return parts + _extras(size, rng)


def _size(body: Body, rng: np.random.Generator) -> _Size:
    length, half, height = rng.uniform(*body.length), rng.uniform(*body.width) / 2, rng.uniform(*body.height)
    belt = height * body.belt * rng.uniform(0.97, 1.03)
    front, back = length / 2, -length / 2
    return _Size(front, back, half, height, belt, front - body.bonnet * length, back + body.deck * length, body)


def _hull(size: _Size) -> Mesh:
    """Everything below the windows: bumpers that bend round, bonnet, flanks, boot."""
    front, back, belt, low = size.front, size.back, size.belt, size.body.clearance
    nose, boot = size.body.nose * belt, 0.97 * belt
    knee = min(size.tail - 0.02, back + 0.12)
    # x, half width (share), lower edge, upper edge
    stations = (
        (back, 0.72, low + 0.16, 0.62 * belt),
        (back + 0.06, 0.90, low + 0.05, 0.88 * belt),
        (knee, 0.96, low, boot),
        (size.tail + 0.25, 1.0, low, belt),
        (size.cowl, 1.0, low, belt),
        (front - 0.5, 0.98, low, 0.45 * belt + 0.55 * nose + 0.02),
        (front - 0.16, 0.92, low, nose),
        (front - 0.03, 0.80, low + 0.04, 0.88 * nose),
        (front + 0.02, 0.60, low + 0.12, 0.72 * nose),
    )
    return loft(np.array([_section(x, share * size.half, a, b) for x, share, a, b in stations]))


def _section(x: float, half: float, low: float, high: float) -> Float[np.ndarray, "6 3"]:
    """Half an outline across the car, from the middle below to the middle above."""
    z = np.array([low, low, low + 0.10 * (high - low), low + 0.55 * (high - low), high - 0.03, high + 0.02])
    y = half * np.array([0, 0.86, 0.97, 1.0, 0.93, 0])
    return np.column_stack([np.full(6, x), y, z])


def _cabin(size: _Size, paint: Paint, *, panelled: bool) -> list[Part]:
    """Glass all round that leans in, the roof, pillars; panels in place of the rear windows if ``panelled``."""
    body, half = size.body, size.half
    low, top = size.belt - 0.02, size.height
    wide, narrow = 0.92 * half, (0.86 if body.panelled else 0.74) * half
    a, b = size.cowl + 0.02, size.tail
    c, d = a - body.rake * top, b + body.slope * top
    d = min(d, c - 0.6)
    foot = np.array([(a, wide * 0.92, low), (b, wide * 0.92, low)])
    head = np.array([(c, narrow, top - 0.07), (d, narrow, top - 0.08)])
    flip = np.array([1, -1, 1])
    screen = np.stack([foot[0], foot[0] * flip, head[0] * flip, head[0]])
    rear = np.stack([foot[1], foot[1] * flip, head[1] * flip, head[1]])
    middle_foot, middle_head = _between(foot, 0.55, wide), _between(head, 0.4, narrow)
    front_side = np.stack([foot[0], middle_foot, middle_head, head[0]])
    rear_side = np.stack([middle_foot, foot[1], head[1], middle_head])
    roof = loft(np.array([_roof_section(x, y, z) for x, y, z in _roof_stations(c, d, narrow, top)]))
    posts = [
        tube(p, q, 0.035, sections=5) for p, q in ((foot[0], head[0]), (foot[1], head[1]), (middle_foot, middle_head))
    ]
    painted = [roof, mirrored(merged(posts))]
    if body.panelled == 1:  # the windows end well below a high roof
        (screen, brow), (rear, lintel) = _split(screen, 0.6), _split(rear, 0.6)
        (front_side, upper), (rear_side, behind) = _split(front_side, 0.55), _split(rear_side, 0.55)
        painted += [quads(np.stack([brow, lintel])), mirrored(quads(np.stack([upper, behind])))]
    sides = mirrored(quads(front_side[None] if panelled else np.stack([front_side, rear_side])))
    panes = [quads(screen[None]), sides, *([] if panelled else [quads(rear[None])])]
    if panelled:
        painted += [mirrored(quads(rear_side[None])), quads(rear[None])]
    return [Part(merged(panes), GLASS), Part(merged(painted), paint)]


def _split(piece: Float[np.ndarray, "4 3"], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper part of a piece whose last two corners are above the first two."""
    left, right = piece[0] + share * (piece[3] - piece[0]), piece[1] + share * (piece[2] - piece[1])
    return np.stack([piece[0], piece[1], right, left]), np.stack([left, right, piece[2], piece[3]])


def _between(ends: Float[np.ndarray, "2 3"], share: float, half: float) -> Float[np.ndarray, "3"]:
    """Point on the flank between two pillars, where the cabin is widest."""
    at = ends[0] + share * (ends[1] - ends[0])
    return np.array([at[0], half, at[2]])


def _roof_stations(front: float, back: float, half: float, top: float) -> list[tuple[float, float, float]]:
    """(x, half width, height) from back to front."""
    span = front - back
    return [
        (back - 0.04, half, top - 0.07),
        (back + 0.25 * span, half, top),
        (front - 0.35 * span, half, top),
        (front + 0.04, half, top - 0.06),
    ]


def _roof_section(x: float, half: float, top: float) -> Float[np.ndarray, "4 3"]:
    return np.array([(x, 0, top - 0.05), (x, half, top - 0.06), (x, 0.93 * half, top - 0.02), (x, 0, top)])


def _ends(size: _Size) -> list[Part]:
    """Lamps, number plates, a dark grille and sills."""
    z = size.body.nose * size.belt
    grille = box((0.06, 0.9 * size.half, 0.2), (size.front - 0.0, 0, 0.62 * z))
    sills = mirrored(
        slab(
            (0.55 * size.back, size.half - 0.1, size.body.clearance - 0.02),
            (0.5 * size.front, size.half - 0.01, size.body.clearance + 0.06),
        )
    )
    return [
        head_lamps(size.front - 0.14, 0.94 * size.half, 0.82 * z),
        tail_lamps(size.back + 0.04, 0.93 * size.half, 0.84 * size.belt),
        plates(size.front, size.back, low=0.45 * z, high=0.62 * size.belt),
        Part(merged([grille, sills]), RUBBER),
    ]


def _extras(size: _Size, rng: np.random.Generator) -> list[Part]:
    """On a few cars: roof rails, a roof box, a taxi sign, a tow bar."""
    middle = (size.cowl + size.tail) / 2 - 0.2
    kind, top = rng.random(), size.height - 0.02
    if size.body.deck > 0.08 or kind > 0.2:
        return [Part(tube((size.back - 0.12, 0, 0.42), (size.back + 0.2, 0, 0.42), 0.03), STEEL)] if kind > 0.9 else []
    if kind < 0.10:
        rails = mirrored(
            tube(
                (middle - 0.7, 0.62 * size.half, top + 0.05),
                (middle + 0.7, 0.62 * size.half, top + 0.05),
                0.02,
                sections=5,
            )
        )
        return [Part(rails, STEEL)]
    if kind < 0.15:
        chest = loft(
            np.array(
                [
                    _section(middle + x, w, top + 0.1, top + 0.1 + h)
                    for x, w, h in ((-0.8, 0.3, 0.28), (0.3, 0.33, 0.3), (0.9, 0.2, 0.12))
                ]
            )
        )
        return [Part(chest, Paint(Material.PAINTED, 0, DARK))]
    return [Part(box((0.16, 0.4, 0.14), (middle, 0, top + 0.1)), Paint(Material.LAMP, 0, (0.6, 0.5, 0.1)))]


def cabriolet(rng: np.random.Generator) -> list[Part]:
    """An open car with seats, or one with its cloth roof closed."""
    size, paint = _size(COUPE, rng), car_paint(rng)
    axles = size.front - 0.85, size.back + 0.85
    parts = [
        Part(_hull(size), paint),
        *wheels(axles, size.half - 0.01, 0.31),
        *_ends(size),
        mirrors(size.cowl - 0.25, size.half, size.belt + 0.06),
    ]
    if rng.random() < 0.4:
        cloth = Paint(Material.CLOTH, 0, (0.03, 0.03, 0.035))
        return [
            *parts,
            *[Part(p.mesh, cloth if p.paint is paint else p.paint) for p in _cabin(size, paint, panelled=False)],
        ]
    foot, head = (size.cowl, 0.8 * size.half, size.belt), (size.cowl - 0.6, 0.66 * size.half, size.height - 0.1)
    screen = quads(np.array([[foot, (foot[0], -foot[1], foot[2]), (head[0], -head[1], head[2]), head]]))
    seats = [
        box((0.16, 0.48, 0.62), (x, y, size.belt + 0.08))
        for x in (size.cowl - 1.25, size.cowl - 2.0)
        for y in (-0.38, 0.38)
    ]
    hollow = slab(
        (size.tail + 0.4, -0.8 * size.half, size.belt + 0.01), (size.cowl - 0.2, 0.8 * size.half, size.belt + 0.03)
    )
    return [*parts, Part(screen, GLASS), Part(merged([*seats, hollow]), Paint(Material.CLOTH, 0, (0.04, 0.035, 0.03)))]


def pickup(rng: np.random.Generator) -> list[Part]:
    """A cabin before an open load bed, of the class truck."""
    size, paint = _size(PICKUP, rng), car_paint(rng)
    axles = size.front - 0.95, size.back + 1.15
    bed = slab(
        (size.back + 0.1, -0.8 * size.half, size.belt + 0.005), (size.tail - 0.1, 0.8 * size.half, size.belt + 0.02)
    )
    rim = [
        mirrored(
            slab(
                (size.back + 0.05, 0.84 * size.half, size.belt - 0.05), (size.tail, 0.95 * size.half, size.belt + 0.12)
            )
        )
    ]
    rim.append(
        slab(
            (size.back + 0.03, -0.9 * size.half, size.belt - 0.05),
            (size.back + 0.09, 0.9 * size.half, size.belt + 0.12),
        )
    )
    parts = [
        Part(_hull(size), paint),
        Part(merged(rim), paint),
        *_cabin(size, paint, panelled=False),
        *wheels(axles, size.half, 0.37),
        *_ends(size),
        Part(bed, RUBBER),
        mirrors(size.cowl - 0.3, size.half, size.belt + 0.1),
    ]
    if rng.random() < 0.35:
        load = slab(
            (size.back + 0.2, -0.7 * size.half, size.belt),
            (size.tail - 0.2, 0.7 * size.half, size.belt + rng.uniform(0.2, 0.8)),
        )
        parts.append(Part(load, Paint(Material.CLOTH, 0, (0.12, 0.13, 0.12))))
    return parts


def _of(body: Body, weight: float, x: float, y: float, z: float) -> Kind:
    return Kind(lambda rng: car(rng, body), (-x, x), y, z, label="car", weight=weight)


# Lengths: 3.4-3.8 small, 3.9-4.35 hatchback, 4.4-4.95 saloon and estate, 4.2-4.9 SUV, 4.4-5.3 van, 5.3-6.9 large van.
KINDS: dict[str, Kind] = {
    "small car": _of(SMALL, 2, 2.2, 1.1, 1.8),
    "hatchback": _of(HATCHBACK, 5, 2.4, 1.15, 1.8),
    "saloon": _of(SALOON, 3, 2.7, 1.2, 1.8),
    "estate": _of(ESTATE, 3, 2.7, 1.15, 1.95),
    "coupe": _of(COUPE, 0.6, 2.6, 1.2, 1.7),
    "suv": _of(SUV, 2.5, 2.7, 1.2, 2.2),
    "people carrier": _of(CARRIER, 2, 2.65, 1.2, 2.25),
    "van": _of(VAN, 1.2, 2.9, 1.25, 2.5),
    "large van": _of(LARGE_VAN, 0.7, 3.7, 1.3, 3.1),
    "cabriolet": Kind(cabriolet, (-2.6, 2.6), 1.2, 1.7, label="car", weight=0.3),
    "pickup": Kind(pickup, (-2.95, 2.95), 1.2, 2.3, label="truck", weight=0.25),
}
