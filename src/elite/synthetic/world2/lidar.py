"""Simulate one turn of a LiDAR as its unit measures: its beams, its vehicle, lost returns and remission."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from elite.shapes import Bool, Float, Float32, Int, UInt32
from elite.synthetic.classes import raw_id
from elite.synthetic.raycast import Caster
from elite.synthetic.scanner import Scanner, beam_rays
from elite.synthetic.world import Paints
from elite.synthetic.world2.response import Surfaces, entered, reflectivity, remission

_TURN_S = 0.1
_BUILDING = raw_id("building")
_WHITE = 0.1  # reflectivity for which the reach is stated


@dataclass(frozen=True)
class Firings:
    """Firings of one turn in the frame of the scan: where they leave the unit, and where to."""

    origins: Float[np.ndarray, "n 3"]
    rays: Float[np.ndarray, "n 3"]
    beam: Int[np.ndarray, "n"]


def scan(
    caster: Caster,
    paints: Paints,
    pose: Float[np.ndarray, "4 4"],
    scanner: Scanner,
    rng: np.random.Generator,
    *,
    speed: float = 0.0,
) -> tuple[Float32[np.ndarray, "n 4"], UInt32[np.ndarray, "n"]]:
    """Simulate one turn at ``pose`` = T_world_velo: (x y z remission in the sensor frame, label words).

    ``speed`` is that of the vehicle (m/s): the LiDAR moves while it turns.
    """
    firings, motion = _fired(scanner, rng, speed)
    hits = caster.cast(pose[:3, 3] + firings.origins @ pose[:3, :3].T, firings.rays @ pose[:3, :3].T)
    hit = (hits.paint >= 0) & (hits.distance > scanner.rendering.nearest) & (hits.distance < scanner.range)
    rows = np.flatnonzero(hit)
    rows = rows[~_shadowed(firings, motion, rows, scanner)]
    paint = hits.paint[rows]
    hit_surfaces = Surfaces(
        paints.material[paint],
        paints.gain[paint],
        hits.uv[rows],
        np.clip(hits.cosine[rows], 0.01, 1),
        hits.distance[rows],
        firings.beam[rows],
        paints.label[paint] == _BUILDING,
    )
    surfaces = entered(hit_surfaces, rng)
    light = remission(surfaces, scanner, rng)
    distance = _measured_distance(surfaces, scanner, rng)
    heard = np.isfinite(distance)
    rows, light, distance, paint = rows[heard], light[heard], distance[heard], paint[heard]
    starts = firings.origins[rows] if scanner.rendering.deskewed else firings.origins[rows] - motion[rows]
    points = np.column_stack([starts + firings.rays[rows] * distance[:, None], light]).astype(np.float32)
    return points, paints.label[paint].astype(np.uint32) | (paints.instance[paint].astype(np.uint32) << 16)


def _fired(scanner: Scanner, rng: np.random.Generator, speed: float) -> tuple[Firings, Float[np.ndarray, "n 3"]]:
    """Firings of a turn, and the way of the LiDAR since its middle: it looks ahead then, and turns clockwise."""
    rays = beam_rays(scanner, rng, scatter=np.deg2rad(scanner.rendering.beam_scatter))
    beam = np.repeat(np.arange(len(scanner.elevations)), scanner.azimuths)
    motion = np.zeros_like(rays)
    motion[:, 0] = -speed * _TURN_S * np.arctan2(rays[:, 1], rays[:, 0]) / (2 * np.pi)
    origins = motion.copy()
    origins[:, 2] += _beam_heights(scanner)[beam]
    return Firings(origins, rays, beam), motion


def _beam_heights(scanner: Scanner) -> Float[np.ndarray, "beams"]:
    """Heights at which the beams leave the unit, from the top beam."""
    heights, beams = scanner.rendering.beam_heights, len(scanner.elevations)
    return np.array(heights)[np.arange(beams) * len(heights) // beams][::-1]


def _shadowed(
    firings: Firings, motion: Float[np.ndarray, "n 3"], rows: Int[np.ndarray, "m"], scanner: Scanner
) -> Bool[np.ndarray, "m"]:
    """Whether the vehicle is in the way. It moves with the LiDAR."""
    found, boxes = np.zeros(len(rows), bool), np.array(scanner.rendering.body).reshape(-1, 2, 3)
    if not len(boxes):
        return found
    starts, rays = (firings.origins[rows] - motion[rows]).T, firings.rays[rows].T
    near = np.flatnonzero(_meets(starts, rays, boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)))  # the whole vehicle
    starts, rays = starts[:, near], rays[:, near]
    found[near] = np.any([_meets(starts, rays, low, high) for low, high in boxes], axis=0)
    return found


def _meets(
    starts: Float[np.ndarray, "3 n"],
    rays: Float[np.ndarray, "3 n"],
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
) -> Bool[np.ndarray, "n"]:
    """Whether each ray meets the box between two corners."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low[:, None] - starts) / rays, (high[:, None] - starts) / rays
    enters, leaves = np.minimum(one, other).max(axis=0), np.maximum(one, other).min(axis=0)
    return (enters <= leaves) & (leaves > 0)


def _measured_distance(surfaces: Surfaces, scanner: Scanner, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Distances of the returns; NaN without one, which is likely for little light."""
    unit, count = scanner.rendering, len(surfaces.distance)
    strength = reflectivity(surfaces) / _WHITE * ((unit.reach or scanner.range / 2) / surfaces.distance) ** 2
    chance = (1 - unit.loss) * strength**2 / (1 + strength**2)
    distance = surfaces.distance + rng.normal(0, unit.range_noise, count) + _beam_bias(scanner)[surfaces.beam]
    return np.where(rng.random(count) < chance, distance, np.nan)


@lru_cache(maxsize=8)
def _beam_bias(scanner: Scanner) -> Float[np.ndarray, "beams"]:
    """Mean error of the distance of each beam (m)."""
    draws = np.random.default_rng((*scanner.seed, 4)).normal(0, 1, len(scanner.elevations))
    return scanner.rendering.beam_bias * draws
