"""Recordings of ROS, without ROS: topics, messages by time, and the points of PointCloud2.

>>> with open_recording(Path("drive.mcap")) as recording:
...     topic = recording.topic(None, PointCloud2)
...     for message in recording.messages([topic]):
...         points = decode_cloud(message.record, topic.name)
"""

from elite.recordings.images import decode_image
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
from elite.recordings.opening import open_recording
from elite.recordings.point_cloud2 import TIME_FIELDS, decode_cloud, with_fields
from elite.recordings.recording import LAST, Recording
from elite.recordings.serialization import CDR, ROS1, encode_cloud, standard_definition
from elite.recordings.topics import Message, Span, Topic

__all__ = [
    "CDR",
    "LAST",
    "ROS1",
    "TIME_FIELDS",
    "CameraInfo",
    "CompressedImage",
    "Message",
    "PointCloud2",
    "PointField",
    "Pose",
    "RawImage",
    "Record",
    "Recording",
    "Span",
    "Topic",
    "Transform",
    "TransformTree",
    "decode_cloud",
    "decode_image",
    "encode_cloud",
    "open_recording",
    "standard_definition",
    "with_fields",
]
