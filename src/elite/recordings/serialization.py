"""Bytes of ROS messages to records, and point clouds back to bytes.

Types have their standard definitions. Definitions in recordings are compared with these and never compiled, because
rosbags compiles them to Python code.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from elite.errors import DataError, first_line
from elite.recordings.messages import (
    CameraInfo,
    CompressedImage,
    PointCloud2,
    PointField,
    Pose,
    RawImage,
    Record,
    Transform,
    TransformTree,
)
from elite.recordings.topics import Topic
from elite.rotations import from_quaternion

CDR, ROS1 = "cdr", "ros1"  # encodings of messages, by the names that mcap gives them
LABEL_INFO = "vision_msgs/msg/LabelInfo"
_LABEL_INFO = f"""\
std_msgs/Header header
vision_msgs/VisionClass[] class_map
float32 threshold
{"=" * 80}
MSG: vision_msgs/VisionClass
uint16 class_id
string class_name
"""
_TRANSFORMS = "geometry_msgs/TransformStamped[] transforms"
_LACKING = {  # definitions of types that rosbags lacks, by encoding
    CDR: {LABEL_INFO: _LABEL_INFO},
    ROS1: {"tf2_msgs/msg/TFMessage": _TRANSFORMS, "tf/msg/tfMessage": _TRANSFORMS},
}
_RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}  # types of ROS 1 by their names in ROS 2
_HEADER = "std_msgs/msg/Header"
_ROUNDING = 0.01  # of the length of a quaternion
_LONGEST_DEFINITION = 2**16  # bytes; those of ROS have 5,000


def normal_type(name: str) -> str:
    """Type name of ROS 2: ``sensor_msgs/PointCloud2`` of ROS 1 is ``sensor_msgs/msg/PointCloud2``."""
    package, _, message = name.partition("/")
    return f"{package}/msg/{message}" if message and "/" not in message else name


def decode_record(data: bytes | memoryview, type_name: str, encoding: str) -> Record:
    """Decode a message.

    Args:
        data: its bytes, which the record refers to.
        type_name: one of ``RECORDS``.
        encoding: ``cdr`` of ROS 2 or ``ros1``.

    Raises:
        DataError: damaged; the text states what was found.
    """
    store = type_store(encoding)
    deserialize = store.deserialize_cdr if encoding == CDR else store.deserialize_ros1
    try:
        return RECORDS[type_name].convert(deserialize(memoryview(data), type_name))
    except DataError:
        raise
    except Exception as error:  # of another library: damaged bytes make it raise any kind
        raise DataError(first_line(error)) from error


def encode_cloud(cloud: PointCloud2, encoding: str) -> bytes:
    """Encode a point cloud as ``encoding``, ``cdr`` of ROS 2 or ``ros1``."""
    store = type_store(encoding)
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(cloud.stamp, 10**9))
    number = (cloud.sequence,) if encoding == ROS1 else ()
    fields = [types["sensor_msgs/msg/PointField"](*field) for field in cloud.fields]
    message = types["sensor_msgs/msg/PointCloud2"](
        types["std_msgs/msg/Header"](*number, stamp, cloud.frame),
        *(cloud.height, cloud.width, fields, cloud.is_bigendian, cloud.point_step, cloud.row_step),
        *(cloud.data, cloud.is_dense),
    )
    serialize = store.serialize_cdr if encoding == CDR else store.serialize_ros1
    return bytes(serialize(message, "sensor_msgs/msg/PointCloud2"))


def standard_definition(type_name: str, encoding: str) -> str:
    """Definition of a type in the format ros2msg (or ros1msg) with its parts, as recordings contain it.

    It is empty for types that are not part of ROS.
    """
    if type_name not in type_store(encoding).fielddefs:
        return ""
    return type_store(encoding).generate_msgdef(type_name, ros_version=2 if encoding == CDR else 1)[0]


def ros2_topic(topic: Topic) -> Topic | None:
    """Return the topic of the messages of ``to_ros2``; None if ROS 2 lacks their type or their encoding is unknown."""
    if topic.encoding == CDR:
        return topic
    name = _RENAMED.get(topic.type, topic.type)
    ros1, ros2 = (type_store(encoding).fielddefs for encoding in (ROS1, CDR))
    is_known = topic.encoding == ROS1 and name in ros1 and name in ros2
    if not is_known or not _is_readable(topic) or not _same_fields(name, ros1, ros2, {_HEADER}):
        return None
    return replace(topic, type=name, encoding=CDR, format="ros2msg", definition=standard_definition(name, CDR).encode())


def to_ros2(data: bytes, type_name: str) -> bytes:
    """Convert a message of ROS 1 to the type of ROS 2, which differs in the sequence number of the header only.

    Raises:
        DataError: it is damaged; the text states what was found.
    """
    try:
        return bytes(type_store(CDR).ros1_to_cdr(data, type_name))
    except Exception as error:  # of another library
        raise DataError(first_line(error)) from error


def has_standard_definition(topic: Topic) -> bool:
    """Whether the definition of a topic has the fields of the standard one, of the same types in the same order.

    Raises:
        DataError: the definition is damaged; the text states what was found.
    """
    from rosbags.typesys import get_types_from_msg

    try:
        if len(topic.definition) > _LONGEST_DEFINITION:
            raise ValueError(f"{len(topic.definition)} bytes")
        found = get_types_from_msg(topic.definition.decode(), topic.type)
        return _same_fields(topic.type, found, type_store(topic.encoding).fielddefs)
    except Exception as error:  # of another library
        raise DataError(first_line(error)) from error


def _is_readable(topic: Topic) -> bool:
    """Whether the messages have the standard definition, as far as it is recorded."""
    try:
        return not topic.definition or has_standard_definition(topic)
    except DataError:
        return False


def _same_fields(type_name: str, found: Any, standard: Any, ignored: Collection[str] = ()) -> bool:
    """Compare without the case of names: ROS 2 has CameraInfo.k for K. Parts of the types ``ignored`` are equal."""
    ours, theirs = (
        [(name.lower(), description) for name, description in types[type_name][1]] for types in (standard, found)
    )
    parts = {part for _, description in ours if (part := _part(description)) and part in found} - {*ignored}
    return ours == theirs and all(_same_fields(part, found, standard, ignored) for part in parts)


def _part(description: Any) -> str | None:
    """Name of the message type of a field, or of its elements; None for numbers and texts."""
    _, content = description
    inner = content[0] if isinstance(content, tuple) and isinstance(content[0], tuple) else description
    return inner[1] if isinstance(inner[1], str) else None


@cache
def type_store(encoding: str) -> Any:
    """Types of messages of an encoding, by their standard definitions."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST if encoding == CDR else Stores.ROS1_NOETIC)
    for name, text in _LACKING[encoding].items():
        store.register(get_types_from_msg(text, name))
    return store


