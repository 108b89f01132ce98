"""Caravans, motorhomes, trailers, tractors and building machines, x forward, standing on z = 0. Class other-vehicle."""

import numpy as np

from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, box, ellipsoid, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import loft, mirrored, quads, slab
from elite.synthetic.vehicle_parts import GLASS, RUBBER, STEEL, body_paint, head_lamps, plates, tail_lamps, wheels

_WHITES: tuple[Color, ...] = ((0.68, 0.68, 0.65), (0.6, 0.58, 0.52), (0.5, 0.51, 0.52))
_BOLD: tuple[Color, ...] = (
    (0.6, 0.42, 0.03),
    (0.6, 0.25, 0.03),
    (0.1, 0.3, 0.08),
    (0.45, 0.05, 0.04),
    (0.08, 0.15, 0.4),
)
_CLOTH = Paint(Material.CLOTH, 0, (0.12, 0.13, 0.14))


def caravan(rng: np.random.Generator) -> list[Part]:
    """A caravan on one axle with a drawbar, 4.2-7.5 m long, 2.4-2.7 m high."""
    length, half, top = rng.uniform(3.2, 6.2), rng.uniform(0.95, 1.2), rng.uniform(2.4, 2.7)
    front, back = length / 2, -length / 2
    stations = (
        (back, 0.9, 0.6, top - 0.5),
        (back + 0.15, 1, 0.45, top - 0.1),
        (front - 0.7, 1, 0.45, top),
        (front - 0.1, 0.96, 0.5, 1.6),
        (front, 0.85, 0.7, 1.2),
    )
    panes = [_pane(x, half + 0.006, 1.25, 1.85, 0.45 * length / 2) for x in (0.25 * length, -0.25 * length)]
    return [
        Part(loft(_profile(stations, half)), body_paint(rng, _WHITES)),
        Part(mirrored(merged(panes)), GLASS),
        Part(slab((-0.4, -half - 0.01, 0.5), (0.2, -half + 0.02, 2.3)), STEEL),
        *wheels((-0.1,) if length < 5.2 else (-0.45, 0.35), half - 0.02, 0.31),
        tail_lamps(back, half, 0.8),
        plates(None, back),
        _drawbar(front, 1.2, 0.45),
    ]


def motorhome(rng: np.random.Generator) -> list[Part]:
    """A caravan's body on a van, with a bunk over the cab, 5.8-7.4 m long, 2.9-3.2 m high."""
    length, half, top = rng.uniform(5.8, 7.4), rng.uniform(1.08, 1.16), rng.uniform(2.9, 3.2)
    front, back = length / 2, -length / 2
    body = (
        (back, 0.95, 0.55, top - 0.1),
        (back + 0.1, 1, 0.45, top),
        (front - 2.0, 1, 0.45, top),
        (front - 1.98, 1, 2.0, top),
        (front - 0.9, 0.97, 2.1, top - 0.15),
        (front - 0.75, 0.9, 2.2, top - 0.4),
    )
    nose = (
        (front - 2.1, 0.9, 0.35, 2.0),
        (front - 1.4, 0.9, 0.35, 2.0),
        (front - 0.75, 0.88, 0.32, 1.2),
        (front - 0.1, 0.84, 0.32, 0.95),
        (front, 0.7, 0.4, 0.8),
    )
    screen = [(front - 0.72, s * 0.84, 1.22) for s in (1, -1)] + [(front - 1.36, s * 0.8, 2.0) for s in (-1, 1)]
    glass = [
        quads(np.array([screen])),
        mirrored(_pane(front - 1.5, 0.92 * half, 1.25, 1.9, 0.45)),
        mirrored(_pane(-0.5, half + 0.006, 1.4, 2.0, 0.5)),
    ]
    paint = body_paint(rng, _WHITES)
    return [
        Part(merged([loft(_profile(body, half)), loft(_profile(nose, half))]), paint),
        Part(merged(glass), GLASS),
        *wheels((front - 0.95, back + 1.7), half - 0.08, 0.34),
        head_lamps(front - 0.06, 0.85 * half, 0.75),
        tail_lamps(back, half, 0.9),
        plates(front, back),
    ]


