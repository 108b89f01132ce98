"""Fences, gates and garden walls along y, in the plane x = 0, their front towards -x: all of the class fence.

They are crooked, have gaps, and many are overgrown. Leaves within a decimetre of a fence belong to it, others are
vegetation. Nothing but plants stands out by more than 0.4 m.
"""

from itertools import pairwise

import numpy as np

from elite.synthetic.fence_runs import FENCE, ivy, metal_paint, run, stone_paint, wood_paint
from elite.synthetic.greenery import overgrown_hedge, shrubs
from elite.synthetic.house_styles import paint
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Part, merged, moved, moved_parts, pose, tube
from elite.synthetic.shapes import boxes, bricks, gathered, quads, slab, spread, upright


def picket_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Upright slats on two rails between posts, 0.7-1.4 m high, some slats missing."""
    slat, gap, lost = rng.uniform(0.05, 0.12), rng.uniform(0.03, 0.14), rng.choice([0.0, 0.03, 0.15])

    def panel(width: float, height: float, rng: np.random.Generator) -> Mesh:
        y = spread(-width / 2 + slat, width / 2 - slat, slat + gap)
        y = y[rng.random(len(y)) >= lost]
        top = height - rng.uniform(0, 0.04, len(y))
        slats = bricks(np.stack([y - slat / 2, y + slat / 2, 0 * y + 0.06, top], 1), -0.035, -0.01)
        z = np.array([0.25, height - 0.25])
        return merged(
            [slats, bricks(np.stack([0 * z - width / 2, 0 * z + width / 2, z - 0.04, z + 0.04], 1), -0.01, 0.03)]
        )

    return run(length, rng.uniform(0.7, 1.4), panel, wood_paint(rng), rng)


def rail_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Two to four bars or wires between posts, 0.7-1.3 m high: most rays pass."""
    count, thick = int(rng.integers(2, 5)), float(rng.choice([0.008, 0.05, 0.12]))

    def panel(width: float, height: float, rng: np.random.Generator) -> Mesh:
        z = np.linspace(0.3, height - 0.08, count)
        return bricks(np.stack([0 * z - width / 2, 0 * z + width / 2, z - thick / 2, z + thick / 2], 1), -0.015, 0.02)

    return run(length, rng.uniform(0.7, 1.3), panel, wood_paint(rng), rng)


def board_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Boards side by side, or lying slats, 1.2-2.1 m high, some boards missing or loose."""
    lying, lost, board = rng.random() < 0.4, rng.choice([0.0, 0.02, 0.08]), rng.uniform(0.09, 0.2)
    gap = float(rng.choice([0.002, 0.01, 0.04]))

    def panel(width: float, height: float, rng: np.random.Generator) -> Mesh:
        pitch = board + gap
        at = np.arange(0.08 if lying else -width / 2, (height if lying else width / 2) - board, pitch)
        at = at[rng.random(len(at)) >= lost]
        if lying:
            spans = np.stack([0 * at - width / 2, 0 * at + width / 2, at, at + board], 1)
        else:
            spans = np.stack([at, at + board, 0 * at + 0.05, height - rng.uniform(0, 0.05, len(at))], 1)
        shift = rng.choice([0.0, 0.06, 0.1]) * (np.arange(len(at)) % 2) + rng.normal(0, 0.008, len(at))
        plates = bricks(spans, -0.025, -0.002)
        corners = plates.corners.reshape(len(at), -1, 3, 3) - shift[:, None, None, None] * np.array([1.0, 0, 0])
        return Mesh(corners.reshape(-1, 3, 3), plates.normals, plates.uv)

    return run(length, rng.uniform(1.2, 2.1), panel, wood_paint(rng), rng)


def wire_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Chain link or welded mesh on thin posts, 0.9-2.2 m high: four in five rays pass."""
    pitch, wire = rng.uniform(0.05, 0.1), rng.uniform(0.005, 0.012)
    woven = rng.random() < 0.5

    def panel(width: float, height: float, rng: np.random.Generator) -> Mesh:
        if woven:
            return _chain_link(width, height, 1.4 * pitch, wire)
        y, z = spread(-width / 2, width / 2, pitch), spread(0.06, height - 0.02, 0.2)
        stands = np.stack([y - wire / 2, y + wire / 2, 0 * y + 0.05, 0 * y + height], 1)
        lines = np.stack([0 * z - width / 2, 0 * z + width / 2, z - wire, z + wire], 1)
        return quads(upright(np.concatenate([stands, lines])))

    return run(length, rng.uniform(0.9, 2.2), panel, metal_paint(rng), rng, post=0.03)


