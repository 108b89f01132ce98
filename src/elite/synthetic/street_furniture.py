"""Clutter of streets: shelters, benches, bins, cabinets, columns, racks. Their raw ids are ignored by the benchmark.

Shelters and billboards are other structures, the rest are other objects; plants in tubs are vegetation. Fronts face -x.
"""

import numpy as np

from elite.synthetic.foliage import cloud, green, leaf_paint, on_ellipsoids
from elite.synthetic.house_styles import paint
from elite.synthetic.kinds import OTHER_OBJECT, OTHER_STRUCTURE, Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, box, ellipsoid, merged, moved_parts, pose, tube
from elite.synthetic.poles import bollard
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import bricks, pipe, quads, slab, spread, upright
from elite.synthetic.truck_bodies import LOAD_COLORS

_DARKS: tuple[Color, ...] = ((0.03, 0.03, 0.035), (0.05, 0.08, 0.06), (0.2, 0.2, 0.2), (0.38, 0.38, 0.37))
_BINS: tuple[Color, ...] = (
    (0.03, 0.03, 0.03),
    (0.04, 0.10, 0.25),
    (0.05, 0.2, 0.07),
    (0.5, 0.42, 0.04),
    (0.12, 0.07, 0.03),
)


def bus_shelter(rng: np.random.Generator) -> list[Part]:
    """A roof over glass walls and a bench, 2.5-5 m along y, 1.3-1.7 m deep, open towards -x."""
    half, deep, top = rng.uniform(1.25, 2.5), rng.uniform(1.2, 1.6), rng.uniform(2.3, 2.6)
    metal = _metal(rng, OTHER_STRUCTURE)
    posts = [slab((x - 0.04, y - 0.04, -0.2), (x + 0.04, y + 0.04, top)) for y in (-half, half) for x in (0.0, deep)]
    y = spread(-half, half, 1.3)
    back = upright(np.column_stack([y[:-1] + 0.03, y[1:] - 0.03, 0 * y[1:] + 0.2, 0 * y[1:] + top - 0.2]), deep)
    ends = np.array(
        [
            [(0.1, s, 0.2), (deep - 0.05, s, 0.2), (deep - 0.05, s, top - 0.2), (0.1, s, top - 0.2)]
            for s in (half, -half)
        ]
    )
    panes = back if rng.random() < 0.4 else np.concatenate([back, ends])
    roof = slab((-0.15, -half - 0.1, top), (deep + 0.1, half + 0.1, top + 0.14))
    seat = slab((deep - 0.45, -0.6 * half, 0.42), (deep - 0.1, 0.6 * half, 0.48))
    return [
        Part(merged([*posts, roof]), metal),
        Part(quads(panes), Paint(Material.GLASS, OTHER_STRUCTURE, (0.05, 0.06, 0.06))),
        Part(seat, paint(Material.WOOD, (0.25, 0.17, 0.1), rng, OTHER_STRUCTURE)),
    ]


def bench(rng: np.random.Generator) -> list[Part]:
    """A bench of slats 1.4-2 m along y, mostly with a back."""
    half = rng.uniform(0.7, 1.0)
    x = np.linspace(-0.2, 0.2, 4)
    slats = [slab((a - 0.045, -half, 0.42), (a + 0.045, half, 0.46)) for a in x]
    if rng.random() < 0.75:
        slats += [
            slab((0.24 + 0.03 * k, -half, 0.52 + 0.13 * k), (0.27 + 0.03 * k, half, 0.62 + 0.13 * k)) for k in range(3)
        ]
    legs = [slab((-0.22, s * 0.75 * half - 0.04, -0.05), (0.26, s * 0.75 * half + 0.04, 0.42)) for s in (1, -1)]
    wood = paint(Material.WOOD, (0.26, 0.17, 0.09), rng, OTHER_OBJECT)
    return [Part(merged(slats), wood), Part(merged(legs), _metal(rng))]


def litter_bin(rng: np.random.Generator) -> list[Part]:
    """A bin on a post or on the ground, 0.8-1.2 m high."""
    top, radius = rng.uniform(0.8, 1.15), rng.uniform(0.15, 0.3)
    low = 0.4 if radius < 0.22 else 0.02
    pieces = [
        tube((-0.12 if low > 0.1 else 0, 0, low), (-0.12 if low > 0.1 else 0, 0, top), 0.9 * radius, radius, sections=9)
    ]
    pieces += [tube((0.1, 0, -0.2), (0.1, 0, top + 0.1), 0.04)] if low > 0.1 else []
    return [Part(merged(pieces), paint(Material.PAINTED, _BINS[rng.integers(5)], rng, OTHER_OBJECT))]


