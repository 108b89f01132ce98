"""Instance cutmix: objects of another scan are placed on the ground of this one, by pure functions of arrays.

An object is only rotated about the sensor's z axis and moved to the height of the ground. Its distance, its visible
side and the density of its points are unchanged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from elite.beams import Beams
from elite.config import CutmixConfig
from elite.data.augment import rotation_z
from elite.geometry import Volume, in_volume
from elite.sensor import load_sensor
from elite.shapes import Bool, Float, Float32, Int64, UInt8, UInt32
from elite.taxonomy import Taxonomy
from elite.types import PastPoints, Scan

_MARGIN = 0.2  # m around an object without other points
_AROUND = 0.5  # m around an object in which the height of the ground is measured
_LEAST_GROUND = 3  # ground points there
_LEVEL = 0.2  # m: largest deviation of level ground from the base of the object
_SUITED = 0.75  # least share of the ground that is level and of a support class
_CLEAR = 0.3  # m above the base: higher points are obstacles, whatever their labels
_LIFT = 0.5  # m: largest vertical shift of an object; beyond that, other beams would measure it
_RING = 1.0  # m before and behind an object in which places are searched
_GAP = np.deg2rad(0.5)  # angle between two pasted objects
_CELLS = (1024, 214)  # of azimuth, and of elevation from nadir to zenith, for the sensor of SemanticKITTI
_BEHIND = 0.3  # m: least distance between an occluding and an occluded point


@dataclass(frozen=True)
class Cutout:
    """Points of one object (sensor frame), its train id, and the points of past scans at its place.

    The latter show whether the object has moved: they are its own points if it stood still.
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    label: int
    past: PastPoints | None = None

    @property
    def labels(self) -> UInt8[np.ndarray, "n"]:
        return np.full(len(self.points), self.label, np.uint8)


@dataclass(frozen=True)
class Footprint:
    """Rectangle on the ground, aligned with the line of sight at ``azimuth`` (rad).

    ``low`` and ``high`` are its corners along and across the line of sight (m). Rotation about the sensor changes the
    azimuth only.
    """

    azimuth: float
    low: Float[np.ndarray, "2"]
    high: Float[np.ndarray, "2"]

    @property
    def half_angle(self) -> float:
        """Largest angle between its azimuth and one of its points (rad)."""
        return float(np.arctan2(max(-self.low[1], self.high[1]), self.low[0]))

    def corners(self, margin: float = 0.0) -> Float[np.ndarray, "4 2"]:
        (x0, y0), (x1, y1) = self.low - margin, self.high + margin
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ rotation_z(self.azimuth)[:2, :2]

    def contains(self, points: Float32[np.ndarray, "n 3"], margin: float = 0.0) -> Bool[np.ndarray, "n"]:
        """Mask of the points above or below the rectangle."""
        x, y, c, s = points[:, 0], points[:, 1], np.float32(np.cos(self.azimuth)), np.float32(np.sin(self.azimuth))
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2 + margin
        return (np.abs(c * x + s * y - middle[0]) <= half[0]) & (np.abs(c * y - s * x - middle[1]) <= half[1])


def footprint(points: Float32[np.ndarray, "n 3"]) -> Footprint:
    """Rectangle around the points of an object, aligned with the line of sight."""
    x, y = points[:, :2].mean(axis=0)
    azimuth = float(np.arctan2(y, x))
    flat = (points @ rotation_z(-azimuth))[:, :2]
    return Footprint(azimuth, flat.min(axis=0), flat.max(axis=0))


def overlap(rectangle: Float[np.ndarray, "4 2"], others: Float[np.ndarray, "k 4 2"]) -> bool:
    """Return whether a rectangle overlaps one of the others (separating axes: the edges of both)."""
    return not (_are_separated(rectangle, others) | _are_separated(others, rectangle)).all()


def _are_separated(a: Float[np.ndarray, "*k 4 2"], b: Float[np.ndarray, "*m 4 2"]) -> Bool[np.ndarray, "n"]:
    """Return whether the projections of a and b on an edge of a are disjoint."""
    edges = np.swapaxes(a[..., 1:3, :] - a[..., :2, :], -1, -2)
    on_a, on_b = a @ edges, b @ edges
    return ((on_a.max(axis=-2) < on_b.min(axis=-2)) | (on_b.max(axis=-2) < on_a.min(axis=-2))).any(axis=-1)


