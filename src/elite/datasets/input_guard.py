"""Input guard: scans that can be read and are probably not what the network expects.

A wrong scan gets labels like any other, so silence costs accuracy. Certain faults are errors of the reader. Doubtful
inputs are reported here, once per run and kind, with the value seen and the value expected; ``strict`` makes them
errors.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from elite.datasets.surroundings import Ground, ground_plane, obstacles, sees_all_around
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
                f"none at its sides in {self.along_x} of the scans examined. Turn the points to x forward, y left.",
            )


def _stands_out(count: int, other: int) -> bool:
    return count > max(300, 3 * other)


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
    scene = obstacles(scan.points, ground.height) if sees_all_around(scan.points) else None
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


def _ground(ground: Ground) -> Iterator[Doubt]:
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