def box_trailer(rng: np.random.Generator) -> list[Part]:
    """A small trailer for a car: open, covered, closed, or with a horse box; 2-4.5 m long without its drawbar."""
    length, half = rng.uniform(2.0, 4.2), rng.uniform(0.65, 0.95)
    front, back, floor = length / 2, -length / 2, 0.5
    top = float(rng.choice([0.85, 1.25, rng.uniform(1.7, 2.3)]))
    coat = body_paint(rng, (*_WHITES, *_BOLD)) if top > 1.6 else STEEL
    parts = [Part(slab((back, -half, floor), (front, half, top)), coat)]
    if top < 1.0:
        parts = [Part(_tub(back, front, half, floor, top), STEEL)]
        if rng.random() < 0.5:
            parts.append(
                Part(
                    ellipsoid((0, 0, 0.75), (0.42 * length, 0.85 * half, rng.uniform(0.2, 0.5))),
                    Paint(Material.WOOD, 0, tinted((0.25, 0.2, 0.12), rng, 0.4)),
                )
            )
    elif top < 1.6:
        parts.append(Part(slab((back - 0.02, -half - 0.02, 0.8), (front + 0.02, half + 0.02, top + 0.02)), _CLOTH))
    guards = mirrored(slab((-0.4, half, 0.6), (0.4, half + 0.24, 0.66)))
    return [
        *parts,
        Part(guards, STEEL),
        *wheels((0.0,), half + 0.22, 0.29, wide=0.18, arches=False),
        tail_lamps(back, half, 0.6),
        plates(None, back),
        _drawbar(front, 1.1, floor),
    ]


def boat_trailer(rng: np.random.Generator) -> list[Part]:
    """A boat on a trailer, 5-7.5 m long, 1.6-2.2 m high."""
    length, half = rng.uniform(4.2, 6.5), rng.uniform(0.85, 1.1)
    front, back = length / 2, -length / 2
    hull = [
        (back, 0.85, 0.85, 1.55),
        (back + 0.3 * length, 1.0, 0.75, 1.5),
        (front - 0.25 * length, 0.8, 0.85, 1.55),
        (front, 0.1, 1.35, 1.7),
    ]
    boat = np.array(
        [
            [(x, 0, low), (x, 0.55 * w * half, low + 0.2), (x, w * half, high), (x, 0, high - 0.03)]
            for x, w, low, high in hull
        ]
    )
    cabin = slab((back + 0.35 * length, -0.5 * half, 1.4), (back + 0.6 * length, 0.5 * half, rng.uniform(1.8, 2.1)))
    frame = mirrored(slab((back + 0.2, 0.4, 0.5), (front - 0.3, 0.5, 0.6)))
    cloth = rng.random() < 0.4
    return [
        Part(loft(boat), body_paint(rng, _WHITES)),
        Part(cabin, _CLOTH if cloth else body_paint(rng, _WHITES)),
        Part(frame, STEEL),
        *wheels((-0.3,), half, 0.3, wide=0.18, arches=False),
        _drawbar(front - 0.3, 1.2, 0.55),
    ]


