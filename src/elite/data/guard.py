"""Input guard: scans that can be read and are probably not what the network expects.

A wrong scan gets labels like any other, so silence costs accuracy. Certain faults are errors of the reader. Doubtful
inputs are reported here, once per run and kind, with the value seen and the value expected; ``strict`` makes them
errors.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from elite.errors import DataError
from elite.geometry import Volume, in_volume, pinhole
from elite.types import Camera, Scan

Kind = Literal["no-returns", "remission", "height", "axes", "volume"]

SENSOR_HEIGHT = 1.73  # metres above the road: SemanticKITTI's sensor, to which the volume of the student belongs
_HEIGHT_TOLERANCE = 0.3  # metres; five real and 200 rendered scans lie within 0.1 m
_STEEPEST = 10.0  # degrees of the ground in the sensor frame
_REPEATED = 0.01  # share of points that equal their predecessor or lie at the origin
_BRIGHTEST, _DARKEST = 1.0, 0.05  # range of the largest remission of a scan
_OUTSIDE = 0.5  # share of points outside the volume
_OFF_CENTRE = 0.2  # of the image's width and height
_FEWEST = 500  # points: fewer show neither the ground nor a range of remission
_EVERY, _FIRST = 20, 10  # the ground is fitted in each of the first scans, and in every so-many-th later one
_TURNED = 5  # votes for obstacles along x, beyond four times those for obstacles along y


class DoubtfulInput(UserWarning):
    """A scan that can be read and is probably not what the network expects."""


@dataclass(frozen=True)
class Doubt:
    """One doubtful property of a scan: what was expected, what was found, and the remedy, as a sentence."""

    kind: Kind
    message: str


def warn(message: str) -> None:
    """Report a doubt from Python: as a warning of the class DoubtfulInput."""
    warnings.warn(message, DoubtfulInput, stacklevel=2)


@dataclass(frozen=True)
class AxisVotes:
    """Scans whose obstacles stand along x only, and along y only.

    Obstacles stand beside a driving vehicle, rarely in front of it, so a street along y means turned axes. One scan
    proves nothing (a vehicle waits behind another), so each one casts a vote.
    """

    along_x: int = 0
    along_y: int = 0

    def __add__(self, other: "AxisVotes") -> "AxisVotes":
        return AxisVotes(self.along_x + other.along_x, self.along_y + other.along_y)

    def doubts(self) -> Iterator[Doubt]:
        """Turned axes, once the evidence suffices."""
        if self.along_x - 4 * self.along_y >= _TURNED:
            yield Doubt(
                "axes",
                "expected the street along x (x forward, y left, z up), found obstacles in front of the vehicle and "
                f"none beside it in {self.along_x} of the scans examined. Turn the points to x forward, y left.",
            )


@dataclass(frozen=True)
class Examination:
    """What one scan shows: its doubtful properties, and its vote on the axes."""

    doubts: tuple[Doubt, ...]
    votes: AxisVotes


def examine(scan: Scan, volume: Volume, *, fit_ground: bool = True) -> Examination:
    """Everything doubtful about a single scan. Fitting the ground takes most of the time."""
    if len(scan) < _FEWEST:
        return Examination((), AxisVotes())
    ground = ground_plane(scan.points) if fit_ground else None
    found = [*_no_returns(scan), *_remission(scan), *_outside(scan, volume)]
    if ground is None:
        return Examination(tuple(found), AxisVotes())
    along_x, along_y = _obstacles(scan.points, ground.height)
    votes = AxisVotes(int(_stands_out(along_x, along_y)), int(_stands_out(along_y, along_x)))
    return Examination((*found, *_ground(ground)), votes)


class InputGuard:
    """The doubtful inputs of one run. Each kind is reported once, for the first scan that shows it.

    Args:
        volume: low and high corner of the student's volume (m).
        report: takes each message.
        strict: raise instead.
    """

    def __init__(self, volume: Volume, report: Callable[[str], None] = warn, *, strict: bool = False) -> None:
        self.volume, self.report, self.strict = volume, report, strict
        self._reported: set[Kind] = set()
        self._scans = 0
        self._votes = AxisVotes()

    def examine(self, scan: Scan, source: object = "the scan") -> None:
        """Report what is doubtful about a scan and has not been reported yet.

        Raises:
            DataError: it is doubtful, and the guard is strict.
        """
        found = examine(scan, self.volume, fit_ground=self._scans < _FIRST or self._scans % _EVERY == 0)
        self._scans += 1
        self._votes += found.votes
        for doubt in (*found.doubts, *self._votes.doubts()):
            if self.strict:
                raise DataError(f"{source}: {doubt.message}")
            if doubt.kind not in self._reported:
                self._reported.add(doubt.kind)
                self.report(f"{source}: {doubt.message}")


def _outside(scan: Scan, volume: Volume) -> Iterator[Doubt]:
    outside = 1 - in_volume(scan.points, volume).mean()
    if _OUTSIDE < outside < 1:  # all of them is a certain fault
        yield Doubt(
            "volume",
            f"expected most points in the volume {volume[0]} .. {volume[1]} m, found {outside:.0%} outside, which get "
            "the label of their nearest neighbour. Give metres in the sensor frame: x forward, y left, z up.",
        )


def _no_returns(scan: Scan) -> Iterator[Doubt]:
    x, y, z = scan.points.T
    at_origin = float(((x == 0) & (y == 0) & (z == 0)).mean())
    repeated = float(((x[1:] == x[:-1]) & (y[1:] == y[:-1]) & (z[1:] == z[:-1])).mean())
    if max(at_origin, repeated) > _REPEATED:
        share, where = (at_origin, "at the origin") if at_origin > _REPEATED else (repeated, "equal to the one before")
        yield Doubt(
            "no-returns",
            f"expected measured points only, found {share:.0%} {where}: returns that never came. Remove them from scan "
            "and labels; they get labels like any other point.",
        )


def _remission(scan: Scan) -> Iterator[Doubt]:
    lowest, highest = float(scan.remission.min()), float(scan.remission.max())
    if lowest < 0 or highest > _BRIGHTEST:
        remedy = "Divide 0..255 by 255." if 1 < highest <= 255 else "Scale it to 0..1."
        yield Doubt("remission", f"expected remission in 0..1, found {lowest:g} to {highest:g}. {remedy}")
    elif highest < _DARKEST:
        yield Doubt(
            "remission", f"expected remission in 0..1, found at most {highest:g} in the scan. Scale it to 0..1."
        )


def _ground(ground: "Ground") -> Iterator[Doubt]:
    if ground.slope > _STEEPEST:
        yield Doubt(
            "axes",
            f"expected level ground below the sensor (z up), found a slope of {ground.slope:.0f} degrees. Give points "
            "in the sensor frame: x forward, y left, z up.",
        )
    elif abs(ground.height + SENSOR_HEIGHT) > _HEIGHT_TOLERANCE:
        yield Doubt(
            "height",
            f"expected the ground at z = {-SENSOR_HEIGHT:.2f} m, found it at {ground.height:.2f} m. Shift z by "
            f"{-SENSOR_HEIGHT - ground.height:+.2f} m, or train with a --student.volume for this height.",
        )


def size_doubt(camera: Camera, height: int, width: int) -> str | None:
    """What is doubtful about an image's size: the principal point of its camera lies near its middle.

    Images that were resized after the calibration show points at the wrong pixels.
    """
    intrinsics, _, _ = pinhole(camera)
    u, v = intrinsics[:2, 2]
    if abs(u - width / 2) <= _OFF_CENTRE * width and abs(v - height / 2) <= _OFF_CENTRE * height:
        return None
    return (
        f"expected the principal point of {camera.name} near the middle of the {width} x {height} pixels, found "
        f"({u:.0f}, {v:.0f}) in the calibration. Give images of the calibrated size, or scale the calibration."
    )


# ---- the ground -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ground:
    """The plane that the ground around the sensor fits: z below the sensor (m) and slope (degrees)."""

    height: float
    slope: float


_NEAR, _FAR, _CELL = 2.5, 15.0, 1.5  # metres: ring around the sensor, and cells that each give one ground point
_SAMPLED = 30_000  # points
_FEWEST_CELLS = 8


def ground_plane(points: Float32[np.ndarray, "n 3"]) -> Ground | None:
    """Fit a plane to the lowest points around the sensor; None where too few of them lie on one.

    Least squares over the low points of each cell, repeated with a shrinking limit on the residuals, so that walls,
    vehicles and vegetation drop out.
    """
    low = _lowest_of_cells(points)
    if len(low) < _FEWEST_CELLS:
        return None
    design, z = np.column_stack([low[:, :2], np.ones(len(low))]), low[:, 2]
    plane, limit = np.array([0, 0, np.percentile(z, 40)]), 1.0
    for _ in range(12):
        fits = np.abs(z - design @ plane) < limit
        if fits.sum() < _FEWEST_CELLS - 2:
            return None
        plane = np.linalg.lstsq(design[fits], z[fits], rcond=None)[0]
        limit = max(0.15, limit * 0.75)
    if fits.mean() < 0.5:
        return None
    return Ground(float(plane[2]), float(np.degrees(np.arctan(np.hypot(*plane[:2])))))


def _lowest_of_cells(points: Float32[np.ndarray, "n 3"]) -> Float[np.ndarray, "cells 3"]:
    """A low point (tenth percentile of z) of each cell with some points in the ring around the sensor."""
    points = points[:: len(points) // _SAMPLED + 1]
    with np.errstate(over="ignore"):  # a wild coordinate is far away
        squared = points[:, 0] ** 2 + points[:, 1] ** 2
    ring = points[(squared > _NEAR**2) & (squared < _FAR**2)]
    columns = int(2 * _FAR / _CELL) + 1
    row, column = (np.floor((ring[:, axis] + _FAR) / _CELL).astype(np.int64) for axis in (0, 1))
    cell = row * columns + column
    order = np.lexsort((ring[:, 2], cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    chosen = (starts + counts // 10)[counts >= 5]
    return ring[order[chosen]].astype(np.float64)


def _obstacles(points: Float32[np.ndarray, "n 3"], ground: float) -> tuple[int, int]:
    """Numbers of points of obstacles (0.5 to 2 m above the ground, 3 to 12 m away) along x and along y."""
    above = points[:, 2] - ground
    upright = points[(above > 0.5) & (above < 2)]
    x, y = np.abs(upright[:, 0]), np.abs(upright[:, 1])
    along_x = (y < 1.2) & (x > 3) & (x < 12)
    along_y = (x < 1.2) & (y > 3) & (y < 12)
    return int(along_x.sum()), int(along_y.sum())


def _stands_out(count: int, other: int) -> bool:
    return count > max(300, 3 * other)


# ---- the layout of a scan file ----------------------------------------------------------------------------------

_MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"# .PCD": ".pcd",
    b"ply": ".ply",
    b"LASF": ".las",
    b"VERSION": ".pcd",
}
_FARTHEST, _BRIGHTEST_RAW = 2000.0, 65_535.0  # metres; largest intensity of any sensor's 16 bits
_IMPLAUSIBLE = 0.01  # share of rows
_LAYOUTS = (("<f4", 5), ("<f4", 6), ("<f4", 7), ("<f4", 8), ("<f4", 3), ("<f8", 4), ("<f8", 5), ("<f8", 3))


def layout_fault(data: bytes) -> str | None:
    """Describe what else a scan file of float32 x y z remission seems to hold, judged by its numbers; None if it fits.

    Another layout counts only if its numbers are plausible and those of the stated one are not: by length alone every
    scan of an even number of points also fits float64.
    """
    if (kind := next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)) is not None:
        return f"the contents of a {kind} file"
    if len(data) % 16 == 0:
        stated = np.frombuffer(data, "<f4").reshape(-1, 4)
        if _in_range(stated) or _is_plausible(stated):
            return None
    for dtype, columns in _LAYOUTS:
        size = np.dtype(dtype).itemsize * columns
        if len(data) % size == 0 and _is_plausible(np.frombuffer(data, dtype).reshape(-1, columns)):
            return f"float{8 * np.dtype(dtype).itemsize} with {columns} numbers a point ({len(data) // size} points)"
    return None


def _in_range(values: Float[np.ndarray, "n 4"]) -> bool:
    """Whether all rows are plausible, by their extremes only: enough for nearly every sound scan, and quick."""
    numbers = values.ravel()
    if not len(numbers):
        return True
    return bool(numbers.min() > -_FARTHEST and numbers.max() < _FARTHEST and values[:, 3].min() >= 0)


def _is_plausible(values: Float[np.ndarray, "n columns"]) -> bool:
    """Whether the first numbers of a row can be metres, and the fourth one an intensity, in nearly all finite rows."""
    values = values[np.isfinite(values).all(axis=1)]
    distance = np.abs(values[:, :3])
    # A double's halves are floats of any size; measured coordinates are hardly ever as small and not 0.
    fits = ((distance < _FARTHEST) & ((distance == 0) | (distance > 1e-6))).all(axis=1)
    if values.shape[1] > 3:
        fits &= (values[:, 3] >= 0) & (values[:, 3] <= _BRIGHTEST_RAW)
    return len(values) > 0 and bool(fits.mean() >= 1 - _IMPLAUSIBLE)
