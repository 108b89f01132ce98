"""Shapes of many pieces, made at once: rectangles, boxes, repeated pieces, outlines that are swept."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from elite.shapes import Float
from elite.synthetic.mesh import Mesh, Paint, Part, Point, box, merged, triangles, tube

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def quads(corners: Float[np.ndarray, "n 4 3"], uv: Float[np.ndarray, "n 4 2"] | None = None) -> Mesh:
    """Flat four-sided pieces, each given by its corners in order."""
    halves = np.array([[0, 1, 2], [0, 2, 3]])
    halved = None if uv is None else uv[:, halves].reshape(-1, 3, 2)
    return triangles(corners[:, halves].reshape(-1, 3, 3), uv=halved)


def boxes(sizes: Float[np.ndarray, "n 3"], centers: Float[np.ndarray, "n 3"]) -> Mesh:
    """Upright boxes; texture coordinates are metres along the axes."""
    unit = box((1, 1, 1))
    corners = unit.corners * sizes[:, None, None] + centers[:, None, None]
    return triangles(corners.reshape(-1, 3, 3), normals=np.tile(unit.normals, (len(sizes), 1, 1)))


def slab(low: Point, high: Point) -> Mesh:
    """Box between two opposite corners."""
    a, b = np.asarray(low, float), np.asarray(high, float)
    return boxes((b - a)[None], ((a + b) / 2)[None])


def copies(mesh: Mesh, shifts: Float[np.ndarray, "k 3"]) -> Mesh:
    """The same piece at every shift."""
    k = len(shifts)
    corners = (mesh.corners + shifts[:, None, None]).reshape(-1, 3, 3)
    return Mesh(corners, np.tile(mesh.normals, (k, 1, 1)), np.tile(mesh.uv, (k, 1, 1)))


def row(mesh: Mesh, positions: Float[np.ndarray, "k"], axis: str) -> Mesh:
    """The same piece at every position along an axis."""
    return copies(mesh, np.asarray(positions)[:, None] * _AXES[axis])


def mirrored(mesh: Mesh) -> Mesh:
    """A piece and its mirror image on the other side of the x-z plane."""
    flip = np.array([1, -1, 1])
    other = Mesh(mesh.corners[:, ::-1] * flip, mesh.normals[:, ::-1] * flip, mesh.uv[:, ::-1])
    return merged([mesh, other])


def pipe(path: Float[np.ndarray, "k 3"], radii: Float[np.ndarray, "k"] | float, *, sections: int = 6) -> Mesh:
    """A round bar along a path of points, with a radius at each."""
    r = np.broadcast_to(radii, len(path))
    return merged([tube(path[i], path[i + 1], r[i], r[i + 1], sections=sections) for i in range(len(path) - 1)])


def spread(low: float, high: float, pitch: float) -> Float[np.ndarray, "k"]:
    """Even positions from ``low`` to ``high``, about ``pitch`` apart, both ends included."""
    return np.linspace(low, high, max(2, round((high - low) / pitch) + 1))


def pierced(
    y: tuple[float, float], z: tuple[float, float], holes: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, "m 4 3"]:
    """Rectangles of the plane x = 0 between ``y`` and ``z`` around ``holes`` (y0, y1, z0, z1); outside is -x."""
    edges = np.unique(np.clip(np.concatenate([z, holes[:, 2], holes[:, 3]]), *z))
    pieces = []
    for low, high in pairwise(edges):
        across = holes[(holes[:, 2] < high - 1e-6) & (holes[:, 3] > low + 1e-6)]
        across = across[np.argsort(across[:, 0])]
        starts, ends = np.append(y[0], across[:, 1]), np.append(across[:, 0], y[1])
        pieces += [(a, b, low, high) for a, b in zip(starts, ends, strict=True) if b - a > 1e-6]
    return upright(np.array(pieces).reshape(-1, 4))


def upright(
    rectangles: Float[np.ndarray, "n 4"], x: float | Float[np.ndarray, "n"] = 0.0
) -> Float[np.ndarray, "n 4 3"]:
    """Corners of the rectangles (y0, y1, z0, z1) in the plane of ``x``; outside is -x."""
    y0, y1, z0, z1 = rectangles.T
    at = np.broadcast_to(x, y0.shape)
    return np.stack([np.stack([at, y, z], 1) for y, z in ((y1, z0), (y0, z0), (y0, z1), (y1, z1))], 1)


def reveals(holes: Float[np.ndarray, "n 4"], depth: float | Float[np.ndarray, "n"]) -> Float[np.ndarray, "m 4 3"]:
    """The four inner sides of holes in the plane x = 0 that are ``depth`` deep."""
    front, back = upright(holes), upright(holes, depth)
    sides = [
        np.stack([front[:, i], front[:, j], back[:, j], back[:, i]], 1) for i, j in ((1, 0), (2, 1), (3, 2), (0, 3))
    ]
    return np.concatenate(sides)


def bricks(rectangles: Float[np.ndarray, "n 4"], x0: float, x1: float) -> Mesh:
    """Boxes between ``x0`` and ``x1`` over the rectangles (y0, y1, z0, z1)."""
    y0, y1, z0, z1 = rectangles.T
    middle = np.column_stack([np.full(len(y0), (x0 + x1) / 2), (y0 + y1) / 2, (z0 + z1) / 2])
    return boxes(np.column_stack([np.full(len(y0), abs(x1 - x0)), y1 - y0, z1 - z0]), middle)


def thick(corners: Float[np.ndarray, "4 3"], depth: float) -> Mesh:
    """A slab that lies ``depth`` below a flat four-sided piece."""
    below = corners - (0, 0, depth)
    sides = [np.stack([corners[i], below[i], below[i - 3], corners[i - 3]]) for i in range(4)]
    return quads(np.stack([corners, below, *sides]))


def gathered(parts: Iterable[Part]) -> list[Part]:
    """The same triangles with one part for each paint."""
    found: dict[Paint, list[Mesh]] = {}
    for part in parts:
        if len(part.mesh.corners):
            found.setdefault(part.paint, []).append(part.mesh)
    return [Part(merged(meshes), paint) for paint, meshes in found.items()]


def loft(sections: Float[np.ndarray, "n k 3"]) -> Mesh:
    """Skin through outlines of k points each, mirrored to the other side of the x-z plane, with flat ends."""
    skin = np.stack([sections[:-1, :-1], sections[1:, :-1], sections[1:, 1:], sections[:-1, 1:]], 2).reshape(-1, 4, 3)
    ends = [
        np.stack([np.broadcast_to(s.mean(axis=0) * (1, 0, 1), s[1:].shape), s[:-1], s[1:]], 1)
        for s in sections[[0, -1]]
    ]
    return mirrored(merged([quads(skin), triangles(np.concatenate(ends))]))


def scaled(parts: Iterable[Part], factor: float) -> list[Part]:
    """Parts of another size."""
    return [Part(replace(part.mesh, corners=part.mesh.corners * factor), part.paint) for part in parts]
