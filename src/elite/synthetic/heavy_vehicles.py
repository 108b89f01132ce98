"""Trucks of many kinds, x forward, standing on z = 0. Class truck, as their trailers are while attached.

Vans with a body of their own are trucks too; those of one body are in cars.py.
"""

from collections.abc import Callable

import numpy as np

from elite.synthetic.cars import KINDS as CARS
from elite.synthetic.kinds import Kind, draw
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, ellipsoid, merged, moved, moved_parts, pose, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import loft, mirrored, quads, slab, spread
from elite.synthetic.truck_bodies import LOAD_COLORS, closed_body, load, open_body
from elite.synthetic.vehicle_parts import STEEL, body_paint, cab, car_paint, chassis, plates, tail_lamps, wheels

_CABS: tuple[Color, ...] = (
    (0.68, 0.68, 0.66),
    (0.5, 0.06, 0.05),
    (0.06, 0.14, 0.35),
    (0.6, 0.35, 0.03),
    (0.2, 0.3, 0.2),
    (0.3, 0.31, 0.32),
)


def box_truck(rng: np.random.Generator) -> list[Part]:
    """A cab before a closed or curtain-sided body, 5.5-10.5 m long, 2.7-3.9 m high."""
    length, half = rng.uniform(5.5, 10.5), rng.uniform(1.05, 1.26)
    tall = rng.uniform(2.7, 3.1) if length < 7 else rng.uniform(3.2, 3.9)
    parts, x0, x1 = _truck(length, half, min(2.9, tall - 0.1), rng)
    return parts + closed_body(x0, x1, half, tall, rng)


def flatbed_truck(rng: np.random.Generator) -> list[Part]:
    """A cab before an open bed with side boards, empty or with pallets, logs, a heap or a machine; 5.5-9.5 m long."""
    half = rng.uniform(1.05, 1.24)
    parts, x0, x1 = _truck(rng.uniform(5.5, 9.5), half, rng.uniform(2.2, 2.9), rng)
    return parts + open_body(x0, x1, half, rng) + load(x0 + 0.1, x1 - 0.2, half - 0.12, rng)


def tipper(rng: np.random.Generator) -> list[Part]:
    """A truck with a tub for earth, 6-9 m long, up to 3.2 m high."""
    half = rng.uniform(1.15, 1.25)
    parts, x0, x1 = _truck(rng.uniform(6.0, 9.0), half, rng.uniform(2.6, 3.0), rng, axles=3)
    top = rng.uniform(2.0, 2.9)
    tub = loft(
        np.array(
            [
                [
                    (x, 0, z),
                    (x, 0.8 * half, z),
                    (x, half, t),
                    (x, half - 0.1, t),
                    (x, 0.75 * half, z + 0.35),
                    (x, 0, z + 0.35),
                ]
                for x, z, t in (
                    (x0 - 0.2, 1.15, top - 0.3),
                    (x0 + 0.2, 1.05, top),
                    (x1, 1.05, top),
                    (x1 + 0.05, 1.3, top + 0.15),
                )
            ]
        )
    )
    ribs = [
        mirrored(slab((x - 0.05, 0.8 * half, 1.1), (x + 0.05, half + 0.03, top)))
        for x in spread(x0 + 0.4, x1 - 0.3, 0.9)
    ]
    parts.append(Part(merged([tub, *ribs]), body_paint(rng, _CABS)))
    if rng.random() < 0.6:
        heap = ellipsoid(((x0 + x1) / 2, 0, top - 0.25), ((x1 - x0) * 0.45, 0.85 * half, rng.uniform(0.3, 0.6)))
        parts.append(Part(heap, Paint(Material.BALLAST, 0, tinted((0.28, 0.22, 0.15), rng, 0.4))))
    return parts


def mixer(rng: np.random.Generator) -> list[Part]:
    """A concrete mixer with a tilted drum, 8-9.5 m long, up to 3.9 m high."""
    half = rng.uniform(1.18, 1.25)
    parts, x0, x1 = _truck(rng.uniform(8.0, 9.5), half, rng.uniform(2.7, 3.0), rng, axles=4)
    low, high, radius = np.array([x1 - 0.5, 0, 1.9]), np.array([x0 + 0.8, 0, 2.75]), rng.uniform(0.95, 1.12)
    knees = [low + share * (high - low) for share in (0.15, 0.45, 0.75)]
    drum = [
        tube(low, knees[0], 0.6 * radius, radius, sections=14),
        tube(knees[0], knees[1], radius, radius, sections=14),
        tube(knees[1], high, radius, 0.45 * radius, sections=14),
    ]
    chute = [
        tube(high + np.array([-0.2, 0, 0.35]), (x0 - 0.3, 0, 1.2), 0.25, 0.12),
        tube((x0 + 0.6, 0.5, 1), high, 0.07),
        tube((x0 + 0.6, -0.5, 1), high, 0.07),
    ]
    stand = [slab((low[0] - 0.2, -0.6, 1.0), (low[0] + 0.3, 0.6, 1.9))]
    return [*parts, Part(merged(drum), body_paint(rng, LOAD_COLORS)), Part(merged([*chute, *stand]), STEEL)]


