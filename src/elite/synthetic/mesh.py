"""Triangles and simple solids, from which all objects are assembled. Metres."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from elite.errors import MissingExtraError
from elite.shapes import Float, Int32
from elite.synthetic.materials import Material

Point = tuple[float, float, float] | Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Mesh:
    """Loose triangles: corners, unit normals there, and texture coordinates (metres, or another unit of the shape)."""

    corners: Float[np.ndarray, "f 3 3"]
    normals: Float[np.ndarray, "f 3 3"]
    uv: Float[np.ndarray, "f 3 2"]


@dataclass(frozen=True)
class Paint:
    """Material and label of a part. ``label`` is a raw id; ``gain`` scales the remission of the material."""

    material: Material
    label: int
    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    gain: float = 1.0
    instance: int = 0


@dataclass(frozen=True)
class Part:
    """Triangles of one paint. An object is a list of parts, x forward, y left, z up, standing on z = 0."""

    mesh: Mesh
    paint: Paint


def load_trimesh() -> Any:
    """Import trimesh, which is needed only while a world is built.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import trimesh
    except ImportError as error:
        raise MissingExtraError("trimesh", "synth") from error
    return trimesh


def moved(mesh: Mesh, matrix: Float[np.ndarray, "4 4"]) -> Mesh:
    """Apply the rigid motion ``matrix`` to a mesh."""
    rotation = matrix[:3, :3].T
    return Mesh(mesh.corners @ rotation + matrix[:3, 3], mesh.normals @ rotation, mesh.uv)


def moved_parts(parts: Iterable[Part], matrix: Float[np.ndarray, "4 4"]) -> list[Part]:
    return [Part(moved(part.mesh, matrix), part.paint) for part in parts]


def relabelled(parts: Iterable[Part], label: int, instance: int) -> list[Part]:
    """Give all parts the label and instance of one object."""
    return [Part(p.mesh, replace(p.paint, label=label, instance=instance)) for p in parts]


