"""Load spaces of trucks: closed bodies, open beds, and what lies on them. From ``x0`` to ``x1``, y = +-half."""

import numpy as np

from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, ellipsoid, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import boxes, bricks, mirrored, slab, spread
from elite.synthetic.vehicle_parts import STEEL, body_paint

LOAD_COLORS: tuple[Color, ...] = (
    (0.65, 0.65, 0.62),
    (0.55, 0.54, 0.5),
    (0.1, 0.2, 0.42),
    (0.5, 0.1, 0.08),
    (0.15, 0.3, 0.15),
    (0.6, 0.45, 0.1),
)
_FLOOR = 1.0  # height of the load floor (m)


def closed_body(
    x0: float, x1: float, half: float, top: float, rng: np.random.Generator, *, floor: float = _FLOOR
) -> list[Part]:
    """A box, with corner posts and doors; a curtain bulges, a container has ribs."""
    coat = body_paint(rng, LOAD_COLORS)
    kind = rng.choice(["box", "curtain", "container"], p=(0.5, 0.3, 0.2))
    shell = slab((x0, -half, floor), (x1, half, top))
    pieces = [
        slab((x0 - 0.03, s * half - 0.06, floor - 0.1), (x0 + 0.05, s * half + 0.06, top + 0.02)) for s in (0.97, -0.97)
    ]
    pieces.append(slab((x0 - 0.04, -0.03, floor), (x0, 0.03, top - 0.1)))
    if kind == "curtain":
        x = spread(x0 + 0.1, x1 - 0.1, 1.2)
        pieces += [mirrored(slab((a - 0.03, half, floor - 0.12), (a + 0.03, half + 0.02, floor + 0.1))) for a in x]
        coat = Paint(Material.CLOTH, 0, coat.color, coat.gain)
    if kind == "container":
        x = np.arange(x0 + 0.2, x1 - 0.1, 0.28)
        ribs = boxes(
            np.tile((0.12, 0.05, top - floor - 0.2), (len(x), 1)),
            np.column_stack([x, 0 * x + half, 0 * x + (top + floor) / 2]),
        )
        return [Part(merged([shell, mirrored(ribs)]), coat), Part(merged(pieces), STEEL)]
    return [Part(shell, coat), Part(merged(pieces), STEEL)]


def open_body(x0: float, x1: float, half: float, rng: np.random.Generator) -> list[Part]:
    """A floor, side boards, and a rack behind the cab."""
    board = rng.uniform(0.35, 0.6)
    sides = [
        mirrored(slab((x0, half - 0.04, _FLOOR), (x1, half, _FLOOR + board))),
        slab((x0, -half, _FLOOR), (x0 + 0.04, half, _FLOOR + board)),
    ]
    z = np.arange(_FLOOR, _FLOOR + rng.uniform(0.8, 1.5), 0.25)
    rack = bricks(np.stack([0 * z - half, 0 * z + half, z, z + 0.12], 1), x1 - 0.03, x1 + 0.03)
    floor = slab((x0, -half, _FLOOR - 0.12), (x1, half, _FLOOR))
    return [Part(merged(sides), body_paint(rng, LOAD_COLORS)), Part(merged([floor, rack]), STEEL)]


def load(x0: float, x1: float, half: float, rng: np.random.Generator, *, floor: float = _FLOOR) -> list[Part]:
    """Nothing, pallets, pipes or logs, a heap, or a machine on an open bed."""
    kind, long = rng.choice(["none", "pallets", "logs", "heap", "machine"], p=(0.2, 0.35, 0.2, 0.15, 0.1)), x1 - x0
    if kind == "none":
        return []
    if kind == "pallets":
        at = np.array([(x, s * half / 2) for x in spread(x0 + 0.6, x1 - 0.6, 1.3) for s in (1, -1)])
        at = at[rng.random(len(at)) < 0.8]
        tall = rng.uniform(0.3, 1.6, len(at))
        stacks = boxes(
            np.column_stack([0 * tall + 1.1, 0 * tall + 0.92 * half, tall]), np.column_stack([at, floor + tall / 2])
        )
        return [Part(stacks, Paint(Material.BLIND, 0, tinted((0.42, 0.3, 0.2), rng, 0.4)))] if len(at) else []
    if kind == "logs":
        r = rng.uniform(0.1, 0.22)
        at = [
            (y, floor + r + 1.75 * r * k)
            for k in range(int(rng.integers(2, 5)))
            for y in np.arange(-half + r + k * r, half - r - k * r + 0.01, 2.05 * r)
        ]
        logs = [tube((x0 + rng.uniform(0, 0.4), y, z), (x1 - rng.uniform(0, 0.6), y, z), r, sections=7) for y, z in at]
        return [Part(merged(logs), Paint(Material.BARK, 0, tinted((0.25, 0.17, 0.1), rng, 0.4)))]
    if kind == "heap":
        heap = ellipsoid(((x0 + x1) / 2, 0, floor), (long * 0.45, 0.95 * half, rng.uniform(0.5, 1.1)))
        return [
            Part(
                heap,
                Paint(
                    Material.CLOTH if rng.random() < 0.5 else Material.BALLAST, 0, tinted((0.25, 0.24, 0.2), rng, 0.5)
                ),
            )
        ]
    middle = (x0 + x1) / 2
    hull = [
        slab((middle - 1.2, -0.8 * half, floor + 0.3), (middle + 1.2, 0.8 * half, floor + 1.1)),
        slab((middle - 0.6, -0.5 * half, floor + 1.1), (middle + 0.3, 0.5 * half, floor + 1.9)),
    ]
    arm = tube((middle + 0.8, 0, floor + 1.0), (x1 - 0.4, 0, floor + 1.5), 0.14)
    wheel = mirrored(
        merged(
            [
                tube((middle + x, 0.8 * half, floor + 0.35), (middle + x, half, floor + 0.35), 0.35, sections=12)
                for x in (-0.8, 0.8)
            ]
        )
    )
    return [
        Part(merged([*hull, arm]), Paint(Material.PAINTED, 0, (0.6, 0.42, 0.03))),
        Part(wheel, Paint(Material.RUBBER, 0, (0.02, 0.02, 0.02))),
    ]
