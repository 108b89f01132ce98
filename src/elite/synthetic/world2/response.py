"""Remission of materials as a LiDAR reports it, and the light that decides on whether there is a return."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from elite.shapes import Bool, Float, Int
from elite.synthetic.materials import Material, is_pane
from elite.synthetic.noise import grain
from elite.synthetic.scanner import Scanner

# Of each material: level, variation across the surface and speckle of single returns (shares of the level), and the
# share of the surface that is a mirror: light that does not hit it steeply is lost, and remission is 0.
# Levels are those of a calibrated unit near the surface: medians of labelled scans of SemanticKITTI.
_SURFACES = {
    Material.ASPHALT: (0.28, 0.15, 0.12, 0.10),
    Material.LANE: (0.28, 0.15, 0.12, 0.10),
    Material.ZEBRA: (0.38, 0.25, 0.15, 0.04),
    Material.BAY: (0.37, 0.12, 0.12, 0.006),
    Material.SLABS: (0.36, 0.10, 0.10, 0.003),
    Material.KERB: (0.36, 0.12, 0.12, 0.005),
    Material.COBBLE: (0.38, 0.15, 0.15, 0.006),
    Material.BALLAST: (0.38, 0.20, 0.20, 0.01),
    Material.GRASS: (0.42, 0.14, 0.15, 0.0),
    Material.PLASTER: (0.45, 0.16, 0.16, 0.01),
    Material.BRICK: (0.42, 0.16, 0.20, 0.01),
    Material.BLIND: (0.44, 0.16, 0.18, 0.01),
    Material.TILES: (0.38, 0.16, 0.20, 0.03),
    Material.LEAF: (0.42, 0.18, 0.22, 0.02),
    Material.BARK: (0.42, 0.18, 0.18, 0.03),
    Material.WOOD: (0.40, 0.16, 0.18, 0.02),
    Material.STONE: (0.44, 0.16, 0.15, 0.01),
    Material.PAINTED: (0.29, 0.35, 0.20, 0.75),
    Material.GLASS: (0.12, 0.40, 0.30, 0.90),
    Material.COACH: (0.29, 0.35, 0.20, 0.75),
    Material.RUBBER: (0.16, 0.30, 0.20, 0.55),
    Material.METAL: (0.25, 0.30, 0.20, 0.45),
    Material.ZINC: (0.27, 0.30, 0.20, 0.25),
    Material.SIGN: (0.45, 0.40, 0.25, 0.10),
    Material.LAMP: (0.50, 0.25, 0.20, 0.20),
    Material.CLOTH: (0.42, 0.18, 0.15, 0.03),
    Material.SKIN: (0.40, 0.10, 0.10, 0.0),
    Material.MASONRY: (0.42, 0.16, 0.20, 0.01),
    Material.MARKING: (0.45, 0.25, 0.15, 0.04),
}
_LEVEL, _PATCHES, _SPECKLE, _MIRROR = np.array([_SURFACES[m] for m in Material]).T
_PAVED = [
    Material.ASPHALT,
    Material.LANE,
    Material.ZEBRA,
    Material.MARKING,
    Material.BAY,
    Material.SLABS,
    Material.COBBLE,
]
_IS_SMOOTH = np.isin(np.arange(len(Material)), [Material.ASPHALT, Material.LANE, Material.ZEBRA, Material.MARKING])
_IS_PAVED = np.isin(np.arange(len(Material)), _PAVED)
_PANE = 0.03  # level of window glass
_PANE_LIGHT = 0.002  # share of the light that it sends back
_BEHIND = 0.4  # share of the beams that return from behind a pane
_ROOM_M, _CABIN_M = (0.5, 4.0), (0.3, 1.5)  # depth of a room, and of a vehicle
_BLADES_M = 0.07  # height of grass
_GAINS = 0.7, 1.3  # of objects
_PATCH_M = 0.12, 2.0  # size of a texel, and texels of a patch
_STREAK = 0.25  # inverse of the length of patches along a road
_DULL = 0.7  # share of the light that a mirror sends elsewhere


@dataclass(frozen=True)
class Surfaces:
    """Places that the beams hit: ``cosine`` is that of the angle of incidence, ``gain`` the object's own factor."""

    material: Int[np.ndarray, "n"]
    gain: Float[np.ndarray, "n"]
    uv: Float[np.ndarray, "n 2"]
    cosine: Float[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]
    beam: Int[np.ndarray, "n"]
    is_building: Bool[np.ndarray, "n"]


