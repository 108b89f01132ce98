"""Ground as triangles: one nearly flat cell per street cell, and kerbs between cells of different height."""

import numpy as np

from elite.shapes import Bool, Float
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, triangles
from elite.synthetic.world1.street import Ground, Street

_LOOKS = {
    Ground.ROAD: (Material.LANE, "road", (0.095, 0.095, 0.10)),
    Ground.ZEBRA: (Material.ZEBRA, "road", (0.095, 0.095, 0.10)),
    Ground.JUNCTION: (Material.ASPHALT, "road", (0.09, 0.09, 0.095)),
    Ground.PARKING: (Material.BAY, "parking", (0.20, 0.17, 0.15)),
    Ground.SIDEWALK: (Material.SLABS, "sidewalk", (0.30, 0.29, 0.27)),
    Ground.ISLAND: (Material.COBBLE, "other-ground", (0.30, 0.23, 0.18)),
    Ground.RAIL_BED: (Material.BALLAST, "other-ground", (0.22, 0.19, 0.16)),
    Ground.TERRAIN: (Material.GRASS, "terrain", (0.085, 0.15, 0.035)),
}
_KERBED = {Ground.SIDEWALK: "sidewalk", Ground.ISLAND: "other-ground", Ground.TERRAIN: "terrain"}
_TILT = 0.05  # metres over which the slope of the ground is measured


def ground_parts(street: Street, rng: np.random.Generator) -> list[Part]:
    """Ground between the ends of the street, one part per appearance, and its kerbs."""
    parts = []
    for kind, (material, name, color) in _LOOKS.items():
        cells = street.cells == kind
        if cells.any():
            tone = np.array(color) * rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)
            paint = Paint(material, raw_id(name), tuple(tone), float(rng.uniform(0.92, 1.08)))
            parts.append(Part(_cells_mesh(street, cells, kind), paint))
    return parts + _kerbs(street)


def _cells_mesh(street: Street, cells: Bool[np.ndarray, "i j"], kind: Ground) -> Mesh:
    i, j = np.nonzero(cells)
    s = np.stack([street.s_edges[i], street.s_edges[i + 1], street.s_edges[i + 1], street.s_edges[i]], 1)
    t = np.stack([street.t_edges[j], street.t_edges[j], street.t_edges[j + 1], street.t_edges[j + 1]], 1)
    corners = np.dstack([street.locate(s, t), street.height(s, t, kind)])
    normals, uv = _normals(street, s, t, kind), np.stack([s, t], axis=2)
    halves = [[0, 1, 2], [0, 2, 3]]
    pick = [np.concatenate([values[:, half] for half in halves]) for values in (corners, normals, uv)]
    return triangles(pick[0], normals=pick[1], uv=pick[2])


def _normals(
    street: Street, s: Float[np.ndarray, "n 4"], t: Float[np.ndarray, "n 4"], kind: Ground
) -> Float[np.ndarray, "n 4 3"]:
    along = (street.height(s + _TILT, t, kind) - street.height(s - _TILT, t, kind)) / (2 * _TILT)
    across = (street.height(s, t + _TILT, kind) - street.height(s, t - _TILT, kind)) / (2 * _TILT)
    heading = street.heading(s)
    x = -along * np.cos(heading) + across * np.sin(heading)
    y = -along * np.sin(heading) - across * np.cos(heading)
    normal = np.stack([x, y, np.ones_like(x)], axis=2)
    return normal / np.linalg.norm(normal, axis=2, keepdims=True)


def _kerbs(street: Street) -> list[Part]:
    """Vertical faces between neighbouring cells of different kinds; they belong to the higher one."""
    cells, s_edges, t_edges = street.cells, street.s_edges, street.t_edges
    i, j = np.nonzero(cells[:, 1:] != cells[:, :-1])
    beside = _walls(
        street, (s_edges[i], s_edges[i + 1]), (t_edges[j + 1], t_edges[j + 1]), cells[i, j], cells[i, j + 1]
    )
    i, j = np.nonzero(cells[1:] != cells[:-1])
    across = _walls(
        street, (s_edges[i + 1], s_edges[i + 1]), (t_edges[j], t_edges[j + 1]), cells[i, j], cells[i + 1, j]
    )
    parts = []
    for name in sorted(set(_KERBED.values())):
        chosen = [_of_class(walls, owners, name) for walls, owners in (beside, across)]
        paint = Paint(Material.KERB, raw_id(name), (0.34, 0.33, 0.31))
        parts.append(Part(triangles(np.concatenate(chosen)), paint))
    return parts


def _walls(
    street: Street,
    s: tuple[np.ndarray, np.ndarray],
    t: tuple[np.ndarray, np.ndarray],
    one: np.ndarray,
    other: np.ndarray,
) -> tuple[Float[np.ndarray, "n 2 3 3"], np.ndarray]:
    """Faces of the step between cells of kinds ``one`` and ``other``, and the higher kind."""
    ends = []
    for end in (0, 1):
        z = np.stack([street.height(s[end], t[end], one), street.height(s[end], t[end], other)])
        at = street.locate(s[end], t[end])
        ends += [np.column_stack([at, z.min(axis=0) - 0.02]), np.column_stack([at, z.max(axis=0)])]
    a, b, c, d = ends[0], ends[1], ends[3], ends[2]
    first_higher = street.height(s[0], t[0], one) > street.height(s[0], t[0], other)
    faces = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1)
    return faces, np.where(first_higher, one, other)


def _of_class(walls: Float[np.ndarray, "n 2 3 3"], owners: np.ndarray, name: str) -> Float[np.ndarray, "f 3 3"]:
    """Faces by class; a kind without its own kerb (such as a paved bay next to the road) counts as sidewalk."""
    mine = np.array([_KERBED.get(Ground(kind), "sidewalk") == name for kind in owners], bool)
    return walls[mine].reshape(-1, 3, 3)
