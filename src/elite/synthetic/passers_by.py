"""More people and riders than people.py has: children, groups, umbrellas, prams, sitting people, cyclists with loads.

x forward, standing on z = 0. Classes person and bicyclist; what people push or carry has the class of its person.
"""

import numpy as np

from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, ellipsoid, merged, moved_parts, pose, ring, tube
from elite.synthetic.people import bicyclist, motorcyclist, person
from elite.synthetic.scenery import tinted
from elite.synthetic.shapes import mirrored, scaled, slab

_CLOTHES = ((0.03, 0.04, 0.09), (0.26, 0.04, 0.04), (0.04, 0.04, 0.045), (0.12, 0.20, 0.34), (0.45, 0.40, 0.1))
_SKIN = Paint(Material.SKIN, 0, (0.45, 0.28, 0.2))


def child(rng: np.random.Generator) -> list[Part]:
    """A child 0.95-1.45 m tall, standing or walking."""
    return scaled(person(rng, stride=rng.choice([0.0, 0.3])), rng.uniform(0.56, 0.78))


def with_umbrella(rng: np.random.Generator) -> list[Part]:
    """A person under an umbrella."""
    shaft = tube((0.22, 0.25, 0.95), (0.1, 0.1, 2.0), 0.012, sections=4)
    roof = tube((0.1, 0.1, 1.88), (0.1, 0.1, 2.12), rng.uniform(0.45, 0.6), 0.05, sections=8)
    return [*person(rng, stride=0.3), Part(merged([shaft, roof]), _cloth(rng))]


def with_pram(rng: np.random.Generator) -> list[Part]:
    """A person who pushes a pram or a shopping trolley."""
    wheels = mirrored(merged([ring((x, 0.24, 0.14), 0.13, 0.02) for x in (0.65, 1.15)]))
    frame = mirrored(
        merged(
            [
                tube((0.35, 0.24, 1.0), (1.1, 0.24, 0.2), 0.015, sections=5),
                tube((0.65, 0.24, 0.2), (1.1, 0.24, 0.75), 0.015, sections=5),
            ]
        )
    )
    basket = [ellipsoid((0.95, 0, 0.62), (0.38, 0.22, 0.2)), ellipsoid((0.78, 0, 0.85), (0.2, 0.22, 0.2))]
    return [
        *person(rng, stride=0.3),
        Part(merged([wheels, frame]), Paint(Material.METAL, 0, (0.1, 0.1, 0.1))),
        Part(merged(basket), _cloth(rng)),
    ]


def with_dog(rng: np.random.Generator) -> list[Part]:
    """A person with a dog on a leash. The dog has the class of its person."""
    size, y = rng.uniform(0.5, 1.0), float(rng.choice([-0.6, 0.6]))
    legs = [
        tube(
            (0.5 + x * size, y + s * 0.08 * size, 0),
            (0.5 + x * size, y + s * 0.08 * size, 0.4 * size),
            0.035 * size,
            sections=5,
        )
        for x in (-0.25, 0.25)
        for s in (1, -1)
    ]
    body = [
        ellipsoid((0.5, y, 0.5 * size), (0.42 * size, 0.14 * size, 0.16 * size)),
        ellipsoid((0.5 + 0.48 * size, y, 0.68 * size), (0.17 * size, 0.1 * size, 0.12 * size)),
    ]
    coat = Paint(Material.BARK, 0, tinted((0.2, 0.14, 0.08), rng, 0.5))
    return [*person(rng, stride=0.3), Part(merged([*legs, *body]), coat)]


def sitting(rng: np.random.Generator) -> list[Part]:
    """A person who sits 0.45 m high: on a bench, a wall or steps, looking along x."""
    legs = mirrored(
        merged(
            [
                tube((-0.1, 0.1, 0.52), (0.38, 0.12, 0.52), 0.08, 0.065),
                tube((0.38, 0.12, 0.5), (0.36, 0.12, 0.06), 0.06, 0.045),
                box((0.26, 0.1, 0.09), (0.42, 0.12, 0.045)),
            ]
        )
    )
    arms = mirrored(
        merged([tube((-0.1, 0.2, 0.98), (0.0, 0.26, 0.72), 0.05), tube((0.0, 0.26, 0.72), (0.25, 0.16, 0.6), 0.04)])
    )
    torso = [ellipsoid((-0.1, 0, 0.85), (0.14, 0.2, 0.25)), ellipsoid((-0.1, 0, 0.62), (0.15, 0.18, 0.18)), arms]
    head = merged([ellipsoid((-0.04, 0, 1.24), (0.1, 0.085, 0.125)), tube((-0.08, 0, 1.02), (-0.06, 0, 1.18), 0.05)])
    parts = [Part(merged(torso), _cloth(rng)), Part(legs, _cloth(rng)), Part(head, _SKIN)]
    return scaled(parts, rng.uniform(0.92, 1.05))


def group(rng: np.random.Generator) -> list[Part]:
    """Two to four people who talk or walk side by side, in the reach of 1.6 m. They are one instance."""
    count, walk = int(rng.integers(2, 5)), rng.random() < 0.5
    parts = []
    for k in range(count):
        own = child(rng) if rng.random() < 0.2 else person(rng, stride=0.3 if walk else 0.0)
        turn = 2 * np.pi * k / count
        at = (
            pose(rng.normal(0, 0.12), (k - (count - 1) / 2) * 0.75)
            if walk
            else pose(0.55 * np.cos(turn), 0.55 * np.sin(turn), yaw=turn + np.pi)
        )
        parts += moved_parts(own, at)
    return parts


