"""Scans with the images and poses around them, from one pass over the messages of a recording.

A scan is complete as soon as messages of all streams are later than its tolerance, or ``patience`` after it was
recorded. Messages that were recorded more than ``patience`` before it do not count. Hence the pairs of a scan depend on
the messages around it alone: a conversion that starts again in the middle finds the same ones.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from elite.datasets.described.poses import interpolate_poses
from elite.recordings import Pose
from elite.shapes import Float64, Int64

_PATIENCE_NS = 10**9
_GAP_NS = 10**9  # between two poses, above which poses between them are unknown
Content = TypeVar("Content")


@dataclass(frozen=True)
class Item(Generic[Content]):
    """A message.

    Attributes:
        time: when it was recorded (ns).
        stamp: when it was taken (ns).
        content: its contents.
        after: time from the stamp to that of its last point (ns).
    """

    time: int
    stamp: int
    content: Content
    after: int = 0


@dataclass
class Stream(Generic[Content]):
    """Messages of a topic that may belong to scans which are not complete yet, as recorded."""

    items: list[Item[Content]] = field(default_factory=list)

    def since(self, time: int) -> list[Item[Content]]:
        """Messages recorded from ``time`` on (ns)."""
        return [item for item in self.items if item.time >= time]

    def has_passed(self, stamp: int, since: int) -> bool:
        return any(item.stamp >= stamp for item in self.since(since))

    def forget(self, stamp: int, since: int) -> None:
        """Drop messages recorded before ``since``, and those for which a later one, of at most ``stamp``, exists."""
        kept, last = [], None
        for item in reversed(self.since(since)):
            if last is None or not item.stamp <= last:
                kept.append(item)
            if item.stamp <= stamp:
                last = item.stamp if last is None else max(last, item.stamp)
        self.items = kept[::-1]


@dataclass(frozen=True)
class Group:
    """A scan with what belongs to it.

    Attributes:
        scan: its contents.
        images: nearest image by camera, as far as there is one within the tolerance.
        poses: those around it.
    """

    scan: Item[Any]
    images: dict[str, Item[Any]]
    poses: list[Item[Pose]]


class Grouping:
    """Groups of the messages of a recording, which are added by time of recording.

    Args:
        cameras: names.
        with_poses: whether poses are recorded.
        tolerance_ns: largest difference between the times of a scan and its image.
        reach_ns: largest difference between the times of a scan and of poses that it requires.
    """

    def __init__(self, cameras: tuple[str, ...], with_poses: bool, tolerance_ns: int, reach_ns: int = 0) -> None:
        self._tolerance, self._reach = tolerance_ns, max(tolerance_ns, reach_ns)
        self.patience_ns = _PATIENCE_NS + self._reach
        self._images: dict[str, Stream[Any]] = {camera: Stream() for camera in cameras}
        self._poses: Stream[Pose] | None = Stream() if with_poses else None
        self._scans: deque[Item[Any]] = deque()
        self._floor = 0

    def add_scan(self, scan: Item[Any]) -> None:
        """Add a scan; its stamp is later than those of the scans before it."""
        self._scans.append(scan)

    def add_image(self, camera: str, image: Item[Any]) -> None:
        self._images[camera].items.append(image)

    def add_pose(self, pose: Item[Pose]) -> None:
        if self._poses is not None:
            self._poses.items.append(pose)

    def complete(self, now: int | None) -> Iterator[Group]:
        """Yield the scans that are complete at the time ``now`` of recording (ns); None = all that are left."""
        while self._scans and (now is None or self._is_complete(self._scans[0], now)):
            scan = self._scans.popleft()
            yield self._group(scan)
            self._floor = scan.stamp
        if now is not None:
            self._forget(now)

    def _is_complete(self, scan: Item[Any], now: int) -> bool:
        since = scan.time - self.patience_ns
        if now > scan.time + self.patience_ns:
            return True
        late = scan.stamp + max(self._tolerance, scan.after)
        if self._poses is not None and not self._poses.has_passed(late, since):
            return False
        return all(stream.has_passed(scan.stamp + self._tolerance, since) for stream in self._images.values())

    def _group(self, scan: Item[Any]) -> Group:
        since = scan.time - self.patience_ns
        images = {}
        for camera, stream in self._images.items():
            found = min(stream.since(since), key=lambda item: abs(item.stamp - scan.stamp), default=None)
            if found is not None and abs(found.stamp - scan.stamp) <= self._tolerance:
                images[camera] = found
        return Group(scan, images, [] if self._poses is None else self._poses.since(since))

    def _forget(self, now: int) -> None:
        """Drop messages that neither the scans that wait nor later ones need: without scans, too, memory is bounded."""
        floor, time = (self._scans[0].stamp, self._scans[0].time) if self._scans else (self._floor, now)
        for stream in self._images.values():
            stream.forget(floor, time - self.patience_ns)
        if self._poses is not None:
            self._poses.forget(floor - self._reach, time - self.patience_ns)


def poses_after(
    poses: list[Item[Pose]], stamp: int, offsets: Float64[np.ndarray, "n"], outside_s: float = 0.0
) -> Float64[np.ndarray, "n 4 4"] | None:
    """Interpolate poses at times after a stamp (s).

    Args:
        poses: in any order.
        stamp: ns.
        offsets: times after the stamp, at least one.
        outside_s: time before the first and after the last pose for which it is used: none over a scan, where this
            would hide the motion.

    Returns:
        T_parent_child; None if one of the times is outside of the poses, or in a gap of over a second.
    """
    times, matrices = _by_time(poses)
    if not len(times):
        return None
    seconds = (times - stamp) * 1e-9
    inside = np.clip(offsets, seconds[0], seconds[-1])
    before, after = np.searchsorted(seconds, inside, "right") - 1, np.searchsorted(seconds, inside)
    outside = np.abs(offsets - inside).max().round(9)  # whole nanoseconds
    if outside > outside_s or (times[after] - times[before]).max() > _GAP_NS:
        return None
    return interpolate_poses(seconds, matrices, inside)


def _by_time(poses: list[Item[Pose]]) -> tuple[Int64[np.ndarray, "m"], Float64[np.ndarray, "m 4 4"]]:
    """Stamps (ns) that ascend, and poses; of two with the same stamp, the later one."""
    by_time = {item.stamp: item.content.matrix for item in poses}
    times = sorted(by_time)
    return np.array(times, np.int64), np.array([by_time[time] for time in times], np.float64).reshape(-1, 4, 4)
