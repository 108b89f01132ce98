"""Parts that vehicles share: wheels, lamps, number plates, mirrors, paints. x forward, standing on z = 0.

All labels are 0: a vehicle is relabelled when it is placed.
"""

import numpy as np

from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import mirrored, slab

DARK: Color = (0.012, 0.012, 0.013)
GLASS = Paint(Material.GLASS, 0, (0.02, 0.025, 0.03))
RUBBER = Paint(Material.RUBBER, 0, DARK)
RIM = Paint(Material.METAL, 0, (0.30, 0.30, 0.31))
STEEL = Paint(Material.METAL, 0, (0.06, 0.06, 0.065))
PLATE = Paint(Material.SIGN, 0, (0.7, 0.7, 0.65))
# White, silver, greys and black make four in five cars.
_COLORS = np.array(
    [
        *((0.70, 0.70, 0.68), (0.55, 0.56, 0.57), (0.40, 0.41, 0.42), (0.30, 0.31, 0.33), (0.10, 0.105, 0.11)),
        *((0.02, 0.02, 0.025), (0.04, 0.045, 0.05), (0.03, 0.06, 0.20), (0.35, 0.02, 0.02), (0.03, 0.10, 0.06)),
        *((0.12, 0.17, 0.25), (0.45, 0.36, 0.22), (0.10, 0.22, 0.42), (0.5, 0.42, 0.05), (0.12, 0.07, 0.05)),
    ]
)
_SHARES = np.array([5, 5, 4, 4, 4, 5, 4, 2, 2, 1, 1.5, 0.7, 1, 0.4, 0.6])


def car_paint(rng: np.random.Generator) -> Paint:
    """Random colour and remission gain; dark paint tends to have a lower remission."""
    color = _COLORS[rng.choice(len(_COLORS), p=_SHARES / _SHARES.sum())]
    gain = (0.6 + 0.9 * color.mean()) * rng.lognormal(0, 0.35)
    return Paint(Material.PAINTED, 0, tinted(tuple(color), rng, 0.2), float(gain))


def body_paint(rng: np.random.Generator, colors: tuple[Color, ...]) -> Paint:
    """Random paint of a truck's body, a bus or a trailer."""
    color = colors[rng.integers(len(colors))]
    return Paint(Material.PAINTED, 0, tinted(color, rng, 0.2), float(rng.lognormal(0, 0.3)))


def wheels(
    axles: tuple[float, ...], half: float, radius: float, *, wide: float = 0.22, arches: bool = True
) -> list[Part]:
    """Pairs of wheels whose outer faces are at ``half``, in dark arches."""
    tyres, rims = [], []
    for x in axles:
        tyres.append(tube((x, half - wide, radius), (x, half, radius), radius, sections=14))
        rims.append(tube((x, half - 0.02, radius), (x, half + 0.008, radius), 0.62 * radius, sections=10))
        if arches:
            foot = radius + 0.02
            tyres.append(tube((x, half - wide - 0.1, foot), (x, half - 0.025, foot), radius + 0.06, sections=14))
    axle = [tube((x, 0, radius), (x, half - wide, radius), 0.07, sections=5) for x in axles]
    return [Part(mirrored(merged([*tyres, *axle])), RUBBER), Part(mirrored(merged(rims)), RIM)]


def head_lamps(front: float, half: float, z: float, *, wide: float = 0.32, high: float = 0.14) -> Part:
    lamps = mirrored(box((0.1, wide, high), (front - 0.04, half - wide / 2 - 0.1, z)))
    return Part(lamps, Paint(Material.LAMP, 0, (0.6, 0.62, 0.65), 0.7))


def tail_lamps(back: float, half: float, z: float, *, wide: float = 0.2, high: float = 0.24) -> Part:
    lamps = mirrored(box((0.1, wide, high), (back + 0.03, half - wide / 2 - 0.06, z)))
    return Part(lamps, Paint(Material.LAMP, 0, (0.42, 0.01, 0.01), 0.9))


def plates(front: float | None, back: float, *, low: float = 0.38, high: float = 0.55) -> Part:
    """Number plates; trailers have none in front."""
    found = [box((0.02, 0.52, 0.11), (back - 0.02, 0, high))]
    return Part(merged(found if front is None else [*found, box((0.02, 0.52, 0.11), (front + 0.02, 0, low))]), PLATE)


def mirrors(x: float, half: float, z: float, *, high: float = 0.14, out: float = 0.14) -> Part:
    """Wing mirrors on arms, ``out`` beyond the flank."""
    return Part(mirrored(slab((x - 0.06, half - 0.05, z - high / 2), (x + 0.06, half + out, z + high / 2))), RUBBER)