def wheelie_bins(rng: np.random.Generator) -> list[Part]:
    """One to four refuse bins of 120-1100 litres side by side along y, some with an open lid."""
    parts, count, y = [], int(rng.integers(1, 5)), 0.0
    for _ in range(count):
        wide, tall = ((0.5, 0.95), (0.58, 1.07), (1.25, 1.3))[rng.choice(3, p=(0.45, 0.4, 0.15))]
        deep = 0.58 if wide < 1 else 0.95
        body = slab((-deep / 2, -wide / 2 + 0.02, 0.06), (deep / 2 - 0.06, wide / 2 - 0.02, tall - 0.06))
        lid = slab((-deep / 2 - 0.04, -wide / 2, tall - 0.06), (deep / 2, wide / 2, tall))
        wheels = tube((deep / 2 - 0.1, -wide / 2, 0.1), (deep / 2 - 0.1, wide / 2, 0.1), 0.1)
        coat = paint(Material.PAINTED, _BINS[rng.integers(5)], rng, OTHER_OBJECT)
        at = pose(rng.normal(0, 0.06), y + wide / 2 + 0.03, yaw=rng.normal(0, 0.12))
        parts += moved_parts([Part(merged([body, lid, wheels]), coat)], at)
        y += wide + rng.uniform(0.04, 0.15)
    return moved_parts(parts, pose(y=-y / 2))


def cabinet(rng: np.random.Generator) -> list[Part]:
    """One or two grey cabinets for electricity or telephone, 0.7-1.6 m high."""
    parts, y = [], 0.0
    for _ in range(int(rng.integers(1, 3))):
        wide, tall, deep = rng.uniform(0.5, 1.3), rng.uniform(0.75, 1.5), rng.uniform(0.3, 0.45)
        shell = [
            slab((-deep / 2, y, -0.1), (deep / 2, y + wide, tall)),
            slab((-deep / 2 - 0.03, y - 0.03, tall), (deep / 2 + 0.03, y + wide + 0.03, tall + 0.06)),
        ]
        parts.append(Part(merged(shell), paint(Material.PAINTED, (0.34, 0.36, 0.34), rng, OTHER_OBJECT)))
        y += wide + 0.05
    return moved_parts(parts, pose(y=-y / 2))


def advertising_column(rng: np.random.Generator) -> list[Part]:
    """A round column 2.8-4 m high with a wider top."""
    height, radius = rng.uniform(2.8, 3.6), rng.uniform(0.55, 0.75)
    drum = tube((0, 0, -0.2), (0, 0, height), radius, sections=16)
    cap = [
        tube((0, 0, height), (0, 0, height + 0.25), radius + 0.1, sections=16),
        tube((0, 0, -0.1), (0, 0, 0.3), radius + 0.06, sections=16),
    ]
    color = tinted((0.45, 0.42, 0.38), rng, 0.4)
    return [Part(drum, Paint(Material.BLIND, OTHER_OBJECT, color)), Part(merged(cap), _metal(rng))]


def billboard(rng: np.random.Generator) -> list[Part]:
    """A board 1.2-3.8 m wide on a foot or on posts, lit from within or plain, facing -x."""
    half, tall, low = rng.uniform(0.6, 1.9), rng.uniform(1.6, 2.6), rng.uniform(0.3, 1.0)
    posts = [tube((0, y, -0.4), (0, y, low + 0.1), 0.07) for y in ((0.0,) if half < 0.8 else (-0.7 * half, 0.7 * half))]
    frame = slab((-0.1, -half, low), (0.1, half, low + tall))
    color = tinted((0.35, 0.37, 0.42), rng, 0.6)
    face = quads(upright(np.array([(-half + 0.08, half - 0.08, low + 0.1, low + tall - 0.1)]), -0.105))
    return [
        Part(merged([*posts, frame]), _metal(rng, OTHER_STRUCTURE)),
        Part(face, Paint(Material.BLIND, OTHER_STRUCTURE, color)),
    ]


def letter_box(rng: np.random.Generator) -> list[Part]:
    """A letter box on a post or foot, 1.2-1.6 m high, or a row of them."""
    wide, top = float(rng.choice([0.4, 0.6, 1.2])), rng.uniform(1.2, 1.55)
    shell = slab((-0.2, -wide / 2, top - rng.uniform(0.4, 0.7)), (0.15, wide / 2, top))
    legs = [slab((-0.04, y - 0.04, -0.2), (0.04, y + 0.04, top - 0.3)) for y in ((0.0,) if wide < 1 else (-0.5, 0.5))]
    color = ((0.62, 0.48, 0.03), (0.45, 0.03, 0.03), (0.4, 0.4, 0.4))[rng.integers(3)]
    return [Part(shell, paint(Material.PAINTED, color, rng, OTHER_OBJECT)), Part(merged(legs), _metal(rng))]


