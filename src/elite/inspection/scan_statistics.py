"""Statistics of single scans that show whether rendered ones resemble real ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from elite.datasets.check.beam_pattern import angles, beam_elevations, beam_of_points
from elite.shapes import Float, Float32, Int64

_RANGES = (0, 5, 10, 20, 30, 40, 50, np.inf)  # metres
_GROUND_RANGES = (0, 10, 20, 40)
_GROUND_CELL, _LOW, _FEWEST = 1.0, 0.05, 5  # metres, share of the points of a cell, points
_VOXEL, _STRIDES = 0.1, (1, 4, 16)
_VOLUME = 50.0  # metres along x and y
_SHARES = (0.1, 0.5, 0.9, 0.99)  # quantiles of the remission
_ROUGH = 0.5, 4.0, 20.0, 200, 10  # radius (m), nearest and farthest point (m), samples, fewest neighbours
_SMALLEST_CLASS = 100  # points
Kind = Literal["ratio", "difference"]


@dataclass(frozen=True)
class ComparedScan:
    """Measured points of a scan, x forward, y left, z up.

    Attributes:
        points: coordinates (m).
        remission: 0 to 1.
        beams: numbers that the file states; None = unknown.
        classes: names of the classes of the points; None without labels.
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    beams: Int64[np.ndarray, "n"] | None = None
    classes: np.ndarray | None = None


@dataclass(frozen=True)
class Statistic:
    """A number of a scan.

    Attributes:
        name: of the row of a table.
        value: the number.
        form: as text.
        scale: a difference that matters; None = the ratio is of interest.
    """

    name: str
    value: float
    form: str
    scale: float | None = None


def scan_statistics(scan: ComparedScan) -> Iterator[Statistic]:
    """Yield the statistics of a scan: points, beams, voxels, ground, remission, and those of its classes."""
    distance = angles(scan.points)[2]
    yield Statistic("points", len(distance), "{:,.0f}")
    yield from _beams(scan)
    for low, high in pairwise(_RANGES):
        share = ((distance >= low) & (distance < high)).mean()
        yield Statistic(f"points at {_metres(low, high)}", float(share), "{:.1%}")
    yield from _voxels(scan.points)
    yield from _ground(scan.points)
    yield from _remission(scan.remission, distance)
    if scan.classes is not None:
        yield from _classes(scan, distance)


def _metres(low: float, high: float) -> str:
    return f"{low:g}-{high:g} m" if np.isfinite(high) else f"{low:g} m and more"


