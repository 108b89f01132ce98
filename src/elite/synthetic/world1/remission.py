"""Remission of materials."""

import numpy as np

from elite.shapes import Float, Int
from elite.synthetic.materials import Material, is_pane
from elite.synthetic.noise import grain

# Mean remission at normal incidence, and its relative variation across the surface.
_REMISSION = {
    Material.ASPHALT: (0.24, 0.30),
    Material.LANE: (0.24, 0.30),
    Material.ZEBRA: (0.26, 0.30),
    Material.BAY: (0.32, 0.22),
    Material.SLABS: (0.38, 0.18),
    Material.KERB: (0.40, 0.18),
    Material.COBBLE: (0.47, 0.25),
    Material.BALLAST: (0.44, 0.35),
    Material.GRASS: (0.38, 0.30),
    Material.PLASTER: (0.42, 0.15),
    Material.BRICK: (0.33, 0.22),
    Material.BLIND: (0.40, 0.15),
    Material.TILES: (0.27, 0.20),
    Material.LEAF: (0.36, 0.35),
    Material.BARK: (0.33, 0.25),
    Material.WOOD: (0.38, 0.20),
    Material.STONE: (0.37, 0.20),
    Material.PAINTED: (0.28, 0.10),
    Material.GLASS: (0.05, 0.30),
    Material.COACH: (0.28, 0.10),
    Material.RUBBER: (0.07, 0.30),
    Material.METAL: (0.20, 0.25),
    Material.ZINC: (0.32, 0.15),
    Material.SIGN: (0.70, 0.15),
    Material.LAMP: (0.80, 0.20),
    Material.CLOTH: (0.34, 0.20),
    Material.SKIN: (0.40, 0.10),
    Material.MASONRY: (0.33, 0.22),
    Material.MARKING: (0.26, 0.30),
}
_MEAN, _RIPPLE = np.array([_REMISSION[m] for m in Material]).T


def remission(
    material: Int[np.ndarray, "n"],
    gain: Float[np.ndarray, "n"],
    uv: Float[np.ndarray, "n 2"],
    cosine: Float[np.ndarray, "n"],
    distance: Float[np.ndarray, "n"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "n"]:
    """Remission 0..0.99 in steps of 0.01 of one return per row.

    ``cosine`` is that of the angle of incidence, ``gain`` the object's own factor. Dirt, wear and speckle spread
    the values of every material widely, so that materials overlap as real ones do.
    """
    ripple = 0.7 * grain(uv[:, 0], uv[:, 1], 0.25, 3.0) + 0.7 * rng.standard_normal(len(uv))
    value = _MEAN[material] * gain * (1 + _RIPPLE[material] * ripple)
    value = np.where(is_pane(material, uv), 0.04, value)
    value *= 0.45 + 0.55 * np.sqrt(np.abs(cosine))
    value *= 1 - 0.3 * np.clip(distance / 80, 0, 1)
    value += rng.normal(0, 0.02, len(value))
    return np.round(np.clip(value, 0, 0.99), 2)