def _chain_link(width: float, height: float, pitch: float, wire: float) -> Mesh:
    """Wires that cross at 90 degrees."""
    starts = np.arange(-width / 2 - height, width / 2, pitch)
    first, last = np.maximum(starts, -width / 2), np.minimum(starts + height, width / 2)
    z0, z1 = first - starts, last - starts
    rising = np.stack(
        [np.stack([0 * a, a, b], 1) for a, b in ((first, z0), (first + wire, z0), (last + wire, z1), (last, z1))], 1
    )
    corners = np.concatenate([rising, rising * (1, -1, 1)]) + np.array([0, 0, 0.03])
    return quads(corners[np.abs(corners[:, 2, 1] - corners[:, 0, 1]) > 0.02])


def iron_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Iron bars 0.8-1.8 m high, free or on a low wall, mostly between piers."""
    foot = float(rng.choice([0.0, rng.uniform(0.2, 0.7)]))
    pitch, thick = rng.uniform(0.09, 0.16), rng.uniform(0.014, 0.03)

    def panel(width: float, height: float, rng: np.random.Generator) -> Mesh:
        y = spread(-width / 2 + 0.05, width / 2 - 0.05, pitch)
        bars = np.stack([y - thick / 2, y + thick / 2, 0 * y + foot + 0.05, 0 * y + height], 1)
        z = np.array([foot + 0.12, height - 0.15])
        return bricks(
            np.concatenate([bars, np.stack([0 * z - width / 2, 0 * z + width / 2, z, z + 0.04], 1)]), -0.012, 0.012
        )

    parts = run(length, rng.uniform(0.9, 1.4) + foot, panel, metal_paint(rng), rng, crooked=0.3)
    return gathered([*parts, *_masonry(length, foot, rng)]) if foot else parts


def garden_wall(rng: np.random.Generator, length: float) -> list[Part]:
    """A wall 0.4-2.2 m high of brick, plaster or rough stones, some with piers and a coping."""
    height = float(np.clip(rng.lognormal(0.05, 0.45), 0.4, 2.2))
    parts = _dry_stones(length, height, rng) if rng.random() < 0.25 else _masonry(length, height, rng)
    return parts + (ivy(length, height + 0.1, rng, 0.6) if rng.random() < 0.35 else [])


def _masonry(length: float, height: float, rng: np.random.Generator) -> list[Part]:
    """A built wall."""
    half, thick, stone = length / 2, rng.uniform(0.16, 0.36), stone_paint(rng)
    pieces = [slab((-thick / 2, -half, -0.4), (thick / 2, half, height))]
    if rng.random() < 0.6:
        pieces.append(slab((-thick / 2 - 0.05, -half, height), (thick / 2 + 0.05, half, height + 0.07)))
    if rng.random() < 0.5:
        out = thick / 2 + rng.uniform(0.03, 0.1)
        top = height + rng.uniform(0.05, 0.6)
        pieces += [
            slab((-out, y - 0.2, -0.3), (out, y + 0.2, top))
            for y in spread(-half + 0.2, half - 0.2, rng.uniform(2.2, 4))
        ]
    return [Part(merged(pieces), stone)]


def _dry_stones(length: float, height: float, rng: np.random.Generator) -> list[Part]:
    """Rough stones in courses that do not lie in one plane."""
    spans, x = [], []
    for z in np.arange(-0.1, height, 0.28):
        y = -length / 2
        while y < length / 2 - 0.1:
            wide = min(rng.uniform(0.25, 0.7), length / 2 - y)
            spans.append((0.44, wide - 0.01, 0.27))
            x.append((rng.normal(0, 0.05), y + wide / 2, z + 0.14 + rng.normal(0, 0.015)))
            y += wide
    return [Part(boxes(np.array(spans), np.array(x)), stone_paint(rng, rough=True))]


def gate(rng: np.random.Generator, length: float) -> list[Part]:
    """One or two leaves between posts, 0.9-2 m high: boards, bars or sheet; often ajar."""
    height, half, solid = rng.uniform(0.9, 2.0), length / 2, rng.random() < 0.5
    coat = wood_paint(rng) if solid else metal_paint(rng)
    posts = [slab((-0.1, s * half - 0.1, -0.4), (0.1, s * half + 0.1, height + 0.15)) for s in (1, -1)]
    parts = [Part(merged(posts), stone_paint(rng) if rng.random() < 0.4 else coat)]
    wide = half if length > 1.8 else length
    for side in (1, -1) if length > 1.8 else (1,):
        leaf = moved(_leaf(wide - 0.12, height, solid, rng), pose(y=-wide / 2))
        ajar = rng.uniform(0, 1.4) if rng.random() < 0.3 else 0.0
        hinge = pose(y=half - 0.06, yaw=-ajar) if side > 0 else pose(y=-half + 0.06, yaw=np.pi + ajar)
        parts.append(Part(moved(leaf, hinge), coat))
    return parts


def _leaf(width: float, height: float, solid: bool, rng: np.random.Generator) -> Mesh:
    if solid:
        y = np.arange(-width / 2, width / 2 - 0.05, 0.12)
        return bricks(np.stack([y, np.minimum(y + 0.11, width / 2), 0 * y + 0.06, 0 * y + height], 1), -0.02, 0.02)
    y, z = spread(-width / 2, width / 2, rng.uniform(0.08, 0.14)), np.array([0.1, height / 2, height - 0.05])
    bars = np.stack([y - 0.012, y + 0.012, 0 * y + 0.08, 0 * y + height], 1)
    return bricks(
        np.concatenate([bars, np.stack([0 * z - width / 2, 0 * z + width / 2, z, z + 0.04], 1)]), -0.015, 0.015
    )


def guard_rail(rng: np.random.Generator, length: float) -> list[Part]:
    """A crash barrier of sheet metal on posts, 0.75 m high."""
    half = length / 2
    profile = np.array([(-0.04, 0.44), (-0.12, 0.5), (-0.04, 0.58), (-0.04, 0.62), (-0.12, 0.7), (-0.04, 0.76)])
    profile[:, 1] += rng.uniform(-0.06, 0.1)
    strips = [
        [(a[0], half, a[1]), (a[0], -half, a[1]), (b[0], -half, b[1]), (b[0], half, b[1])] for a, b in pairwise(profile)
    ]
    posts = [
        slab((-0.04, y - 0.04, -0.4), (0.06, y + 0.04, profile[-1, 1])) for y in spread(-half + 0.1, half - 0.1, 2.0)
    ]
    return [Part(merged([quads(np.array(strips)), *posts]), paint(Material.ZINC, (0.42, 0.43, 0.43), rng, FENCE))]


def noise_barrier(rng: np.random.Generator, length: float) -> list[Part]:
    """Panels 2-3.5 m high between steel posts, some overgrown."""
    height, half = rng.uniform(2.0, 3.5), length / 2
    posts = [slab((-0.12, y - 0.1, -0.4), (0.12, y + 0.1, height + 0.05)) for y in spread(-half + 0.1, half - 0.1, 4.0)]
    z = np.arange(-0.1, height, rng.uniform(0.3, 0.6))
    step = z[1] - z[0]
    panels = bricks(np.stack([0 * z - half, 0 * z + half, z, np.minimum(z + 0.9 * step, height)], 1), -0.08, 0.06)
    parts = [
        Part(panels, wood_paint(rng) if rng.random() < 0.6 else stone_paint(rng)),
        Part(merged(posts), metal_paint(rng)),
    ]
    return parts + (ivy(length, height, rng) if rng.random() < 0.4 else [])


def construction_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """Movable mesh panels 2 m high on concrete feet, one a little askew to the next."""
    count = max(1, round(length / 3.4))
    width = length / count
    steel, parts = metal_paint(rng), []
    for i in range(count):
        mesh = [tube((0, y, 0.12), (0, y, 2.0), 0.02, sections=5) for y in (-width / 2 + 0.06, width / 2 - 0.06)]
        mesh += [tube((0, -width / 2 + 0.06, z), (0, width / 2 - 0.06, z), 0.02, sections=5) for z in (0.2, 2.0)]
        y, z = spread(-width / 2 + 0.1, width / 2 - 0.1, 0.11), np.linspace(0.25, 1.95, 8)
        wires = np.stack([y - 0.004, y + 0.004, 0 * y + 0.2, 0 * y + 2.0], 1)
        lines = np.stack([0 * z - width / 2 + 0.06, 0 * z + width / 2 - 0.06, z - 0.005, z + 0.005], 1)
        mesh.append(quads(upright(np.concatenate([wires, lines]))))
        feet = [
            slab((-0.35, s * (width / 2 - 0.06) - 0.11, 0), (0.35, s * (width / 2 - 0.06) + 0.11, 0.14))
            for s in (1, -1)
        ]
        at = pose(rng.normal(0, 0.04), -length / 2 + (i + 0.5) * width, yaw=rng.normal(0, 0.03))
        parts += moved_parts(
            [Part(merged(mesh), steel), Part(merged(feet), paint(Material.BLIND, (0.4, 0.4, 0.38), rng, FENCE))], at
        )
    return gathered(parts)


def fence_with_hedge(rng: np.random.Generator, length: float) -> list[Part]:
    """A sparse fence with a hedge or shrubs right behind it, which grow through it."""
    sort = (wire_fence, rail_fence, picket_fence, iron_fence)[rng.integers(4)]
    plants = overgrown_hedge if rng.random() < 0.6 or not 1.5 <= length <= 8 else shrubs
    return sort(rng, length) + moved_parts(plants(rng, length), pose(rng.uniform(0.25, 0.7)))


def overgrown_fence(rng: np.random.Generator, length: float) -> list[Part]:
    """A fence that ivy and brambles cover in patches."""
    sort = (wire_fence, rail_fence, picket_fence, board_fence, iron_fence)[rng.integers(5)]
    parts = sort(rng, length)
    top = max(float(part.mesh.corners[..., 2].max()) for part in parts)
    return parts + ivy(length, min(top, 2.2), rng)


KINDS: dict[str, Kind] = {
    "picket fence": Kind(picket_fence, (-0.6, 0.6), 0.35, 1.8, (1.0, 40.0), weight=2),
    "rail fence": Kind(rail_fence, (-0.6, 0.6), 0.35, 1.7, (1.0, 40.0), weight=1),
    "board fence": Kind(board_fence, (-0.7, 0.6), 0.35, 2.5, (1.0, 40.0), weight=1.5),
    "wire fence": Kind(wire_fence, (-0.8, 0.8), 0.35, 2.6, (1.0, 40.0), weight=2),
    "iron fence": Kind(iron_fence, (-0.6, 0.6), 0.35, 3.0, (1.0, 40.0), weight=1.2),
    "garden wall": Kind(garden_wall, (-0.8, 0.8), 0.2, 3.2, (0.8, 40.0), weight=1.5),
    "overgrown fence": Kind(overgrown_fence, (-0.9, 0.9), 0.35, 3.0, (1.0, 30.0), weight=4),
    "fence with hedge": Kind(fence_with_hedge, (-2.0, 3.6), 0.9, 5.2, (1.0, 20.0), weight=2),
    "gate": Kind(gate, (-3.2, 3.2), 0.2, 2.4, (0.9, 5.0), weight=0.5),
    "construction fence": Kind(construction_fence, (-0.6, 0.6), 0.15, 2.2, (2.5, 30.0), weight=0.3),
    "guard rail": Kind(guard_rail, (-0.2, 0.2), 0.1, 0.9, (3.0, 40.0), weight=0.3),
    "noise barrier": Kind(noise_barrier, (-0.7, 0.7), 0.2, 4.0, (4.0, 40.0), weight=0.2),
}
