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
_STEEPEST = 15.0  # degrees of the ground in the sensor frame
_AT_ORIGIN, _REPEATED = 0.01, 0.1  # shares of points at the origin, and of points that equal their predecessor
_BEYOND = 0.001  # share of points with a remission outside 0..1
_BRIGHTEST, _DARKEST = 1.0, 0.05  # range of the largest remission of a scan
_OUTSIDE = 0.5  # share of points outside the volume
_ABOVE = 0.5  # metres: ground above the sensor is upside down
_SAME_SCENE = 0.2  # change of the numbers of obstacles between two scans of the same scene
_OFF_CENTRE = 0.2  # of the image's width and height
_FEWEST = 500  # points: fewer show neither the ground nor a range of remission
_EVERY, _FIRST = 20, 10  # the ground is fitted in each of the first ten scans, and in each twentieth later one
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
    """Scans of a moving vehicle with obstacles along x only, and along y only.

    Obstacles stand beside a driving vehicle, rarely in front of it, so a street along y means turned axes. One scan
    proves nothing (a vehicle waits behind another), so each one that shows another scene casts a vote.

    Attributes:
        scene: numbers of points of obstacles along x and along y in the last scan that was counted.
    """

    along_x: int = 0
    along_y: int = 0
    scene: tuple[int, int] = (0, 0)

    def counted(self, scene: tuple[int, int] | None) -> "AxisVotes":
        """The votes with one more scan; without it if it shows no scene, or the same as the last one."""
        if scene is None or all(
            abs(new - old) <= _SAME_SCENE * max(new, old) for new, old in zip(scene, self.scene, strict=True)
        ):
            return self
        x, y = scene
        return AxisVotes(self.along_x + _stands_out(x, y), self.along_y + _stands_out(y, x), scene)

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
    """The doubtful properties of one scan, and the obstacles along x and along y that it shows around a vehicle."""

    doubts: tuple[Doubt, ...]
    scene: tuple[int, int] | None = None


def examine(scan: Scan, volume: Volume, *, fit_ground: bool = True) -> Examination:
    """Everything doubtful about a single scan. Fitting the ground takes most of the time."""
    if not len(scan):
        return Examination(())
    found = [*_no_returns(scan), *_remission(scan)]
    if len(scan) < _FEWEST:
        return Examination(tuple(found))
    found += _outside(scan, volume)
    ground = ground_plane(scan.points) if fit_ground else None
    if ground is None:
        return Examination(tuple(found))
    scene = _obstacles(scan.points, ground.height) if _sees_all_around(scan.points) else None
    return Examination((*found, *_ground(ground)), scene)


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
        self._votes = self._votes.counted(found.scene)
        for doubt in found.doubts:
            if self.strict:
                raise DataError(f"{source}: {doubt.message}")
            self._report(doubt, f"{source}: ")
        if not self.strict:  # otherwise ``finish`` raises: no single scan is to blame
            for doubt in self._votes.doubts():
                self._report(doubt, "")

    def finish(self) -> None:
        """End the run.

        Raises:
            DataError: all scans together are doubtful, and the guard is strict.
        """
        for doubt in self._votes.doubts() if self.strict else ():
            raise DataError(doubt.message)

    def _report(self, doubt: Doubt, source: str) -> None:
        if doubt.kind not in self._reported:
            self._reported.add(doubt.kind)
            self.report(source + doubt.message)


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
    if at_origin > _AT_ORIGIN:
        yield Doubt(
            "no-returns",
            f"expected measured points only, found {at_origin:.0%} at the origin: points without a return. Remove them "
            "from scan and labels; they get labels like any other point.",
        )
    elif len(scan) >= _FEWEST:
        repeated = float(((x[1:] == x[:-1]) & (y[1:] == y[:-1]) & (z[1:] == z[:-1])).mean())
        if repeated > _REPEATED:
            yield Doubt(
                "no-returns",
                f"expected measured points only, found {repeated:.0%} equal to the one before: points without a "
                "return, or duplicates. Remove those without a return from scan and labels.",
            )


def _remission(scan: Scan) -> Iterator[Doubt]:
    lowest, highest = float(scan.remission.min()), float(scan.remission.max())
    expected = f"expected remission in 0..1, found {lowest:g} to {highest:g}."
    if (lowest < 0 or highest > _BRIGHTEST) and float(
        ((scan.remission < 0) | (scan.remission > _BRIGHTEST)).mean()
    ) > _BEYOND:
        yield Doubt("remission", f"{expected} {'Divide 0..255 by 255' if 2 < highest <= 255 else 'Scale it to 0..1'}.")
    elif highest < _DARKEST and len(scan) >= _FEWEST:
        yield Doubt("remission", f"{expected} Scale it to 0..1.")


