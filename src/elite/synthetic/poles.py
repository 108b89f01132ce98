"""Lamp posts, masts, bollards, traffic lights and signs. Classes pole and traffic-sign; lights are other objects.

The heads of traffic lights have a raw id that the benchmark ignores. Signs face -x, towards traffic that drives along
+x; arms of lamps and lights reach over the road, towards +x.
"""

import numpy as np

from elite.synthetic.classes import raw_id
from elite.synthetic.house_styles import paint
from elite.synthetic.kinds import OTHER_OBJECT, Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, box, ellipsoid, merged, moved, moved_parts, plate, pose, tube
from elite.synthetic.scenery import Color
from elite.synthetic.shapes import pipe, slab

_POLE, _SIGN = raw_id("pole"), raw_id("traffic-sign")
_METALS: tuple[Color, ...] = ((0.28, 0.30, 0.29), (0.05, 0.07, 0.06), (0.12, 0.12, 0.13), (0.40, 0.41, 0.41))
_RED, _BLUE, _YELLOW, _WHITE = (0.50, 0.015, 0.02), (0.02, 0.08, 0.40), (0.62, 0.45, 0.03), (0.6, 0.6, 0.6)


def lamp_post(rng: np.random.Generator) -> list[Part]:
    """A street lamp 4.5-10 m high with one or two arms of up to 2.5 m, or a lamp on its top."""
    height, radius = rng.uniform(4.5, 10.0), rng.uniform(0.05, 0.1)
    arms = float(rng.choice([0, 1, 2], p=(0.25, 0.6, 0.15)))
    reach, rise = rng.uniform(0.5, 2.3), rng.uniform(0, 0.5)
    pieces = [_shaft(height, radius, rng)]
    for side in (1, -1)[: int(arms)]:
        knee = (side * 0.5 * reach, 0, height + 0.7 * rise)
        pieces.append(pipe(np.array([(0, 0, height - 0.05), knee, (side * reach, 0, height + rise)]), 0.035))
        pieces.append(box((rng.uniform(0.4, 0.8), 0.22, 0.1), (side * (reach + 0.2), 0, height + rise)))
    if not arms:
        pieces.append(ellipsoid((0, 0, height + 0.1), (rng.uniform(0.15, 0.35), 0.2, 0.15)))
    return [Part(merged(pieces), _metal(rng))]


def park_lamp(rng: np.random.Generator) -> list[Part]:
    """A lamp 2.8-4.5 m high with a globe, a hat or a lantern on its top."""
    height, head = rng.uniform(2.8, 4.3), rng.integers(3)
    top = [
        ellipsoid((0, 0, height + 0.15), (0.22, 0.22, 0.22)),
        tube((0, 0, height), (0, 0, height + 0.25), 0.3, 0.08),
        box((0.3, 0.3, 0.45), (0, 0, height + 0.2)),
    ][head]
    return [Part(merged([_shaft(height, rng.uniform(0.04, 0.07), rng), top]), _metal(rng))]


def utility_pole(rng: np.random.Generator) -> list[Part]:
    """A wooden mast 6.5-10 m high with cross arms along y and insulators, sometimes with a stay."""
    height, radius = rng.uniform(6.5, 10.0), rng.uniform(0.1, 0.15)
    wood = [tube((0, 0, -0.5), (0, 0, height), 1.15 * radius, 0.75 * radius)]
    for z in height - 0.3 - 0.6 * np.arange(int(rng.integers(1, 3))):
        wood.append(slab((-0.06, -0.9, z), (0.06, 0.9, z + 0.1)))
        wood += [box((0.08, 0.08, 0.16), (0, y, z + 0.15)) for y in (-0.8, -0.4, 0.4, 0.8)]
    if rng.random() < 0.25:
        wood.append(tube((0.3, 0, height - 2.2), (0.3, 0, height - 1.3), 0.25))
    if rng.random() < 0.3:
        wood.append(tube((0, 0, height - 1), (0, float(rng.choice([-1, 1])) * 2.2, 0), 0.012, sections=4))
    return [Part(merged(wood), paint(Material.WOOD, (0.22, 0.17, 0.12), rng, _POLE))]


def catenary_mast(rng: np.random.Generator) -> list[Part]:
    """A steel or concrete mast 6-9 m high for overhead wires, with a bracket of 2-4 m."""
    height, reach = rng.uniform(6.0, 8.5), rng.uniform(2.0, 4.0)
    if rng.random() < 0.5:
        mast = tube((0, 0, -0.5), (0, 0, height), 0.16, 0.1)
    else:
        mast = merged([slab((-0.1, y - 0.02, -0.5), (0.1, y + 0.02, height)) for y in (-0.1, 0.1)])
    arms = [tube((0, 0, z), (reach, 0, 5.6), 0.03, sections=5) for z in (5.5, height - 0.4)]
    return [Part(merged([mast, *arms]), _metal(rng))]


