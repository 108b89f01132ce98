"""Instance cutmix: objects of another scan stand on the ground of this one. Pure: arrays in, new arrays out.

An object is only turned about the sensor's z axis and set down: its distance and the side that it shows stay what the
sensor saw, and so does the density of its points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt32

from elite.config import CutmixConfig
from elite.data.augment import rotation_z
from elite.geometry import Volume, in_volume
from elite.labels import CLASS_NAMES, IGNORE, NUM_CLASSES
from elite.types import Scan

_STANDS_ON = {
    "car": ("road", "parking"),
    "bicycle": ("road", "parking", "sidewalk", "other-ground"),
    "motorcycle": ("road", "parking", "sidewalk"),
    "truck": ("road", "parking"),
    "other-vehicle": ("road", "parking"),
    "person": ("road", "parking", "sidewalk", "other-ground", "terrain"),
    "bicyclist": ("road", "sidewalk", "other-ground"),
    "motorcyclist": ("road", "parking"),
}
_GROUND = ("road", "parking", "sidewalk", "other-ground", "terrain")
_IS_GROUND = np.array([name in _GROUND for name in CLASS_NAMES])
_IS_UPRIGHT = ~_IS_GROUND & (np.arange(NUM_CLASSES) != IGNORE)

_MARGIN = 0.2  # m around an object that must be free
_AROUND = 0.5  # m around an object in which ground tells its height
_LEAST_GROUND = 3  # points of ground there
_LEVEL = 0.2  # m that ground may lie above or below the object's feet
_SUITED = 0.75  # share of the ground that must be level and of a class to stand on
_CLEAR = 0.3  # m above the feet: what is higher is no ground, whatever its label
_LIFT = 0.5  # m that an object may be raised or lowered; beyond that, the sensor would see it by other beams
_RING = 1.0  # m before and behind an object in which the scan is looked at
_GAP = np.deg2rad(0.5)  # between two pasted objects, as the sensor sees them
_DIRECTIONS = (1024, 214)  # cells all around, and from nadir to zenith
_BEHIND = 0.3  # m


@dataclass(frozen=True)
class Cutout:
    """The points of one object, sensor frame, and its train id."""

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    label: int

    @property
    def labels(self) -> UInt8[np.ndarray, "n"]:
        return np.full(len(self.points), self.label, np.uint8)


@dataclass(frozen=True)
class Footprint:
    """A rectangle on the ground. ``low`` and ``high`` are its corners along and across the line of sight at ``azimuth``
    (rad); turned about the sensor it is the same at another azimuth.
    """

    azimuth: float
    low: Float[np.ndarray, "2"]
    high: Float[np.ndarray, "2"]

    @property
    def half_angle(self) -> float:
        """How far it reaches to either side of its azimuth, as the sensor sees it (rad)."""
        return float(np.arctan2(max(-self.low[1], self.high[1]), self.low[0]))

    def corners(self, margin: float = 0.0) -> Float[np.ndarray, "4 2"]:
        (x0, y0), (x1, y1) = self.low - margin, self.high + margin
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ rotation_z(self.azimuth)[:2, :2]

    def holds(self, points: Float32[np.ndarray, "n 3"], margin: float = 0.0) -> Bool[np.ndarray, "n"]:
        """Points above or below the rectangle."""
        x, y, c, s = points[:, 0], points[:, 1], np.float32(np.cos(self.azimuth)), np.float32(np.sin(self.azimuth))
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2 + margin
        return (np.abs(c * x + s * y - middle[0]) <= half[0]) & (np.abs(c * y - s * x - middle[1]) <= half[1])


def footprint(points: Float32[np.ndarray, "n 3"]) -> Footprint:
    """The rectangle around what is seen of an object, one side across the line of sight."""
    x, y = points[:, :2].mean(axis=0)
    azimuth = float(np.arctan2(y, x))
    flat = (points @ rotation_z(-azimuth))[:, :2]
    return Footprint(azimuth, flat.min(axis=0), flat.max(axis=0))


def overlap(rectangle: Float[np.ndarray, "4 2"], others: Float[np.ndarray, "k 4 2"]) -> bool:
    """Whether a rectangle overlaps one of some others: all but those that an edge of the one or the other keeps off."""
    return not (_apart(rectangle, others) | _apart(others, rectangle)).all()


def _apart(a: Float[np.ndarray, "*k 4 2"], b: Float[np.ndarray, "*m 4 2"]) -> Bool[np.ndarray, "n"]:
    """Whether the corners of b all lie beyond those of a in the direction of an edge of a."""
    edges = np.swapaxes(a[..., 1:3, :] - a[..., :2, :], -1, -2)
    on_a, on_b = a @ edges, b @ edges
    return ((on_a.max(axis=-2) < on_b.min(axis=-2)) | (on_b.max(axis=-2) < on_a.min(axis=-2))).any(axis=-1)


def cut_out(scan: Scan, objects: UInt32[np.ndarray, "n"], fewest: int) -> list[Cutout]:
    """The objects of a scan (class << 16 | instance, 0 = none) that have at least so many points."""
    return [
        Cutout(scan.points[rows], scan.remission[rows], int(objects[rows[0]] >> 16))
        for rows in _rows_of_objects(objects)
        if len(rows) >= fewest
    ]


def _rows_of_objects(objects: UInt32[np.ndarray, "n"]) -> list[Int64[np.ndarray, "m"]]:
    rows = np.flatnonzero(objects)
    rows = rows[np.argsort(objects[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(objects[rows])) + 1) if len(rows) else []


def paste(
    cutouts: Sequence[Cutout],
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    objects: UInt32[np.ndarray, "n"],
    config: CutmixConfig,
    volume: Volume,
    rng: np.random.Generator,
) -> list[Cutout]:
    """At most ``config.objects`` of the cutouts, as they stand in the scan of these points; of the classes among them
    each is as likely to come first. What finds no place within ``volume`` is left out.
    """
    distance = np.hypot(points[:, 0], points[:, 1])
    corners = [footprint(points[rows]).corners() for rows in _rows_of_objects(objects)]
    taken = np.array(corners).reshape(-1, 4, 2)
    pasted: list[Cutout] = []
    for cutout in _shuffled(cutouts, rng):
        if len(pasted) == config.objects:
            break
        away = np.hypot(cutout.points[:, 0], cutout.points[:, 1])
        ring = np.flatnonzero((distance > away.min() - _RING) & (distance < away.max() + _RING))
        places = _places(cutout, points[ring], labels[ring], pasted, taken, config.tries, rng)
        pasted += list(islice((c for c in places if in_volume(c.points, volume).all()), 1))
    return pasted


def _shuffled(cutouts: Sequence[Cutout], rng: np.random.Generator) -> list[Cutout]:
    """In random order; objects of a class that is rare among them come as early as those of a common one."""
    counts = np.bincount([c.label for c in cutouts], minlength=NUM_CLASSES)
    weight = np.array([1 / counts[c.label] for c in cutouts])
    order = rng.choice(len(cutouts), len(cutouts), replace=False, p=weight / weight.sum()) if cutouts else ()
    return [cutouts[i] for i in order]


def _aside(azimuth: Float32[np.ndarray, "n"], place: Footprint, pasted: Sequence[Cutout]) -> Bool[np.ndarray, "n"]:
    """Where an object would neither hide one of those pasted before, nor be hidden by it, nor meet it."""
    aside = np.ones(len(azimuth), bool)
    for other in (footprint(c.points) for c in pasted):
        aside &= np.cos(azimuth - other.azimuth) < np.cos(place.half_angle + other.half_angle + _GAP)
    return aside


def _places(
    cutout: Cutout,
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    pasted: Sequence[Cutout],
    taken: Float[np.ndarray, "k 4 2"],
    tries: int,
    rng: np.random.Generator,
) -> Iterator[Cutout]:
    """The cutout where it can stand: at those of some random places that are level, free and of a class to stand on."""
    ground = _IS_GROUND[labels]
    suited = np.isin(CLASS_NAMES, _STANDS_ON[CLASS_NAMES[cutout.label]])[labels]
    base, lowest = footprint(cutout.points), float(cutout.points[:, 2].min())
    height = float(np.ptp(cutout.points[:, 2]))
    landings = points[suited & (np.abs(points[:, 2] - lowest) < _LIFT)]
    azimuths = np.arctan2(landings[:, 1], landings[:, 0])
    for azimuth in rng.permutation(azimuths[_aside(azimuths, base, pasted)])[:tries]:
        place = replace(base, azimuth=float(azimuth))
        near = place.holds(points, _AROUND)
        floor = _floor(points[near & ground, 2], suited[near & ground])
        if floor is None or not _free(place, floor, height, points[near], labels[near], taken):
            continue
        turned = cutout.points @ rotation_z(place.azimuth - base.azimuth)
        yield replace(cutout, points=turned + np.array([0, 0, floor - lowest], np.float32))


def _floor(z: Float32[np.ndarray, "n"], suited: Bool[np.ndarray, "n"]) -> float | None:
    """Height of the ground, None if there is too little of it, or most is not level or no place to stand on."""
    if len(z) < _LEAST_GROUND:
        return None
    floor = float(np.median(z))
    return floor if (suited & (np.abs(z - floor) < _LEVEL)).mean() >= _SUITED else None


def _free(
    place: Footprint,
    floor: float,
    height: float,
    points: np.ndarray,
    labels: np.ndarray,
    taken: Float[np.ndarray, "k 4 2"],
) -> bool:
    """No other object, and no point but ground, where the object will be. A tree's crown above it is no obstacle."""
    here = place.holds(points, _MARGIN) & (points[:, 2] < floor + height + _CLEAR)
    upright = _IS_UPRIGHT[labels] | (points[:, 2] > floor + _CLEAR)
    return not (here & upright).any() and not overlap(place.corners(_MARGIN), taken)


def hidden(points: Float32[np.ndarray, "n 3"], pasted: Sequence[Cutout]) -> Bool[np.ndarray, "n"]:
    """Which points of a scan pasted objects hide: those in the same direction from the sensor, and farther away."""
    if not pasted:
        return np.zeros(len(points), bool)
    nearest = np.full(_DIRECTIONS, np.inf, np.float32)
    in_front = np.concatenate([cutout.points for cutout in pasted])
    np.minimum.at(nearest, _direction(in_front), np.linalg.norm(in_front, axis=1))
    return np.linalg.norm(points, axis=1) > nearest[_direction(points)] + _BEHIND


def _direction(points: Float32[np.ndarray, "n 3"]) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """Cells of azimuth and elevation, about two firings wide and two beams high."""
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    column = ((azimuth / np.pi + 1) / 2 * _DIRECTIONS[0]).astype(np.int64)
    row = ((elevation / np.pi + 0.5) * _DIRECTIONS[1]).astype(np.int64)
    return np.minimum(column, _DIRECTIONS[0] - 1), np.minimum(row, _DIRECTIONS[1] - 1)