def _ground(ground: "Ground") -> Iterator[Doubt]:
    if ground.slope > _STEEPEST or ground.height > _ABOVE:
        yield Doubt(
            "axes",
            f"expected level ground below the sensor (z up), found it at z = {ground.height:.2f} m with a slope of "
            f"{ground.slope:.0f} degrees. Give points in the sensor frame: x forward, y left, z up.",
        )
    elif abs(ground.height + SENSOR_HEIGHT) > _HEIGHT_TOLERANCE:
        yield Doubt(
            "height",
            f"expected the ground at z = {-SENSOR_HEIGHT:.2f} m, found it at {ground.height:.2f} m. If these are "
            f"metres, shift z by {-SENSOR_HEIGHT - ground.height:+.2f} m, or train with another --student.volume.",
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


def _sees_all_around(points: Float32[np.ndarray, "n 3"]) -> bool:
    """Whether there are points within 30 m in each of the four directions, which a forward-looking sensor lacks."""
    near = points[:: len(points) // _SAMPLED + 1]
    near = near[np.abs(near[:, :2]).max(axis=1) < 30]
    x, y = near[:, 0], near[:, 1]
    sectors = [(along > 2 * np.abs(across)).sum() for along, across in ((x, y), (-x, y), (y, x), (-y, x))]
    return min(sectors) > 0.02 * len(near)


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
_EARTH = 1e8  # metres: no map has larger coordinates
_FEWEST_JUDGED = 64  # points: fewer can hold any numbers by chance
_IMPLAUSIBLE = 0.01  # share of rows
_LAYOUTS = (("<f4", 5), ("<f4", 6), ("<f4", 7), ("<f4", 8), ("<f4", 3), ("<f8", 4), ("<f8", 5), ("<f8", 3))


def layout_fault(data: bytes) -> str | None:
    """Describe what a scan file holds in place of float32 x y z remission, judged by its numbers; None if it fits.

    Another layout counts only if its numbers are plausible, change less from point to point than in the stated layout,
    and the stated numbers are not plausible: by length alone every scan of an even number of points also fits float64.
    """
    if (kind := next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)) is not None:
        return f"the contents of a {kind} file"
    if len(data) < 16 * _FEWEST_JUDGED:
        return None
    stated = np.frombuffer(data[: len(data) // 16 * 16], "<f4").reshape(-1, 4)
    if len(data) % 16 == 0 and (_in_range(stated) or _is_plausible(stated)):
        return None
    rough = _roughness(stated)
    for dtype, columns in _LAYOUTS:
        size = np.dtype(dtype).itemsize * columns
        if len(data) % size == 0:
            other = np.frombuffer(data, dtype).reshape(-1, columns)
            if _is_plausible(other) and _roughness(other) < 0.5 * rough:
                return f"float{8 * np.dtype(dtype).itemsize} with {columns} numbers a point ({len(other)} points)"
    if len(data) % 16 == 0 and not _is_plausible(stated[:, :3], _EARTH):
        return "numbers of another format, which are not metres"
    return None


def _in_range(values: Float[np.ndarray, "n 4"]) -> bool:
    """Whether all rows are plausible, by their extremes only: enough for nearly every sound scan, and quick."""
    numbers = values.ravel()
    if not len(numbers):
        return True
    return bool(numbers.min() > -_FARTHEST and 0.1 < numbers.max() < _FARTHEST and values[:, 3].min() >= 0)


def _is_plausible(values: Float[np.ndarray, "n columns"], farthest: float = _FARTHEST) -> bool:
    """Whether the first numbers of a row can be metres, and the fourth one an intensity, in nearly all finite rows."""
    values = values[np.isfinite(values).all(axis=1)]
    distance = np.abs(values[:, :3])
    # A double's halves are floats of any size; measured coordinates are hardly ever as small and not 0.
    fits = ((distance < farthest) & ((distance == 0) | (distance > 1e-6))).all(axis=1)
    if values.shape[1] > 3:
        fits &= (values[:, 3] >= 0) & (values[:, 3] <= _BRIGHTEST_RAW)
    return len(values) > 0 and bool(fits.mean() >= 1 - _IMPLAUSIBLE)


def _roughness(values: Float[np.ndarray, "n columns"]) -> float:
    """Median step from point to point: neighbours in a scan are near each other, wrongly cut numbers are not."""
    with np.errstate(all="ignore"):
        steps = np.abs(np.diff(values[:, :3].astype(np.float64), axis=0)).sum(axis=1)
        return float(np.median(np.nan_to_num(steps, nan=np.inf))) if len(steps) else np.inf
