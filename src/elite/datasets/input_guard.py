"""Input guard: reports readable scans that probably do not match the input of the network.

Such scans are labelled like any others, with low accuracy. Readers raise errors for certain faults; the guard reports
doubtful properties, once per run and kind, with the expected and the found value. ``strict`` turns them into errors.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import call
from typing import Any, Literal

from elite.datasets.base import Dataset
from elite.datasets.surroundings import Ground, ground_plane, obstacles, sees_all_around
from elite.errors import DataError
from elite.geometry import Volume, in_volume, pinhole
from elite.sensor import SensorSpec, load_sensor
from elite.types import Camera, Scan

Read = Callable[[Callable[[], Any]], Any]  # runs a step that reads files, and returns its result
Kind = Literal["no-returns", "remission", "height", "axes", "volume"]

_HEIGHT_TOLERANCE = 0.3  # metres; five real and 200 rendered scans lie within 0.1 m
_STEEPEST = 15.0  # degrees: slope of the ground in the sensor frame
_AT_ORIGIN, _REPEATED = 0.01, 0.1  # shares of points at the origin, and of points that equal their predecessor
_BEYOND = 0.001  # share of points with a remission outside 0..1
_BRIGHTEST, _DARKEST = 1.0, 0.05  # range of the largest remission of a scan
_OUTSIDE = 0.5  # share of points outside the volume
_ABOVE = 0.5  # metres: ground this far above the sensor means that z points down
_SAME_SCENE = 0.2  # relative change of the numbers of obstacle points between two scans of the same scene
_OFF_CENTRE = 0.2  # of the image's width and height
_FEWEST = 500  # points: fewer suffice neither for the ground nor for a range of remission
_EVERY, _FIRST = 20, 10  # the ground is fitted in the first ten scans, then in every twentieth scan
_EXAMINED = 10  # scans of a data set
_DESCRIBE = "or describe the sensor in sensor.yaml"
_TURNED = 5  # votes for obstacles along x in excess of four times those along y


class DoubtfulInput(UserWarning):
    """A readable scan probably does not match the input of the network."""


@dataclass(frozen=True)
class Doubt:
    """A doubtful property of a scan. The message has the expected and the found value, and a remedy."""

    kind: Kind
    message: str


def warn(message: str) -> None:
    """Issue a DoubtfulInput warning."""
    warnings.warn(message, DoubtfulInput, stacklevel=2)


@dataclass(frozen=True)
class AxisVotes:
    """Numbers of scans with obstacles along x only, and along y only.

    Obstacles are usually at the sides of a driving vehicle, so obstacles along x indicate swapped axes. A single scan
    is not sufficient, since a vehicle may wait behind another one; each scan of another scene has one vote.

    Attributes:
        along_x: scans with obstacles in front or behind only.
        along_y: scans with obstacles at the sides only.
        scene: numbers of obstacle points along x and along y in the last counted scan.
    """

    along_x: int = 0
    along_y: int = 0
    scene: tuple[int, int] = (0, 0)

    def counted(self, scene: tuple[int, int] | None) -> "AxisVotes":
        """Add the vote of a scan, unless it has no obstacles or shows the same scene as the last one."""
        if scene is None or all(
            abs(new - old) <= _SAME_SCENE * max(new, old) for new, old in zip(scene, self.scene, strict=True)
        ):
            return self
        x, y = scene
        return AxisVotes(self.along_x + _dominates(x, y), self.along_y + _dominates(y, x), scene)

    def doubts(self) -> Iterator[Doubt]:
        """Yield a doubt about the axes if the votes suffice."""
        if self.along_x - 4 * self.along_y >= _TURNED:
            yield Doubt(
                "axes",
                "expected the street along x (x forward, y left, z up), found obstacles in front of the vehicle and "
                f"none at its sides in {self.along_x} scans. Rotate the points to x forward, y left, {_DESCRIBE}.",
            )


def _dominates(count: int, other: int) -> bool:
    return count > max(300, 3 * other)


@dataclass(frozen=True)
class Examination:
    """Doubtful properties of one scan, and its numbers of obstacle points along x and along y."""

    doubts: tuple[Doubt, ...]
    scene: tuple[int, int] | None = None


def examine(scan: Scan, volume: Volume, *, sensor: SensorSpec | None = None, fit_ground: bool = True) -> Examination:
    """Find the doubtful properties of a single scan. Fitting the ground takes most of the time.

    Args:
        scan: the scan.
        volume: of the student (m).
        sensor: LiDAR that the student was trained with; None = that of SemanticKITTI.
        fit_ground: whether to examine the ground.
    """
    if not len(scan):
        return Examination(())
    sensor = sensor or load_sensor("hdl-64e")
    found = [*([] if sensor.missing_returns else _no_returns(scan)), *_remission(scan)]
    if len(scan) < _FEWEST:
        return Examination(tuple(found))
    found += _outside(scan, volume)
    ground = ground_plane(scan.points) if fit_ground else None
    if ground is None:
        return Examination(tuple(found))
    scene = obstacles(scan.points, ground.height) if sees_all_around(scan.points) else None
    return Examination((*found, *_ground(ground, sensor.height)), scene)


class InputGuard:
    """Doubtful inputs of one run. Each kind is reported once, for the first scan that has it.

    Args:
        volume: low and high corner of the student's volume (m).
        report: called with each message.
        strict: raise an error instead.
        sensor: LiDAR that the student was trained with; None = that of SemanticKITTI.
    """

    def __init__(
        self,
        volume: Volume,
        report: Callable[[str], None] = warn,
        *,
        strict: bool = False,
        sensor: SensorSpec | None = None,
    ) -> None:
        self.volume, self.report, self.strict, self.sensor = volume, report, strict, sensor or load_sensor("hdl-64e")
        self._reported: set[Kind] = set()
        self._scans = 0
        self._votes = AxisVotes()

    def examine(self, scan: Scan, source: object = "the scan") -> None:
        """Report the doubtful properties of a scan that have not been reported yet.

        Raises:
            DataError: there is one, and the guard is strict.
        """
        fit_ground = self._scans < _FIRST or self._scans % _EVERY == 0
        found = examine(scan, self.volume, sensor=self.sensor, fit_ground=fit_ground)
        self._scans += 1
        self._votes = self._votes.counted(found.scene)
        for doubt in found.doubts:
            if self.strict:
                raise DataError(f"{source}: {doubt.message}")
            self._report(doubt, f"{source}: ")
        if not self.strict:  # otherwise ``finish`` raises an error, which concerns all scans
            for doubt in self._votes.doubts():
                self._report(doubt, "")

    def finish(self) -> None:
        """Check the properties of all scans together at the end of a run.

        Raises:
            DataError: they are doubtful, and the guard is strict.
        """
        for doubt in self._votes.doubts() if self.strict else ():
            raise DataError(doubt.message)

    def _report(self, doubt: Doubt, source: str) -> None:
        if doubt.kind not in self._reported:
            self._reported.add(doubt.kind)
            self.report(source + doubt.message)


def examine_scans(frames: Dataset, positions: Sequence[int], guard: InputGuard, read: Read = call) -> None:
    """Examine some of the scans, evenly spaced. Damaged ones are skipped: the run reports them.

    Raises:
        DataError: a scan is doubtful, and the guard is strict.
    """
    for position in positions[:: -(-len(positions) // _EXAMINED) or 1]:
        try:
            scan = read(partial(frames.scan, position))
        except DataError:
            continue
        guard.examine(scan, frames.scan_path(position))
    guard.finish()


def _outside(scan: Scan, volume: Volume) -> Iterator[Doubt]:
    outside = 1 - in_volume(scan.points, volume).mean()
    if _OUTSIDE < outside < 1:  # 1 is a certain fault, which raises an error elsewhere
        yield Doubt(
            "volume",
            f"expected most points in the volume {volume[0]} .. {volume[1]} m, found {outside:.0%} outside, which are "
            "labelled like their nearest neighbour inside. Give metres in the sensor frame (x forward, y left, z up), "
            f"{_DESCRIBE}.",
        )


def _no_returns(scan: Scan) -> Iterator[Doubt]:
    x, y, z = scan.points.T
    at_origin = float(((x == 0) & (y == 0) & (z == 0)).mean())
    if at_origin > _AT_ORIGIN:
        yield Doubt(
            "no-returns",
            f"expected measured points only, found {at_origin:.0%} at the origin: points without a return. Remove them "
            "from scan and labels. Otherwise, they are labelled like measured points.",
        )
    elif len(scan) >= _FEWEST:
        repeated = float(((x[1:] == x[:-1]) & (y[1:] == y[:-1]) & (z[1:] == z[:-1])).mean())
        if repeated > _REPEATED:
            yield Doubt(
                "no-returns",
                f"expected measured points only, found {repeated:.0%} equal to the previous point: points without a "
                "return, or duplicates. Remove those without a return from scan and labels.",
            )


def _remission(scan: Scan) -> Iterator[Doubt]:
    lowest, highest = float(scan.remission.min()), float(scan.remission.max())
    expected = f"expected remission in 0..1, found {lowest:g} to {highest:g}."
    if (lowest < 0 or highest > _BRIGHTEST) and float(
        ((scan.remission < 0) | (scan.remission > _BRIGHTEST)).mean()
    ) > _BEYOND:
        remedy = "Divide 0..255 by 255" if 2 < highest <= 255 else "Scale it to 0..1"
        yield Doubt("remission", f"{expected} {remedy}, {_DESCRIBE}.")
    elif highest < _DARKEST and len(scan) >= _FEWEST:
        yield Doubt("remission", f"{expected} Scale it to 0..1, {_DESCRIBE}.")


def _ground(ground: Ground, sensor_height: float | None) -> Iterator[Doubt]:
    if ground.slope > _STEEPEST or ground.height > _ABOVE:
        yield Doubt(
            "axes",
            f"expected level ground below the sensor (z up), found it at z = {ground.height:.2f} m with a slope of "
            f"{ground.slope:.0f} degrees. Give points in the sensor frame (x forward, y left, z up), {_DESCRIBE}.",
        )
    elif sensor_height is not None and abs(ground.height + sensor_height) > _HEIGHT_TOLERANCE:
        yield Doubt(
            "height",
            f"expected the ground at z = {-sensor_height:.2f} m, found it at {ground.height:.2f} m. If these are "
            f"metres, shift z by {-sensor_height - ground.height:+.2f} m, or train with the height of this sensor in "
            "sensor.yaml and --grid.heights ground.",
        )


def size_doubt(camera: Camera, height: int, width: int) -> str | None:
    """Describe an image size that does not match the calibration; None if it does.

    The principal point of a camera lies near the middle of its image. It does not after the image was resized.
    """
    intrinsics, _, _ = pinhole(camera)
    u, v = intrinsics[:2, 2]
    if abs(u - width / 2) <= _OFF_CENTRE * width and abs(v - height / 2) <= _OFF_CENTRE * height:
        return None
    return (
        f"expected the principal point of {camera.name} near the middle of the {width} x {height} pixels, found "
        f"({u:.0f}, {v:.0f}) in the calibration. Give images of the calibrated size, or scale the calibration."
    )
