"""Garages, sheds, carports, barns and halls: class building. Fronts lie in the plane x = 0 and face -x."""

from dataclasses import replace

import numpy as np

from elite.synthetic.house_styles import BUILDING, Style, house_style, paint
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, merged, moved_parts, pose
from elite.synthetic.roofs import flat_roof, pent_roof, saddle_roof
from elite.synthetic.scenery import Color
from elite.synthetic.shapes import bricks, gathered, pierced, quads, reveals, slab, spread, upright

_BURIED = 0.6
_SHEETS: tuple[Color, ...] = (
    (0.5, 0.52, 0.53),
    (0.30, 0.33, 0.37),
    (0.12, 0.22, 0.38),
    (0.55, 0.53, 0.45),
    (0.2, 0.28, 0.2),
)


def garages(rng: np.random.Generator, length: float) -> list[Part]:
    """A row of garages with gates of 2.4 m that are set back, some open; 5.2-6.5 m deep, 2.4-2.9 m high."""
    style, count = _plain(rng), max(1, int(length / 2.9))
    depth, height, pitch = rng.uniform(5.2, 6.5), rng.uniform(2.4, 2.9), length / max(1, int(length / 2.9))
    middles = length / 2 - (np.arange(count) + 0.5) * pitch
    half = min(1.2, pitch / 2 - 0.15)
    gates = np.column_stack([middles - half, middles + half, 0 * middles - 0.05, 0 * middles + 2.05])
    shut = rng.random(count) < 0.93
    leaf = (
        [
            Part(
                _ribbed(gates[shut], rng.uniform(0.08, 0.3), rng),
                paint(Material.PAINTED, _SHEETS[rng.integers(5)], rng),
            )
        ]
        if shut.any()
        else []
    )
    pent = rng.random() < 0.3
    top = pent_roof(length, depth, height, 0.5, style, 0.2) if pent else flat_roof(length, depth, height, style, rng)
    return gathered([*_block(length, depth, height, gates, style), *leaf, *top])


def _ribbed(gates: np.ndarray, depth: float, rng: np.random.Generator) -> Mesh:
    """Leaves of gates with ribs that stand out by 3 cm."""
    plain = quads(upright(gates, depth))
    if rng.random() < 0.5:
        return plain
    ribs = [
        bricks(np.array([(y0, y1, z, z + 0.12)]), depth - 0.03, depth + 0.01)
        for y0, y1, _, top in gates
        for z in np.arange(0.1, top - 0.15, 0.35)
    ]
    return merged([plain, *ribs])


def _block(width: float, depth: float, height: float, holes: np.ndarray, style: Style) -> list[Part]:
    """Walls on four sides, with holes in the front that are closed 2 m behind it."""
    front = [
        quads(pierced((-width / 2, width / 2), (-_BURIED, height), holes)),
        quads(reveals(holes, 0.3)),
        quads(upright(holes, 2.0)),
    ]
    blank = [Part(quads(upright(np.array([(-depth / 2, depth / 2, -_BURIED, height)]))), style.wall)]
    back = [Part(quads(upright(np.array([(-width / 2, width / 2, -_BURIED, height)]))), style.wall)]
    return [
        Part(merged(front), style.wall),
        *moved_parts(blank, pose(depth / 2, width / 2, yaw=-np.pi / 2)),
        *moved_parts(blank, pose(depth / 2, -width / 2, yaw=np.pi / 2)),
        *moved_parts(back, pose(depth, 0, yaw=np.pi)),
    ]


def shed(rng: np.random.Generator) -> list[Part]:
    """A garden shed of boards, 1.6-4 m wide and deep, 2-2.8 m high."""
    width, depth, height = rng.uniform(1.6, 4.0), rng.uniform(1.4, 3.5), rng.uniform(1.8, 2.2)
    style, side = _plain(rng), width * rng.uniform(-0.2, 0.2)
    style = replace(
        style, wall=paint(Material.WOOD, ((0.3, 0.2, 0.11), (0.2, 0.25, 0.18), (0.4, 0.38, 0.34))[rng.integers(3)], rng)
    )
    door = np.array([(side - 0.4, side + 0.4, 0.02, 1.75)])
    boards = np.arange(0.0, height, 0.16)
    lap = bricks(
        np.column_stack([0 * boards - width / 2, 0 * boards + side - 0.45, boards, boards + 0.13]), -0.03, 0.01
    )
    leaf = Part(quads(upright(door, 0.04)), style.accent)
    rise = rng.uniform(0.3, 0.7)
    top = (
        saddle_roof(width, depth, height, rise, style, rng, gable=rng.random() < 0.5, bare=True)
        if rng.random() < 0.6
        else pent_roof(width, depth, height, rise, style, 0.2)
    )
    return gathered([*_block(width, depth, height, door, style), Part(lap, style.wall), leaf, *top])


