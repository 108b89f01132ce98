"""Roofs over a rectangle x = 0..depth, y = +-width/2, that start at a height: pitched ones overhang it."""

import numpy as np

from elite.shapes import Float
from elite.synthetic.house_styles import Style
from elite.synthetic.mesh import Part, merged, moved_parts, pose, triangles, tube
from elite.synthetic.shapes import quads, slab, thick, upright

_THICK = 0.16
_LIFT = np.array([0, 0, _THICK])


def saddle_roof(
    width: float,
    depth: float,
    height: float,
    rise: float,
    style: Style,
    rng: np.random.Generator,
    *,
    gable: bool = False,
    bare: bool = False,
) -> list[Part]:
    """Two slopes and two gables; the ridge runs along y, or with ``gable`` along x. Overhangs by up to 0.8 m.

    ``bare`` roofs have no chimneys and dormers.
    """
    if gable:
        parts = saddle_roof(depth, width, height, rise, style, rng, bare=bare)
        turn = pose(depth / 2, width / 2, yaw=-np.pi / 2)
        return moved_parts(parts, turn)
    over, side = rng.uniform(0.25, 0.7), rng.uniform(0.02, 0.5)
    half, drop = width / 2 + side, over * rise / (depth / 2)
    a = [np.array([(-over, half, height - drop), (-over, -half, height - drop)])]
    ridge = np.array([(depth / 2, -half, height + rise), (depth / 2, half, height + rise)])
    front = np.concatenate([a[0], ridge])
    back = np.concatenate([(a[0] * (-1, 1, 1) + (depth, 0, 0))[::-1], ridge[::-1]])
    ends = [[(0, y, height), (depth, y, height), (depth / 2, y, height + rise)] for y in (-width / 2, width / 2)]
    parts = [
        Part(merged([thick(front + _LIFT, _THICK), thick(back + _LIFT, _THICK)]), style.roof),
        Part(triangles(np.array(ends, float)), style.wall),
    ]
    gutter = tube((-over, -half, height - drop), (-over, half, height - drop), 0.07, sections=6)
    parts.append(Part(gutter, style.metal))
    return parts if bare else [*parts, *_on_slope(width, depth, height, rise, style, rng)]


def _on_slope(
    width: float, depth: float, height: float, rise: float, style: Style, rng: np.random.Generator
) -> list[Part]:
    """Chimneys, and dormers on the front slope."""
    parts = []
    for _ in range(int(rng.integers(0, 3))):
        x, y = depth * rng.uniform(0.3, 0.7), width * rng.uniform(-0.42, 0.42)
        top = height + rise + rng.uniform(0.3, 0.9)
        parts.append(Part(slab((x - 0.25, y - 0.35, height), (x + 0.25, y + 0.35, top)), style.base))
    if rise > 2.0 and rng.random() < 0.45:
        count = max(1, int(width / rng.uniform(3, 5)))
        for y in width * ((np.arange(count) + 0.5) / count - 0.5):
            parts += _dormer(float(y), depth, height, rise, style)
    return parts


def _dormer(y: float, depth: float, height: float, rise: float, style: Style) -> list[Part]:
    """A window under a small roof of its own, on the front slope."""
    foot = 0.18
    x, z = foot * depth / 2, height + foot * rise
    tall = min(1.4, rise * 0.6)
    back = x + tall / rise * depth / 2
    body = slab((x, y - 0.7, z - 0.2), (back, y + 0.7, z + tall))
    lid = slab((x - 0.2, y - 0.9, z + tall), (back, y + 0.9, z + tall + 0.12))
    pane = quads(upright(np.array([(y - 0.5, y + 0.5, z + 0.25, z + tall - 0.1)]), x - 0.02))
    return [Part(body, style.wall), Part(lid, style.roof), Part(pane, style.panes[0])]


