"""Projections of a front: bays, porches, balconies, signs and awnings. Axes of a front, as in walls.py."""

from dataclasses import replace

import numpy as np

from elite.synthetic.house_styles import Style, paint
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Part, merged, moved_parts, pose, tube
from elite.synthetic.scenery import tinted
from elite.synthetic.shapes import copies, quads, slab, spread
from elite.synthetic.walls import bays, railing, wall, wall_height


def bay_window(width: float, storeys: int, style: Style, rng: np.random.Generator, foot: int = 0) -> list[Part]:
    """A bay of 0.5-1.1 m in front of the wall, from the ground or from an upper floor."""
    wide, deep = min(rng.uniform(1.8, 3.2), 0.6 * width), rng.uniform(0.5, 1.1)
    y = (width - wide) * rng.uniform(-0.4, 0.4)
    floors = int(rng.integers(1, max(2, storeys - foot + 1)))
    plain = replace(style, downpipes=False, shutters=False, pilasters=False, quoins=False, pitch=1.4, share=0.7)
    lift = 0.0 if foot == 0 else style.base_height + foot * style.storey
    if foot:
        plain = replace(plain, base_height=0.0, plinth=False)
    front = wall(wide, floors, plain, rng)
    side = wall(deep, floors, replace(plain, share=0.45), rng)
    height = wall_height(floors, plain)
    lids = merged(
        [
            slab((-0.12, -wide / 2 - 0.1, height), (deep, wide / 2 + 0.1, height + 0.15)),
            slab((0, -wide / 2, -0.25), (deep, wide / 2, 0.0)),
        ]
    )
    parts = [
        *front,
        *moved_parts(side, pose(deep / 2, wide / 2, yaw=-np.pi / 2)),
        *moved_parts(side, pose(deep / 2, -wide / 2, yaw=np.pi / 2)),
        Part(lids, style.trim),
    ]
    return above(moved_parts(parts, pose(-deep, y, lift)), lift - 0.3 if foot else -1.0)


def above(parts: list[Part], floor: float) -> list[Part]:
    """Parts without what lies below ``floor``, such as the foot of a wall: their corners are lifted to it."""
    lifted = []
    for part in parts:
        corners = part.mesh.corners.copy()
        corners[..., 2] = np.maximum(corners[..., 2], floor)
        lifted.append(Part(replace(part.mesh, corners=corners), part.paint))
    return lifted


def porch(width: float, style: Style, rng: np.random.Generator) -> list[Part]:
    """A roof on posts before the wall, such as a veranda."""
    wide, deep, top = width * rng.uniform(0.3, 0.9), rng.uniform(1.2, 2.1), style.base_height + rng.uniform(2.3, 2.7)
    y = (width - wide) / 2 * rng.uniform(-1, 1)
    posts = [
        slab((-deep + 0.1, at - 0.06, -0.3), (-deep + 0.22, at + 0.06, top))
        for at in spread(y - wide / 2 + 0.1, y + wide / 2 - 0.1, 2.2)
    ]
    lid = slab((-deep, y - wide / 2, top), (0, y + wide / 2, top + 0.15))
    floor = slab((-deep, y - wide / 2, -0.3), (0, y + wide / 2, max(style.base_height, 0.1)))
    return [Part(merged([lid, *posts]), style.frame), Part(floor, style.base)]


def balconies(width: float, storeys: int, style: Style, rng: np.random.Generator, *, share: float) -> list[Part]:
    """Columns of balconies with railings or solid parapets on the upper storeys, some from the ground floor up."""
    count, deep = bays(width, style), rng.uniform(0.9, 1.7)
    pitch, sort = width / count, str(rng.choice(["bars", "rails", "panel"]))
    wide = min(pitch * rng.choice([0.9, 1.8]), width)
    first = int(rng.integers(0, 2)) if storeys > 1 else 1
    chosen = np.flatnonzero(rng.random(count) < share)
    y = (width / 2 - (chosen + 0.5) * pitch).clip(-(width - wide) / 2, (width - wide) / 2)
    z = style.base_height + np.arange(first, storeys) * style.storey
    if not len(y) or not len(z):
        return []
    shifts = np.array([(0, a, b) for a in y for b in z])
    front = moved_parts([Part(railing(wide, 1.0, sort), style.metal)], pose(-deep + 0.05))
    sides = [
        moved_parts(
            [Part(railing(deep - 0.1, 1.0, sort), style.metal)], pose(-deep / 2, e * (wide / 2 - 0.03), yaw=np.pi / 2)
        )
        for e in (1, -1)
    ]
    rails = merged([part.mesh for part in (*front, *sides[0], *sides[1])])
    floor = slab((-deep, -wide / 2, -0.18), (0, wide / 2, 0.0))
    guard = style.trim if sort == "panel" else style.metal
    posts = [
        tube(
            (-deep + 0.1, a + e * (wide / 2 - 0.1), -0.2),
            (-deep + 0.1, a + e * (wide / 2 - 0.1), z[-1]),
            0.06,
            sections=6,
        )
        for a in y
        for e in (1, -1)
    ]
    extra = [Part(merged(posts), style.metal)] if rng.random() < 0.4 else []
    return [Part(copies(floor, shifts), style.trim), Part(copies(rails, shifts), guard), *extra]


def shop_signs(width: float, style: Style, rng: np.random.Generator) -> list[Part]:
    """A fascia over the shop windows, signs that hang out, awnings."""
    top = style.base_height + 0.82 * style.storey
    color = paint(Material.PAINTED, tuple(rng.uniform(0.02, 0.6, 3)), rng)
    parts = [Part(slab((-rng.uniform(0.05, 0.2), -width / 2 + 0.2, top), (0, width / 2 - 0.2, top + 0.5)), color)]
    if rng.random() < 0.5:
        y, out = width * rng.uniform(-0.4, 0.4), rng.uniform(0.5, 0.9)
        parts.append(Part(slab((-out, y - 0.05, top + 0.1), (-0.05, y + 0.05, top + 0.8)), color))
    if rng.random() < 0.6:
        wide, deep = width * rng.uniform(0.4, 0.95), rng.uniform(0.9, 1.8)
        y, low = (width - wide) / 2 * rng.uniform(-1, 1), top - rng.uniform(0.3, 0.7)
        cloth = np.array(
            [(-deep, y + wide / 2, low), (-deep, y - wide / 2, low), (0, y - wide / 2, top), (0, y + wide / 2, top)]
        )
        drop = cloth[[0, 1, 1, 0]] - np.array([(0, 0, 0), (0, 0, 0), (0, 0, 0.22), (0, 0, 0.22)])
        shade = paint(Material.CLOTH, tinted((0.5, 0.2, 0.12) if rng.random() < 0.5 else (0.5, 0.48, 0.4), rng), rng)
        parts.append(Part(quads(np.stack([cloth, drop])), shade))
    return parts
