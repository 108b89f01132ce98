"""People, bicycles and motorcycles, with and without riders; x forward, standing on z = 0."""

import numpy as np

from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, Point, box, ellipsoid, merged, ring, tube

_CLOTHES = (
    (0.03, 0.04, 0.09),
    (0.26, 0.04, 0.04),
    (0.04, 0.04, 0.045),
    (0.45, 0.44, 0.40),
    (0.07, 0.14, 0.09),
    (0.34, 0.25, 0.08),
    (0.12, 0.20, 0.34),
    (0.20, 0.15, 0.11),
)
_TROUSERS = ((0.03, 0.05, 0.11), (0.03, 0.03, 0.035), (0.10, 0.10, 0.11), (0.26, 0.21, 0.14), (0.06, 0.09, 0.16))
_SKINS = ((0.50, 0.32, 0.23), (0.36, 0.21, 0.13), (0.14, 0.08, 0.05))
_DARK = (0.015, 0.015, 0.016)


def _clothes(rng: np.random.Generator) -> Paint:
    return Paint(Material.CLOTH, 0, _CLOTHES[rng.integers(len(_CLOTHES))], rng.uniform(0.5, 1.4))


def _trousers(rng: np.random.Generator) -> Paint:
    return Paint(Material.CLOTH, 0, _TROUSERS[rng.integers(len(_TROUSERS))], rng.uniform(0.5, 1.3))


def _skin(rng: np.random.Generator) -> Paint:
    return Paint(Material.SKIN, 0, _SKINS[rng.integers(len(_SKINS))])


def person(rng: np.random.Generator, *, stride: float) -> list[Part]:
    """A person who stands (stride 0) or walks (stride about 0.3 m, the distance between the feet)."""
    size = rng.uniform(0.9, 1.08)
    hip, shoulder, head = 0.88 * size, 1.42 * size, 1.62 * size
    swing = stride * rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0)
    legs, arms = [], []
    for side in (1, -1):
        foot = side * swing
        knee = (foot * 0.45 + 0.05, side * 0.10, 0.48 * size)
        legs += [tube((0, side * 0.09, hip), knee, 0.085, 0.065), tube(knee, (foot, side * 0.10, 0.06), 0.06, 0.045)]
        legs.append(box((0.27, 0.10, 0.09), (foot + 0.05, side * 0.10, 0.045)))
        elbow = (-foot * 0.4, side * 0.27, 1.12 * size)
        arms += [tube((0, side * 0.20, shoulder - 0.04), elbow, 0.055, 0.045)]
        arms.append(tube(elbow, (-foot * 0.8 + 0.08, side * 0.25, 0.88 * size), 0.042, 0.035))
    torso = [_torso((0, 0, hip - 0.08), (0.01, 0, shoulder), size), *arms]
    parts = [Part(merged(torso), _clothes(rng)), Part(merged(legs), _trousers(rng)), *_head((0.02, 0, head), rng)]
    if rng.random() < 0.35:
        parts.append(Part(box((0.16, 0.30, 0.42), (-0.2, 0, 1.2 * size)), _clothes(rng)))
    return parts


def _torso(low: Point, high: Point, size: float) -> Mesh:
    """Hips to shoulders, flatter than wide."""
    a, b = np.asarray(low, float), np.asarray(high, float)
    chest = ellipsoid(a + 0.68 * (b - a), (0.14 * size, 0.21 * size, 0.27 * size))
    belly = ellipsoid(a + 0.28 * (b - a), (0.13 * size, 0.17 * size, 0.24 * size))
    return merged([chest, belly])


def _head(at: Point, rng: np.random.Generator, *, helmet: bool = False) -> list[Part]:
    x, y, z = at
    face = merged([ellipsoid((x + 0.01, y, z), (0.095, 0.08, 0.12)), tube((x - 0.01, y, z - 0.2), (x, y, z), 0.055)])
    if helmet:
        top = Part(
            ellipsoid((x, y, z + 0.02), (0.15, 0.13, 0.155)), Paint(Material.PAINTED, 0, _CLOTHES[rng.integers(8)], 1.2)
        )
    else:
        top = Part(
            ellipsoid((x - 0.025, y, z + 0.03), (0.10, 0.09, 0.11)), Paint(Material.BARK, 0, (0.05, 0.03, 0.02), 0.6)
        )
    return [Part(face, _skin(rng)), top]


def bicycle(rng: np.random.Generator) -> list[Part]:
    """A city bicycle: two thin wheels, a tube frame, handlebar, saddle, sometimes a basket."""
    radius, base = 0.34, rng.uniform(0.52, 0.56)
    wheels = [ring((x, 0, radius), radius, 0.022) for x in (base, -base)]
    spokes = [
        tube((x - radius * c, 0, radius - radius * s), (x + radius * c, 0, radius + radius * s), 0.006, sections=3)
        for x in (base, -base)
        for c, s in ((np.cos(a), np.sin(a)) for a in np.arange(4) * np.pi / 4)
    ]
    seat, head, crank = (-0.22, 0, 0.82), (0.36, 0, 0.82), (-0.08, 0, 0.32)
    bars = [
        (seat, head),
        (crank, head),
        (crank, seat),
        (crank, (-base, 0, radius)),
        (seat, (-base, 0, radius)),
        ((base, 0, radius), head),
    ]
    frame = [tube(a, b, 0.024, sections=6) for a, b in bars]
    steering = [tube(head, (0.33, 0, 1.02), 0.02), tube((0.30, -0.29, 1.03), (0.30, 0.29, 1.03), 0.018)]
    guards = [box((0.42, 0.05, 0.02), (-base, 0, 2 * radius + 0.04))]
    color = _CLOTHES[rng.integers(len(_CLOTHES))]
    parts = [
        Part(merged(wheels + spokes), Paint(Material.RUBBER, 0, _DARK, 2.0)),
        Part(merged(frame + steering + guards), Paint(Material.PAINTED, 0, color, rng.uniform(0.7, 1.3))),
        Part(ellipsoid((-0.24, 0, 0.93), (0.14, 0.08, 0.04)), Paint(Material.RUBBER, 0, _DARK)),
    ]
    if rng.random() < 0.5:
        parts.append(Part(box((0.26, 0.34, 0.24), (0.56, 0, 0.9)), Paint(Material.WOOD, 0, (0.25, 0.17, 0.08))))
    return parts


