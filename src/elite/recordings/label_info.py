"""Names of classes as messages of ROS: vision_msgs/LabelInfo."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from elite.recordings.qos import LATCHED
from elite.recordings.serialization import CDR
from elite.recordings.topics import Topic

_TYPE = "vision_msgs/msg/LabelInfo"
_DEFINITION = f"""\
std_msgs/Header header
vision_msgs/VisionClass[] class_map
float32 threshold
{"=" * 80}
MSG: vision_msgs/VisionClass
uint16 class_id
string class_name
"""


def label_info_topic(name: str) -> Topic:
    """Latched topic of class names."""
    definition, _ = _store().generate_msgdef(_TYPE, ros_version=2)
    return Topic(name, _TYPE, CDR, "ros2msg", definition.encode(), LATCHED)


def encode_label_info(names: Mapping[int, str], stamp: int, frame: str) -> bytes:
    """Encode the name of each id (0 to 65535), for clouds of a frame from a stamp (ns) on."""
    store = _store()
    types = store.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9)), frame)
    classes = [types["vision_msgs/msg/VisionClass"](number, name) for number, name in names.items()]
    return bytes(store.serialize_cdr(types[_TYPE](header, classes, 0.0), _TYPE))


@cache
def _store() -> Any:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg(_DEFINITION, _TYPE))
    return store
