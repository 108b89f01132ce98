"""Room for objects: which ground is where, and which of it is taken."""

from collections.abc import Iterable

import numpy as np

from elite.shapes import Int64
from elite.synthetic.world2.lines import Box
from elite.synthetic.world2.plan import FAR, Plan
from elite.synthetic.world2.surfaces import Ground

_CELL = 0.5  # metres
BLOCKED = 100  # kind of cells that are taken

OUTSIDE = frozenset({Ground.LAWN, Ground.SOIL, Ground.PLAZA, Ground.GRAVEL, Ground.CAR_PARK, Ground.DRIVEWAY})
GREEN = frozenset({Ground.LAWN, Ground.SOIL, Ground.VERGE})


class Site:
    """Raster of the ground in plan coordinates, from which objects take the cells on which they stand."""

    def __init__(self, plan: Plan) -> None:
        self._start = plan.start
        s, t = np.arange(plan.start, plan.stop, _CELL), np.arange(-FAR, FAR, _CELL)
        self.kinds = plan.kinds(*np.meshgrid(s, t, indexing="ij"))

    def claim(self, box: Box, allowed: Iterable[Ground], *, tolerance: float = 0.0) -> bool:
        """Take a box if all of it, except a share of ``tolerance``, is free ground of ``allowed`` kinds."""
        i, j = self._cells(box)
        if i.size == 0:
            return False
        free = np.isin(self.kinds[i, j], list(allowed))
        if free.mean() < 1 - tolerance:
            return False
        self.kinds[i[free], j[free]] = BLOCKED
        return True

    def _cells(self, box: Box) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
        """Cells of a box; none if a part of it is off the raster."""
        a = np.linspace(*box.a, max(2, int((box.a[1] - box.a[0]) / _CELL) + 1))
        b = np.linspace(*box.b, max(2, int((box.b[1] - box.b[0]) / _CELL) + 1))
        a, b = (values.ravel() for values in np.meshgrid(a, b))
        cos, sin = np.cos(box.line.yaw), np.sin(box.line.yaw)
        b = b + box.line.bend * a**2
        s, t = box.line.origin[0] + a * cos - b * sin, box.line.origin[1] + a * sin + b * cos
        i, j = ((s - self._start) / _CELL).astype(int), ((t + FAR) / _CELL).astype(int)
        if i.min() < 0 or j.min() < 0 or i.max() >= self.kinds.shape[0] or j.max() >= self.kinds.shape[1]:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return i, j
