"""The plan of a street: its roads, the ground around them, and its lots. Metres; traffic keeps right."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from elite.shapes import Bool, Float, Int8, Int64
from elite.synthetic.world2.lines import Box, Line, rounded_union
from elite.synthetic.world2.relief import Relief
from elite.synthetic.world2.style import Style
from elite.synthetic.world2.surfaces import SURFACES, Ground

FAR = 80.0  # the ground ends this far from the main road
_CROWN = 0.025  # slope of a road from its middle to its kerb, and of sidewalks to the kerb
_RAMP = 0.9  # metres over which a kerb is lowered
Values = Float[np.ndarray, "*n"]


@dataclass(frozen=True)
class Overlay:
    """Ground of a kind in a box, where it may cover the ground that is there."""

    kind: Ground
    box: Box
    over: frozenset[Ground]
    lowers: bool = False  # whether the kerb is lowered here

    @cached_property
    def covers(self) -> Bool[np.ndarray, "kinds"]:
        """Whether it may cover each kind of ground."""
        return np.isin(np.arange(len(Ground)), list(self.over))


@dataclass(frozen=True)
class Junction:
    """Mouth of a side road: its line and the radius of the rounded kerb."""

    line: Line
    radius: float


@dataclass(frozen=True)
class Plan:
    """Plan of one street, from ``start`` to ``stop`` along the main road.

    Attributes:
        start: smallest s.
        stop: largest s.
        style: of the street.
        main: the road that the ego vehicle drives on.
        junctions: side roads.
        overlays: ground in boxes; later ones cover earlier ones.
        relief: heights of the land.
        bends: (amplitude, length, phase) of the main road's direction (rad, m, rad).
    """

    start: float
    stop: float
    style: Style
    main: Line
    junctions: tuple[Junction, ...]
    overlays: tuple[Overlay, ...]
    relief: Relief
    bends: tuple[tuple[float, float, float], ...]

    def heading(self, s: Values | float) -> Values | float:
        """Direction of the main road, radians from the world's x axis."""
        s = np.asarray(s, float)
        return sum(amplitude * np.sin(2 * np.pi * s / length + phase) for amplitude, length, phase in self.bends)

    @cached_property
    def _course(self) -> Float[np.ndarray, "3 n"]:
        """Points s, x, y of the main road."""
        s = np.arange(self.start - 20, self.stop + 20, 0.5)
        heading = self.heading(s)
        return np.stack([s, np.cumsum(np.cos(heading)) * 0.5, np.cumsum(np.sin(heading)) * 0.5])

    def locate(self, s: Values | float, t: Values | float) -> Float[np.ndarray, "*n 2"]:
        """Plan coordinates -> world x, y."""
        heading, (at, x, y) = self.heading(s), self._course
        return np.stack([np.interp(s, at, x) - np.sin(heading) * t, np.interp(s, at, y) + np.cos(heading) * t], axis=-1)

    def carriageway(self, s: Values, t: Values) -> Values:
        """Field of the union of all carriageways."""
        field = self.main.carriageway(s, t)
        for junction in self.junctions:
            field = rounded_union(field, junction.line.carriageway(s, t), junction.radius)
        return field

    def paved(self, s: Values, t: Values) -> Values:
        """Field of the union of all roads with their sidewalks."""
        field = self.main.paved(s, t)
        for junction in self.junctions:
            walk = max(*self.main.borders, *junction.line.borders) - self.main.half
            field = rounded_union(field, junction.line.paved(s, t), max(junction.radius - walk, 0.3))
        return field

    def kinds(self, s: Values, t: Values) -> Int8[np.ndarray, "*n"]:
        """Kind of the ground at each point."""
        kinds = np.where(self.paved(s, t) < 0, Ground.SIDEWALK, Ground.LAWN)
        kinds = np.where(self.carriageway(s, t) < 0, Ground.ROAD, kinds).astype(np.int8)
        for k in self._near(s, t, 0.0):
            overlay, (a, b, reach) = self.overlays[k], self._circles[k]
            rows = np.nonzero((np.abs(s - a) < reach) & (np.abs(t - b) < reach) & overlay.covers[kinds])
            inside = overlay.box.field(s[rows], t[rows]) < 0
            kinds[tuple(index[inside] for index in rows)] = overlay.kind
        return kinds

    @cached_property
    def _circles(self) -> Float[np.ndarray, "overlays 3"]:
        """Plan coordinates of the centre, and reach of each overlay."""
        circles = [(*overlay.box.center, overlay.box.reach) for overlay in self.overlays]
        return np.array(circles).reshape(-1, 3)

    def _near(self, s: Values, t: Values, margin: float) -> Int64[np.ndarray, "k"]:
        """Overlays whose circles, ``margin`` metres larger, may contain some of the points."""
        a, b, reach = self._circles.T
        reach = reach + margin
        along = (a + reach > s.min()) & (a - reach < s.max())
        return np.flatnonzero(along & (b + reach > t.min()) & (b - reach < t.max()))

    def heights(self, s: Values, t: Values, kind: Ground) -> Values:
        """World z of the ground, as if it were of ``kind`` there."""
        surface, relief, road = SURFACES[kind], self.relief, self.carriageway(s, t)
        z = relief.land(s, t) + surface.lift
        if kind in (Ground.ROAD, Ground.ISLAND):
            z = z - _CROWN * np.clip(road, -self.main.half, 0)
        else:
            z = z + _CROWN * np.clip(road, 0, 4)
            away = self.paved(s, t)
            if kind != Ground.BAY:
                z = z + self.style.kerb * self._raised(s, t) + relief.lot(s, t, away)
        return z + relief.bumps(s, t, surface.bumps, surface.waves)

    def _raised(self, s: Values, t: Values) -> Values:
        """Share 0..1 of the full height of the kerb: 0 at driveways and crossings."""
        away = np.full(np.shape(s), np.inf)
        for k in self._near(s, t, _RAMP):
            overlay, (a, b, reach) = self.overlays[k], self._circles[k] + (0, 0, _RAMP)
            if overlay.lowers:
                rows = np.nonzero((np.abs(s - a) < reach) & (np.abs(t - b) < reach))
                away[rows] = np.minimum(away[rows], overlay.box.field(s[rows], t[rows]))
        return np.clip(away / _RAMP, 0, 1)

    def road(self, s: float, t: float) -> float:
        """World z of the road at (s, t), as if it were there."""
        return float(self.heights(np.array([s], float), np.array([t], float), Ground.ROAD)[0])

    def surface(self, s: float, t: float) -> float:
        """World z of the ground at (s, t)."""
        at = np.array([s], float), np.array([t], float)
        return float(self.heights(*at, Ground(int(self.kinds(*at)[0])))[0])

    def with_overlays(self, overlays: list[Overlay]) -> "Plan":
        return replace(self, overlays=self.overlays + tuple(overlays))