def tractor(rng: np.random.Generator) -> list[Part]:
    """A farm tractor: large rear wheels, a slim bonnet, a glass cab; 3.8-4.8 m long, 2.6-2.9 m high."""
    coat, half, top = body_paint(rng, _BOLD), rng.uniform(0.95, 1.1), rng.uniform(2.55, 2.85)
    big, small = rng.uniform(0.75, 0.9), rng.uniform(0.45, 0.6)
    bonnet = _profile(((0.3, 0.4, 0.9, 1.65), (1.6, 0.36, 0.8, 1.55), (1.85, 0.28, 0.85, 1.35)), 1.0)
    cabin = _profile(
        (
            (-1.2, 0.6, 1.2, top - 0.1),
            (-1.1, 0.7, 1.2, top - 0.1),
            (0.3, 0.7, 1.2, top - 0.1),
            (0.4, 0.6, 1.2, top - 0.15),
        ),
        1.0,
    )
    roof = slab((-1.3, -0.75, top - 0.15), (0.5, 0.75, top))
    bars = mirrored(merged([tube((x, 0.68, 1.2), (x, 0.68, top), 0.045, sections=5) for x in (-1.15, -0.4, 0.35)]))
    guards = mirrored(slab((-1.6, half - 0.45, 2 * big - 0.1), (-0.2, half, 2 * big)))
    return [
        Part(merged([loft(bonnet), roof, guards]), coat),
        Part(loft(cabin), GLASS),
        Part(
            merged(
                [
                    bars,
                    slab((-1.3, -0.35, 0.5), (1.7, 0.35, 1.0)),
                    tube((0.9, 0.3, 1.5), (0.9, 0.3, 2.4), 0.05, sections=6),
                ]
            ),
            STEEL,
        ),
        *wheels((-0.9,), half, big, wide=0.48, arches=False),
        *wheels((1.35,), half - 0.1, small, wide=0.35, arches=False),
        head_lamps(1.82, 0.4, 1.2, wide=0.16),
    ]


def excavator(rng: np.random.Generator) -> list[Part]:
    """An excavator on tracks: a body that is turned, a boom of two arms and a bucket; in the reach of 7 m."""
    size, coat = rng.uniform(0.6, 1.1), body_paint(rng, _BOLD[:2])
    tracks = mirrored(_track(1.7 * size, 0.75 * size, 1.25 * size, 0.8 * size))
    body = [
        slab((-1.7 * size, -1.2 * size, 0.95 * size), (0.9 * size, 1.2 * size, 1.2 * size)),
        slab((-1.7 * size, -1.2 * size, 1.2 * size), (0.0, 1.2 * size, 2.1 * size)),
    ]
    cabin = slab((0, 0.3 * size, 1.2 * size), (1.1 * size, 1.15 * size, 2.8 * size))
    elbow = np.array([rng.uniform(2.2, 3.2), -0.2, rng.uniform(3.0, 4.2)]) * size
    wrist = np.array([rng.uniform(4.0, 5.2), -0.2, rng.uniform(0.8, 2.2)]) * size
    arm = [
        tube((0.6 * size, -0.2 * size, 1.5 * size), elbow, 0.26 * size, 0.2 * size, sections=6),
        tube(elbow, wrist, 0.2 * size, 0.14 * size, sections=6),
    ]
    bucket = ellipsoid(wrist + np.array([0.1, 0, -0.3]) * size, np.array([0.4, 0.5, 0.45]) * size)
    return [
        Part(tracks, RUBBER),
        Part(
            merged([*body, *arm, slab((0.0, 0.28 * size, 2.75 * size), (1.15 * size, 1.17 * size, 2.85 * size))]), coat
        ),
        Part(cabin, GLASS),
        Part(merged([bucket, tube((0, 0, 0.6 * size), (0, 0, 1.0 * size), 0.5 * size)]), STEEL),
    ]


def _track(half: float, y0: float, y1: float, high: float) -> Mesh:
    r = high / 2
    drums = [tube((x, y0, r), (x, y1, r), r, sections=12) for x in (-half + r, half - r)]
    return merged([*drums, slab((-half + r, y0, 0.0), (half - r, y1, high))])


