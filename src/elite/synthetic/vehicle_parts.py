"""Parts that vehicles share: wheels, lamps, number plates, mirrors, paints. x forward, standing on z = 0.

All labels are 0: a vehicle is relabelled when it is placed.
"""

import numpy as np

from elite.shapes import Float
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import loft, mirrored, quads, slab

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
            tyres.append(tube((x, half - wide - 0.1, foot), (x, half - 0.04, foot), radius + 0.05, sections=14))
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


def cab(front: float, half: float, height: float, paint: Paint, *, length: float = 2.0, low: float = 0.5) -> list[Part]:
    """Cab of a truck over its front axle: windscreen, side windows, lamps, mirrors, bumper; back at front - length."""
    sill = 1.0 + 0.16 * height
    stations = (
        (front - length, 1.0, low + 0.2, height),
        (front - 0.5, 1.0, low, height),
        (front - 0.16, 0.98, low - 0.05, height - 0.28),
        (front - 0.02, 0.95, low - 0.08, sill),
        (front + 0.03, 0.86, low, sill - 0.25),
    )
    shell = loft(np.array([_cab_section(x, share * half, a, b) for x, share, a, b in stations]))
    screen = [(front - 0.01, s * 0.84 * half, sill + 0.02) for s in (1, -1)]
    screen += [(front - 0.15, s * 0.86 * half, height - 0.34) for s in (-1, 1)]
    x0, x1 = front - min(length, 1.55) + 0.15, front - 0.3
    side = [
        (x0, half + 0.008, sill + 0.1),
        (x1, half + 0.008, sill),
        (x1 - 0.12, half - 0.01, height - 0.4),
        (x0, half - 0.01, height - 0.4),
    ]
    panes = [quads(np.array([screen])), mirrored(quads(np.array([side])))]
    grille = box((0.05, 1.3 * half, 0.35), (front + 0.02, 0, sill - 0.45))
    return [
        Part(shell, paint),
        Part(merged(panes), GLASS),
        Part(grille, RUBBER),
        head_lamps(front + 0.02, 0.98 * half, low + 0.22),
        mirrors(front - 0.15, half, sill + 0.45, high=0.6, out=0.2),
    ]


def _cab_section(x: float, half: float, low: float, high: float) -> Float[np.ndarray, "5 3"]:
    z = np.array([low, low, high - 0.18, high, high])
    y = half * np.array([0, 1, 1, 0.9, 0])
    return np.column_stack([np.full(5, x), y, z])


def chassis(front: float, back: float, half: float, rng: np.random.Generator) -> Part:
    """Frame of a truck or trailer under its load at 1 m: beams, tanks or side guards, a bar at the back."""
    pieces = [mirrored(slab((back, 0.35, 0.72), (front, 0.45, 0.98)))]
    pieces.append(slab((back, -0.9 * half, 0.42), (back + 0.1, 0.9 * half, 0.58)))
    middle = (front + back) / 2
    reach = min(1.4, (front - back) / 5)
    if rng.random() < 0.6:
        pieces += [
            mirrored(slab((middle - reach, half - 0.08, z), (middle + reach, half - 0.04, z + 0.12)))
            for z in (0.45, 0.75)
        ]
    pieces.append(mirrored(slab((middle - 0.5 * reach, half - 0.6, 0.45), (middle + 0.5 * reach, half - 0.1, 0.9))))
    return Part(merged(pieces), STEEL)