def refuse_truck(rng: np.random.Generator) -> list[Part]:
    """A refuse collector: a rounded body and the hopper at the back, 8-9.8 m long."""
    half = 1.24
    parts, x0, x1 = _truck(rng.uniform(8.0, 9.8), half, rng.uniform(2.5, 2.9), rng, axles=3)
    top, coat = rng.uniform(3.1, 3.5), body_paint(rng, ((0.6, 0.3, 0.03), (0.65, 0.65, 0.62), (0.15, 0.35, 0.15)))
    back = x0 + 1.9
    outline = np.array(
        [(0, 1.0), (half, 1.05), (half + 0.03, 1.9), (half - 0.03, top - 0.2), (half - 0.3, top), (0, top)]
    )
    body = loft(np.array([np.column_stack([np.full(6, x), outline]) for x in (back, x1)]))
    hopper = [(x0 - 0.3, 1.0, 1.6), (x0 - 0.1, 0.75, 2.4), (back - 0.2, 0.75, top), (back, 1.0, top)]
    tail = loft(np.array([[(x, 0, low), (x, half, low), (x, half, high), (x, 0, high)] for x, low, high in hopper]))
    ribs = [
        mirrored(slab((x - 0.05, half, 1.05), (x + 0.05, half + 0.06, top - 0.2)))
        for x in spread(back + 0.3, x1 - 0.2, 0.8)
    ]
    return [*parts, Part(merged([body, tail, *ribs]), coat)]


def tanker(rng: np.random.Generator) -> list[Part]:
    """A truck with a tank that lies along it, 7.5-10 m long."""
    half = 1.24
    parts, x0, x1 = _truck(rng.uniform(7.5, 10.0), half, rng.uniform(2.6, 3.0), rng, axles=3)
    radius = rng.uniform(0.85, 1.1)
    z = 1.05 + radius
    tank = [
        tube((x0 + 0.15, 0, z), (x1 - 0.15, 0, z), radius, sections=16),
        *(ellipsoid((x, 0, z), (0.3, radius, radius)) for x in (x0 + 0.15, x1 - 0.15)),
    ]
    walk = slab((x0 + 0.5, -0.3, z + radius), (x1 - 0.5, 0.3, z + radius + 0.05))
    return [*parts, Part(merged(tank), body_paint(rng, LOAD_COLORS)), Part(walk, STEEL)]


def semi_trailer(rng: np.random.Generator) -> list[Part]:
    """A tractor with a semi-trailer: curtains, a container, a tank or a flat bed; 14.5-16.5 m long, up to 4 m high."""
    length, half = rng.uniform(14.5, 16.5), 1.26
    front, back = length / 2, -length / 2
    coat, floor = body_paint(rng, _CABS), 1.15
    joint = front - 2.6
    parts = cab(front, half - 0.02, rng.uniform(3.0, 3.8), coat, length=2.1)
    parts += [
        chassis(joint + 0.3, front - 6.0, half, rng),
        *wheels((front - 1.4, front - 5.1), half - 0.02, 0.5, wide=0.34, arches=False),
        *wheels(tuple(back + 1.6 + 1.32 * i for i in range(3)), half - 0.02, 0.5, wide=0.36, arches=False),
        chassis(joint - 4.5, back, half, rng),
        tail_lamps(back, half, 0.95),
        plates(front, back, low=0.5, high=0.75),
        Part(slab((back, -half, floor - 0.15), (joint, half, floor)), STEEL),
    ]
    if rng.random() < 0.7:
        return parts + closed_body(back, joint, half, rng.uniform(3.7, 4.0), rng, floor=floor)
    return parts + load(back + 0.3, joint - 0.3, half - 0.05, rng, floor=floor)


