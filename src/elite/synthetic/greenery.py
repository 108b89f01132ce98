"""Shrubs, hedges, verges, flower beds, grass and climbers. All are vegetation; only short grass is terrain.

Every maker draws colour, size and shape from ``rng``. Those with a ``length`` fill it along y.
"""

import numpy as np

from elite.shapes import Float
from elite.synthetic.foliage import (
    TERRAIN,
    VEGETATION,
    Ellipsoids,
    blades,
    cloud,
    core_paint,
    green,
    leaf_count,
    leaf_paint,
    leaf_size,
    on_ellipsoids,
    pressed,
    straw,
    surface,
    waves,
)
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, ellipsoid, leaves, merged
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import boxes, pipe

_FLOWERS: tuple[Color, ...] = (
    (0.6, 0.1, 0.12),
    (0.65, 0.5, 0.05),
    (0.6, 0.58, 0.6),
    (0.35, 0.1, 0.45),
    (0.65, 0.25, 0.4),
)


def shrub(rng: np.random.Generator) -> list[Part]:
    """A bush 0.5-3 m high, round, upright or low, in the reach of 2 m from its middle."""
    height = float(np.clip(rng.lognormal(0.2, 0.45), 0.5, 3.0))
    wide = float(np.clip(height * rng.uniform(0.35, 0.75), 0.3, 1.5))
    count = int(rng.integers(2, 6))
    centers = np.column_stack(
        [rng.normal(0, 0.4 * wide, (count, 2)).clip(-wide, wide), rng.uniform(0.3, 0.6, count) * height]
    )
    radii = wide * rng.uniform(0.45, 0.85, (count, 3))
    radii[:, 2] = np.minimum(height * rng.uniform(0.35, 0.55, count), (height - centers[:, 2]))
    return _mass((centers, radii), rng)


def shrubs(rng: np.random.Generator, length: float) -> list[Part]:
    """A mass of shrubs of any shape along y, 0.6-4 m high and 0.8-3.5 m thick."""
    height, thick = rng.uniform(0.6, 1.4) * rng.choice([1.0, 1.6, 2.6]), rng.uniform(0.8, 3.0)
    count = max(3, round(length * rng.uniform(0.9, 1.6)))
    y = np.linspace(-0.5, 0.5, count) * (length - 0.8) + rng.normal(0, 0.2, count)
    tall = height * rng.uniform(0.55, 1.05, count)
    radii = np.column_stack([thick * rng.uniform(0.25, 0.5, count), rng.uniform(0.5, 1.1, count), 0.56 * tall])
    radii[:, 1] = np.minimum(radii[:, 1], length / 2)
    y = y.clip(-length / 2 + radii[:, 1], length / 2 - radii[:, 1])
    return _mass((np.column_stack([rng.normal(0, 0.15 * thick, count), y, 0.44 * tall]), radii), rng)


