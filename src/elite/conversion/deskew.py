"""Motion compensation within a scan: points are moved to the frame of the LiDAR at the time of the scan."""

from dataclasses import dataclass

import numpy as np

from elite.conversion.pairing import Item, poses_after
from elite.errors import DataError
from elite.point_files import PointFields
from elite.recordings import Pose
from elite.recordings.point_cloud2 import TIME_FIELDS
from elite.recordings.point_times import point_offsets
from elite.shapes import Bool, Float64

_STEP_S = 5e-6  # of times, so that poses are few where each point has its own: 0.1 mm at 40 m/s


@dataclass(frozen=True)
class Sweep:
    """Points that were measured one after another, each in the frame of the LiDAR at its own time.

    Attributes:
        points: all fields.
        offsets: times of the points after the stamp (s); NaN for points without a return.
    """

    points: PointFields
    offsets: Float64[np.ndarray, "n"]

    @property
    def after_ns(self) -> int:
        """Time from the stamp to the last point; 0 if it is not after the stamp."""
        return int(np.ceil(np.nanmax(self.offsets, initial=0.0) * 1e9))


def read_sweep(points: PointFields, stamp: int) -> Sweep | None:
    """Measure the times of the points; None if they are doubtful."""
    offsets = point_offsets(points, stamp, _measured(points))
    return None if offsets is None else Sweep(points, np.round(offsets / _STEP_S) * _STEP_S)


def require_deskewable(points: PointFields, source: object) -> None:
    """Check that the points of a cloud have times, and coordinates that can be moved.

    Raises:
        DataError: they do not.
    """
    remedy = "Convert without --deskew."
    if points.find(TIME_FIELDS) is None:
        expected, found = ", ".join(TIME_FIELDS[:-1]), " ".join(points.values)
        raise DataError(f"{source}: expected a field {expected} or {TIME_FIELDS[-1]}, found {found}. {remedy}")
    if wrong := next((axis for axis in "xyz" if points.values[axis].dtype.kind != "f"), None):
        kind = points.values[wrong].dtype
        raise DataError(f"{source}: expected x y z of floating-point numbers, found {wrong} of {kind}. {remedy}")


def deskewed(
    sweep: Sweep, stamp: int, poses: list[Item[Pose]], T_child_lidar: Float64[np.ndarray, "4 4"]
) -> PointFields | None:
    """Move each measured point into the frame of the LiDAR at the stamp; None if a pose is unknown.

    The motion is computed from differences of poses. Hence a vehicle that stands still changes no bit of its points,
    and positions far from the origin of the map lose no accuracy.
    """
    measured = np.isfinite(sweep.offsets)
    times, rows = np.unique(sweep.offsets[measured], return_inverse=True)
    found = poses_after(poses, stamp, np.append(times, 0.0))
    if found is None:
        return None
    found = found @ T_child_lidar
    (R, t), (R_stamp, t_stamp) = ((T[..., :3, :3], T[..., :3, 3]) for T in (found[:-1], found[-1]))
    turns, shifts = R_stamp.T @ (R - R_stamp), (t - t_stamp) @ R_stamp
    xyz = np.stack([sweep.points.values[axis][measured] for axis in "xyz"], axis=1).astype(np.float64)
    motion = np.einsum("nij,nj->ni", turns[rows], xyz) + shifts[rows]
    np.add(xyz, motion, out=xyz, where=motion != 0)  # -0.0 keeps its sign
    return _with_coordinates(sweep.points, measured, xyz)


def _measured(points: PointFields) -> Bool[np.ndarray, "n"]:
    xyz = np.stack([points.values[axis] for axis in "xyz"])
    return np.isfinite(xyz).all(axis=0) & (xyz != 0).any(axis=0)


def _with_coordinates(
    points: PointFields, measured: Bool[np.ndarray, "n"], xyz: Float64[np.ndarray, "m 3"]
) -> PointFields:
    values = dict(points.values)
    for axis, numbers in zip("xyz", xyz.T, strict=True):
        values[axis] = values[axis].copy()
        values[axis][measured] = numbers
    return PointFields(values, points.shape)