def flag_pole(rng: np.random.Generator) -> list[Part]:
    """A thin white mast 6-9 m high, sometimes with a flag, which is another object."""
    height = rng.uniform(6.0, 9.0)
    mast = Part(tube((0, 0, -0.3), (0, 0, height), 0.05, 0.03), Paint(Material.PAINTED, _POLE, (0.6, 0.6, 0.6)))
    if rng.random() < 0.5:
        return [mast]
    cloth = box((0.02, 1.0, 2.4), (0, 0.55, height - 1.3))
    return [mast, Part(cloth, Paint(Material.CLOTH, OTHER_OBJECT, _color(rng)))]


def bollard(rng: np.random.Generator) -> list[Part]:
    """A post 0.4-1.15 m high of steel, wood, stone or plastic."""
    height, kind = rng.uniform(0.45, 1.1), rng.integers(4)
    radius = (0.045, 0.07, 0.12, 0.06)[kind] * rng.uniform(0.8, 1.3)
    post = tube((0, 0, -0.25), (0, 0, height), radius)
    if kind == 2 and rng.random() < 0.5:
        post = slab((-radius, -radius, -0.25), (radius, radius, height))
    top = ellipsoid((0, 0, height), (radius * 1.1, radius * 1.1, 0.04))
    material = (Material.ZINC, Material.WOOD, Material.STONE, Material.PAINTED)[kind]
    color = ((0.15, 0.15, 0.16), (0.28, 0.2, 0.12), (0.4, 0.38, 0.35), (0.5, 0.06, 0.04))[kind]
    return [Part(merged([post, top]), paint(material, color, rng, _POLE))]


def sign(rng: np.random.Generator) -> list[Part]:
    """One to three plates 0.4-0.9 m across on a post 2-3.6 m high."""
    height, count = rng.uniform(1.9, 3.0), int(rng.choice([1, 2, 3], p=(0.55, 0.35, 0.1)))
    z, plates = height, []
    for _ in range(count):
        half = rng.uniform(0.2, 0.45)
        plates.append(_sign_plate(z, half, rng))
        z -= 2 * half + 0.1
    lean = pose(pitch=rng.normal(0, 0.015), roll=rng.normal(0, 0.015))
    post = tube((0, 0, -0.3), (0, 0, height + 0.4), rng.uniform(0.028, 0.045), sections=7)
    return moved_parts([Part(post, Paint(Material.ZINC, _POLE, (0.33, 0.34, 0.34))), *plates], lean)


def _sign_plate(z: float, half: float, rng: np.random.Generator) -> Part:
    """A disc, a triangle on either point, a diamond, an octagon, a square, or a flat or tall rectangle."""
    corners, turn, wide, tall = (
        (20, 0.0, 1, 1), (3, 0.5, 1.15, 1.15), (3, 1.5, 1.15, 1.15), (4, 0.0, 1.1, 1.1),
        (8, 0.125, 1.05, 1.05), (4, 0.25, 1.3, 1.3), (4, 0.25, 1.5, 0.6), (4, 0.25, 0.9, 1.4),
    )[rng.integers(8)]  # fmt: skip
    angle = np.arange(corners) * 2 * np.pi / corners + turn * np.pi
    outline = half * np.column_stack([wide * np.cos(angle), tall * np.sin(angle)])
    return Part(moved(plate(outline, 0.025), pose(-0.055, 0, z, yaw=np.pi)), _sign_paint(rng))


def _sign_paint(rng: np.random.Generator) -> Paint:
    color = (_RED, _RED, _BLUE, _BLUE, _YELLOW, _WHITE)[rng.integers(6)]
    return Paint(Material.SIGN, _SIGN, color, float(rng.lognormal(0, 0.25)))


def _board(wide: float, tall: float, z: float) -> Mesh:
    """A rectangle that faces -x, its middle at ``z``."""
    corners = np.array([(-wide / 2, -tall / 2), (wide / 2, -tall / 2), (wide / 2, tall / 2), (-wide / 2, tall / 2)])
    return moved(plate(corners, 0.04), pose(-0.08, 0, z, yaw=np.pi))


def direction_board(rng: np.random.Generator) -> list[Part]:
    """A board 1-3.6 m wide on two posts, its lower edge 0.6-2.3 m above the ground."""
    wide, tall, low = rng.uniform(1.0, 3.6), rng.uniform(0.5, 1.8), rng.uniform(0.6, 2.3)
    posts = [tube((0, s * 0.35 * wide, -0.4), (0, s * 0.35 * wide, low + tall), 0.05) for s in (1, -1)]
    color = (_BLUE, _YELLOW, _WHITE)[rng.integers(3)]
    face = Paint(Material.SIGN, _SIGN, color, float(rng.lognormal(0, 0.25)))
    return [Part(merged(posts), _metal(rng)), Part(_board(wide, tall, low + tall / 2), face)]


