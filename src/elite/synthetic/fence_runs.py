"""Fences in runs: panels between posts, which lean, have gaps, and are overgrown; their paints."""

from collections.abc import Callable

import numpy as np

from elite.synthetic.classes import raw_id
from elite.synthetic.foliage import VEGETATION, blades, green, leaf_paint, straw
from elite.synthetic.house_styles import paint
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, leaves, merged, moved, pose
from elite.synthetic.scenery import Color
from elite.synthetic.shapes import slab

FENCE = raw_id("fence")
_WOODS: tuple[Color, ...] = (
    (0.30, 0.20, 0.11),
    (0.5, 0.5, 0.47),
    (0.14, 0.09, 0.05),
    (0.24, 0.22, 0.19),
    (0.10, 0.14, 0.08),
)
_METALS: tuple[Color, ...] = (
    (0.05, 0.09, 0.06),
    (0.04, 0.04, 0.045),
    (0.35, 0.36, 0.36),
    (0.5, 0.5, 0.48),
    (0.10, 0.12, 0.18),
)
_STONES: tuple[Color, ...] = ((0.36, 0.32, 0.27), (0.55, 0.52, 0.46), (0.40, 0.39, 0.37), (0.38, 0.2, 0.14))
Panel = Callable[[float, float, np.random.Generator], Mesh]  # (width, height, rng): from the ground, centred at y = 0


def ivy(length: float, height: float, rng: np.random.Generator, share: float = 1.0) -> list[Part]:
    """Patches of leaves on both sides: those within a decimetre belong to the fence, others are vegetation."""
    count = int(share * length * height * rng.uniform(60, 220)) + 1
    patches = max(1, int(length * rng.uniform(0.25, 0.8)))
    middle = rng.uniform(-0.48, 0.48, patches)[rng.integers(0, patches, count)] * length
    y = (middle + rng.normal(0, 0.45, count)).clip(-length / 2, length / 2)
    z = np.abs(height * (1 - np.abs(rng.normal(0, 0.45, count)))) + 0.02
    x = rng.normal(0, 0.11, count) * rng.choice([1.0, 1.0, 2.0], count)
    deep, color = np.abs(x) > 0.1, green(rng)
    at = np.column_stack([x.clip(-0.45, 0.45), y, z])
    size = 0.09
    split = [(at[~deep], FENCE), (at[deep], VEGETATION)]
    return [Part(leaves(points, size, rng), leaf_paint(rng, color, label)) for points, label in split if len(points)]


def run(
    length: float,
    height: float,
    panel: Panel,
    coat: Paint,
    rng: np.random.Generator,
    *,
    post: float = 0.05,
    crooked: float = 1.0,
) -> list[Part]:
    """Panels between posts; each leans and is turned a little, a few are missing, grass grows at the foot."""
    count = max(1, round(length / rng.uniform(1.8, 2.8)))
    pitch, bad = length / count, crooked * rng.choice([0.4, 1.0, 2.0])
    meshes = []
    for i in range(count):
        lean, at = rng.normal(0, 0.035 * bad), -length / 2 + (i + 0.5) * pitch
        if count == 1 or rng.random() >= 0.02 * bad:
            turned = pose(rng.normal(0, 0.03 * bad), at, pitch=lean, roll=rng.normal(0, 0.006 * bad))
            meshes.append(moved(panel(pitch, height, rng), turned))
    for y in np.linspace(-length / 2, length / 2, count + 1):
        lean = pose(rng.normal(0, 0.015 * bad), y, pitch=rng.normal(0, 0.03 * bad), roll=rng.normal(0, 0.02 * bad))
        meshes.append(moved(slab((-post, -post, -0.4), (post, post, height + rng.uniform(-0.05, 0.12))), lean))
    parts = [Part(merged(meshes), coat)]
    parts += _grass(length, rng) if rng.random() < 0.45 else []
    return parts + (ivy(length, height, rng, rng.uniform(0.2, 0.8)) if rng.random() < 0.5 else [])


def _grass(length: float, rng: np.random.Generator) -> list[Part]:
    """Grass at the foot that no mower reaches."""
    count = int(length * rng.uniform(15, 60))
    feet = np.column_stack(
        [rng.normal(0, 0.1, count).clip(-0.3, 0.3), rng.uniform(-0.5, 0.5, count) * length, np.full(count, -0.05)]
    )
    tall = rng.uniform(0.12, 0.5) * rng.uniform(0.4, 1, count)
    return [Part(blades(feet, tall, 0.05, rng), Paint(Material.LEAF, VEGETATION, straw(rng)))]


def wood_paint(rng: np.random.Generator) -> Paint:
    return paint(Material.WOOD, _WOODS[rng.integers(len(_WOODS))], rng, FENCE)


def metal_paint(rng: np.random.Generator) -> Paint:
    return paint(Material.ZINC, _METALS[rng.integers(len(_METALS))], rng, FENCE)


def stone_paint(rng: np.random.Generator, *, rough: bool = False) -> Paint:
    material = Material.STONE if rough else (Material.BLIND, Material.MASONRY, Material.STONE)[rng.integers(3)]
    return paint(material, _STONES[rng.integers(len(_STONES))], rng, FENCE)
