"""Materials of surfaces and their remission."""

from enum import IntEnum, auto

import numpy as np
from jaxtyping import Float, Int

from elite.synthetic.noise import grain, scatter


class Material(IntEnum):
    """Materials of surfaces. A material is not a class: most occur in several classes."""

    ASPHALT = 0
    LANE = auto()  # asphalt with lane markings; texture u runs along the street, v across it
    ZEBRA = auto()
    BAY = auto()  # small paving stones with lines between the bays
    SLABS = auto()
    KERB = auto()
    COBBLE = auto()
    BALLAST = auto()
    GRASS = auto()
    PLASTER = auto()  # walls: texture u counts window bays, v counts storeys
    BRICK = auto()
    BLIND = auto()  # a wall without windows
    TILES = auto()
    LEAF = auto()
    BARK = auto()
    WOOD = auto()
    STONE = auto()
    PAINTED = auto()
    GLASS = auto()
    COACH = auto()  # the window band of a bus
    RUBBER = auto()
    METAL = auto()
    ZINC = auto()
    SIGN = auto()
    LAMP = auto()
    CLOTH = auto()
    SKIN = auto()


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


def is_pane(material: Int[np.ndarray, "n"], uv: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Select window glass of walls and buses, which returns almost no light."""
    wall = (material == Material.PLASTER) | (material == Material.BRICK)
    return (wall & window(uv)[0]) | ((material == Material.COACH) & coach_pane(uv)) | (material == Material.GLASS)


def window(uv: Float[np.ndarray, "n 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Select panes and frames of a wall: one window in each bay and storey, and some doors."""
    bay, storey = uv[:, 0] - np.floor(uv[:, 0]), uv[:, 1] - np.floor(uv[:, 1])
    door = (np.floor(uv[:, 1]) == 0) & (scatter(uv[:, 0], uv[:, 1]) < 0.3)
    foot = np.where(door, 0.02, 0.32)
    across, up = np.abs(bay - 0.5), storey
    frame = (across < 0.24) & (up > foot - 0.03) & (up < 0.80)
    pane = (across < 0.21) & (up > foot) & (up < 0.775) & (np.abs(bay - 0.5) > 0.012) & ~door
    return pane & (np.abs(up - 0.62) > 0.012), frame


def coach_pane(uv: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Select the panes of a window band; uv in metres on the side of the bus."""
    along = uv[:, 0] / 1.5
    return (np.abs(along - np.floor(along) - 0.5) < 0.46) & (uv[:, 1] > 1.35) & (uv[:, 1] < 2.35)
