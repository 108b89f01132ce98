"""Surroundings of the sensor in a scan: the ground, obstacles, and the covered directions."""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float, Float32

_NEAR, _FAR, _CELL = 2.5, 15.0, 1.5  # metres: ring around the sensor, and cells with one ground point each
_SAMPLED = 30_000  # points
_FEWEST_CELLS = 8


@dataclass(frozen=True)
class Ground:
    """Ground plane around the sensor: z at the sensor (m) and slope (degrees)."""

    height: float
    slope: float


def ground_plane(points: Float32[np.ndarray, "n 3"]) -> Ground | None:
    """Fit a plane to the lowest points around the sensor; None if too few of them lie on one.

    Least squares over the low points of the cells, repeated with a decreasing limit on the residuals, which excludes
    walls, vehicles and vegetation.
    """
    low = _lowest_of_cells(points)
    if len(low) < _FEWEST_CELLS:
        return None
    design, z = np.column_stack([low[:, :2], np.ones(len(low))]), low[:, 2]
    plane, limit = np.array([0, 0, np.percentile(z, 40)]), 1.0
    for _ in range(12):
        fits = np.abs(z - design @ plane) < limit
        if fits.sum() < _FEWEST_CELLS - 2:
            return None
        plane = np.linalg.lstsq(design[fits], z[fits], rcond=None)[0]
        limit = max(0.15, limit * 0.75)
    if fits.mean() < 0.5:
        return None
    return Ground(float(plane[2]), float(np.degrees(np.arctan(np.hypot(*plane[:2])))))


def _lowest_of_cells(points: Float32[np.ndarray, "n 3"]) -> Float[np.ndarray, "cells 3"]:
    """Low point (tenth percentile of z) of each cell with at least five points in the ring around the sensor."""
    points = points[:: len(points) // _SAMPLED + 1]
    with np.errstate(over="ignore"):  # huge coordinates become infinite, and are outside the ring
        squared = points[:, 0] ** 2 + points[:, 1] ** 2
    ring = points[(squared > _NEAR**2) & (squared < _FAR**2)]
    columns = int(2 * _FAR / _CELL) + 1
    row, column = (np.floor((ring[:, axis] + _FAR) / _CELL).astype(np.int64) for axis in (0, 1))
    cell = row * columns + column
    order = np.lexsort((ring[:, 2], cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    chosen = (starts + counts // 10)[counts >= 5]
    return ring[order[chosen]].astype(np.float64)


def obstacles(points: Float32[np.ndarray, "n 3"], ground: float) -> tuple[int, int]:
    """Count the obstacle points (0.5 to 2 m above the ground, 3 to 12 m away) along x and along y."""
    above = points[:, 2] - ground
    upright = points[(above > 0.5) & (above < 2)]
    x, y = np.abs(upright[:, 0]), np.abs(upright[:, 1])
    along_x = (y < 1.2) & (x > 3) & (x < 12)
    along_y = (x < 1.2) & (y > 3) & (y < 12)
    return int(along_x.sum()), int(along_y.sum())


def sees_all_around(points: Float32[np.ndarray, "n 3"]) -> bool:
    """Return whether there are points within 30 m in all four directions, unlike those of a forward-facing sensor."""
    near = points[:: len(points) // _SAMPLED + 1]
    near = near[np.abs(near[:, :2]).max(axis=1) < 30]
    x, y = near[:, 0], near[:, 1]
    sectors = [(along > 2 * np.abs(across)).sum() for along, across in ((x, y), (-x, y), (y, x), (-y, x))]
    return min(sectors) > 0.02 * len(near)