def merged(meshes: list[Mesh]) -> Mesh:
    return Mesh(
        np.concatenate([m.corners for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
    )


def pose(
    x: float = 0.0, y: float = 0.0, z: float = 0.0, *, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """Rigid motion: roll about x, then pitch about y (positive = nose down), then yaw about z, then a shift."""
    (cy, cp, cr), (sy, sp, sr) = np.cos((yaw, pitch, roll)), np.sin((yaw, pitch, roll))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_y @ about_x
    matrix[:3, 3] = x, y, z
    return matrix


def triangles(
    corners: Float[np.ndarray, "f 3 3"],
    *,
    normals: Float[np.ndarray, "f 3 3"] | None = None,
    uv: Float[np.ndarray, "f 3 2"] | None = None,
) -> Mesh:
    """Create a mesh, by default with flat normals and with texture coordinates along the dominant axes."""
    flat = _unit(_cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    if uv is None:
        axis = np.abs(flat).argmax(axis=1)
        plane = np.array([[1, 2], [0, 2], [0, 1]])[axis]
        uv = np.take_along_axis(corners, plane[:, None, :].repeat(3, 1), axis=2)
    return Mesh(corners, np.repeat(flat[:, None], 3, 1) if normals is None else normals, uv)


def from_trimesh(solid: Any, *, smooth: bool) -> Mesh:
    """Convert a trimesh solid; ``smooth`` for round objects."""
    corners = np.asarray(solid.triangles, float)
    return triangles(corners, normals=np.asarray(solid.vertex_normals)[solid.faces] if smooth else None)


def box(size: Point, center: Point = (0, 0, 0)) -> Mesh:
    unit = _unit_solid("box")
    return Mesh(unit.corners * np.asarray(size) + np.asarray(center), unit.normals, unit.uv * max(size))


def ellipsoid(center: Point, radii: Point) -> Mesh:
    unit = _unit_solid("icosphere")
    stretched = unit.normals / np.asarray(radii)
    normals = stretched / np.linalg.norm(stretched, axis=2, keepdims=True)
    return Mesh(unit.corners * np.asarray(radii) + np.asarray(center), normals, unit.uv * max(radii))


@cache
def _unit_solid(kind: str) -> Mesh:
    creation = load_trimesh().creation
    if kind == "box":
        return from_trimesh(creation.box(extents=(1, 1, 1)), smooth=False)
    return from_trimesh(creation.icosphere(subdivisions=1), smooth=True)


def ring(center: Point, radius: float, thickness: float) -> Mesh:
    """A torus standing in the x-z plane, such as a bicycle wheel."""
    unit = _ring_at_origin(radius, thickness)
    return Mesh(unit.corners + np.asarray(center), unit.normals, unit.uv)


@cache
def _ring_at_origin(radius: float, thickness: float) -> Mesh:
    trimesh = load_trimesh()
    solid = trimesh.creation.torus(radius, thickness, major_sections=20, minor_sections=5)
    solid.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    return from_trimesh(solid, smooth=True)


def tube(start: Point, end: Point, radius: float, end_radius: float | None = None, *, sections: int = 8) -> Mesh:
    """A round bar from ``start`` to ``end``, closed by flat caps; tapered if ``end_radius`` is given."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = math.dist(a, b)
    axis = (b - a) / length
    level = math.hypot(axis[0], axis[1])
    side = np.array([axis[1], -axis[0], 0.0]) / level if level > 1e-6 else np.array([1.0, 0.0, 0.0])
    x, y, z = axis
    other = np.array([-side[1] * z, side[0] * z, side[1] * x - side[0] * y])  # side, other, axis are right-handed
    frame = np.stack([side, other, axis])
    corners, normals = _unit_tube(sections)
    width = np.where(corners[..., 2:] > 0, radius if end_radius is None else end_radius, radius)
    local = corners * np.concatenate([width, width, np.full_like(width, length)], axis=2)
    uv = np.stack([local[..., 0] + local[..., 1], local[..., 2]], axis=2)
    return Mesh(a + local @ frame, normals @ frame, uv)


@cache
def _unit_tube(sections: int) -> tuple[Float[np.ndarray, "f 3 3"], Float[np.ndarray, "f 3 3"]]:
    """Corners and normals of a bar of radius 1 along z from 0 to 1."""
    angle = np.linspace(0, 2 * np.pi, sections + 1)
    rim = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)])
    low, high, up = rim, rim + np.array([0, 0, 1]), np.array([0.0, 0, 1])
    first, second = np.stack([low[:-1], low[1:], high[1:]], 1), np.stack([low[:-1], high[1:], high[:-1]], 1)
    caps = np.concatenate([_fan(0 * up, low[::-1]), _fan(up, high)])
    ends = np.repeat(np.repeat([-up, up], sections, axis=0)[:, None], 3, axis=1)
    corners = np.concatenate([first, second, caps])
    return corners, np.concatenate([first * (1, 1, 0), second * (1, 1, 0), ends])


def _fan(center: Float[np.ndarray, "3"], rim: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "f 3 3"]:
    return np.stack([np.broadcast_to(center, rim[:-1].shape), rim[:-1], rim[1:]], 1)


def plate(outline: Float[np.ndarray, "k 2"], thickness: float) -> Mesh:
    """A flat plate facing +x and -x. Texture u is 0 in the middle and 1 at the rim, v is 1 in front and 0 behind."""
    rim = np.concatenate([outline, outline[:1]])
    faces = []
    for x, order in ((thickness / 2, 1), (-thickness / 2, -1)):
        edge = np.column_stack([np.full(len(rim), x), rim])[::order]
        fan = _fan(np.array([x, *outline.mean(axis=0)]), edge)
        uv = np.tile(np.array([[0.0, order > 0], [1.0, order > 0], [1.0, order > 0]]), (len(fan), 1, 1))
        faces.append(triangles(fan, uv=uv))
    return merged(faces)


def extrusion(profile: Float[np.ndarray, "k 2"], half_width: Float[np.ndarray, "k"]) -> Mesh:
    """A side view in x-z, anticlockwise seen from the right, given width: point k lies at y = +-half_width[k]."""
    loop = np.concatenate([profile, profile[:1]])
    width = np.concatenate([half_width, half_width[:1]])
    right = np.column_stack([loop[:, 0], -width, loop[:, 1]])
    left = right * (1, -1, 1)
    skin = np.concatenate(
        [np.stack([right[:-1], left[:-1], left[1:]], 1), np.stack([right[:-1], left[1:], right[1:]], 1)]
    )
    middle = right[:-1].mean(axis=0)
    sides = np.concatenate([_fan(middle, right), _fan(middle * (1, -1, 1), left[::-1])])
    return triangles(np.concatenate([skin[:, ::-1], sides]))


def leaves(centers: Float[np.ndarray, "n 3"], size: float | Float[np.ndarray, "n 1"], rng: np.random.Generator) -> Mesh:
    """A loose triangle at every centre, randomly turned; texture u is a random number of the leaf."""
    n = len(centers)
    first = _unit(rng.normal(size=(n, 3)))
    second = _unit(_cross(first, rng.normal(size=(n, 3))))
    reach = size * rng.uniform(0.6, 1.4, (n, 1))
    corners = np.stack([centers + reach * first, centers + reach * second, centers - reach * (first + second) * 0.6], 1)
    uv = np.repeat(rng.uniform(size=(n, 1, 2)), 3, axis=1)
    return triangles(corners, uv=uv)


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(length, 1e-12)[:, None]


def _cross(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The cross product written out, several times as fast as that of numpy on small arrays."""
    (x, y, z), (u, v, w) = a.T, b.T
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)


@dataclass(frozen=True)
class Soup:
    """Triangles of many parts in one array.

    ``attributes`` holds normal and uv of each corner side by side; ``paint`` is each triangle's row in a table.
    """

    corners: Float[np.ndarray, "f 3 3"]
    attributes: Float[np.ndarray, "f 3 5"]
    paint: Int32[np.ndarray, "f"]


def soup(parts: list[Part], first_row: int) -> Soup:
    """Concatenate parts; part i gets paint row ``first_row`` + i."""
    ends = np.cumsum([0, *(len(part.mesh.corners) for part in parts)])
    corners = np.empty((ends[-1], 3, 3), np.float32)
    attributes = np.empty((ends[-1], 3, 5), np.float32)
    paint = np.empty(ends[-1], np.int32)
    for row, (part, start, end) in enumerate(zip(parts, ends[:-1], ends[1:], strict=True)):
        corners[start:end] = part.mesh.corners
        attributes[start:end, :, :3], attributes[start:end, :, 3:] = part.mesh.normals, part.mesh.uv
        paint[start:end] = first_row + row
    return Soup(corners, attributes, paint)