def extract_objects(scan: Scan, objects: UInt32[np.ndarray, "n"], min_points: int) -> list[Cutout]:
    """Extract the objects of a scan (class << 16 | instance, 0 = none) with at least ``min_points`` points."""
    return [
        Cutout(scan.points[rows], scan.remission[rows], int(objects[rows[0]] >> 16), _past_at(scan, rows))
        for rows in _rows_of_objects(objects)
        if len(rows) >= min_points
    ]


def _past_at(scan: Scan, rows: Int64[np.ndarray, "n"]) -> PastPoints | None:
    """Points of past scans in the box of an object."""
    if scan.past is None:
        return None
    points, past = scan.points[rows], scan.past.points
    low, high = points[:, 2].min(), points[:, 2].max()
    past_in_height = np.flatnonzero((past[:, 2] >= low) & (past[:, 2] <= high))
    return scan.past.select(past_in_height[footprint(points).contains(past[past_in_height], _MARGIN)])


def _rows_of_objects(objects: UInt32[np.ndarray, "n"]) -> list[Int64[np.ndarray, "m"]]:
    rows = np.flatnonzero(objects)
    rows = rows[np.argsort(objects[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(objects[rows])) + 1) if len(rows) else []


def paste(
    cutouts: Sequence[Cutout],
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    objects: UInt32[np.ndarray, "n"],
    taxonomy: Taxonomy,
    config: CutmixConfig,
    volume: Volume,
    rng: np.random.Generator,
) -> list[Cutout]:
    """Place at most ``config.objects`` of the cutouts in a scan. Each class among them is equally likely to be first.

    Args:
        cutouts: objects of another scan.
        points: points of the scan (m).
        labels: their train ids.
        objects: their objects, which must stay free.
        taxonomy: classes of the labels. An object is placed on the ground that its class stands on.
        config: number of objects, and of tries for each.
        volume: low and high corner of the student's volume (m). Objects without a place inside are skipped.
        rng: generator of order and places.

    Returns:
        The objects at their places.
    """
    distance = np.hypot(points[:, 0], points[:, 1])
    corners = [footprint(points[rows]).corners() for rows in _rows_of_objects(objects)]
    occupied = np.array(corners).reshape(-1, 4, 2)
    pasted: list[Cutout] = []
    for cutout in _shuffled(cutouts, len(taxonomy), rng):
        if len(pasted) == config.objects:
            break
        away = np.hypot(cutout.points[:, 0], cutout.points[:, 1])
        ring = np.flatnonzero((distance > away.min() - _RING) & (distance < away.max() + _RING))
        places = _places(cutout, points[ring], labels[ring], taxonomy, pasted, occupied, config.tries, rng)
        pasted += list(islice((c for c in places if in_volume(c.points, volume).all()), 1))
    return pasted


def _shuffled(cutouts: Sequence[Cutout], classes: int, rng: np.random.Generator) -> list[Cutout]:
    """Random order in which objects of a rare class are as early as those of a frequent one."""
    counts = np.bincount([c.label for c in cutouts], minlength=classes)
    weight = np.array([1 / counts[c.label] for c in cutouts])
    order = rng.choice(len(cutouts), len(cutouts), replace=False, p=weight / weight.sum()) if cutouts else ()
    return [cutouts[i] for i in order]


def _is_clear_of(
    azimuth: Float32[np.ndarray, "n"], place: Footprint, pasted: Sequence[Cutout]
) -> Bool[np.ndarray, "n"]:
    """Mask of the azimuths at which an object and those pasted before neither occlude nor touch each other."""
    clear = np.ones(len(azimuth), bool)
    for other in (footprint(c.points) for c in pasted):
        clear &= np.cos(azimuth - other.azimuth) < np.cos(place.half_angle + other.half_angle + _GAP)
    return clear


def _places(
    cutout: Cutout,
    points: Float32[np.ndarray, "n 3"],
    labels: UInt8[np.ndarray, "n"],
    taxonomy: Taxonomy,
    pasted: Sequence[Cutout],
    occupied: Float[np.ndarray, "k 4 2"],
    tries: int,
    rng: np.random.Generator,
) -> Iterator[Cutout]:
    """Yield the cutout at random places that are level, free and of a support class."""
    ground, upright = taxonomy.is_ground[labels], taxonomy.is_upright[labels]
    suited = taxonomy.ground_of(cutout.label)[labels]
    base, lowest = footprint(cutout.points), float(cutout.points[:, 2].min())
    height = float(np.ptp(cutout.points[:, 2]))
    landings = points[suited & (np.abs(points[:, 2] - lowest) < _LIFT)]
    azimuths = np.arctan2(landings[:, 1], landings[:, 0])
    for azimuth in rng.permutation(azimuths[_is_clear_of(azimuths, base, pasted)])[:tries]:
        place = replace(base, azimuth=float(azimuth))
        near = place.contains(points, _AROUND)
        floor = _floor(points[near & ground, 2], suited[near & ground])
        if floor is None or not _is_free(place, floor, height, points[near], upright[near], occupied):
            continue
        yield _moved(cutout, place.azimuth - base.azimuth, floor - lowest)


def _moved(cutout: Cutout, angle: float, lift: float) -> Cutout:
    """Rotate an object about the sensor (rad), and lift it (m)."""
    rotation, shift = rotation_z(angle), np.array([0, 0, lift], np.float32)
    past = cutout.past
    if past is not None:
        past = replace(past, points=past.points @ rotation + shift)
    return replace(cutout, points=cutout.points @ rotation + shift, past=past)


def _floor(z: Float32[np.ndarray, "n"], suited: Bool[np.ndarray, "n"]) -> float | None:
    """Height of the ground; None if too few points are ground, level, and of a support class."""
    if len(z) < _LEAST_GROUND:
        return None
    floor = float(np.median(z))
    return floor if (suited & (np.abs(z - floor) < _LEVEL)).mean() >= _SUITED else None


def _is_free(
    place: Footprint,
    floor: float,
    height: float,
    points: Float32[np.ndarray, "n 3"],
    upright: Bool[np.ndarray, "n"],
    occupied: Float[np.ndarray, "k 4 2"],
) -> bool:
    """Return whether a place has no object and no points except ground. Points above the object are not obstacles."""
    here = place.contains(points, _MARGIN) & (points[:, 2] < floor + height + _CLEAR)
    stands_out = upright | (points[:, 2] > floor + _CLEAR)
    return not (here & stands_out).any() and not overlap(place.corners(_MARGIN), occupied)


def occluded(
    points: Float32[np.ndarray, "n 3"], pasted: Sequence[Cutout], beams: Beams | None = None
) -> Bool[np.ndarray, "n"]:
    """Mask of the points that pasted objects occlude: farther away in the same direction from the sensor.

    Args:
        points: of the scan (m).
        pasted: objects at their places.
        beams: of the sensor; None = those of SemanticKITTI.
    """
    if not pasted:
        return np.zeros(len(points), bool)
    cells = _direction_cells(beams)
    nearest = np.full(cells, np.inf, np.float32)
    in_front = np.concatenate([cutout.points for cutout in pasted])
    np.minimum.at(nearest, _direction(in_front, cells), np.linalg.norm(in_front, axis=1))
    return np.linalg.norm(points, axis=1) > nearest[_direction(points, cells)] + _BEHIND


def _direction_cells(beams: Beams | None) -> tuple[int, int]:
    """Numbers of cells of azimuth and elevation, about two firings wide and two beams high."""
    kitti = load_sensor("hdl-64e").beams
    if beams is None or kitti is None:
        return _CELLS
    columns, rows = kitti.azimuth_step / beams.azimuth_step, kitti.mean_gap / beams.mean_gap
    return max(1, round(_CELLS[0] * columns)), max(1, round(_CELLS[1] * rows))


def _direction(
    points: Float32[np.ndarray, "n 3"], cells: tuple[int, int]
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """Cell of each point."""
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    column = ((azimuth / np.pi + 1) / 2 * cells[0]).astype(np.int64)
    row = ((elevation / np.pi + 0.5) * cells[1]).astype(np.int64)
    return np.minimum(column, cells[0] - 1), np.minimum(row, cells[1] - 1)