def loaded_bicyclist(rng: np.random.Generator) -> list[Part]:
    """A cyclist with panniers, a child seat, or a trailer for children behind."""
    parts, kind = bicyclist(rng), rng.integers(3)
    if kind == 0:
        bags = mirrored(box((0.32, 0.14, 0.34), (-0.58, 0.14, 0.6)))
        return [*parts, Part(bags, _cloth(rng))]
    if kind == 1:
        seat = Part(
            merged([box((0.28, 0.3, 0.08), (-0.58, 0, 0.82)), box((0.08, 0.3, 0.5), (-0.74, 0, 1.05))]),
            Paint(Material.RUBBER, 0, (0.03, 0.03, 0.03)),
        )
        toddler = [
            Part(ellipsoid((-0.58, 0, 1.05), (0.12, 0.14, 0.22)), _cloth(rng)),
            Part(ellipsoid((-0.56, 0, 1.36), (0.1, 0.1, 0.12)), Paint(Material.PAINTED, 0, (0.4, 0.1, 0.1))),
        ]
        return [*parts, seat, *toddler]
    tent = slab((-2.1, -0.36, 0.25), (-1.3, 0.36, 0.95))
    wheels = mirrored(ring((-1.75, 0.42, 0.25), 0.24, 0.025))
    bar = tube((-1.3, 0, 0.35), (-0.55, 0, 0.35), 0.02, sections=5)
    return [*parts, Part(tent, _cloth(rng)), Part(merged([wheels, bar]), Paint(Material.METAL, 0, (0.1, 0.1, 0.1)))]


def kick_scooter(rng: np.random.Generator) -> list[Part]:
    """A person on a small scooter, of the class person."""
    deck = [
        slab((-0.35, -0.08, 0.09), (0.35, 0.08, 0.13)),
        tube((0.42, 0, 0.1), (0.36, 0, 1.05), 0.025),
        tube((0.36, -0.22, 1.05), (0.36, 0.22, 1.05), 0.018),
    ]
    wheels = [tube((x, -0.03, 0.1), (x, 0.03, 0.1), 0.1, sections=10) for x in (-0.4, 0.42)]
    rider = moved_parts(person(rng, stride=0.15), pose(z=0.13))
    return [
        *rider,
        Part(merged(deck), Paint(Material.METAL, 0, (0.08, 0.08, 0.08))),
        Part(merged(wheels), Paint(Material.RUBBER, 0, (0.02, 0.02, 0.02))),
    ]


def loaded_motorcyclist(rng: np.random.Generator) -> list[Part]:
    """A rider with a case behind, and a windscreen or panniers."""
    case = box((0.38, 0.42, 0.36), (-0.78, 0, 1.08))
    extras = (
        [mirrored(box((0.5, 0.2, 0.36), (-0.6, 0.3, 0.72)))]
        if rng.random() < 0.5
        else [box((0.04, 0.45, 0.45), (0.58, 0, 1.15))]
    )
    return [
        *motorcyclist(rng),
        Part(merged([case, *extras]), Paint(Material.PAINTED, 0, tinted(_CLOTHES[rng.integers(5)], rng, 0.3))),
    ]


def _cloth(rng: np.random.Generator) -> Paint:
    return Paint(Material.CLOTH, 0, tinted(_CLOTHES[rng.integers(len(_CLOTHES))], rng, 0.3), rng.uniform(0.5, 1.4))


KINDS: dict[str, Kind] = {
    "stander": Kind(lambda rng: person(rng, stride=0.0), (-0.6, 0.6), 0.5, 2.1, label="person", weight=3),
    "walker": Kind(lambda rng: person(rng, stride=0.34), (-0.7, 0.8), 0.5, 2.1, label="person", weight=5),
    "child": Kind(child, (-0.6, 0.6), 0.45, 1.6, label="person", weight=1),
    "with umbrella": Kind(with_umbrella, (-0.8, 0.9), 0.8, 2.3, label="person", weight=0.4),
    "with pram": Kind(with_pram, (-0.7, 1.5), 0.5, 2.1, label="person", weight=0.6),
    "with dog": Kind(with_dog, (-0.7, 1.4), 0.9, 2.1, label="person", weight=0.5),
    "sitting": Kind(sitting, (-0.5, 0.7), 0.5, 1.6, label="person", weight=0.5),
    "group": Kind(group, (-1.5, 1.5), 1.8, 2.1, label="person", weight=0.8),
    "kick scooter": Kind(kick_scooter, (-0.8, 0.8), 0.5, 2.2, label="person", weight=0.2),
    "bicyclist": Kind(bicyclist, (-1.1, 1.1), 0.6, 2.1, label="bicyclist", weight=3),
    "loaded bicyclist": Kind(loaded_bicyclist, (-2.3, 1.1), 0.7, 2.1, label="bicyclist", weight=1),
    "motorcyclist": Kind(motorcyclist, (-1.3, 1.3), 0.7, 2.1, label="motorcyclist", weight=0.5),
    "loaded motorcyclist": Kind(loaded_motorcyclist, (-1.3, 1.3), 0.7, 2.1, label="motorcyclist", weight=0.5),
}