def street_name(rng: np.random.Generator) -> list[Part]:
    """One or two blades with the name of a street on a post 2.2-2.9 m high."""
    height = rng.uniform(2.2, 2.8)
    parts = [Part(tube((0, 0, -0.3), (0, 0, height + 0.1), 0.03, sections=7), _metal(rng))]
    face = Paint(Material.SIGN, _SIGN, _BLUE if rng.random() < 0.6 else _WHITE)
    for k in range(int(rng.integers(1, 3))):
        turn = pose(yaw=rng.uniform(-0.4, 0.4) + k * np.pi / 2) @ pose(y=0.42)
        parts.append(Part(moved(_board(rng.uniform(0.6, 0.85), 0.18, height - 0.25 * k - 0.05), turn), face))
    return parts


def warning_beacon(rng: np.random.Generator) -> list[Part]:
    """A low traffic sign of a building site or an island, 0.9-1.3 m high on a foot."""
    height = rng.uniform(0.9, 1.2)
    foot = slab((-0.35, -0.2, 0), (0.35, 0.2, 0.12))
    stand = tube((0, 0, 0.1), (0, 0, height), 0.03, sections=5)
    face = Part(_board(0.28, height - 0.25, 0.15 + height / 2), Paint(Material.SIGN, _SIGN, _RED))
    return [Part(foot, paint(Material.RUBBER, (0.05, 0.05, 0.05), rng, OTHER_OBJECT)), Part(stand, _metal(rng)), face]


def traffic_light(rng: np.random.Generator) -> list[Part]:
    """A pole 2.6-3.6 m high with one to three heads, or a mast with a head over the road, 4-6 m out."""
    height, over = rng.uniform(2.6, 3.4), rng.random() < 0.25
    top = 5.8 if over else height
    pieces = [tube((0, 0, -0.3), (0, 0, top), 0.09 if over else 0.055)]
    heads = [_light(np.array([-0.05, 0.22, height - 0.5]))]
    if rng.random() < 0.5:
        heads.append(moved(_light(np.array([0.0, 0.22, height - 0.55])), pose(yaw=np.pi / 2)))
    if rng.random() < 0.4:
        heads.append(box((0.2, 0.2, 0.55), (0.02, -0.2, height - 0.9)))
    if over:
        reach = rng.uniform(4.0, 6.0)
        pieces.append(tube((0, 0, 5.6), (reach, 0, 5.9), 0.06, 0.04))
        heads.append(_light(np.array([reach - 0.3, 0.0, 5.4])))
    return [
        Part(merged(pieces), _metal(rng)),
        Part(merged(heads), Paint(Material.RUBBER, OTHER_OBJECT, (0.02, 0.02, 0.02))),
    ]


def _light(at: np.ndarray) -> Mesh:
    """A head with three lamps under hoods, and its back plate."""
    hoods = [
        tube(at + np.array([-0.08, 0, dz]), at + np.array([-0.26, 0, dz]), 0.1, sections=7) for dz in (-0.28, 0.0, 0.28)
    ]
    return merged([box((0.2, 0.28, 0.95), at), *hoods])


def _shaft(height: float, radius: float, rng: np.random.Generator) -> Mesh:
    """A tapered post with a thicker foot."""
    foot = rng.uniform(0.6, 1.3)
    return pipe(
        np.array([(0, 0, -0.3), (0, 0, foot), (0, 0, foot + 0.1), (0, 0, height)]),
        radius * np.array([1.5, 1.4, 1, 0.65]),
        sections=8,
    )


def _metal(rng: np.random.Generator) -> Paint:
    return paint(Material.ZINC, _METALS[rng.integers(len(_METALS))], rng, _POLE)


def _color(rng: np.random.Generator) -> Color:
    r, g, b = rng.uniform(0.03, 0.6, 3)
    return float(r), float(g), float(b)


KINDS: dict[str, Kind] = {
    "lamp post": Kind(lamp_post, (-3.2, 3.2), 0.4, 10.9, weight=4),
    "park lamp": Kind(park_lamp, (-0.4, 0.4), 0.4, 5, weight=1),
    "utility pole": Kind(utility_pole, (-0.4, 0.7), 2.4, 10.2, weight=0.6),
    "catenary mast": Kind(catenary_mast, (-0.3, 4.2), 0.3, 8.7, weight=0.2),
    "flag pole": Kind(flag_pole, (-0.2, 0.2), 1.2, 9.2, weight=0.2),
    "bollard": Kind(bollard, (-0.25, 0.25), 0.25, 1.3, weight=2),
    "sign": Kind(sign, (-0.35, 0.35), 0.75, 3.9, weight=4),
    "direction board": Kind(direction_board, (-0.2, 0.2), 1.9, 4.3, weight=0.5),
    "street name": Kind(street_name, (-1.0, 1.0), 1.0, 3.1, weight=1),
    "warning beacon": Kind(warning_beacon, (-0.4, 0.4), 0.3, 1.4, weight=0.2),
    "traffic light": Kind(traffic_light, (-0.6, 6.2), 0.6, 6.2, weight=0.8),
}