# ---- records from the messages of rosbags ------------------------------------------------------------------------


def _stamp(header: Any) -> int:
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def _cloud(message: Any) -> PointCloud2:
    return PointCloud2(
        stamp=_stamp(message.header),
        frame=message.header.frame_id,
        height=message.height,
        width=message.width,
        fields=tuple(PointField(f.name, f.offset, f.datatype, f.count) for f in message.fields),
        is_bigendian=message.is_bigendian,
        point_step=message.point_step,
        row_step=message.row_step,
        data=message.data,
        is_dense=message.is_dense,
        sequence=getattr(message.header, "seq", 0),
    )


def _image(message: Any) -> RawImage:
    return RawImage(
        *(_stamp(message.header), message.header.frame_id, message.height, message.width),
        *(message.encoding, message.step, message.data),
    )


def _compressed(message: Any) -> CompressedImage:
    return CompressedImage(_stamp(message.header), message.header.frame_id, message.format, message.data)


def _camera_info(message: Any) -> CameraInfo:
    numbers = {name: getattr(message, name, None) for name in "DKRP"}  # of ROS 1
    D, K, R, P = (getattr(message, name.lower()) if v is None else v for name, v in numbers.items())
    roi = message.roi
    return CameraInfo(
        *(_stamp(message.header), message.header.frame_id, message.height, message.width, message.distortion_model),
        *(tuple(float(d) for d in D), _matrix(K, 3), _matrix(R, 3), _matrix(P, 4)),
        binning=(message.binning_x, message.binning_y),
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def _matrix(values: Any, columns: int) -> np.ndarray:
    return np.array(values, np.float64).reshape(3, columns)


def _tree(message: Any) -> TransformTree:
    return TransformTree(
        tuple(
            Transform(
                _stamp(t.header),
                t.header.frame_id,
                t.child_frame_id,
                _rigid(t.transform.translation, t.transform.rotation),
            )
            for t in message.transforms
        )
    )


def _odometry(message: Any) -> Pose:
    return _pose(message, message.pose.pose, message.child_frame_id)


def _pose(message: Any, pose: Any, child: str = "") -> Pose:
    return Pose(_stamp(message.header), message.header.frame_id, child, _rigid(pose.position, pose.orientation))


def _rigid(position: Any, quaternion: Any) -> np.ndarray:
    """Rigid transform of a position and a quaternion, which drivers round."""
    values = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], np.float64)
    matrix = np.eye(4)
    matrix[:3, 3] = position.x, position.y, position.z
    if not (abs(np.linalg.norm(values) - 1) < _ROUNDING and np.isfinite(matrix).all()):
        raise DataError(f"the quaternion {values} at the position {matrix[:3, 3]}")
    matrix[:3, :3] = from_quaternion(values)
    return matrix


class _Known(NamedTuple):
    record: type
    convert: Callable[[Any], Record]


RECORDS = {
    "sensor_msgs/msg/PointCloud2": _Known(PointCloud2, _cloud),
    "sensor_msgs/msg/Image": _Known(RawImage, _image),
    "sensor_msgs/msg/CompressedImage": _Known(CompressedImage, _compressed),
    "sensor_msgs/msg/CameraInfo": _Known(CameraInfo, _camera_info),
    "tf2_msgs/msg/TFMessage": _Known(TransformTree, _tree),
    "tf/msg/tfMessage": _Known(TransformTree, _tree),
    "nav_msgs/msg/Odometry": _Known(Pose, _odometry),
    "geometry_msgs/msg/PoseStamped": _Known(Pose, lambda message: _pose(message, message.pose)),
    "geometry_msgs/msg/PoseWithCovarianceStamped": _Known(Pose, lambda message: _pose(message, message.pose.pose)),
}