def carport(rng: np.random.Generator) -> list[Part]:
    """A roof on posts over one or two cars, 2.8-5.8 m wide, 5-6 m deep, 2.3-2.7 m high."""
    width, depth, height = rng.uniform(2.8, 5.6), rng.uniform(5.0, 6.0), rng.uniform(2.2, 2.5)
    posts = [
        slab((x - 0.06, y - 0.06, -0.3), (x + 0.06, y + 0.06, height))
        for x in (0.3, depth / 2, depth - 0.1)
        for y in (-width / 2 + 0.1, width / 2 - 0.1)
    ]
    lid = slab((0, -width / 2, height), (depth, width / 2, height + 0.18))
    parts = [Part(merged([*posts, lid]), paint(Material.WOOD, (0.33, 0.24, 0.14), rng))]
    if rng.random() < 0.4:
        z = np.arange(0.1, height - 0.2, 0.16)
        back = bricks(np.column_stack([0 * z - width / 2, 0 * z + width / 2, z, z + 0.12]), depth - 0.05, depth)
        parts.append(Part(back, parts[0].paint))
    return parts


def barn(rng: np.random.Generator, length: float) -> list[Part]:
    """A barn of boards or bricks with a large gate under a high roof, 8-12 m deep."""
    style, depth, height = _plain(rng), rng.uniform(8, 12), rng.uniform(3.0, 4.5)
    board = paint(Material.WOOD, (0.2, 0.14, 0.09), rng)
    style = replace(style, wall=board if rng.random() < 0.5 else style.wall)
    half, y = min(1.9, 0.3 * length), length * rng.uniform(-0.2, 0.2)
    gate = np.array([(y - half, y + half, 0.0, min(3.4, height - 0.3))])
    planks = spread(y - half, y + half, 0.25)
    leaf = bricks(
        np.column_stack([planks[:-1], planks[1:] - 0.03, 0 * planks[1:], 0 * planks[1:] + gate[0, 3]]), 0.12, 0.18
    )
    wide = rng.random() < 0.4 and length < 14
    rise = (length if wide else depth) / 2 * np.tan(np.deg2rad(rng.uniform(32, 48)))
    top = saddle_roof(length, depth, height, rise, style, rng, gable=wide, bare=True)
    return gathered([*_block(length, depth, height, gate, style), Part(leaf, board), *top])


