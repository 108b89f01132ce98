"""Leaves and blades: clouds in which rays stop within decimetres, and through which some pass."""

import numpy as np

from elite.shapes import Float
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, leaves, triangles
from elite.synthetic.scenery import Color, tinted

VEGETATION, TERRAIN = raw_id("vegetation"), raw_id("terrain")
_GREENS = (
    *((0.09, 0.17, 0.03), (0.13, 0.19, 0.03), (0.06, 0.14, 0.04), (0.07, 0.12, 0.05), (0.16, 0.21, 0.06)),
    *((0.05, 0.10, 0.03), (0.11, 0.16, 0.07), (0.18, 0.20, 0.04)),
)
_RARE = ((0.20, 0.17, 0.03), (0.26, 0.15, 0.03), (0.15, 0.05, 0.05), (0.24, 0.08, 0.03), (0.17, 0.15, 0.09))
_STRAW = ((0.30, 0.25, 0.11), (0.16, 0.20, 0.05), (0.22, 0.22, 0.08))
Ellipsoids = tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"]]  # centres and radii


def green(rng: np.random.Generator) -> Color:
    """Draw the colour of a plant: mostly greens, some yellow, copper and autumn tones."""
    colors = _RARE if rng.random() < 0.1 else _GREENS
    return tinted(colors[rng.integers(len(colors))], rng, 0.3)


def straw(rng: np.random.Generator) -> Color:
    """Draw the colour of tall grass."""
    return tinted(_STRAW[rng.integers(len(_STRAW))], rng, 0.3)


def leaf_paint(rng: np.random.Generator, color: Color, label: int = VEGETATION) -> Paint:
    return Paint(Material.LEAF, label, color, float(rng.lognormal(0, 0.18)))


def core_paint(color: Color) -> Paint:
    """Paint of the dark inside of a bush, at which the last rays stop."""
    return Paint(Material.LEAF, VEGETATION, (0.3 * color[0], 0.3 * color[1], 0.3 * color[2]))


def leaf_count(area: float, size: float, depth: float) -> int:
    """Number of leaves of ``size`` (m) on ``area`` (m²) that let about exp(-``depth``) of the rays pass."""
    return max(8, round(depth * area / (0.58 * size**2)))


def leaf_size(area: float, depth: float, budget: int, smallest: float, largest: float) -> float:
    """Size (m) of leaves, of which about ``budget`` cover ``area`` (m²) as densely as ``depth`` states."""
    return float(np.clip(np.sqrt(depth * area / (0.58 * budget)), smallest, largest))


def surface(shape: Ellipsoids) -> float:
    """Area of all ellipsoids (m²), overlapping or not."""
    return float((4 * np.pi * shape[1].prod(axis=1) ** (2 / 3)).sum())


def cloud(
    centers: Float[np.ndarray, "n 3"],
    size: float,
    paint: Paint,
    rng: np.random.Generator,
    *,
    normals: Float[np.ndarray, "n 3"] | None = None,
    share: float = 1.0,
) -> Part:
    """Leaves at ``centers``: fine ones to 3.5 m above the ground, beyond it fewer that are as much larger.

    With ``normals``, they are turned towards a surface, see ``pressed``.
    """
    high = np.clip((centers[:, 2] - 3.5) / 3.0, 0, 1)
    growth = 1 + 0.6 * high
    kept = rng.random(len(centers)) < growth**-2
    sizes = (size * growth)[kept, None]
    mesh = leaves(centers[kept], sizes, rng)
    return Part(mesh if normals is None else pressed(mesh, centers[kept], normals[kept], share), paint)


def on_ellipsoids(
    ellipsoids: Ellipsoids, size: float, depth: float, rng: np.random.Generator, *, shell: float = 0.3
) -> Float[np.ndarray, "n 3"]:
    """Centres of leaves in the outer ``shell`` (share of the radius) of ellipsoids."""
    points = []
    for center, radii in zip(*ellipsoids, strict=True):
        area = 4 * np.pi * np.mean([radii[i] ** 1.6 * radii[j] ** 1.6 for i, j in ((0, 1), (0, 2), (1, 2))]) ** 0.625
        out = rng.normal(size=(leaf_count(float(area), size, depth), 3))
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        points.append(center + out * radii * (1.08 - shell * rng.exponential(0.5, (len(out), 1)).clip(0, 2)))
    return np.concatenate(points)


def pressed(mesh: Mesh, centers: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], share: float) -> Mesh:
    """Leaves at ``centers`` turned towards a surface with unit ``normals``: ``share`` of their depth remains."""
    outward = np.einsum("nij,nj->ni", mesh.corners - centers[:, None], normals)
    return triangles(mesh.corners - (1 - share) * outward[..., None] * normals[:, None], uv=mesh.uv)


def blades(
    feet: Float[np.ndarray, "n 3"], heights: Float[np.ndarray, "n"], width: float, rng: np.random.Generator
) -> Mesh:
    """Upright, bent-over triangles such as grass."""
    n = len(feet)
    turn, lean = rng.uniform(0, 2 * np.pi, n), rng.normal(0, 0.25, (n, 2)) * heights[:, None]
    aside = np.column_stack([np.cos(turn), np.sin(turn), np.zeros(n)]) * width / 2
    tips = feet + np.column_stack([lean, heights])
    uv = np.repeat(rng.uniform(size=(n, 1, 2)), 3, axis=1)
    return triangles(np.stack([feet - aside, feet + aside, tips], 1), uv=uv)


def waves(y: Float[np.ndarray, "n"], rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """A random smooth curve over y (m), about -1..1, with features of 0.7 to 4 m."""
    lengths, phases = rng.uniform(0.7, 4.0, 5), rng.uniform(0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * y[:, None] / lengths + phases).sum(axis=1) / 2.5