def entered(surfaces: Surfaces, rng: np.random.Generator) -> Surfaces:
    """Surfaces that the beams reach: some behind panes, in rooms and cabins, and grass at any height of its blades."""
    count = len(surfaces.material)
    behind = is_pane(surfaces.material, surfaces.uv) & (rng.random(count) < _BEHIND)
    depth = np.where(surfaces.is_building, rng.uniform(*_ROOM_M, count), rng.uniform(*_CABIN_M, count))
    blades = (surfaces.material == Material.GRASS) * rng.uniform(0, _BLADES_M, count) / surfaces.cosine
    return replace(
        surfaces,
        material=np.where(behind, np.where(surfaces.is_building, Material.WOOD, Material.CLOTH), surfaces.material),
        distance=surfaces.distance + depth * behind - np.minimum(blades, 0.1 * surfaces.distance),
    )


def reflectivity(surfaces: Surfaces) -> Float[np.ndarray, "n"]:
    """Share of the light that comes back to the sensor, of a white surface hit steeply."""
    level = np.where(is_pane(surfaces.material, surfaces.uv), _PANE_LIGHT, _LEVEL[surfaces.material])
    mirrored = _DULL * _MIRROR[surfaces.material] * (1 - surfaces.cosine)
    return level * surfaces.gain * np.sqrt(surfaces.cosine) * (1 - mirrored)


def remission(surfaces: Surfaces, scanner: Scanner, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Remission of one return per row, as the files of the sensor contain it, divided by their largest value."""
    response = scanner.rendering.remission
    value = response.gain * _seen_level(surfaces, scanner, rng)
    value *= surfaces.cosine**response.incidence
    value += response.offset + _beam_offsets(scanner)[surfaces.beam]
    fall = np.where(_IS_SMOOTH[surfaces.material], response.ground_fall, 1.0) * response.fall
    value -= fall * np.maximum(surfaces.distance - response.full_range, 0)
    value += rng.normal(0, response.noise, len(value))
    value[_is_silent(surfaces, scanner, rng)] = 0
    return np.clip(np.round(value / response.step) * response.step, 0, response.max)


def _seen_level(surfaces: Surfaces, scanner: Scanner, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    material, uv = surfaces.material, surfaces.uv
    ripple = _PATCHES[material] * grain(uv[:, 0], uv[:, 1], 0.25, 3.0)
    ripple += _SPECKLE[material] * rng.standard_normal(len(uv))
    level = _LEVEL[material] * np.clip(surfaces.gain, *_GAINS) * (1 + ripple)
    level *= np.where(_IS_PAVED[material], _street_gain(scanner), 1.0)
    return np.where(is_pane(material, uv), _PANE, level)


def _is_silent(surfaces: Surfaces, scanner: Scanner, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Patches of mirrors, which send light back only if it hits them steeply: more of dark ones, streaks of roads."""
    smooth = _IS_SMOOTH[surfaces.material]
    share = scanner.rendering.remission.zeros * _MIRROR[surfaces.material] * np.clip(1.45 - 0.9 * surfaces.cosine, 0, 1)
    share *= np.where(smooth, _street_sheen(scanner), 1 / np.clip(surfaces.gain, *_GAINS))
    patches = grain(surfaces.uv[:, 0] * np.where(smooth, _STREAK, 1.0), surfaces.uv[:, 1], *_PATCH_M)
    return ndtr(0.9 * patches + 0.44 * rng.standard_normal(len(share))) < share


@lru_cache(maxsize=8)
def _beam_offsets(scanner: Scanner) -> Float[np.ndarray, "beams"]:
    """Differences of the remission between the beams of a unit: few are far off."""
    draws = np.random.default_rng((*scanner.seed, 2)).standard_t(4, len(scanner.elevations)) / np.sqrt(2)
    return scanner.rendering.remission.beam_spread * draws


def _street_gain(scanner: Scanner) -> float:
    """Level of the paved ground of a street; other streets have older or wetter asphalt."""
    return _street_factor(scanner, 3, scanner.rendering.remission.street_spread)


def _street_sheen(scanner: Scanner) -> float:
    """Factor of the silent share of the asphalt of a street: worn, wet and freshly tarred asphalt are mirrors."""
    return _street_factor(scanner, 5, 4 * scanner.rendering.remission.street_spread)


@lru_cache(maxsize=16)
def _street_factor(scanner: Scanner, stream: int, spread: float) -> float:
    return float(np.exp(np.random.default_rng((*scanner.seed, stream)).normal(0, spread)))
