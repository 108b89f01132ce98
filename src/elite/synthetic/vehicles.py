"""Cars, trucks, buses, trailers: shapes with real proportions, x forward, standing on z = 0."""

import numpy as np

from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, box, extrusion, merged, triangles, tube

_DARK = (0.012, 0.012, 0.013)
_CAR_COLORS = np.array(
    [
        (0.55, 0.56, 0.57),
        (0.30, 0.31, 0.33),
        (0.02, 0.02, 0.025),
        (0.04, 0.045, 0.05),
        (0.70, 0.70, 0.68),
        (0.03, 0.06, 0.20),
        (0.35, 0.02, 0.02),
        (0.03, 0.10, 0.06),
        (0.12, 0.17, 0.25),
        (0.45, 0.36, 0.22),
    ]
)


def car(rng: np.random.Generator) -> list[Part]:
    """A hatchback, saloon, estate or van with wheels, glass, lamps and number plates."""
    kind = rng.choice(["hatchback", "saloon", "estate", "van"], p=(0.4, 0.3, 0.2, 0.1))
    length = {"hatchback": 3.9, "saloon": 4.5, "estate": 4.5, "van": 4.7}[kind] * rng.uniform(0.95, 1.06)
    width = rng.uniform(1.66, 1.84)
    height = {"hatchback": 1.47, "saloon": 1.43, "estate": 1.48, "van": 1.85}[kind] * rng.uniform(0.97, 1.04)
    color, gain = _car_paint(rng)
    front, back, half = length / 2, -length / 2, width / 2
    belt = 0.62 * height if kind != "van" else 0.54 * height
    cowl = front - (0.24 if kind != "van" else 0.14) * length
    tail = {"hatchback": back + 0.05, "saloon": back + 0.75, "estate": back + 0.05, "van": back + 0.04}[kind]
    paint = Paint(Material.PAINTED, 0, color, gain)
    body = _body(front, back, half, belt, cowl, tail)
    cabin, roof = _cabin(cowl, tail, half, belt, height, steep=kind == "van")
    glass = Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))
    axles = front - 0.19 * length, back + 0.19 * length
    return [
        Part(merged([body, roof, _mirrors(cowl, half, belt)]), paint),
        Part(cabin, glass),
        *_wheels(axles, half, rng.uniform(0.29, 0.33)),
        *_lamps(front, back, half, 0.68 * belt),
    ]


def _car_paint(rng: np.random.Generator) -> tuple[tuple[float, float, float], float]:
    """Random colour and remission gain; dark paint tends to have a lower remission."""
    color = _CAR_COLORS[rng.integers(len(_CAR_COLORS))] * rng.uniform(0.8, 1.2)
    gain = (0.6 + 0.9 * color.mean()) * rng.lognormal(0, 0.35)
    return (float(color[0]), float(color[1]), float(color[2])), float(gain)


def _body(front: float, back: float, half: float, belt: float, cowl: float, tail: float) -> Mesh:
    """Everything below the windows: bumpers, bonnet, flanks, boot."""
    nose, deck = 0.74 * belt, 0.97 * belt
    side_view = np.array(
        [
            (back + 0.12, 0.20),
            (front - 0.15, 0.19),
            (front, 0.32),
            (front + 0.02, 0.55 * belt + 0.1),
            (front - 0.12, nose + 0.06),
            (cowl, belt),
            (tail, belt),
            (min(tail - 0.02, back + 0.08), deck),
            (back, 0.60),
            (back + 0.01, 0.36),
        ]
    )
    inset = np.array([0.10, 0.12, 0.12, 0.08, 0.09, 0.04, 0.05, 0.06, 0.05, 0.05])
    return extrusion(side_view, half - inset + 0.04)


