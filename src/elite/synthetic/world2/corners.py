"""Corners between the main road and its side roads: their curved outer edges, and the lots behind them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.world2.plan import Junction, Plan

_STEPS = 4  # of the search for the edge
_TILT = 0.1  # metres over which the slope of a field is measured


@dataclass(frozen=True)
class Corner:
    """One corner.

    Attributes:
        side: of the main road.
        s: extent of the corner along the main road.
        path: plan coordinates along the edge of the paved ground, from the main road to the side road.
    """

    side: int
    s: tuple[float, float]
    path: Float[np.ndarray, "k 2"]


def corners(plan: Plan) -> Iterator[Corner]:
    """All corners of the side roads, except those whose roads run nearly along the main road."""
    for junction in plan.junctions:
        for way in (1, -1) if junction.line.start < 0 else (1,):
            for left in (1, -1):
                yield _corner(plan, junction, way, left)


def _corner(plan: Plan, junction: Junction, way: int, left: int) -> Corner:
    """The corner on side ``left`` (1, or -1 for the right) of the part of a side road with a > 0 or a < 0."""
    line = junction.line
    sin, cos = np.sin(line.yaw), np.cos(line.yaw)
    side, toward = int(np.sign(way * sin)), -left * np.sign(sin)
    edge, own = plan.main.borders[0 if side > 0 else 1], line.borders[0 if left > 0 else 1]
    a = (side * edge - left * own * cos) / sin  # where the straight edges meet
    meeting = np.array(line.plan(a, left * own))
    long = junction.radius / max(abs(sin), 0.4) + 3.0
    on_main = meeting + np.array([toward * long, 0.0])
    on_side = np.array(line.plan(a + way * long, left * own))
    straight = np.concatenate([np.linspace(on_main, meeting, 5), np.linspace(meeting, on_side, 5)[1:]])
    return Corner(side, (min(meeting[0], on_main[0]), max(meeting[0], on_main[0])), _to_edge(plan, straight, 0.4))


def _to_edge(plan: Plan, points: Float[np.ndarray, "k 2"], away: float) -> Float[np.ndarray, "k 2"]:
    """Move points to ``away`` metres outside of the paved ground."""
    for _ in range(_STEPS):
        s, t = points.T
        value = plan.paved(s, t)
        slope = np.stack([plan.paved(s + _TILT, t) - value, plan.paved(s, t + _TILT) - value], axis=1) / _TILT
        length = np.maximum((slope**2).sum(axis=1, keepdims=True), 0.05)
        points = points - np.clip((value - away)[:, None] * slope / length, -3, 3)
    return points
