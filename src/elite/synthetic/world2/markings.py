"""Paint on roads and car parks: thin sheets just above the ground."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part
from elite.synthetic.shapes import quads
from elite.synthetic.world2.lines import Line
from elite.synthetic.world2.plan import Plan
from elite.synthetic.world2.style import Strip
from elite.synthetic.world2.surfaces import SURFACES, Ground

_ABOVE = 0.012  # metres above the ground, whose triangles deviate from the plan by less
_PIECE = 0.8  # metres
_WHITE = (0.60, 0.60, 0.58)


@dataclass(frozen=True)
class _Stroke:
    """A painted rectangle in the coordinates of a line, on ground of a kind."""

    line: Line
    a: tuple[float, float]
    b: tuple[float, float]
    kind: Ground = Ground.ROAD


def marking_parts(plan: Plan, rng: np.random.Generator) -> list[Part]:
    """Lane lines, zebra crossings, stop lines, and lines between bays, where they lie on their kind of ground."""
    strokes = [*_lane_lines(plan, rng), *_crossings(plan, rng), *_bay_lines(plan, rng)]
    parts = []
    for kind in (Ground.ROAD, Ground.BAY, Ground.CAR_PARK):
        mine = [stroke for stroke in strokes if stroke.kind == kind]
        if mine and (sheet := _sheet(plan, mine, kind)) is not None:
            parts.append(Part(sheet, Paint(Material.MARKING, raw_id(SURFACES[kind].name), _WHITE)))
    return parts


def _sheet(plan: Plan, strokes: list[_Stroke], kind: Ground) -> Mesh | None:
    """Pieces of strokes all of whose corners lie on ground of ``kind``."""
    corners = np.concatenate([_pieces(stroke) for stroke in strokes])
    s, t = corners[..., 0].ravel(), corners[..., 1].ravel()
    on = ((plan.kinds(s, t) == kind) & (s > plan.start) & (s < plan.stop)).reshape(-1, 4).all(axis=1)
    if not on.any():
        return None
    s, t = corners[on][..., 0].ravel(), corners[on][..., 1].ravel()
    at = np.column_stack([plan.locate(s, t), plan.heights(s, t, kind) + _ABOVE])
    return quads(at.reshape(-1, 4, 3))


def _pieces(stroke: _Stroke) -> Float[np.ndarray, "n 4 2"]:
    """Plan coordinates of the corners of the pieces of a stroke."""
    a = np.linspace(*stroke.a, max(2, int(np.ceil((stroke.a[1] - stroke.a[0]) / _PIECE)) + 1))
    b = np.linspace(*stroke.b, max(2, int(np.ceil((stroke.b[1] - stroke.b[0]) / _PIECE)) + 1))
    grid = np.array([[stroke.line.plan(x, y) for y in b] for x in a])
    ring = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    return np.stack(ring, axis=2).reshape(-1, 4, 2)


def _lane_lines(plan: Plan, rng: np.random.Generator) -> Iterator[_Stroke]:
    """The middle of the road, lanes of wide roads, and edges of roads without parked vehicles."""
    style, main = plan.style, plan.main
    if not style.marked:
        return
    dash, pitch = (3.0, 9.0) if rng.random() < 0.6 else (4.0, 8.0)
    solid = rng.random() < 0.15
    for first in np.arange(plan.start, min(plan.stop, main.stop), pitch):
        yield _Stroke(main, (first, first + (pitch if solid else dash)), (-0.06, 0.06))
        if style.half > 6.2:
            for b in (-style.half / 2, style.half / 2):
                yield _Stroke(main, (first, first + dash), (b - 0.06, b + 0.06))
    if rng.random() < 0.4:  # edges, or cycle lanes
        away = 1.65 if style.half > 4.6 and rng.random() < 0.6 else 0.25
        for side in (1, -1):
            b = side * (style.half - away)
            for first in np.arange(plan.start, min(plan.stop, main.stop), 6.0):
                yield _Stroke(main, (first, first + 6.0), (b - 0.06, b + 0.06))


def _crossings(plan: Plan, rng: np.random.Generator) -> Iterator[_Stroke]:
    """Zebra crossings beside some side roads, and stop lines on them."""
    main = plan.main
    for junction in plan.junctions:
        line = junction.line
        away = (max(line.borders) + junction.radius) / abs(np.sin(line.yaw)) + 1.0
        if rng.random() < 0.35:
            s = line.origin[0] + rng.choice([-1, 1]) * (away + 1.5)
            for b in np.arange(-main.half + 0.4, main.half - 0.6, 1.0):
                yield _Stroke(main, (s - 1.6, s + 1.6), (b, b + 0.5))
        if rng.random() < 0.5:
            a = main.half + junction.radius * 0.6 + 0.5
            yield _Stroke(line, (a, a + 0.4), (0.1, line.half - 0.2))
        if rng.random() < 0.4 and line.half > 2.7:
            for first in np.arange(main.half + junction.radius, 60, 9.0):
                yield _Stroke(line, (first, first + 3.0), (-0.06, 0.06))


def _bay_lines(plan: Plan, rng: np.random.Generator) -> Iterator[_Stroke]:
    """Lines between the bays along the kerb and those of car parks."""
    pitches = [6.0 if strip == Strip.BAYS else 2.7 for strip, _ in plan.style.strips]
    painted = rng.random() < 0.7
    for overlay in plan.overlays if painted else ():
        box = overlay.box
        if overlay.kind not in (Ground.BAY, Ground.CAR_PARK):
            continue
        pitch = 2.7 if overlay.kind == Ground.CAR_PARK else pitches[0 if box.b[0] > 0 else 1]
        rows = [box.b] if overlay.kind == Ground.BAY else [(box.b[0], box.b[0] + 5), (box.b[1] - 5, box.b[1])]
        for a in np.arange(box.a[0] + (0.65 if overlay.kind == Ground.CAR_PARK else 0.0), box.a[1], pitch):
            for b in rows:
                yield _Stroke(box.line, (a - 0.05, a + 0.05), (b[0] + 0.05, b[1] - 0.05), overlay.kind)