def _cabin(cowl: float, tail: float, half: float, belt: float, height: float, *, steep: bool) -> tuple[Mesh, Mesh]:
    """(glass, painted roof and pillars). The glass leans in towards the roof."""
    rake = 0.45 if steep else 0.75
    roof_front, roof_back = cowl - rake, tail + (0.12 if steep else 0.38)
    lower = np.array([(cowl + 0.05, half - 0.04), (tail, half - 0.06)])
    upper = np.array([(roof_front, half - 0.22), (roof_back, half - 0.24)])
    side_view = np.array(
        [
            (lower[1, 0], belt - 0.02),
            (lower[0, 0], belt - 0.02),
            (upper[0, 0], height - 0.05),
            (upper[1, 0], height - 0.06),
        ]
    )
    glass = extrusion(side_view, np.array([lower[1, 1], lower[0, 1], upper[0, 1], upper[1, 1]]) - 0.005)
    top = np.array(
        [
            (upper[1, 0] - 0.03, height - 0.07),
            (upper[0, 0] + 0.03, height - 0.07),
            (upper[0, 0] - 0.25, height),
            (upper[1, 0] + 0.3, height),
        ]
    )
    roof = extrusion(top, np.array([upper[1, 1], upper[0, 1], upper[0, 1] - 0.1, upper[1, 1] - 0.1]) + 0.012)
    pillars = [
        tube((low[0], side * (low[1] + 0.0), belt - 0.02), (high[0], side * high[1], height - 0.05), 0.035, sections=5)
        for low, high in (
            *zip(lower, upper, strict=True),
            (lower.mean(axis=0), upper.mean(axis=0)),
        )
        for side in (1, -1)
    ]
    return glass, merged([roof, *pillars])


def _mirrors(cowl: float, half: float, belt: float) -> Mesh:
    return merged([box((0.10, 0.2, 0.13), (cowl - 0.12, side * (half + 0.06), belt + 0.06)) for side in (1, -1)])


def _wheels(axles: tuple[float, ...], half: float, radius: float) -> list[Part]:
    """Tyres in dark arches, with metal rims."""
    tyres, rims = [], []
    for x in axles:
        for side in (1, -1):
            arch = tube(
                (x, side * (half - 0.3), radius + 0.03),
                (x, side * (half + 0.004), radius + 0.03),
                radius + 0.06,
                sections=14,
            )
            tyre = tube((x, side * (half - 0.2), radius), (x, side * (half + 0.02), radius), radius, sections=14)
            tyres += [arch, tyre]
            rims.append(tube((x, side * half, radius), (x, side * (half + 0.028), radius), 0.62 * radius, sections=10))
    return [
        Part(merged(tyres), Paint(Material.RUBBER, 0, _DARK)),
        Part(merged(rims), Paint(Material.METAL, 0, (0.30, 0.30, 0.31))),
    ]


def _lamps(front: float, back: float, half: float, z: float) -> list[Part]:
    """Head and tail lamps, number plates, a dark grille."""
    head = [box((0.1, 0.32, 0.14), (front - 0.04, side * (half - 0.25), z + 0.05)) for side in (1, -1)]
    tail = [box((0.1, 0.22, 0.24), (back + 0.03, side * (half - 0.14), z + 0.12)) for side in (1, -1)]
    plates = [box((0.02, 0.52, 0.11), (front + 0.03, 0, 0.38)), box((0.02, 0.52, 0.11), (back - 0.02, 0, 0.52))]
    grille = box((0.06, 2 * half - 1.0, 0.16), (front, 0, z - 0.06))
    return [
        Part(merged(head), Paint(Material.LAMP, 0, (0.6, 0.62, 0.65), 0.7)),
        Part(merged(tail), Paint(Material.LAMP, 0, (0.42, 0.01, 0.01), 0.9)),
        Part(merged(plates), Paint(Material.SIGN, 0, (0.7, 0.7, 0.65))),
        Part(grille, Paint(Material.RUBBER, 0, _DARK)),
    ]


def truck(rng: np.random.Generator) -> list[Part]:
    """A cab in front of a cargo box, or of a flat bed with a load."""
    length, half, height = rng.uniform(6.5, 8.5), rng.uniform(1.12, 1.24), rng.uniform(2.9, 3.5)
    color, gain = _car_paint(rng)
    front, back = length / 2, -length / 2
    side_view = np.array(
        [
            (front - 2.0, 0.5),
            (front - 0.05, 0.45),
            (front, 1.3),
            (front - 0.2, 2.45),
            (front - 0.5, 2.6),
            (front - 2.0, 2.6),
        ]
    )
    cab = extrusion(side_view, np.full(6, half - 0.06))
    panes = merged([_windscreen(front, half), *(_side_pane(front, side * (half - 0.05)) for side in (1, -1))])
    bed = box((length - 2.1, 2 * half - 0.2, 0.25), (back + (length - 2.1) / 2, 0, 0.85))
    if rng.random() < 0.7:
        load = box((length - 2.2, 2 * half, height - 1.0), (back + (length - 2.2) / 2, 0, 1.0 + (height - 1.0) / 2))
    else:
        load = box((length - 2.8, 2 * half - 0.3, 0.9), (back + (length - 2.2) / 2, 0, 1.4))
    tone = rng.choice([0.65, 0.4, 0.2])
    return [
        Part(cab, Paint(Material.PAINTED, 0, color, gain)),
        Part(panes, Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))),
        Part(
            load,
            Paint(
                Material.BLIND, 0, (tone, tone * rng.uniform(0.7, 1), tone * rng.uniform(0.6, 1)), rng.uniform(0.5, 1.2)
            ),
        ),
        Part(bed, Paint(Material.METAL, 0, (0.05, 0.05, 0.05))),
        *_wheels((front - 1.1, back + 1.4, back + 2.5), half, 0.48),
        *_lamps(front, back, half, 0.75),
    ]


