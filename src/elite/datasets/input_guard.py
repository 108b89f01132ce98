"""Input guard: reports readable scans that probably do not match the input of the network.

Such scans are labelled like any others, with low accuracy. Readers raise errors for certain faults; the guard reports
doubtful properties, once per run and kind, with the expected and the found value. ``strict`` turns them into errors.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import call
from typing import Any, get_args

from elite.datasets.base import Dataset
from elite.datasets.doubts import (
    FEWEST,
    Doubt,
    Kind,
    field_doubts,
    ground_doubts,
    no_return_doubts,
    past_doubts,
    remission_doubts,
    volume_doubts,
)
from elite.datasets.surroundings import ground_plane, obstacles, sees_all_around
from elite.errors import DataError
from elite.geometry import Volume
from elite.remission import Quantiles
from elite.sensor import SensorSpec, load_sensor
from elite.types import Scan

Read = Callable[[Callable[[], Any]], Any]  # runs a step that reads files, and returns its result
GUARDED: tuple[str, ...] = get_args(Kind)

_SAME_SCENE = 0.2  # relative change of the numbers of obstacle points between two scans of the same scene
_EVERY, _FIRST = 20, 10  # the ground is fitted in the first ten scans, then in every twentieth scan
_EXAMINED = 10  # scans of a data set
_TURNED = 5  # votes for obstacles along x in excess of four times those along y


class DoubtfulInput(UserWarning):
    """A readable scan probably does not match the input of the network."""


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
                f"none at its sides in {self.along_x} scans. Give the sensor the directions of x, y and z, such as "
                "'axes: right-forward-up', or rotate the points.",
            )


def _dominates(count: int, other: int) -> bool:
    return count > max(300, 3 * other)


@dataclass(frozen=True)
class Examination:
    """Doubtful properties of one scan.

    Attributes:
        doubts: the properties.
        scene: numbers of obstacle points along x and along y.
        ground: z of the ground below the sensor (m).
    """

    doubts: tuple[Doubt, ...]
    scene: tuple[int, int] | None = None
    ground: float | None = None


def examine(
    scan: Scan,
    volume: Volume,
    *,
    sensor: SensorSpec | None = None,
    remission: Quantiles | None = None,
    fit_ground: bool = True,
) -> Examination:
    """Find the doubtful properties of a single scan. Fitting the ground takes most of the time.

    Args:
        scan: the scan.
        volume: of the student (m).
        sensor: LiDAR that the student was trained with; None = that of SemanticKITTI.
        remission: quantiles of the remission of the training scans; None = unknown.
        fit_ground: whether to examine the ground.
    """
    past = past_doubts(scan.past)
    if not len(scan):
        return Examination(tuple(past))
    sensor = sensor or load_sensor("hdl-64e")
    if "remission" not in sensor.columns:
        remission = (0.0, 0.0)
    found = [*past, *([] if sensor.missing_returns else no_return_doubts(scan))]
    found += [*field_doubts(scan)] or [*remission_doubts(scan, remission)]
    if len(scan) < FEWEST:
        return Examination(tuple(found))
    found += volume_doubts(scan, volume)
    ground = ground_plane(scan.points) if fit_ground else None
    if ground is None:
        return Examination(tuple(found))
    scene = obstacles(scan.points, ground.height) if sees_all_around(scan.points) else None
    return Examination((*found, *ground_doubts(ground, sensor.height)), scene, ground.height)


class InputGuard:
    """Doubtful inputs of one run. Each kind is reported once, for the first scan that has it.

    Args:
        volume: low and high corner of the student's volume (m).
        report: called with each message.
        strict: raise an error instead.
        sensor: LiDAR that the student was trained with; None = that of SemanticKITTI.
        remission: quantiles of the remission of the training scans; None = unknown.
        ignored: kinds that are not reported.
    """

    def __init__(
        self,
        volume: Volume,
        report: Callable[[str], None] = warn,
        *,
        strict: bool = False,
        sensor: SensorSpec | None = None,
        remission: Quantiles | None = None,
        ignored: Collection[Kind] = (),
    ) -> None:
        self.remission, self.ignored = remission, ignored
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
        found = examine(scan, self.volume, sensor=self.sensor, remission=self.remission, fit_ground=fit_ground)
        self._scans += 1
        self._votes = self._votes.counted(found.scene)
        for doubt in found.doubts:
            if doubt.kind in self.ignored:
                continue
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
    for position, scan in some_scans(frames, positions, read):
        guard.examine(scan, frames.scan_path(position))
    guard.finish()


def some_scans(frames: Dataset, positions: Sequence[int], read: Read = call) -> Iterator[tuple[int, Scan]]:
    """Yield some of the scans with their positions, evenly spaced, without damaged ones."""
    for position in positions[:: -(-len(positions) // _EXAMINED) or 1]:
        try:
            yield position, read(partial(frames.scan_with_past, position))
        except DataError:
            continue