def car_transporter(rng: np.random.Generator) -> list[Part]:
    """A truck with cars on two decks, 10-12 m long, up to 4.4 m high; the cars belong to it."""
    half = 1.25
    parts, x0, x1 = _truck(rng.uniform(10.0, 12.0), half, 2.6, rng, axles=3)
    decks = [
        slab((x0, s * half - 0.25, z), (x1, s * half + 0.25, z + 0.1)) for s in (0.75, -0.75) for z in (0.95, 2.65)
    ]
    posts = [mirrored(slab((x - 0.07, half - 0.12, 1), (x + 0.07, half, 2.7))) for x in spread(x0 + 0.3, x1 - 0.2, 2.2)]
    parts.append(Part(merged([*decks, *posts]), STEEL))
    small = {name: kind for name, kind in CARS.items() if kind.z < 2.0 and kind.label == "car"}
    for z in (1.05, 2.75):
        for x in np.arange(x0 + 2.3, x1 - 1.9, 4.8):
            if rng.random() < 0.85:
                own = small[draw(small, rng)].make(rng)
                parts += moved_parts(
                    own, pose(float(x), z=z, pitch=rng.normal(0, 0.04), yaw=float(rng.choice([0, np.pi])))
                )
    return parts


def delivery_van(rng: np.random.Generator) -> list[Part]:
    """A small cab before a box wider than it, 5-7 m long, 2.6-3.3 m high."""
    length, half, tall = rng.uniform(5.2, 7.0), rng.uniform(0.98, 1.12), rng.uniform(2.6, 3.3)
    front, back = length / 2, -length / 2
    coat = car_paint(rng)
    nose = np.array(
        [
            [(x, 0, low), (x, w, low), (x, w, high - 0.05), (x, 0.85 * w, high), (x, 0, high)]
            for x, w, low, high in (
                (front - 2.1, 0.95, 0.4, 2.15),
                (front - 1.45, 0.95, 0.35, 2.15),
                (front - 0.75, 0.94, 0.3, 1.2),
                (front - 0.15, 0.9, 0.3, 1.0),
                (front, 0.7, 0.4, 0.85),
            )
        ]
    )
    screen = [(front - 0.8, s * 0.86, 1.24) for s in (1, -1)] + [(front - 1.42, s * 0.8, 2.1) for s in (-1, 1)]
    side = [
        (front - 1.95, 0.96, 1.25),
        (front - 0.95, 0.96, 1.25),
        (front - 1.42, 0.95, 2.0),
        (front - 1.95, 0.95, 2.0),
    ]
    glass = merged([moved(quads(np.array([screen])), pose(x=0.03)), mirrored(quads(np.array([side])))])
    parts = [
        Part(loft(nose), coat),
        Part(glass, Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))),
        *wheels((front - 0.95, back + 1.3), 0.96, 0.34),
        chassis(front - 2.2, back, 0.95, rng),
        tail_lamps(back, 0.95, 0.7),
        plates(front, back, low=0.45, high=0.6),
    ]
    return parts + closed_body(back, front - 2.15, half, tall, rng, floor=0.75)


def _truck(
    length: float, half: float, height: float, rng: np.random.Generator, *, axles: int = 2
) -> tuple[list[Part], float, float]:
    """(cab, frame and wheels, back and front end of the load space)."""
    front, back = length / 2, -length / 2
    deep = float(rng.choice([1.7, 2.2], p=(0.7, 0.3)))
    rear = [back + rng.uniform(1.2, 1.9)]
    rear += [rear[0] + 1.35] if axles >= 3 else []
    steered = [front - 1.25] + ([front - 2.9] if axles >= 4 else [])
    radius = 0.42 if length < 6.5 else 0.5
    parts = [
        *cab(front, half - 0.03, height, body_paint(rng, _CABS), length=deep),
        chassis(front - deep + 0.2, back, half, rng),
        *wheels((*steered, *rear), half - 0.02, radius, wide=0.34, arches=False),
        tail_lamps(back, half, 0.85),
        plates(front, back, low=0.5, high=0.7),
    ]
    return parts, back, front - deep - 0.15


def _kind(make: Callable[..., list[Part]], length: float, z: float, weight: float) -> Kind:
    return Kind(make, (-length / 2 - 0.5, length / 2 + 0.2), 1.5, z, label="truck", weight=weight)


KINDS: dict[str, Kind] = {
    "box truck": _kind(box_truck, 10.5, 4.0, 3),
    "flatbed truck": _kind(flatbed_truck, 9.5, 3.4, 1.5),
    "tipper": _kind(tipper, 9.0, 3.8, 1),
    "mixer": _kind(mixer, 9.5, 4.1, 0.4),
    "refuse truck": _kind(refuse_truck, 9.8, 3.7, 0.7),
    "tanker": _kind(tanker, 10.0, 3.4, 0.4),
    "semi-trailer": _kind(semi_trailer, 16.5, 4.1, 1),
    "car transporter": _kind(car_transporter, 12.0, 4.8, 0.25),
    "delivery van": _kind(delivery_van, 7.0, 3.5, 3),
}