def planter(rng: np.random.Generator) -> list[Part]:
    """A tub of stone, wood or plastic with a plant, in the reach of 1.2 m."""
    half, tall = rng.uniform(0.25, 0.7), rng.uniform(0.35, 0.8)
    long = half * rng.choice([1.0, 1.0, 1.6])
    tub = (
        slab((-half, -long, -0.05), (half, long, tall))
        if rng.random() < 0.6
        else tube((0, 0, 0), (0, 0, tall), 0.8 * half, half, sections=10)
    )
    size = np.array([[0.8 * half, 0.8 * long, rng.uniform(0.2, 0.7)]])
    plants = on_ellipsoids((np.array([[0, 0, tall + 0.6 * size[0, 2]]]), size), 0.08, 1.2, rng, shell=0.8)
    plants[:, 2] = np.maximum(plants[:, 2], tall)
    material = (Material.STONE, Material.WOOD, Material.BLIND)[rng.integers(3)]
    return [
        Part(tub, paint(material, (0.36, 0.32, 0.27), rng, OTHER_OBJECT)),
        cloud(plants, 0.08, leaf_paint(rng, green(rng)), rng),
    ]


def cycle_rack(rng: np.random.Generator) -> list[Part]:
    """Two to six hoops for bicycles side by side along y, up to 5 m."""
    count, pitch, wide = int(rng.integers(2, 7)), rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.55)
    tall = rng.uniform(0.7, 0.9)
    path = np.array(
        [
            (-wide, 0, -0.1),
            (-wide, 0, tall - 0.1),
            (-wide + 0.1, 0, tall),
            (wide - 0.1, 0, tall),
            (wide, 0, tall - 0.1),
            (wide, 0, -0.1),
        ]
    )
    hoops = [pipe(path + np.array([0, y, 0]), 0.024, sections=5) for y in (np.arange(count) - (count - 1) / 2) * pitch]
    return [Part(merged(hoops), _metal(rng))]


def skip(rng: np.random.Generator) -> list[Part]:
    """An open steel container with rubble, 2.8-6 m along y, 1.2-2 m high."""
    half, wide, tall = rng.uniform(1.4, 3.0), rng.uniform(0.8, 1.2), rng.uniform(1.1, 1.9)
    walls = [slab((s * wide - 0.04, -half, 0.1), (s * wide + 0.04, half, tall)) for s in (1, -1)]
    walls += [slab((-wide, s * half - 0.04, 0.1), (wide, s * half + 0.04, tall)) for s in (1, -1)]
    ribs = [
        slab((s * wide - 0.1, y - 0.05, 0.1), (s * wide + 0.1, y + 0.05, tall))
        for y in spread(-half + 0.2, half - 0.2, 0.9)
        for s in (1, -1)
    ]
    floor = slab((-wide, -half, 0.0), (wide, half, 0.15))
    heap = ellipsoid((0, 0, 0.6 * tall), (0.9 * wide, 0.9 * half, rng.uniform(0.2, 0.6)))
    coat = paint(Material.PAINTED, LOAD_COLORS[rng.integers(len(LOAD_COLORS))], rng, OTHER_OBJECT)
    rubble = paint(Material.BALLAST, (0.32, 0.28, 0.24), rng, OTHER_OBJECT)
    return [Part(merged([*walls, *ribs, floor]), coat), Part(heap, rubble)]


def cones(rng: np.random.Generator) -> list[Part]:
    """One to five traffic cones along y, 0.5-0.75 m high, about 1.5 m apart."""
    tall, parts = rng.uniform(0.5, 0.75), []
    count = int(rng.integers(1, 6))
    for k in range(count):
        y = (k - (count - 1) / 2) * 1.5 + rng.normal(0, 0.1)
        parts += [tube((0, y, 0.03), (0, y, tall), 0.15, 0.03), slab((-0.19, y - 0.19, 0), (0.19, y + 0.19, 0.04))]
    return [Part(merged(parts), paint(Material.PAINTED, (0.6, 0.12, 0.02), rng, OTHER_OBJECT))]


