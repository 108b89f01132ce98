"""Parts of a recording that a conversion reads: LiDAR, cameras and poses."""

from dataclasses import dataclass

import numpy as np

from elite.conversion.cameras import CameraSource, find_cameras, stamp_notes
from elite.conversion.deskew import require_deskewable
from elite.conversion.settings import ConversionSettings
from elite.errors import DataError, EliteError
from elite.point_files import encode_points
from elite.recordings import PointCloud2, PointField, Pose, Recording, Topic, decode_cloud
from elite.recordings.calibration import FrameTree, plain_frame, read_frame_tree
from elite.shapes import Float64

_VEHICLE = "base_link"  # REP 105


@dataclass(frozen=True)
class LidarSource:
    """Point clouds of one LiDAR.

    Attributes:
        topic: of the clouds.
        frame: of their points.
        fields: of the first cloud.
        notes: sentences for the user.
    """

    topic: Topic
    frame: str
    fields: tuple[PointField, ...]
    notes: tuple[str, ...] = ()

    def fault(self, cloud: PointCloud2) -> str | None:
        """Reason why a cloud is skipped; None = it is converted."""
        if cloud.frame != self.frame:
            return f"clouds of the frame '{cloud.frame}' (see --frame)"
        if not len(cloud):
            return "clouds without points"
        return None if cloud.fields == self.fields else f"clouds with other fields ({_names(cloud)})"


def _names(cloud: PointCloud2) -> str:
    return " ".join(field.name for field in cloud.fields)


@dataclass(frozen=True)
class PoseSource:
    """Poses of the vehicle; ``T_child_lidar`` maps points of the LiDAR to the frame that they are of.

    Attributes:
        topic: of the poses.
        frames: that its first message names: parent and child.
        child: the frame that the poses are of.
        notes: sentences for the user.
    """

    topic: Topic
    frames: tuple[str, str]
    child: str
    T_child_lidar: Float64[np.ndarray, "4 4"]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """LiDAR, cameras and poses; ``notes`` are sentences for the user."""

    lidar: LidarSource
    cameras: tuple[CameraSource, ...]
    poses: PoseSource | None
    notes: tuple[str, ...]


def find_sources(recording: Recording, settings: ConversionSettings) -> Sources:
    """Find the LiDAR, the cameras and the poses of a recording.

    Raises:
        EliteError: point clouds are missing, or something that the settings name is missing or not usable.
    """
    lidar = _find_lidar(recording, settings)
    tree = read_frame_tree(recording)
    cameras, left_out = find_cameras(recording, settings, tree, lidar.frame)
    poses, reason = _find_poses(recording, settings, tree, lidar.frame)
    if settings.deskew and poses is None:
        raise DataError(
            f"{recording.path}: expected poses for --deskew, found none that can be used ({reason}). Give --poses, or "
            "convert without --deskew."
        )
    of_cameras = (note for camera in cameras for note in camera.notes)
    uncompensated = (f"motion between scans and images is not compensated: {reason}",) if cameras and reason else ()
    of_poses = poses.notes if poses else uncompensated
    return Sources(lidar, cameras, poses, (*lidar.notes, *left_out, *of_cameras, *of_poses))


def _find_lidar(recording: Recording, settings: ConversionSettings) -> LidarSource:
    topic = recording.topic(settings.topic, PointCloud2)
    fault = "no messages"
    for message in recording.messages([topic]):
        cloud = message.record
        assert isinstance(cloud, PointCloud2)
        if settings.frame is not None and cloud.frame != settings.frame:
            fault = f"clouds of the frame '{cloud.frame}'"
        elif not len(cloud):
            fault = "clouds without points"
        else:
            try:
                points = decode_cloud(cloud, topic.name)
            except DataError as error:
                fault = f"damaged ones ({error})"
                continue
            if missing := [axis for axis in "xyz" if axis not in points.values]:
                fault = f"no field {missing[0]} among {_names(cloud)}"
                break
            encode_points(points, ".pcd")  # names of fields that files cannot contain are errors now
            if settings.deskew:
                require_deskewable(points, f"{recording.path}, {topic.name}")
            return LidarSource(topic, cloud.frame, cloud.fields, stamp_notes(topic, cloud))
    where = "" if settings.frame is None else f" of the frame '{settings.frame}'"
    remedy = "Choose another --topic." if settings.frame is None else "Correct --frame."
    raise DataError(f"{recording.path}, {topic.name}: expected points x y z{where}, found {fault}. {remedy}")


def _find_poses(
    recording: Recording, settings: ConversionSettings, tree: FrameTree, lidar_frame: str
) -> tuple[PoseSource | None, str]:
    """Find the poses, or the reason why there are none; it is empty if none are wanted."""
    if settings.poses == "none":
        return None, ""
    name, _, frame = (settings.poses or "").partition("=")
    topics = recording.topics_of(Pose)
    if not name and len(topics) != 1:
        listed = ", ".join(topic.name for topic in topics)
        return None, f"choose one of {listed} with --poses" if topics else "no poses"
    try:
        topic = recording.topic(name or None, Pose, option="--poses")
        return _pose_source(recording, topic, frame, tree, lidar_frame), ""
    except EliteError as error:
        if name:
            raise
        return None, str(error)


def _pose_source(recording: Recording, topic: Topic, frame: str, tree: FrameTree, lidar_frame: str) -> PoseSource:
    first = next(recording.messages([topic]), None)
    if first is None or not isinstance(pose := first.record, Pose):
        raise DataError(f"{topic.name}: expected poses, found no messages. Choose another topic with --poses.")
    child = frame or pose.child or (_VEHICLE if _VEHICLE in tree.frames else "")
    if not child:
        raise DataError(
            f"{topic.name}: expected poses of a frame, found none in them. Give --poses {topic.name}=FRAME."
        )
    T_child_lidar = tree.between(child, lidar_frame)
    return PoseSource(topic, (pose.parent, pose.child), plain_frame(child), T_child_lidar, stamp_notes(topic, pose))
