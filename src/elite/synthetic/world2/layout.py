"""Draw the plan of a street: course, side roads, strips along the kerb."""

import numpy as np

from elite.synthetic.world2.lines import Box, Line
from elite.synthetic.world2.plan import FAR, Junction, Overlay, Plan
from elite.synthetic.world2.relief import draw_relief
from elite.synthetic.world2.style import Strip, Style, draw_style
from elite.synthetic.world2.surfaces import Ground

_OUTSIDE = frozenset({Ground.LAWN, Ground.SOIL})
_BESIDE = frozenset({Ground.SIDEWALK})
_GROUNDS = {Strip.GREEN: Ground.VERGE, Strip.BAYS: Ground.BAY, Strip.SLANTED: Ground.BAY}


def draw_plan(start: float, stop: float, drive: float, rng: np.random.Generator) -> Plan:
    """Draw a street from ``start`` to ``stop``, of which the ego vehicle drives 0 to ``drive`` (m)."""
    style = draw_style(rng)
    ends = (-np.inf, np.inf)
    t_end = rng.random() < 0.3
    if t_end:  # the road ends at another one
        ends = (-np.inf, float(rng.uniform(drive + 22, drive + 60)))
    widths = [width + walk for (_, width), walk in zip(style.strips, style.walks, strict=True)]
    main = Line((0.0, 0.0), 0.0, style.half, (style.half + widths[0], style.half + widths[1]), *ends)
    junctions = [*_junctions(style, start, min(stop, ends[1] - 25), rng)]
    if t_end:
        junctions.append(Junction(_side_line(style, ends[1], np.pi / 2 + rng.normal(0, 0.15), rng, both=True), 7.0))
    plan = Plan(
        start, stop, style, main, tuple(junctions), (), draw_relief(style.relief, start, stop, rng), _bends(rng)
    )
    return plan.with_overlays(_strips(plan, rng) + _islands(plan, rng))


def _bends(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Waves of the direction, of radius 100 m at least."""
    curvature = rng.uniform(0, 1, 2) * (0.0055, 0.0035) * rng.choice([0.1, 0.5, 1.0])
    lengths = rng.uniform(180, 420), rng.uniform(90, 180)
    return tuple(
        (float(c * length / (2 * np.pi)), length, float(rng.uniform(0, 2 * np.pi)))
        for c, length in zip(curvature, lengths, strict=True)
    )


def _junctions(style: Style, start: float, stop: float, rng: np.random.Generator) -> list[Junction]:
    junctions = []
    s = start + rng.uniform(0, style.junctions)
    while s < stop:
        yaw = np.deg2rad(rng.choice([90.0, rng.uniform(60, 120), rng.uniform(42, 138)], p=(0.5, 0.35, 0.15)))
        both = bool(rng.random() < 0.4)
        if rng.random() < 0.5:
            yaw -= np.pi
        junctions.append(Junction(_side_line(style, s, float(yaw), rng, both=both), rng.uniform(4, 11)))
        s += style.junctions * rng.uniform(0.6, 1.5) + 22
    return junctions


def _side_line(style: Style, s: float, yaw: float, rng: np.random.Generator, *, both: bool) -> Line:
    """A side road at ``s``, to one side or through."""
    half = float(np.clip(style.half * rng.uniform(0.6, 1.1), 2.2, 5.5))
    borders = tuple(half + (rng.uniform(1.0, 3.0) if walk or rng.random() < 0.3 else 0.0) for walk in style.walks)
    bend = float(rng.choice([0.0, rng.normal(0, 0.003)]))
    return Line((s, 0.0), yaw, half, (borders[0], borders[1]), -2 * FAR if both else 0.0, 2 * FAR, bend)


def _strips(plan: Plan, rng: np.random.Generator) -> list[Overlay]:
    """Green strips and bays along the kerbs of the main road, between its side roads."""
    overlays = []
    for side, (strip, width) in zip((1, -1), plan.style.strips, strict=True):
        if strip not in _GROUNDS:
            continue
        pockets = rng.random() < 0.5  # green between the bays
        for first, last in free_stretches(plan, side, 3.0):
            first = first if strip == Strip.GREEN else float(np.ceil(first / 6) * 6)
            while first < last - 8:
                end = min(last, first + 6 * rng.integers(2, 9)) if strip != Strip.GREEN else last
                b = sorted((side * (plan.style.half - 0.002), side * (plan.style.half + width)))
                overlays.append(Overlay(_GROUNDS[strip], Box(plan.main, (first, end), (b[0], b[1])), _BESIDE))
                gap = float(rng.choice([0.0, 6.0, 12.0]))
                if pockets and strip != Strip.GREEN and end + gap < last:
                    overlays.append(Overlay(Ground.VERGE, Box(plan.main, (end, end + gap), (b[0], b[1])), _BESIDE))
                first = end + gap
    return overlays


def _islands(plan: Plan, rng: np.random.Generator) -> list[Overlay]:
    """Islands in the middle of roads that are wide enough, some of them green."""
    left, right = plan.style.kerbside
    if plan.style.half < (4.3 if left == right == "none" else 6.3) or rng.random() < 0.4:
        return []
    overlays, half = [], rng.uniform(0.5, 0.85)
    for first, last in sorted(set(free_stretches(plan, 1, 4.0)) & set(free_stretches(plan, -1, 4.0))):
        if rng.random() < 0.6 and last - first > 12:
            start = rng.uniform(first, last - 10)
            end = min(last, start + rng.choice([4.0, 8.0, rng.uniform(10, 60)]))
            kind = Ground.VERGE if end - start > 12 and rng.random() < 0.5 else Ground.ISLAND
            overlays.append(Overlay(kind, Box(plan.main, (start, end), (-half, half)), frozenset({Ground.ROAD})))
    return overlays


def free_stretches(plan: Plan, side: int, margin: float) -> list[tuple[float, float]]:
    """Stretches (s, s) of a side of the main road between the mouths of the side roads."""
    blocked = []
    for junction in plan.junctions:
        line = junction.line
        if line.start < 0 or side * np.sin(line.yaw) > 0:
            skew = abs(np.sin(line.yaw))
            reach = (
                (max(line.borders) + junction.radius) / skew + plan.style.half * abs(np.cos(line.yaw)) / skew + margin
            )
            blocked.append((line.origin[0] - reach, line.origin[0] + reach))
    stretches, s = [], plan.start
    for first, last in sorted(blocked):
        if first > s:
            stretches.append((s, first))
        s = max(s, last)
    end = min(plan.stop, plan.main.stop)
    return [*stretches, (s, end)] if s < end else stretches
