"""Alignment of scans and images: edges of depth against edges of brightness.

The near point of a depth jump between neighbouring points of a scan lies on the outline of an object, which is usually
visible as an edge in the image. Shifted projections of the same points give the level of chance. (Levinson and Thrun,
Automatic Online Calibration of Cameras and Lasers, RSS 2013.)

The score is the mean edge strength at the points, where strength is the rank of the gradient among all pixels: 0.5 by
chance in an image with equally distributed edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elite.datasets.check.beam_pattern import angles
from elite.filters import smoothed, sobel
from elite.geometry import pinhole, project
from elite.occlusion import point_pixel_pairs
from elite.pictures import luminance
from elite.shapes import Bool, Float, Float32, UInt8
from elite.types import Camera

_ROW = 0.15  # degrees of elevation: neighbours are in one row
_NEIGHBOURS = 1.5  # degrees of azimuth
_JUMP_M, _JUMP = 0.5, 0.1  # metres, and share of the distance
_NEAREST_M = 2.5  # nearer points hit the vehicle itself
_HIGHEST = 9.0  # metres: higher jumps have the same weight
_WIDTH = 960  # pixels: larger images are averaged
_RANKS = 2000
_SPAN, _STEP = 3.0, 0.25  # degrees of the shifts
_CHANCE = 1.0  # degrees: larger shifts give the level of chance
TOLERANCE = 0.5  # degrees, of the occlusion between sensor and camera, and of the extent of a point
_FEWEST = 20  # points in the image


@dataclass(frozen=True)
class EdgePoints:
    """Points on outlines in view of a camera, and the edge strength of its image.

    Attributes:
        points: sensor frame (m).
        weight: root of the depth jump.
        strength: rank of the gradient among all pixels, 0..1.
        scale: pixels of the image per pixel of ``strength``.
    """

    points: Float32[np.ndarray, "m 3"]
    weight: Float[np.ndarray, "m"]
    strength: Float[np.ndarray, "h w"]
    scale: int


@dataclass(frozen=True)
class Alignment:
    """Alignment of a camera over several frames.

    Attributes:
        points: points on outlines in view.
        score: mean edge strength at these points.
        chance, spread: mean and standard deviation of the scores of shifts by 1 to 3 degrees.
        best: shift of the largest score (degrees to the right, degrees down).
        best_score: the largest score.
        near_score: the largest score of the shifts of up to half a degree.
    """

    points: int
    score: float
    chance: float
    spread: float
    best: tuple[float, float]
    best_score: float
    near_score: float

    def sigmas(self, score: float) -> float:
        """Distance of a score from chance, in standard deviations."""
        return (score - self.chance) / max(self.spread, 1e-6)


def depth_edges(points: Float32[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """Weights of the near points of depth jumps: the root of the jump (m); 0 for all others.

    Neighbours are successive points by azimuth in a thin row of elevations, whatever the order of the file.
    """
    azimuth, elevation, distance = angles(points)
    row = np.floor(elevation / _ROW).astype(np.int64)
    order = np.lexsort((azimuth, row))
    distance, azimuth, row = distance[order], azimuth[order], row[order]
    jump = np.diff(distance)
    limit = np.maximum(_JUMP_M, _JUMP * np.minimum(distance[1:], distance[:-1]))
    is_edge = (np.diff(row) == 0) & (np.diff(azimuth) < _NEIGHBOURS) & (np.abs(jump) > limit)
    weight, size = np.zeros(len(points)), np.sqrt(np.minimum(np.abs(jump), _HIGHEST))
    for nearer, sides in ((jump > 0, order[:-1]), (jump < 0, order[1:])):
        np.maximum.at(weight, sides[is_edge & nearer], size[is_edge & nearer])
    weight[order[distance < _NEAREST_M]] = 0
    return weight


def edge_strength(image: UInt8[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "height width"], int]:
    """Rank of the gradient's magnitude among all pixels (0..1), of an image of about 960 columns; and its scale.

    The mean of two ranks: by the gradient, and by its horizontal part, since jumps along a beam are vertical outlines.
    """
    grey, scale = luminance(image), max(1, round(image.shape[1] / _WIDTH))
    rows, columns = (size // scale for size in grey.shape)
    small = grey[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale).mean((1, 3))
    smooth = smoothed(small, 1.0)
    across, down = np.abs(sobel(smooth, 1)), sobel(smooth, 0)
    return (_ranks(np.hypot(across, down)) + _ranks(across)) / 2, scale


def _ranks(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Share of the values that are smaller, to a thousandth; equal ones share the mean of their ranks."""
    sample = np.sort(values, axis=None)[:: 1 + values.size // _RANKS]
    return (np.searchsorted(sample, values) + np.searchsorted(sample, values, side="right")) / (2 * len(sample))


def edge_points(
    points: Float32[np.ndarray, "n 3"],
    weight: Float[np.ndarray, "n"],
    camera: Camera,
    image: UInt8[np.ndarray, "h w 3"],
) -> EdgePoints:
    """Find the visible points on outlines (see ``depth_edges``), and the edge strength of the image."""
    seen = point_pixel_pairs(points, camera, *image.shape[:2]).point
    seen = seen[weight[seen] > 0]
    return EdgePoints(points[seen], weight[seen], *edge_strength(image))


def shift_scores(edges: EdgePoints, camera: Camera) -> Float[np.ndarray, "shifts shifts"]:
    """Scores of the projection shifted by -3 to 3 degrees, in steps of 0.25: rows down, columns to the right.

    NaN where fewer than 20 points remain in the image.
    """
    uv = project(edges.points, camera)[0]
    pixels = _shifts() * np.radians(1) * pinhole(camera)[0][0, 0]
    return np.array([[_score(edges, uv + np.array([du, dv])) for du in pixels] for dv in pixels])


def _score(edges: EdgePoints, uv: Float[np.ndarray, "m 2"]) -> float:
    strength, inside = strength_at(edges, uv)
    if inside.sum() < _FEWEST:
        return float("nan")
    return float(np.average(strength[inside], weights=edges.weight[inside]))


def strength_at(
    edges: EdgePoints, uv: Float[np.ndarray, "m 2"]
) -> tuple[Float[np.ndarray, "m"], Bool[np.ndarray, "m"]]:
    """Edge strength at pixels of the image, and whether they are inside; 0 outside."""
    column, row = np.floor(uv / edges.scale).T
    rows, columns = edges.strength.shape
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    strength = np.zeros(len(uv))
    strength[inside] = edges.strength[row[inside].astype(np.int64), column[inside].astype(np.int64)]
    return strength, inside


def _shifts() -> Float[np.ndarray, "shifts"]:
    count = round(_SPAN / _STEP)
    return _STEP * np.arange(-count, count + 1)


def alignment(scores: Sequence[Float[np.ndarray, "shifts shifts"]], points: int) -> Alignment | None:
    """Alignment of the mean of the frames' ``shift_scores``; None if they measure nothing."""
    shifts = _shifts()
    middle = len(shifts) // 2
    usable = [np.where(np.isfinite(s), s, np.nanmean(s)) for s in scores if np.isfinite(s[middle, middle])]
    if not usable:
        return None
    mean = np.mean(usable, axis=0)
    distance = np.hypot(*np.meshgrid(shifts, shifts))
    far, near = distance > _CHANCE, distance <= TOLERANCE
    row, column = np.unravel_index(mean.argmax(), mean.shape)
    return Alignment(
        points=points,
        score=float(mean[middle, middle]),
        chance=float(mean[far].mean()),
        spread=float(mean[far].std()),
        best=(float(shifts[column]), float(shifts[row])),
        best_score=float(mean.max()),
        near_score=float(mean[near].max()),
    )
