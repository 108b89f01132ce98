"""Buses and trams, x forward, standing on z = 0. Class other-vehicle. Doors are on the right side, towards -y."""

import numpy as np

from elite.shapes import Float
from elite.synthetic.kinds import Kind
from elite.synthetic.mesh import Mesh, Paint, Part, box, merged, moved_parts, pose, tube
from elite.synthetic.scenery import Color
from elite.synthetic.shapes import loft, mirrored, quads, slab
from elite.synthetic.vehicle_parts import (
    GLASS,
    RUBBER,
    STEEL,
    body_paint,
    head_lamps,
    mirrors,
    plates,
    tail_lamps,
    wheels,
)

_LIVERIES: tuple[Color, ...] = (
    (0.68, 0.68, 0.66),
    (0.62, 0.5, 0.05),
    (0.5, 0.05, 0.05),
    (0.07, 0.2, 0.42),
    (0.1, 0.35, 0.2),
    (0.55, 0.56, 0.57),
)


def city_bus(rng: np.random.Generator) -> list[Part]:
    """A low-floor bus with wide doors, 9.5-12.5 m long, 2.9-3.2 m high."""
    return _bus(rng.uniform(9.5, 12.5), rng.uniform(2.9, 3.2), (1.05, 2.4), rng, doors=int(rng.integers(2, 4)))


def coach(rng: np.random.Generator) -> list[Part]:
    """A coach with high windows over the luggage, 11.5-13.5 m long, 3.3-3.8 m high."""
    height = rng.uniform(3.3, 3.8)
    return _bus(rng.uniform(11.5, 13.5), height, (height - 1.75, height - 0.5), rng, doors=1)


def minibus(rng: np.random.Generator) -> list[Part]:
    """A bus for twenty, 6.2-8 m long, 2.6-2.9 m high."""
    return _bus(rng.uniform(6.2, 8.0), rng.uniform(2.6, 2.9), (1.15, 2.2), rng, doors=1, half=1.08)


def double_decker(rng: np.random.Generator) -> list[Part]:
    """A bus of two decks, 10-11.5 m long, 4-4.4 m high."""
    length, height = rng.uniform(10.0, 11.5), rng.uniform(4.0, 4.4)
    parts = _bus(length, height, (1.1, 2.0), rng, doors=2)
    upper = _panes(-length / 2 + 0.2, length / 2 - 0.5, 1.27, (height - 1.5, height - 0.5), 1.6)
    return [*parts, Part(mirrored(upper), GLASS)]


def articulated_bus(rng: np.random.Generator) -> list[Part]:
    """Two cars joined by bellows, 17-18.5 m long, bent by up to 8 degrees."""
    livery, bend = body_paint(rng, _LIVERIES), rng.normal(0, 0.05)
    length, height = rng.uniform(17.0, 18.5), rng.uniform(2.95, 3.2)
    first = _bus(0.54 * length, height, (1.05, 2.4), rng, doors=2, livery=livery, ends=(False, True))
    second = _bus(0.40 * length, height, (1.05, 2.4), rng, doors=1, livery=livery, ends=(True, False), axles=1)
    joint = length / 2 - 0.54 * length - 0.03 * length
    bellows = merged(
        [
            slab((joint + x - 0.12, -1.15, 0.5), (joint + x + 0.12, 1.15, height - 0.15))
            for x in (-0.45, -0.15, 0.15, 0.45)
        ]
    )
    at = pose(length / 2 - 0.27 * length)
    trailing = pose(joint, yaw=float(np.clip(bend, -0.14, 0.14))) @ pose(-0.03 * length - 0.2 * length)
    return [*moved_parts(first, at), *moved_parts(second, trailing), Part(bellows, RUBBER)]


def tram(rng: np.random.Generator) -> list[Part]:
    """Three to five joined cars on rails, 19-33 m long, 3.3-3.6 m high, with a pantograph."""
    cars, height, livery = int(rng.integers(3, 6)), rng.uniform(3.3, 3.6), body_paint(rng, _LIVERIES)
    step = rng.uniform(6.3, 6.6)
    parts = []
    for i in range(cars):
        x = (i - (cars - 1) / 2) * step
        skin = [_skin(x - step / 2 + 0.25, x + step / 2 - 0.25, 1.2, 0.25, height, (i == 0, i == cars - 1))]
        parts += [
            Part(merged(skin), livery),
            Part(mirrored(_panes(x - step / 2 + 0.5, x + step / 2 - 0.5, 1.205, (1.1, 2.5), 1.5)), GLASS),
        ]
        if i < cars - 1:
            parts.append(
                Part(slab((x + step / 2 - 0.3, -1.05, 0.35), (x + step / 2 + 0.3, 1.05, height - 0.1)), RUBBER)
            )
        parts.append(
            Part(
                merged(
                    [slab((x - 1.0, -0.9, 0.05), (x + 1.0, 0.9, 0.35)), box((1.8, 1.5, 0.3), (x, 0, height + 0.12))]
                ),
                STEEL,
            )
        )
    bars = [tube((0, y, height + 0.3), (0.7, y, height + 1.0), 0.03, sections=5) for y in (-0.5, 0.5)]
    bars.append(tube((0.7, -0.8, height + 1.0), (0.7, 0.8, height + 1.0), 0.03, sections=5))
    return [*parts, Part(merged(bars), STEEL)]


