"""Put objects on the ground of a street."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from elite.shapes import Float
from elite.synthetic.classes import raw_id
from elite.synthetic.kinds import Kind, draw
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Part, moved_parts, relabelled
from elite.synthetic.world import stand
from elite.synthetic.world2.lines import Box, Line
from elite.synthetic.world2.makers import BORDERS, MOVABLES, TREES
from elite.synthetic.world2.plan import Plan
from elite.synthetic.world2.site import Site
from elite.synthetic.world2.surfaces import Ground

_FULL_LEAVES = 12.0  # metres from the road to which plants keep all leaves
_PIECE = 8.0  # longest piece of a fence or hedge, each of which follows the slope of the ground (m)


def length_of(kind: Kind) -> float:
    """Length of the largest objects of a kind."""
    return kind.x[1] - kind.x[0]


def _thinned(part: Part, share: float, rng: np.random.Generator) -> Part:
    """Leave out leaves, except a ``share``, and enlarge the others so that they cover as much."""
    mesh = part.mesh
    if part.paint.material != Material.LEAF or share >= 1 or len(mesh.corners) < 50:
        return part
    kept = np.flatnonzero(rng.random(len(mesh.corners)) < share)
    middle = mesh.corners[kept].mean(axis=1, keepdims=True)
    corners = middle + (mesh.corners[kept] - middle) * share**-0.5
    return Part(Mesh(corners, mesh.normals[kept], mesh.uv[kept]), part.paint)


@dataclass(frozen=True)
class Piece:
    """Kind of a border along a line. All its pieces have one seed, so that they look alike."""

    line: Line
    kind: Kind
    seed: int


class Populator:
    """Collects the static parts of a street and assigns instance ids.

    ``rare`` is a factor on the number of objects of rare classes.
    """

    def __init__(self, plan: Plan, rng: np.random.Generator, rare: float) -> None:
        self.plan, self.rng, self.site, self.rare = plan, rng, Site(plan), rare
        self.parts: list[Part] = []
        self.instances = 0
        self._trees = {name: replace(kind, weight=kind.weight * rng.lognormal(0, 0.8)) for name, kind in TREES.items()}

    def tree(self) -> Kind:
        """Draw a kind of trees; each street has its favourites."""
        return self._trees[draw(self._trees, self.rng)]

    def movable(self, kind: Kind, *, moving: bool = False) -> list[Part]:
        """Create a new instance of a movable object in its own coordinates."""
        assert kind.label is not None
        self.instances += 1
        return relabelled(kind.make(self.rng), raw_id(kind.label, moving=moving), self.instances)

    def draw_movable(self, name: str) -> Kind:
        """Draw a kind from the table ``name`` of movable objects."""
        return MOVABLES[name][draw(MOVABLES[name], self.rng)]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def rarely(self, expected: float) -> int:
        """Draw a number of objects of rare classes."""
        return int(self.rng.poisson(expected * self.rare))

    def put(self, parts: list[Part], line: Line, a: float, b: float, yaw: float = 0.0, length: float = 0.0) -> None:
        """Put an object at (a, b), rotated by ``yaw`` from the line. Long ones follow the slope under them."""
        s, t = line.plan(a, b)
        if self._is_on_plan(s, t):
            self._add(parts, stand(self.plan, s, t, yaw + line.heading(a), length), t)

    def park(self, kind: Kind, line: Line, a: float, b: float, yaw: float, allowed: frozenset[Ground]) -> bool:
        """Put a movable object at (a, b), rotated by ``yaw`` from the line, if its place is free."""
        reach, (back, front) = 0.5 * length_of(kind) + 0.1, kind.x
        cos, sin = np.cos(yaw), np.sin(yaw)
        middle = a + (back + front) / 2 * cos, b + (back + front) / 2 * sin
        along, across = reach * abs(cos) + kind.y * abs(sin), reach * abs(sin) + kind.y * abs(cos)
        box = Box(line, (middle[0] - along, middle[0] + along), (middle[1] - across, middle[1] + across))
        if not self.site.claim(box, allowed, tolerance=0.1):
            return False
        self.put(self.movable(kind), line, a, b, yaw + self.rng.normal(0, 0.03), length_of(kind))
        return True

    def put_building(self, parts: list[Part], line: Line, a: float, b: float, yaw: float, corners: list) -> None:
        """Put a building on the lowest ground under its ``corners`` (a, b)."""
        s, t = line.plan(a, b)
        if self._is_on_plan(s, t):
            matrix = stand(self.plan, s, t, yaw + line.heading(a), 0.0)
            matrix[2, 3] = min(self.plan.surface(*line.plan(*corner)) for corner in corners)
            self.parts += moved_parts(parts, matrix)

    def lay(
        self,
        border: str,
        line: Line,
        first: tuple[float, float],
        last: tuple[float, float],
        *,
        gap: tuple[float, float] | None = None,
    ) -> None:
        """Lay a fence, hedge or the like from (a, b) to (a, b) in pieces; ``gap`` is an open stretch of a."""
        ends = np.array([first, last], float)
        count = max(1, int(np.ceil(np.linalg.norm(ends[1] - ends[0]) / _PIECE)))
        steps = np.linspace(ends[0], ends[1], count + 1)
        piece = self.piece(border, line)
        for low, high in itertools.pairwise(steps):
            if gap is None or not low[0] < gap[1] or not high[0] > gap[0]:
                self.lay_piece(piece, low, high)
                continue
            if low[0] < gap[0]:
                self.lay_piece(piece, low, np.array([gap[0], high[1]]))
            if high[0] > gap[1]:
                self.lay_piece(piece, np.array([gap[1], low[1]]), high)

    def piece(self, border: str, line: Line) -> "Piece":
        """Draw a kind of border."""
        kinds = BORDERS[border]
        return Piece(line, kinds[draw(kinds, self.rng)], int(self.rng.integers(2**31)))

    def lay_piece(self, piece: "Piece", low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]) -> None:
        """One piece, sheared along the slope of the ground; its y axis runs from ``low`` to ``high``."""
        ends = np.array([piece.line.plan(*low), piece.line.plan(*high)])
        middle, way, length = ends.mean(axis=0), ends[1] - ends[0], float(np.linalg.norm(ends[1] - ends[0]))
        assert piece.kind.lengths is not None
        if length < piece.kind.lengths[0] or not self._is_on_plan(*middle):
            return
        matrix = stand(self.plan, middle[0], middle[1], float(np.arctan2(way[1], way[0])) - np.pi / 2, 0.0)
        heights = [self.plan.surface(*(middle + (end - middle) * 0.9)) for end in ends]
        matrix[2, 1] = (heights[1] - heights[0]) / (0.9 * length)
        matrix[2, 3] = np.mean(heights)
        self._add(piece.kind.make(np.random.default_rng(piece.seed), length), matrix, middle[1])

    def _add(self, parts: list[Part], matrix: Float[np.ndarray, "4 4"], t: float) -> None:
        """Add an object; plants far from the road have fewer and larger leaves."""
        share = float(np.clip((_FULL_LEAVES / max(abs(t), 1e-3)) ** 2, 0.15, 1.0))
        self.parts += moved_parts([_thinned(part, share, self.rng) for part in parts], matrix)

    def _is_on_plan(self, s: float, t: float) -> bool:
        return self.plan.start + 3 < s < self.plan.stop - 3 and abs(t) < 76
