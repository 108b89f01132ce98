"""Materials of surfaces."""

from enum import IntEnum, auto

import numpy as np

from elite.shapes import Float, Int
from elite.synthetic.noise import scatter


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
    MASONRY = auto()  # bricks without windows; those of BRICK count bays and storeys
    MARKING = auto()  # paint on a road


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
