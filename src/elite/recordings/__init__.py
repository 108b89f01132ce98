"""Recordings of ROS, without ROS: topics, messages by time, and the points of PointCloud2.

>>> with open_recording(Path("drive.mcap")) as recording:
...     topic = recording.topic(None, PointCloud2)
...     for message in recording.messages([topic]):
...         points = decode_cloud(message.record, topic.name)
"""

from elite.recordings.images import decode_image
from elite.recordings.label_info import encode_label_info, label_info_topic
from elite.recordings.messages import (
    CameraInfo,
    CompressedImage,
    PointCloud2,
    PointField,
    Pose,
    RawImage,
    Record,
)
from elite.recordings.opening import open_recording
from elite.recordings.point_cloud2 import decode_cloud, require_no_fields, with_fields
from elite.recordings.qos import is_latched
from elite.recordings.recording import LAST, Recording
from elite.recordings.serialization import CDR, encode_cloud, ros2_topic, standard_definition, to_ros2
from elite.recordings.topics import Message, Span, Topic
from elite.recordings.writing import Compression, RecordingWriter, write_recording

__all__ = [
    "CDR",
    "LAST",
    "CameraInfo",
    "CompressedImage",
    "Compression",
    "Message",
    "PointCloud2",
    "PointField",
    "Pose",
    "RawImage",
    "Record",
    "Recording",
    "RecordingWriter",
    "Span",
    "Topic",
    "decode_cloud",
    "decode_image",
    "encode_cloud",
    "encode_label_info",
    "is_latched",
    "label_info_topic",
    "open_recording",
    "require_no_fields",
    "ros2_topic",
    "standard_definition",
    "to_ros2",
    "with_fields",
    "write_recording",
]