def _bus(
    length: float,
    height: float,
    band: tuple[float, float],
    rng: np.random.Generator,
    *,
    doors: int,
    half: float = 1.26,
    livery: Paint | None = None,
    ends: tuple[bool, bool] = (True, True),
    axles: int = 2,
) -> list[Part]:
    """A body with a band of windows from ``band[0]`` to ``band[1]``; ``ends`` are (back, front), False at a joint."""
    front, back, livery = length / 2, -length / 2, livery or body_paint(rng, _LIVERIES)
    pitch = rng.uniform(1.2, 1.8)
    glass = [mirrored(_panes(back + 0.35, front - 0.5, half + 0.006, band, pitch))]
    places = np.linspace(front - 1.0, back + 1.6, max(doors, 2))[:doors]
    for x in places:
        y = -half - 0.015
        glass.append(
            quads(np.array([[(x - 0.6, y, 0.4), (x + 0.6, y, 0.4), (x + 0.6, y, band[1]), (x - 0.6, y, band[1])]]))
        )
    rear = [(back - 0.01, -0.8 * half, band[0] + 0.3), (back - 0.01, 0.8 * half, band[0] + 0.3)]
    rear += [(back - 0.01, 0.8 * half, band[1] - 0.05), (back - 0.01, -0.8 * half, band[1] - 0.05)]
    x, top = front + 0.045, min(band[1], height - 0.55)
    screen = [(x, s * 0.8 * half, z) for z, sides in ((band[0] - 0.05, (1, -1)), (top, (-1, 1))) for s in sides]
    glass += [quads(np.array([piece])) for piece, there in ((rear, ends[0]), (screen, ends[1])) if there]
    spots = (front - 2.6, back + 2.9)[:2] if axles == 2 else (back + 2.2,)
    unit = box((rng.uniform(1.2, 3.5), 1.5, 0.25), (back + 0.35 * length, 0, height + 0.1))
    parts = [
        Part(_skin(back, front, half, 0.32, height, ends), livery),
        Part(merged(glass), GLASS),
        Part(unit, STEEL),
        *wheels(spots, half - 0.02, 0.48, wide=0.3),
    ]
    if ends[1]:
        parts += [head_lamps(front + 0.04, half, 0.7), mirrors(front - 0.05, half, band[1] - 0.3, high=0.5, out=0.22)]
    if ends[0]:
        parts += [
            tail_lamps(back - 0.02, half, 0.95, high=0.5),
            plates(front if ends[1] else None, back, low=0.45, high=0.6),
        ]
    return parts


def _skin(back: float, front: float, half: float, low: float, height: float, ends: tuple[bool, bool]) -> Mesh:
    """A body with rounded edges, and with rounded ends where it has no joint."""
    stations = [(back + 0.12, 1.0, 0.0), (front - 0.25, 1.0, 0.0)]
    stations = [(back, 0.95 if ends[0] else 1.0, 0.06), *stations]
    stations += [(front, 0.93, 0.12), (front + 0.03, 0.85, 0.5)] if ends[1] else [(front, 1.0, 0.0)]
    return loft(np.array([_outline(x, share * half, low, height - drop) for x, share, drop in stations]))


def _outline(x: float, half: float, low: float, high: float) -> Float[np.ndarray, "6 3"]:
    z = np.array([low, low, low + 0.1, high - 0.25, high - 0.03, high])
    return np.column_stack([np.full(6, x), half * np.array([0, 0.95, 1, 1, 0.82, 0]), z])


def _panes(x0: float, x1: float, y: float, band: tuple[float, float], pitch: float) -> Mesh:
    """Window panes on the left flank."""
    count = max(1, round((x1 - x0) / pitch))
    step = (x1 - x0) / count
    left = x0 + step * np.arange(count) + 0.05
    corners = [
        [(a, y, band[0]), (a + step - 0.1, y, band[0]), (a + step - 0.1, y, band[1]), (a, y, band[1])] for a in left
    ]
    return quads(np.array(corners))


KINDS: dict[str, Kind] = {
    "city bus": Kind(city_bus, (-6.5, 6.5), 1.6, 3.5, label="other-vehicle", weight=3),
    "coach": Kind(coach, (-7, 7), 1.6, 4.1, label="other-vehicle", weight=1),
    "minibus": Kind(minibus, (-4.3, 4.3), 1.5, 3.2, label="other-vehicle", weight=1),
    "double-decker": Kind(double_decker, (-6, 6), 1.6, 4.7, label="other-vehicle", weight=0.3),
    "articulated bus": Kind(articulated_bus, (-9.8, 9.8), 2.6, 3.5, label="other-vehicle", weight=0.8),
    "tram": Kind(tram, (-17, 17), 1.4, 4.8, label="other-vehicle", weight=0.2),
}
