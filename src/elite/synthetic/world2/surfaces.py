"""Kinds of ground of world 2: their class, look and evenness."""

from dataclasses import dataclass
from enum import IntEnum, auto

from elite.synthetic.materials import Material


class Ground(IntEnum):
    """Kinds of ground; several belong to one class."""

    ROAD = 0
    ISLAND = auto()
    BAY = auto()
    SIDEWALK = auto()
    DRIVEWAY = auto()
    PLAZA = auto()
    VERGE = auto()
    LAWN = auto()
    SOIL = auto()
    CAR_PARK = auto()
    GRAVEL = auto()


@dataclass(frozen=True)
class Surface:
    """Class and look of a kind of ground.

    Attributes:
        name: class.
        looks: materials with their colours; a street draws one.
        lift: height above the surface on which the kind lies (m).
        bumps: deviation of small unevenness (m).
        waves: deviation of unevenness of some metres (m).
    """

    name: str
    looks: tuple[tuple[Material, tuple[float, float, float]], ...]
    lift: float = 0.0
    bumps: float = 0.004
    waves: float = 0.0


_ASPHALT = (Material.ASPHALT, (0.095, 0.095, 0.10))
_PALE_ASPHALT = (Material.ASPHALT, (0.17, 0.165, 0.16))
_SLABS = (Material.SLABS, (0.30, 0.29, 0.27))
_RED_STONES = (Material.COBBLE, (0.26, 0.16, 0.12))
_GREY_STONES = (Material.COBBLE, (0.24, 0.23, 0.22))
_GRASS = (Material.GRASS, (0.085, 0.15, 0.035))
_DRY_GRASS = (Material.GRASS, (0.13, 0.14, 0.05))
_GRAVEL = (Material.BALLAST, (0.22, 0.19, 0.16))

SURFACES: dict[Ground, Surface] = {
    Ground.ROAD: Surface("road", (_ASPHALT, _ASPHALT, _PALE_ASPHALT)),
    Ground.ISLAND: Surface("other-ground", (_RED_STONES, _GREY_STONES, _SLABS), 0.10, 0.008),
    Ground.BAY: Surface(
        "parking", (_PALE_ASPHALT, _RED_STONES, _GREY_STONES, _GREY_STONES, _SLABS, _RED_STONES), 0.015, 0.007
    ),
    Ground.SIDEWALK: Surface(
        "sidewalk", (_SLABS, _SLABS, _SLABS, _RED_STONES, _GREY_STONES, _PALE_ASPHALT), 0.0, 0.006
    ),
    Ground.DRIVEWAY: Surface("sidewalk", (_SLABS, _RED_STONES, _GREY_STONES, _PALE_ASPHALT), 0.005, 0.008),
    Ground.PLAZA: Surface("sidewalk", (_SLABS, _GREY_STONES, _PALE_ASPHALT), 0.0, 0.008),
    Ground.VERGE: Surface("terrain", (_GRASS, _DRY_GRASS), 0.02, 0.018, 0.02),
    Ground.LAWN: Surface("terrain", (_GRASS, _GRASS, _DRY_GRASS), 0.03, 0.03, 0.06),
    Ground.SOIL: Surface("terrain", ((Material.GRASS, (0.10, 0.08, 0.05)),), 0.05, 0.03, 0.05),
    Ground.CAR_PARK: Surface("parking", (_ASPHALT, _RED_STONES, _GREY_STONES, _GREY_STONES), 0.0, 0.008),
    Ground.GRAVEL: Surface("other-ground", (_GRAVEL, (Material.BALLAST, (0.30, 0.27, 0.22))), 0.0, 0.02, 0.03),
}