def wheel_loader(rng: np.random.Generator) -> list[Part]:
    """A wheel loader with a bucket before it, 5-6.5 m long."""
    coat, lift = body_paint(rng, _BOLD[:2]), rng.uniform(0.0, 1.0)
    body = [slab((-2.4, -0.8, 0.8), (-0.3, 0.8, 1.9)), slab((-0.3, -0.5, 0.7), (1.5, 0.5, 1.2))]
    arms = mirrored(tube((0.3, 0.45, 1.5), (2.2, 0.45, 0.7 + lift), 0.12, sections=6))
    bucket = [
        [(2.0, 0, lift + 0.1), (2.0, 1.2, lift + 0.1), (2.0, 1.2, lift + 1.0), (2.0, 0, lift + 1.0)],
        [(2.9, 0, lift + 0.05), (2.9, 1.2, lift + 0.05), (2.9, 1.2, lift + 0.12), (2.9, 0, lift + 0.12)],
    ]
    return [
        Part(merged([*body, arms, slab((-0.9, -0.7, 3.0), (0.4, 0.7, 3.12))]), coat),
        Part(slab((-0.8, -0.65, 1.6), (0.3, 0.65, 3.0)), GLASS),
        Part(loft(np.array(bucket, float)), STEEL),
        *wheels((-1.5, 1.2), 1.1, 0.68, wide=0.5, arches=False),
    ]


def _profile(stations: tuple[tuple[float, float, float, float], ...], half: float) -> np.ndarray:
    """Outlines (x, share of the half width, lower and upper edge), rounded above."""
    return np.array(
        [
            [(x, 0, a), (x, w * half, a), (x, w * half, b - 0.12), (x, 0.9 * w * half, b), (x, 0, b)]
            for x, w, a, b in stations
        ]
    )


def _pane(x: float, y: float, low: float, high: float, half: float) -> Mesh:
    return quads(np.array([[(x - half, y, low), (x + half, y, low), (x + half, y, high), (x - half, y, high)]]))


def _tub(back: float, front: float, half: float, floor: float, top: float) -> Mesh:
    """An open box."""
    sides = [mirrored(slab((back, half - 0.03, floor), (front, half, top)))]
    sides += [slab((x - 0.03, -half, floor), (x, half, top)) for x in (back + 0.03, front)]
    return merged([*sides, slab((back, -half, floor - 0.06), (front, half, floor))])


def _drawbar(front: float, length: float, z: float) -> Part:
    """Two bars that meet at the coupling, and a jockey wheel on the ground."""
    tip = (front + length, 0, z)
    bars = [tube((front - 0.3, y, z), tip, 0.04, sections=5) for y in (-0.45, 0.45)]
    wheel = [
        tube((front + 0.8 * length, 0.1, 0.1), (front + 0.8 * length, 0.18, 0.1), 0.1),
        tube((front + 0.8 * length, 0.14, 0.15), (front + 0.8 * length, 0.14, z + 0.3), 0.03, sections=5),
    ]
    return Part(merged([*bars, *wheel, box((0.2, 0.12, 0.12), tip)]), STEEL)


KINDS: dict[str, Kind] = {
    "caravan": Kind(caravan, (-3.3, 4.6), 1.3, 2.9, label="other-vehicle", weight=2),
    "motorhome": Kind(motorhome, (-3.9, 3.9), 1.3, 3.4, label="other-vehicle", weight=1),
    "box trailer": Kind(box_trailer, (-2.3, 3.5), 1.3, 2.5, label="other-vehicle", weight=2),
    "boat trailer": Kind(boat_trailer, (-3.4, 4.4), 1.2, 2.4, label="other-vehicle", weight=0.3),
    "tractor": Kind(tractor, (-2.0, 2.2), 1.3, 3.1, label="other-vehicle", weight=0.5),
    "excavator": Kind(excavator, (-2.1, 6.8), 1.6, 5.2, label="other-vehicle", weight=0.4),
    "wheel loader": Kind(wheel_loader, (-2.6, 3.1), 1.4, 3.4, label="other-vehicle", weight=0.3),
}