def _mass(shape: Ellipsoids, rng: np.random.Generator) -> list[Part]:
    """Leaves of one or two sorts around dark cores, with some twigs that stand out: loose, or as even as if clipped."""
    even = rng.uniform(0, 1)
    color, depth = green(rng), 0.9 + 1.0 * even
    size = leaf_size(surface(shape), depth, 1200 + 350 * len(shape[0]), 0.06, 0.24)
    shell, centers, normals = rng.uniform(0.05, 0.4 - 0.3 * even), [], []
    for center, radii in zip(*shape, strict=True):
        centers.append(on_ellipsoids((center[None], radii[None]), size, depth, rng, shell=shell))
        normals.append((centers[-1] - center) / radii**2)
    sprigs = _sprigs(shape, sum(map(len, centers)) // 12, rng)
    at, outward = np.concatenate([*centers, sprigs]), np.concatenate([*normals, np.zeros_like(sprigs)])
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    at[:, 2] = np.abs(at[:, 2]) + 0.02
    cores = [ellipsoid(c, (0.78 + 0.22 * even) * r) for c, r in zip(*shape, strict=True)]
    second = rng.random(len(at)) < (0.5 if rng.random() < 0.25 else 0.0)
    sorts = [(~second, size, color), (second, 0.8 * size, green(rng))]
    clouds = [
        cloud(at[some], leaf, leaf_paint(rng, hue), rng, normals=outward[some], share=1 - 0.85 * even)
        for some, leaf, hue in sorts
        if some.any()
    ]
    return [*clouds, Part(merged(cores), core_paint(color))]


def _sprigs(shape: Ellipsoids, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Leaves of shoots that leave the mass."""
    shoots = max(1, count // 6)
    which = rng.integers(0, len(shape[0]), shoots)
    out = np.abs(rng.normal(size=(shoots, 3))) * np.array([*rng.choice([-1, 1], 2), 1])
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    reach = rng.uniform(0.9, 1.15, (6, shoots, 1))
    return (shape[0][which] + reach * out * shape[1][which]).reshape(-1, 3)


def clipped_hedge(rng: np.random.Generator, length: float) -> list[Part]:
    """A hedge with flat sides along y, 0.5-2.5 m high, 0.4-1.2 m thick: some as even as a fence."""
    height = float(np.clip(rng.lognormal(0.15, 0.4), 0.5, 2.3))
    return _hedge(
        length, height, rng.uniform(0.4, 1.0), square=rng.uniform(3.5, 7), rough=rng.uniform(0.005, 0.05), rng=rng
    )


def overgrown_hedge(rng: np.random.Generator, length: float) -> list[Part]:
    """A hedge along y that has lost its shape: 0.8-3 m high, 0.6-2 m thick, with shoots and thin places."""
    height = rng.uniform(0.9, 2.2)
    return _hedge(
        length, height, rng.uniform(0.7, 1.5), square=rng.uniform(1.8, 3), rough=rng.uniform(0.02, 0.11), rng=rng
    )


def _hedge(
    length: float, height: float, thick: float, *, square: float, rough: float, rng: np.random.Generator
) -> list[Part]:
    """Leaves on a cross-section between an ellipse and a rectangle (``square``), whose size waves along y."""
    color, size = green(rng), rng.uniform(0.095, 0.13)
    area = length * (2 * height + thick) + height * thick
    count = leaf_count(area, size, rng.uniform(1.0, 1.5))
    state = int(rng.integers(2**31))
    ends = rng.random(count) < height * thick / area
    y = rng.uniform(-0.5, 0.5, count) * (length - 2 * rough)
    y[ends] = np.sign(y[ends]) * (length / 2 - rough)
    x, z = _section(rng.uniform(0, np.pi, count), square)
    inside = np.where(ends, rng.uniform(0, 1, count), 1 - min(0.12, 3 * rough) * rng.exponential(1, count).clip(0, 4))
    tall, wide = _hedge_size(y, height, thick, rough, state)
    at = np.column_stack([x * wide / 2 * inside, y, z * tall * np.sqrt(inside)])
    at += rng.normal(0, rough, at.shape).clip(-2 * rough, 2 * rough) * (1, 0.5, 1)
    at[:, 2] = np.abs(at[:, 2]) + 0.02
    shoots = _shoots(length, height, rough, rng)
    step = np.arange(-length / 2 + 0.5, length / 2 - 0.2, 1.0) if length > 1.4 else np.zeros(1)
    tall, wide = _hedge_size(step, height, thick, rough, state)
    span = np.full(len(step), min(1.0, 0.7 * length))
    loose = min(1.0, 20 * rough)  # a clipped hedge is dense to its skin, whose leaves lie flat
    dense, high = 0.94 - 0.2 * loose, 0.96 - 0.12 * loose
    middle = np.column_stack([0 * step, step, (high / 2 - 0.04) * tall])
    core = boxes(np.column_stack([dense * wide, span, high * tall]), middle)
    faces = np.eye(3)[np.where(ends, 1, np.where(np.abs(x) > z, 0, 2))]
    skin = pressed(leaves(at, size, rng), at, faces, loose)
    return [Part(merged([skin, leaves(shoots, size, rng)]), leaf_paint(rng, color)), Part(core, core_paint(color))]


def _section(turn: Float[np.ndarray, "n"], square: float) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a hedge from its right foot over the top to its left one, x within -1..1 and z within 0..1."""
    c, s = np.cos(turn), np.sin(turn)
    scale = (np.abs(c) ** square + s**square) ** (-1 / square)
    return c * scale, s * scale


def _hedge_size(
    y: Float[np.ndarray, "n"], height: float, thick: float, rough: float, state: int
) -> tuple[np.ndarray, np.ndarray]:
    """Height and thickness at y."""
    rng = np.random.default_rng(state)
    return height * (1 + rough * waves(y, rng)), thick * (1 + 1.2 * rough * waves(y, rng)).clip(0.4)


def _shoots(length: float, height: float, rough: float, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Leaves of upright shoots on the top, more on a rough hedge."""
    count = int(length * 40 * max(rough - 0.04, 0)) + 1
    foot = np.column_stack(
        [rng.normal(0, 0.12, count), rng.uniform(-0.45, 0.45, count) * length, np.full(count, height)]
    )
    rise = rng.uniform(0, rng.uniform(0.1, 0.3 + 1.5 * rough, count), (6, count))[..., None]
    return (foot + rise * np.array([0.15, 0.1, 1.0])).reshape(-1, 3)


def verge(rng: np.random.Generator, length: float) -> list[Part]:
    """A wild strip along y, 0.5-2 m wide: tall grass, weeds, brambles, 0.3-1.3 m high."""
    wide, height = rng.uniform(0.5, 1.8), rng.uniform(0.3, 0.9)
    count = int(length * wide * 110)
    y = rng.uniform(-length / 2 + 0.1, length / 2 - 0.1, count)
    feet = np.column_stack([rng.uniform(-wide / 2, wide / 2, count), y, np.full(count, -0.05)])
    tall = height * (1 + 0.5 * waves(y, rng)).clip(0.2, 1.3) * rng.uniform(0.5, 1.1, count)
    parts = [
        Part(blades(feet, tall, 0.07, rng), Paint(Material.LEAF, VEGETATION, straw(rng), float(rng.lognormal(0, 0.2))))
    ]
    weeds = max(1, int(length * rng.uniform(0.2, 0.8)))
    centers = np.column_stack(
        [rng.uniform(-wide / 2, wide / 2, weeds), rng.uniform(-0.42, 0.42, weeds) * length, np.full(weeds, 0.3)]
    )
    radii = np.minimum(rng.uniform(0.15, 0.55, (weeds, 3)), 0.08 * length + 0.05)
    leaf = on_ellipsoids((centers, radii), 0.08, 0.6, rng, shell=0.7)
    leaf[:, 2] = np.abs(leaf[:, 2]) + 0.02
    return [*parts, Part(leaves(leaf, 0.08, rng), leaf_paint(rng, green(rng)))]


def grass_tuft(rng: np.random.Generator) -> list[Part]:
    """Grass 0.15-1.2 m high on a spot of up to 1.2 m; terrain if it is lower than 0.35 m."""
    height, radius = rng.uniform(0.15, 1.0), rng.uniform(0.15, 0.6)
    count = int(90 + 350 * radius**2)
    out, turn = radius * np.sqrt(rng.uniform(0, 1, count)), rng.uniform(0, 2 * np.pi, count)
    feet = np.column_stack([out * np.cos(turn), out * np.sin(turn), np.full(count, -0.05)])
    label = VEGETATION if height > 0.35 else TERRAIN
    mesh = blades(feet, height * rng.uniform(0.6, 1.1, count), 0.06, rng)
    return [Part(mesh, Paint(Material.LEAF, label, straw(rng), float(rng.lognormal(0, 0.2))))]


def flower_bed(rng: np.random.Generator, length: float) -> list[Part]:
    """Low plants along y on a strip of 0.4-1.5 m: ground cover, perennials, flowers, 0.1-0.8 m high."""
    wide, height = rng.uniform(0.4, 1.4), rng.uniform(0.12, 0.55)
    count = leaf_count(length * wide, 0.07, 1.0)
    y = rng.uniform(-length / 2 + 0.1, length / 2 - 0.1, count)
    x = rng.uniform(-wide / 2, wide / 2, count)
    top = height * (0.7 + 0.4 * waves(y, rng) + 0.3 * waves(2 * x + y, rng)).clip(0.15, 1.4)
    at = np.column_stack([x, y, 0.03 + top * rng.uniform(0.3, 1, count)])
    bloom = rng.random(count) < rng.uniform(0, 0.35)
    color = _FLOWERS[rng.integers(len(_FLOWERS))]
    parts = [Part(leaves(at[~bloom], 0.075, rng), leaf_paint(rng, green(rng)))]
    return [*parts, Part(leaves(at[bloom], 0.05, rng), leaf_paint(rng, tinted(color, rng)))] if bloom.any() else parts


def climber(rng: np.random.Generator, length: float) -> list[Part]:
    """A climbing plant on a wall in the plane x = 0, towards -x: 1-7 m high, up to 0.5 m deep."""
    height, deep = rng.uniform(1.2, 6.0), rng.uniform(0.06, 0.22)
    spots = int(rng.integers(3, 8))
    centers = np.column_stack(
        [np.zeros(spots), rng.uniform(-0.3, 0.3, spots) * length, rng.uniform(0.1, 0.7, spots) * height]
    )
    radii = np.column_stack(
        [np.full(spots, deep), rng.uniform(0.12, 0.2, spots) * length, rng.uniform(0.15, 0.3, spots) * height]
    )
    at = on_ellipsoids((centers, radii), float(np.clip(0.05 * np.sqrt(length * height), 0.1, 0.2)), 0.9, rng, shell=0.9)
    at[:, 0] = -np.abs(at[:, 0]) - rng.exponential(0.04, len(at)).clip(0, 0.25)
    at[:, 2] = np.abs(at[:, 2]) + 0.02
    stems = [
        pipe(np.array([(-0.04, y * 0.3, -0.2), (-0.05, y * 0.7, 0.3 * height), (-0.05, y, z)]), 0.03, sections=5)
        for _, y, z in centers
    ]
    size = float(np.clip(0.04 * np.sqrt(length * height), 0.09, 0.16))
    color = green(rng)
    wood = Paint(Material.BARK, VEGETATION, (0.1, 0.07, 0.05))
    return [cloud(at, size, leaf_paint(rng, color), rng), Part(merged(stems), wood)]


KINDS: dict[str, Kind] = {
    "shrub": Kind(shrub, (-3.2, 3.2), 3.2, 4.2, weight=3),
    "shrubs": Kind(shrubs, (-3.2, 3.2), 0.8, 5.2, (1.5, 8.0), weight=4),
    "clipped hedge": Kind(clipped_hedge, (-0.9, 0.9), 0.3, 3.2, (1.0, 30.0), weight=4),
    "overgrown hedge": Kind(overgrown_hedge, (-1.9, 1.9), 0.5, 4.0, (1.0, 30.0), weight=2),
    "verge": Kind(verge, (-2.0, 2.0), 0.9, 2.2, (1.0, 20.0), weight=1),
    "grass tuft": Kind(grass_tuft, (-1.7, 1.7), 1.7, 1.5, weight=1),
    "flower bed": Kind(flower_bed, (-0.9, 0.9), 0.15, 1.0, (1.0, 8.0), weight=1),
    "climber": Kind(climber, (-1.0, 0.25), 0.5, 8.0, (1.0, 6.0), weight=0.5),
}
