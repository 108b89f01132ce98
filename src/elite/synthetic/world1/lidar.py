"""Simulate one turn of the LiDAR in the world."""

import numpy as np

from elite.shapes import Float, Float32, UInt32
from elite.synthetic.materials import is_pane
from elite.synthetic.raycast import Caster, Hits
from elite.synthetic.scanner import Scanner, beam_rays
from elite.synthetic.world import Paints
from elite.synthetic.world1.remission import remission

_NEAREST = 1.8
_RANGE_NOISE = 0.018


def scan(
    caster: Caster,
    paints: Paints,
    pose: Float[np.ndarray, "4 4"],
    scanner: Scanner,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "n 4"], UInt32[np.ndarray, "n"]]:
    """Simulate one turn at ``pose`` = T_world_velo: (x y z remission in the sensor frame, label words)."""
    rays = beam_rays(scanner, rng)
    hits = caster.cast(pose[:3, 3], rays @ pose[:3, :3].T)
    rows = np.flatnonzero((hits.paint >= 0) & (hits.distance > _NEAREST) & (hits.distance < scanner.range))
    light = _light_returned(hits, paints, rows, rng)
    heard = rng.random(len(rows)) < _chance(hits, paints, rows, light)
    rows, light = rows[heard], light[heard]
    distance = hits.distance[rows] + rng.normal(0, _RANGE_NOISE, len(rows))
    points = np.column_stack([rays[rows] * distance[:, None], light]).astype(np.float32)
    paint = hits.paint[rows]
    return points, paints.label[paint].astype(np.uint32) | (paints.instance[paint].astype(np.uint32) << 16)


def _light_returned(hits: Hits, paints: Paints, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    paint = hits.paint[rows]
    return remission(
        paints.material[paint], paints.gain[paint], hits.uv[rows], hits.cosine[rows], hits.distance[rows], rng
    )


def _chance(hits: Hits, paints: Paints, rows: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Detection probability of a return: lower with distance, at grazing incidence, and on dark surfaces and glass."""
    strength = (light + 0.12) * np.sqrt(hits.cosine[rows] + 0.02) / (hits.distance[rows] / 40 + 0.1)
    chance = 0.97 * np.clip(strength / 0.06, 0, 1)
    pane = is_pane(paints.material[hits.paint[rows]], hits.uv[rows])
    return np.where(pane, 0.35 * chance, chance)