def _beams(scan: ComparedScan) -> Iterator[Statistic]:
    """Elevations and returns of the outer beams and of those in the middle, numbered from the highest one."""
    beams = beam_of_points(scan.points, scan.beams)
    if beams is None:
        return
    numbers, elevations = beam_elevations(scan.points, beams)
    counts = np.array([(beams == number).sum() for number in numbers])
    order, n = np.argsort(-elevations), len(numbers)
    yield Statistic("beams", n, "{:.0f}")
    for place in sorted({0, n // 4, n // 2 - 1, n // 2, 3 * n // 4, n - 1}):
        yield Statistic(f"elevation of beam {place + 1}", float(elevations[order[place]]), "{:.2f}", 0.5)
        yield Statistic(f"returns of beam {place + 1}", float(counts[order[place]]), "{:,.0f}")


def _voxels(points: Float32[np.ndarray, "n 3"]) -> Iterator[Statistic]:
    near = points[(np.abs(points[:, :2]) < _VOLUME).all(axis=1)]
    for stride in _STRIDES:
        cells = np.floor(near / (_VOXEL * stride)).astype(np.int64) + 2**20
        code = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
        yield Statistic(f"voxels of {_VOXEL * stride:.1f} m", len(np.unique(code)), "{:,.0f}")


def _ground(points: Float32[np.ndarray, "n 3"]) -> Iterator[Statistic]:
    """Heights of low points: the lowest of each square metre, without those far above most of them."""
    low = _low_points(points)
    across = np.hypot(low[:, 0], low[:, 1])
    for near, far in pairwise(_GROUND_RANGES):
        z = low[(across >= near) & (across < far), 2]
        if len(z) < _FEWEST:
            continue
        middle = float(np.median(z))
        z = z[np.abs(z - middle) < 1]
        yield Statistic(f"ground z at {_metres(near, far)}", middle, "{:.2f}", 0.1)
        yield Statistic(f"ground deviation at {_metres(near, far)}", float(z.std()), "{:.3f}")


def _low_points(points: Float32[np.ndarray, "n 3"]) -> Float[np.ndarray, "cells 3"]:
    near = points[(np.abs(points[:, :2]) < _GROUND_RANGES[-1]).all(axis=1)]
    cells = np.floor(near[:, :2] / _GROUND_CELL).astype(np.int64)
    code = cells[:, 0] * 2**20 + cells[:, 1]
    order = np.lexsort((near[:, 2], code))
    starts = np.flatnonzero(np.diff(code[order], prepend=-(2**62)))
    counts = np.diff(starts, append=len(order))
    chosen = (starts + (counts * _LOW).astype(np.int64))[counts >= _FEWEST]
    return near[order[chosen]].astype(np.float64)


def _remission(remission: Float32[np.ndarray, "n"], distance: Float[np.ndarray, "n"]) -> Iterator[Statistic]:
    yield Statistic("remission 0", float((remission == 0).mean()), "{:.1%}", 0.03)
    for share, value in zip(_SHARES, np.quantile(remission, _SHARES), strict=True):
        yield Statistic(f"remission, {share:.0%} quantile", float(value), "{:.2f}", 0.04)
    for low, high in pairwise(_RANGES):
        near = remission[(distance >= low) & (distance < high)]
        if len(near) >= _SMALLEST_CLASS:
            yield Statistic(f"remission 0 at {_metres(low, high)}", float((near == 0).mean()), "{:.1%}", 0.06)
            yield Statistic(f"remission at {_metres(low, high)}", float(np.median(near)), "{:.2f}", 0.04)


def _classes(scan: ComparedScan, distance: Float[np.ndarray, "n"]) -> Iterator[Statistic]:
    assert scan.classes is not None
    for name in sorted(set(scan.classes.tolist())):
        chosen = scan.classes == name
        if chosen.sum() < _SMALLEST_CLASS:
            continue
        values = scan.remission[chosen]
        yield Statistic(f"points of {name}", float(chosen.mean()), "{:.1%}")
        yield Statistic(f"remission of {name}", float(np.median(values)), "{:.2f}", 0.04)
        yield Statistic(f"remission 0 of {name}", float((values == 0).mean()), "{:.1%}", 0.06)
        rough = roughness(scan.points[chosen & (distance > _ROUGH[1]) & (distance < _ROUGH[2])])
        if rough is not None:
            yield Statistic(f"roughness of {name} (m)", rough, "{:.3f}")


def roughness(points: Float32[np.ndarray, "n 3"]) -> float | None:
    """Median of the smallest deviation of the points within half a metre of a point; None with too few points."""
    if len(points) < _SMALLEST_CLASS:
        return None
    samples, found = points[:: len(points) // _ROUGH[3] + 1], []
    points = points[np.argsort(points[:, 0])].astype(np.float64)  # the neighbours are among few rows
    first, last = (np.searchsorted(points[:, 0], samples[:, 0] + reach) for reach in (-_ROUGH[0], _ROUGH[0]))
    for sample, rows in zip(samples, map(slice, first, last + 1), strict=True):
        part = points[rows][np.linalg.norm(points[rows] - sample, axis=1) <= _ROUGH[0]]
        if len(part) >= _ROUGH[4]:
            part -= part.mean(axis=0)
            found.append(np.sqrt(max(np.linalg.eigvalsh(part.T @ part / len(part))[0], 0)))
    return float(np.median(found)) if found else None