def cafe_table(rng: np.random.Generator) -> list[Part]:
    """A table with two to four chairs, sometimes under a parasol, in the reach of 1.7 m."""
    count, turn = int(rng.integers(2, 5)), rng.uniform(0, 6)
    pieces = [tube((0, 0, 0.7), (0, 0, 0.74), rng.uniform(0.3, 0.5), sections=12), tube((0, 0, 0), (0, 0, 0.7), 0.04)]
    for angle in turn + np.arange(count) * 2 * np.pi / count:
        chair = [slab((-0.2, -0.2, 0.42), (0.2, 0.2, 0.46)), slab((0.18, -0.2, 0.46), (0.22, 0.2, 0.85))]
        chair += [
            slab((x - 0.02, y - 0.02, 0), (x + 0.02, y + 0.02, 0.42)) for x in (-0.18, 0.18) for y in (-0.18, 0.18)
        ]
        at = pose(0.65 * np.cos(angle), 0.65 * np.sin(angle), yaw=angle + rng.normal(0, 0.3))
        pieces += [part.mesh for part in moved_parts([Part(merged(chair), Paint(Material.WOOD, 0))], at)]
    parts = [Part(merged(pieces), paint(Material.WOOD, (0.28, 0.2, 0.12), rng, OTHER_OBJECT))]
    if rng.random() < 0.4:
        shade = [
            tube((0, 0, 0), (0, 0, 2.6), 0.025, sections=5),
            tube((0, 0, 2.2), (0, 0, 2.65), 1.3, 0.05, sections=8),
        ]
        parts.append(Part(merged(shade), paint(Material.CLOTH, (0.5, 0.47, 0.38), rng, OTHER_OBJECT)))
    return parts


def boulders(rng: np.random.Generator) -> list[Part]:
    """One to four stones or concrete blocks that keep cars off, 0.4-1 m high, in the reach of 3.5 m along y."""
    count, parts = int(rng.integers(1, 5)), []
    for k in range(count):
        y, size = (k - (count - 1) / 2) * 1.7, rng.uniform(0.3, 0.55, 3)
        block = rng.random() < 0.3
        parts.append(box(2 * size, (0, y, 0.8 * size[2])) if block else ellipsoid((0, y, 0.6 * size[2]), size))
    return [Part(merged(parts), paint(Material.STONE, (0.38, 0.36, 0.33), rng, OTHER_OBJECT))]


def bollards(rng: np.random.Generator) -> list[Part]:
    """Three to seven posts of one kind along y, 1.2-2 m apart, sometimes with chains. Class pole."""
    count, pitch = int(rng.integers(3, 8)), rng.uniform(1.2, 1.8)
    post, parts = bollard(rng), []
    shifts = (np.arange(count) - (count - 1) / 2) * pitch
    for y in shifts:
        parts += moved_parts(post, pose(y=float(y), pitch=rng.normal(0, 0.02)))
    if rng.random() < 0.3:
        top = float(post[0].mesh.corners[..., 2].max()) - 0.1
        chains = bricks(
            np.column_stack([shifts[:-1], shifts[1:], 0 * shifts[1:] + top - 0.16, 0 * shifts[1:] + top - 0.12]),
            -0.01,
            0.01,
        )
        parts.append(Part(chains, post[0].paint))
    return parts


def _metal(rng: np.random.Generator, label: int = OTHER_OBJECT) -> Paint:
    return paint(Material.ZINC, _DARKS[rng.integers(len(_DARKS))], rng, label)


KINDS: dict[str, Kind] = {
    "bus shelter": Kind(bus_shelter, (-0.3, 1.9), 2.8, 2.9, weight=0.5),
    "bench": Kind(bench, (-0.4, 0.5), 1.1, 1.1, weight=1),
    "litter bin": Kind(litter_bin, (-0.5, 0.4), 0.4, 1.4, weight=1.5),
    "wheelie bins": Kind(wheelie_bins, (-0.8, 0.8), 3.0, 1.4, weight=2.5),
    "cabinet": Kind(cabinet, (-0.4, 0.4), 1.5, 1.7, weight=1.5),
    "advertising column": Kind(advertising_column, (-1, 1), 1, 4.1, weight=0.3),
    "billboard": Kind(billboard, (-0.2, 0.2), 2, 4, weight=0.3),
    "letter box": Kind(letter_box, (-0.3, 0.3), 0.7, 1.7, weight=0.8),
    "planter": Kind(planter, (-1.1, 1.1), 1.5, 2.3, weight=1),
    "cycle rack": Kind(cycle_rack, (-0.7, 0.7), 3.0, 1.0, weight=0.8),
    "skip": Kind(skip, (-1.4, 1.4), 3.2, 2.0, weight=0.3),
    "cones": Kind(cones, (-0.3, 0.3), 3.7, 0.9, weight=0.3),
    "cafe table": Kind(cafe_table, (-1.5, 1.5), 1.5, 2.8, weight=0.5),
    "boulders": Kind(boulders, (-0.7, 0.7), 3.5, 1.2, weight=0.5),
    "bollards": Kind(bollards, (-0.4, 0.4), 6.2, 1.4, weight=1),
}