def hall(rng: np.random.Generator, length: float, *, depth: float | None = None) -> list[Part]:
    """A hall of a firm or a supermarket: sheets with ribs, gates, high windows. 4-9 m high, 12-30 m deep."""
    depth, height, half = depth or rng.uniform(12, 30), rng.uniform(4.0, 8.5), length / 2
    style = _plain(rng)
    sheet = paint(Material.PAINTED if rng.random() < 0.6 else Material.BLIND, _SHEETS[rng.integers(5)], rng)
    style = replace(style, wall=sheet)
    pitch = rng.uniform(4.5, 9.0)
    middles = np.arange(-half + 2.6, half - 2.2, pitch)
    chosen = middles[rng.random(len(middles)) < rng.uniform(0.2, 0.9)]
    wide, low = rng.uniform(1.3, 2.0), float(rng.choice([-0.05, 1.1]))
    gates = np.column_stack(
        [chosen - wide, chosen + wide, 0 * chosen + low, 0 * chosen + min(low + rng.uniform(2.8, 4.0), height - 0.6)]
    )
    parts = _block(length, depth, height, gates, style)
    if len(gates):
        parts.append(Part(_ribbed(gates, 0.25, rng), paint(Material.PAINTED, _SHEETS[rng.integers(5)], rng)))
    if rng.random() < 0.7:
        y = np.arange(-half + 0.2, half - 0.2, rng.uniform(0.4, 1.0))
        outer = upright(np.column_stack([y - 0.04, y + 0.04, 0 * y + 0.3, 0 * y + height]), -0.05)
        clear = np.all([(y < a - 0.1) | (y > b + 0.1) for a, b, _, _ in gates] or [y < half], axis=0)
        parts.append(Part(quads(outer[clear]), style.wall))
    posts = spread(-half + 0.2, half - 0.2, 6.0)
    posts = posts[[not np.any((posts_y > gates[:, 0] - 0.3) & (posts_y < gates[:, 1] + 0.3)) for posts_y in posts]]
    parts.append(
        Part(
            bricks(np.column_stack([posts - 0.15, posts + 0.15, 0 * posts - 0.3, 0 * posts + height]), -0.12, 0.05),
            style.metal,
        )
    )
    if height > 5 and rng.random() < 0.6:
        strip = np.array([(-half + 0.6, half - 0.6, height - 1.5, height - 0.6)])
        parts.append(Part(quads(upright(strip, -0.06)), style.panes[0]))
    if rng.random() < 0.4:
        wide = min(length - 1, rng.uniform(3, 12))
        y = (length - wide) / 2 * rng.uniform(-1, 1)
        parts.append(Part(slab((-rng.uniform(1.0, 2.1), y - wide / 2, 3.3), (0, y + wide / 2, 3.6)), style.metal))
    pitched = rng.random() < 0.35
    rise = depth / 2 * np.tan(np.deg2rad(rng.uniform(6, 14)))
    top = (
        saddle_roof(length, depth, height, rise, style, rng, bare=True)
        if pitched
        else flat_roof(length, depth, height, style, rng)
    )
    return gathered([*parts, *top])


def greenhouse(rng: np.random.Generator) -> list[Part]:
    """A greenhouse or winter garden of glass in a frame, 1.8-4 m wide, 2-4.5 m deep, up to 3 m high."""
    width, depth, height, rise = (
        rng.uniform(1.8, 4.0),
        rng.uniform(2.0, 4.5),
        rng.uniform(1.7, 2.1),
        rng.uniform(0.4, 0.9),
    )
    glass = Paint(Material.GLASS, BUILDING, (0.08, 0.1, 0.09))
    style = replace(_plain(rng), wall=glass, roof=glass, base=glass)
    front = [Part(quads(upright(np.array([(-width / 2, width / 2, -0.2, height)]))), glass)]
    sides = [Part(quads(upright(np.array([(-depth / 2, depth / 2, -0.2, height)]))), glass)]
    walls = front + moved_parts(front, pose(depth, yaw=np.pi))
    for s in (1, -1):
        walls += moved_parts(sides, pose(depth / 2, s * width / 2, yaw=-s * np.pi / 2))
    bars = [
        slab((x - 0.03, s * width / 2 - 0.03, -0.1), (x + 0.03, s * width / 2 + 0.03, height))
        for x in spread(0, depth, 0.8)
        for s in (1, -1)
    ]
    bars += [
        slab((x - 0.03, y - 0.03, -0.1), (x + 0.03, y + 0.03, height))
        for y in spread(-width / 2, width / 2, 0.8)
        for x in (0.0, depth)
    ]
    return gathered([*walls, *pent_roof(width, depth, height, rise, style, 0.1), Part(merged(bars), style.frame)])


def _plain(rng: np.random.Generator) -> Style:
    return replace(house_style(rng), relief="flat", base_height=0.0)


KINDS: dict[str, Kind] = {
    "garages": Kind(garages, (-0.6, 7.2), 0.6, 3.6, (2.8, 30), weight=2),
    "shed": Kind(shed, (-0.8, 4.3), 2.6, 3.6, weight=2),
    "carport": Kind(carport, (-0.1, 6.1), 2.9, 2.8, weight=1),
    "barn": Kind(barn, (-0.8, 12.8), 0.8, 11.5, (8, 24), weight=0.5),
    "hall": Kind(hall, (-2.3, 30.8), 0.8, 12.5, (12, 60), weight=1),
    "greenhouse": Kind(greenhouse, (-0.2, 4.7), 2.3, 3.4, weight=0.3),
}