def hipped_roof(
    width: float, depth: float, height: float, rise: float, style: Style, rng: np.random.Generator
) -> list[Part]:
    """Four slopes that overhang by up to 0.8 m, and a ridge along the longer side."""
    over = rng.uniform(0.3, 0.8)
    x0, x1, half = -over, depth + over, width / 2 + over
    inset = min(half, (x1 - x0) / 2) * 0.98
    low = height - 0.25
    if width > depth:
        a, b = (depth / 2, half - inset, height + rise), (depth / 2, -half + inset, height + rise)
        front = [(x0, half, low), (x0, -half, low), b, a]
        back = [(x1, -half, low), (x1, half, low), a, b]
        ends = [[(x0, -half, low), (x1, -half, low), b], [(x1, half, low), (x0, half, low), a]]
    else:
        a, b = (x0 + inset, 0, height + rise), (x1 - inset, 0, height + rise)
        front = [(x0, -half, low), (x1, -half, low), b, a]
        back = [(x1, half, low), (x0, half, low), a, b]
        ends = [[(x0, half, low), (x0, -half, low), a], [(x1, -half, low), (x1, half, low), b]]
    eaves = slab((x0, -half, low - 0.12), (x1, half, low))
    slopes = merged([quads(np.array([front, back], float)), triangles(np.array(ends, float))])
    return [Part(slopes, style.roof), Part(eaves, style.trim)]


def mansard_roof(width: float, depth: float, height: float, style: Style) -> list[Part]:
    """A steep lower slope with dormers, flat above. Overhangs by 0.35 m."""
    rise, inset = 2.6, 0.9
    low, top = _rim(width, depth, height, -0.35), _rim(width, depth, height + rise, inset)
    sides = np.stack([np.stack([low[i], low[i - 3], top[i - 3], top[i]]) for i in range(4)])
    parts = [Part(quads(np.concatenate([sides, top[None]])), style.roof)]
    count = max(1, round(width / 3.2))
    for y in width * ((np.arange(count) + 0.5) / count - 0.5):
        body = slab((-0.05, y - 0.6, height + 0.4), (1.2, y + 0.6, height + 2.1))
        pane = quads(upright(np.array([(y - 0.42, y + 0.42, height + 0.6, height + 1.9)]), -0.08))
        parts += [Part(body, style.trim), Part(pane, style.panes[0])]
    return [*parts, Part(slab((-0.4, -width / 2, height - 0.2), (0.1, width / 2, height)), style.trim)]


def _rim(width: float, depth: float, height: float, inset: float) -> Float[np.ndarray, "4 3"]:
    x0, x1, y = inset, depth - inset, width / 2 - inset
    return np.array([(x0, y, height), (x0, -y, height), (x1, -y, height), (x1, y, height)])


def flat_roof(width: float, depth: float, height: float, style: Style, rng: np.random.Generator) -> list[Part]:
    """A flat roof with a rim that stands out by up to 0.5 m, sometimes with a box for the lift."""
    over, tall = rng.uniform(0.02, 0.5), rng.uniform(0.2, 0.6)
    lid = slab((-over, -width / 2 - over, height), (depth + over, width / 2 + over, height + tall))
    parts = [Part(lid, style.trim)]
    if width > 10 and rng.random() < 0.5:
        y = width * rng.uniform(-0.3, 0.3)
        parts.append(Part(slab((depth * 0.4, y - 1.5, height), (depth * 0.8, y + 1.5, height + 2.4)), style.base))
    return parts


def pent_roof(width: float, depth: float, height: float, rise: float, style: Style, over: float = 0.3) -> list[Part]:
    """One slope that rises from the front to the back, with the walls beneath it."""
    half, drop = width / 2 + over, over * rise / depth
    top = [(-over, half, height - drop), (-over, -half, height - drop)]
    top += [(depth + over, -half, height + rise + drop), (depth + over, half, height + rise + drop)]
    ends = [[(0, y, height), (depth, y, height), (depth, y, height + rise)] for y in (-width / 2, width / 2)]
    back = quads(
        np.array(
            [
                [
                    (depth, -width / 2, height),
                    (depth, width / 2, height),
                    (depth, width / 2, height + rise),
                    (depth, -width / 2, height + rise),
                ]
            ]
        )
    )
    return [
        Part(thick(np.array(top) + _LIFT, _THICK), style.roof),
        Part(merged([triangles(np.array(ends, float)), back]), style.wall),
    ]
