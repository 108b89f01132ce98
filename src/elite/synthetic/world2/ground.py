"""Ground as triangles, cut along the borders of its kinds, with kerbs between kinds of different height."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from elite.shapes import Bool, Float, Int8, Int64
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, triangles
from elite.synthetic.world2.plan import FAR, Plan
from elite.synthetic.world2.surfaces import SURFACES, Ground

Field = Callable[[Float[np.ndarray, "n"], Float[np.ndarray, "n"]], Float[np.ndarray, "n"]]

_STEP = 0.8  # length of the cells along the road (m)
_SMALLEST_EDGE, _SMALLEST_AREA = 2e-3, 1e-7
_WIDEST_CELL = 3.5
_EVERYTHING = np.ones(len(Ground), bool)


@dataclass(frozen=True)
class _Cells:
    """Triangles in plan coordinates, and their kinds of ground."""

    corners: Float[np.ndarray, "f 3 2"]
    kind: Int8[np.ndarray, "f"]


def ground_parts(plan: Plan, rng: np.random.Generator) -> list[Part]:
    """Ground between the ends of the street, one part per kind, and its kerbs."""
    cells = _cells(plan)
    points, index = _unique_points(cells.corners)
    kerb_color = np.array((0.34, 0.33, 0.31)) * rng.uniform(0.8, 1.15)
    parts = []
    for kind in Ground:
        looks = SURFACES[kind].looks
        material, color = looks[rng.integers(len(looks))]
        tone = np.array(color) * rng.uniform(0.8, 1.2) * rng.uniform(0.96, 1.04, 3)
        paint = Paint(material, raw_id(SURFACES[kind].name), tuple(tone), float(rng.lognormal(0, 0.12)))
        rows = index[cells.kind == kind]
        if len(rows):
            parts.append(Part(_surface(plan, points, rows, kind), paint))
    return parts + _kerbs(plan, points, index, cells.kind, tuple(kerb_color))


def _cells(plan: Plan) -> _Cells:
    """The grid of the street, cut along the borders of all kinds of ground."""
    corners = _grid(plan)
    cells = _cut(_Cells(corners, np.full(len(corners), Ground.LAWN, np.int8)), plan.paved, Ground.SIDEWALK)
    cells = _cut(cells, plan.carriageway, Ground.ROAD)
    for overlay in plan.overlays:
        middle, reach = np.array(overlay.box.center), overlay.box.reach + _WIDEST_CELL
        near = (np.abs(cells.corners[:, 0] - middle) < reach).all(axis=1)
        chosen = _Cells(cells.corners[near], cells.kind[near])
        chosen = _cut(chosen, overlay.box.field, overlay.kind, covers=overlay.covers)
        cells = _Cells(
            np.concatenate([cells.corners[~near], chosen.corners]), np.concatenate([cells.kind[~near], chosen.kind])
        )
    a, b, c = np.moveaxis(cells.corners, 1, 0)
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    return _Cells(cells.corners[area > _SMALLEST_AREA], cells.kind[area > _SMALLEST_AREA])


def _grid(plan: Plan) -> Float[np.ndarray, "f 3 2"]:
    """Cells of two triangles: fine near the road, coarse far from it."""
    half = np.concatenate([np.arange(0, 12, 0.6), np.arange(12, 30, 1.2), np.linspace(30, FAR, 17)])
    t = np.concatenate([-half[:0:-1], half])
    s = np.arange(plan.start, plan.stop + _STEP, _STEP)
    low, high = np.meshgrid(s[:-1], t[:-1], indexing="ij"), np.meshgrid(s[1:], t[1:], indexing="ij")
    s0, t0, s1, t1 = (values.ravel() for values in (*low, *high))
    a, b, c, d = (np.stack(pair, axis=1) for pair in ((s0, t0), (s1, t0), (s1, t1), (s0, t1)))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def _cut(cells: _Cells, field: Field, kind: Ground, *, covers: Bool[np.ndarray, "kinds"] = _EVERYTHING) -> _Cells:
    """Cut triangles where ``field`` is 0, and give the inner ones ``kind`` where they may be covered."""
    s, t = cells.corners[..., 0], cells.corners[..., 1]
    values = field(s.ravel(), t.ravel()).reshape(s.shape)
    values = np.where(np.abs(values) < _SMALLEST_EDGE, 0.0, values)
    crossed = np.logical_and(np.any(values < 0, axis=1), np.any(values > 0, axis=1))
    inner = np.logical_and(np.all(values <= 0, axis=1), np.any(values < 0, axis=1))
    pieces, piece_inner = _split(cells.corners[crossed], values[crossed])
    corners = np.concatenate([cells.corners[~crossed], pieces])
    kinds = np.concatenate([cells.kind[~crossed], np.repeat(cells.kind[crossed], 3)])
    inner = np.concatenate([inner[~crossed], piece_inner])
    covered = inner & covers[kinds]
    return _Cells(corners, np.where(covered, kind, kinds).astype(np.int8))


def _split(
    corners: Float[np.ndarray, "c 3 2"], values: Float[np.ndarray, "c 3"]
) -> tuple[Float[np.ndarray, "d 3 2"], Bool[np.ndarray, "d"]]:
    """Three pieces of each triangle, cut where the value is 0 between its corners, and which of them are inside."""
    outside = values >= 0
    lone = np.equal(outside, outside.sum(axis=1, keepdims=True) == 1).argmax(axis=1)
    turn = (lone[:, None] + np.arange(3)) % 3
    corners, values = np.take_along_axis(corners, turn[..., None], 1), np.take_along_axis(values, turn, 1)
    first, second = (_crossing(corners[:, 0], corners[:, k], values[:, 0], values[:, k]) for k in (1, 2))
    pieces = np.stack(
        [
            np.stack([corners[:, 0], first, second], 1),
            np.stack([first, corners[:, 1], corners[:, 2]], 1),
            np.stack([first, corners[:, 2], second], 1),
        ],
        axis=1,
    )
    tip_inside = values[:, :1] < 0
    inside = np.concatenate([tip_inside, ~tip_inside, ~tip_inside], axis=1)
    return pieces.reshape(-1, 3, 2), inside.ravel()


def _crossing(
    a: Float[np.ndarray, "c 2"], b: Float[np.ndarray, "c 2"], at_a: Float[np.ndarray, "c"], at_b: Float[np.ndarray, "c"]
) -> Float[np.ndarray, "c 2"]:
    share = np.clip(at_a / (at_a - at_b), 0, 1)[:, None]
    return a + (b - a) * share


def _unique_points(corners: Float[np.ndarray, "f 3 2"]) -> tuple[Float[np.ndarray, "p 2"], Int64[np.ndarray, "f 3"]]:
    """Points of the mesh, and the rows of the corners among them."""
    whole = np.round(corners.reshape(-1, 2) * 1e4).astype(np.int64)
    key = (whole[:, 0] << 32) + whole[:, 1]
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    return corners.reshape(-1, 2)[first], index.reshape(-1, 3)


def _surface(plan: Plan, points: Float[np.ndarray, "p 2"], index: Int64[np.ndarray, "f 3"], kind: Ground) -> Mesh:
    """Triangles of one kind with smooth normals."""
    used, rows = np.unique(index, return_inverse=True)
    rows = rows.reshape(-1, 3)
    s, t = points[used].T
    at = np.column_stack([plan.locate(s, t), plan.heights(s, t, kind)])
    corners = at[rows]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face *= np.where(face[:, 2:] < 0, -1, 1)
    normal = np.stack([np.bincount(rows.ravel(), np.repeat(face[:, k], 3), len(used)) for k in range(3)], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Mesh(corners, normal[rows], points[used][rows])


def _kerbs(
    plan: Plan,
    points: Float[np.ndarray, "p 2"],
    index: Int64[np.ndarray, "f 3"],
    kind: Int8[np.ndarray, "f"],
    color: tuple[float, ...],
) -> list[Part]:
    """Upright faces between neighbouring kinds of ground; they belong to the higher one, kerbs to the sidewalk."""
    ends, kinds = _borders(index, kind, len(points))
    names = np.array([SURFACES[k].name for k in Ground])
    faces, owners = [], []
    for pair in np.unique(kinds, axis=0):
        mine = ends[(kinds == pair).all(axis=1)]
        s, t = points[mine].transpose(2, 0, 1)
        heights = np.stack([plan.heights(s, t, Ground(int(k))) for k in pair])
        at = plan.locate(s.ravel(), t.ravel()).reshape(*s.shape, 2)
        low = np.dstack([at, heights.min(axis=0) - 0.01])
        high = np.dstack([at, heights.max(axis=0)])
        a, b, c, d = low[:, 0], low[:, 1], high[:, 1], high[:, 0]
        faces.append(np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
        upper = np.where(heights[0].mean(axis=1) > heights[1].mean(axis=1), names[pair[0]], names[pair[1]])
        upper = np.where(np.isin(upper, ["road", "parking"]), "sidewalk", upper)
        owners.append(np.concatenate([upper, upper]))
    every, owner = np.concatenate(faces), np.concatenate(owners)
    return [
        Part(triangles(every[owner == name]), Paint(Material.KERB, raw_id(str(name)), (color[0], color[1], color[2])))
        for name in np.unique(owner)
    ]


def _borders(
    index: Int64[np.ndarray, "f 3"], kind: Int8[np.ndarray, "f"], count: int
) -> tuple[Int64[np.ndarray, "e 2"], Int8[np.ndarray, "e 2"]]:
    """Edges between triangles of different kinds: their points, and both kinds in order."""
    edges = np.sort(np.concatenate([index[:, [0, 1]], index[:, [1, 2]], index[:, [2, 0]]]), axis=1)
    owners = np.tile(kind, 3)
    key = edges[:, 0] * count + edges[:, 1]
    order = np.argsort(key, kind="stable")
    key, owners, edges = key[order], owners[order], edges[order]
    twin = np.flatnonzero((key[1:] == key[:-1]) & (owners[1:] != owners[:-1]))
    kinds = np.sort(np.stack([owners[twin], owners[twin + 1]], axis=1), axis=1)
    return edges[twin], kinds