def _windscreen(front: float, half: float) -> Mesh:
    a, b = half - 0.2, half - 0.25
    low, high = (front + 0.0, 1.42), (front - 0.16, 2.30)
    quad = [(low[0], -a, low[1]), (low[0], a, low[1]), (high[0], b, high[1]), (high[0], -b, high[1])]
    return _quad(quad)


def _side_pane(front: float, y: float) -> Mesh:
    x0, x1 = front - 1.3, front - 0.35
    return _quad([(x0, y, 1.5), (x1, y, 1.45), (x1 - 0.1, y, 2.25), (x0, y, 2.25)])


def _quad(points: list[tuple[float, float, float]]) -> Mesh:
    a, b, c, d = np.array(points)
    return triangles(np.array([(a, b, c), (a, c, d)]))


def bus(rng: np.random.Generator) -> list[Part]:
    """A city bus with a window band all round."""
    length, half, height = rng.uniform(9.5, 11.5), 1.26, rng.uniform(2.9, 3.1)
    color, gain = _car_paint(rng)
    front, back = length / 2, -length / 2
    eaves = height - 0.2
    side_view = np.array([(back, 0.35), (front, 0.35), (front + 0.06, 1.2), (front - 0.06, eaves), (back, eaves)])
    lid = np.array([(back, eaves), (front - 0.06, eaves), (front - 0.3, height), (back + 0.15, height)])
    shell = extrusion(side_view, np.full(5, half))
    roof = extrusion(lid, half - np.array([0, 0, 0.15, 0.15]))
    screen = _quad(
        [
            (front + 0.065, -1.1, 1.15),
            (front + 0.065, 1.1, 1.15),
            (front - 0.045, 1.05, 2.6),
            (front - 0.045, -1.05, 2.6),
        ]
    )
    unit = box((1.8, 1.4, 0.25), (back + 2.5, 0, height + 0.1))
    return [
        Part(shell, Paint(Material.COACH, 0, color, gain)),
        Part(roof, Paint(Material.PAINTED, 0, color, gain)),
        Part(screen, Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))),
        Part(unit, Paint(Material.METAL, 0, (0.4, 0.4, 0.4))),
        *_wheels((front - 2.5, back + 2.8), half, 0.46),
        *_lamps(front, back, half, 0.7),
    ]


def trailer(rng: np.random.Generator) -> list[Part]:
    """A caravan or a box trailer with a drawbar: no engine, one axle."""
    length, half, height = rng.uniform(3.2, 5.5), rng.uniform(0.95, 1.15), rng.uniform(2.1, 2.6)
    front, back = length / 2, -length / 2
    side_view = np.array(
        [
            (back, 0.45),
            (front - 0.3, 0.45),
            (front, 0.9),
            (front - 0.25, height - 0.3),
            (front - 0.6, height),
            (back + 0.3, height),
            (back - 0.05, 1.2),
        ]
    )
    tone = rng.uniform(0.45, 0.75)
    drawbar = merged([tube((front - 0.3, y, 0.5), (front + 1.2, 0, 0.5), 0.04) for y in (-0.5, 0.5)])
    pane = merged([box((length * 0.3, 0.02, 0.5), (0.1, side * half, 1.55)) for side in (1, -1)])
    return [
        Part(
            extrusion(side_view, np.full(7, half - 0.005)),
            Paint(Material.PAINTED, 0, (tone, tone, tone * 0.95), rng.uniform(0.9, 1.6)),
        ),
        Part(pane, Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))),
        Part(drawbar, Paint(Material.METAL, 0, (0.1, 0.1, 0.1))),
        *_wheels((-0.2,), half, 0.3),
        *_lamps(back + 0.02, back, half, 0.65),
    ]