def motorcycle(rng: np.random.Generator) -> list[Part]:
    """A motorcycle or scooter: fat wheels, an engine, a tank, a seat."""
    radius, base = rng.uniform(0.29, 0.33), rng.uniform(0.68, 0.76)
    color = _CLOTHES[rng.integers(len(_CLOTHES))]
    wheels = [
        tube((x, -wide, radius), (x, wide, radius), radius, sections=14) for x, wide in ((base, 0.05), (-base, 0.065))
    ]
    fork = [tube((base, y, radius), (0.42, y, 0.92), 0.035) for y in (0.1, -0.1)]
    bar = tube((0.36, -0.36, 1.05), (0.36, 0.36, 1.05), 0.025)
    engine = [box((0.55, 0.34, 0.36), (0.0, 0, 0.44)), tube((-0.1, -0.2, 0.32), (-base - 0.1, -0.2, 0.42), 0.055)]
    shell = [
        ellipsoid((0.14, 0, 0.82), (0.32, 0.19, 0.17)),
        ellipsoid((-0.6, 0, 0.76), (0.34, 0.15, 0.13)),
        ellipsoid((0.52, 0, 0.86), (0.16, 0.22, 0.24)),
        box((0.4, 0.14, 0.03), (base, 0, 2 * radius + 0.05)),
    ]
    return [
        Part(merged(wheels), Paint(Material.RUBBER, 0, _DARK)),
        Part(merged([*fork, bar, *engine]), Paint(Material.METAL, 0, (0.13, 0.13, 0.14))),
        Part(merged(shell), Paint(Material.PAINTED, 0, color, rng.uniform(0.7, 1.5))),
        Part(box((0.62, 0.28, 0.10), (-0.36, 0, 0.80)), Paint(Material.RUBBER, 0, _DARK, 2.0)),
        Part(box((0.05, 0.16, 0.16), (0.68, 0, 0.88)), Paint(Material.LAMP, 0, (0.6, 0.6, 0.6))),
        Part(box((0.03, 0.2, 0.16), (-0.92, 0, 0.68)), Paint(Material.SIGN, 0, (0.6, 0.6, 0.55))),
    ]


def bicyclist(rng: np.random.Generator) -> list[Part]:
    """A person on a bicycle."""
    return bicycle(rng) + _rider(
        rng, hip=(-0.22, 0, 1.0), shoulder=(0.06, 0, 1.48), hand=(0.30, 0.27, 1.05), foot=(-0.02, 0.13, 0.3)
    )


def motorcyclist(rng: np.random.Generator) -> list[Part]:
    """A person on a motorcycle, with a helmet."""
    return motorcycle(rng) + _rider(
        rng,
        hip=(-0.34, 0, 0.92),
        shoulder=(-0.12, 0, 1.42),
        hand=(0.34, 0.33, 1.06),
        foot=(-0.02, 0.24, 0.36),
        helmet=True,
    )


def _rider(
    rng: np.random.Generator, *, hip: Point, shoulder: Point, hand: Point, foot: Point, helmet: bool = False
) -> list[Part]:
    """A seated body; ``hand`` and ``foot`` are the left ones. One of a cyclist's feet is up when the other is down."""
    limbs, legs = [], []
    lift = 0.0 if helmet else 0.17
    for side in (1, -1):
        grip = np.array([hand[0], side * hand[1], hand[2]])
        joint = np.array([shoulder[0], side * 0.2, shoulder[2] - 0.05])
        elbow = (grip + joint) / 2 + (-0.06, side * 0.06, -0.08)
        limbs += [tube(joint, elbow, 0.055, 0.045), tube(elbow, grip, 0.045, 0.035)]
        step = np.array([foot[0], side * foot[1], foot[2] + lift * (1 + side)])
        knee = np.array(
            [hip[0] + 0.42, side * (foot[1] + 0.03), hip[2] - 0.28 + lift * (1 + side) / 2 + (0.2 if helmet else 0)]
        )
        legs += [tube((hip[0], side * 0.1, hip[2]), knee, 0.09, 0.065), tube(knee, step, 0.06, 0.045)]
        legs.append(box((0.26, 0.1, 0.09), step + np.array([0.05, 0, -0.03])))
    body = [_torso(np.asarray(hip) - (0, 0, 0.06), shoulder, 1.0), *limbs]
    at = (shoulder[0] + 0.08, 0, shoulder[2] + 0.21)
    wears = helmet or rng.random() < 0.4
    return [Part(merged(body), _clothes(rng)), Part(merged(legs), _trousers(rng)), *_head(at, rng, helmet=wears)]
