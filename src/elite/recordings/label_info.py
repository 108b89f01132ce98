"""Names of classes as messages of ROS: vision_msgs/LabelInfo."""

from collections.abc import Mapping

from elite.recordings.qos import LATCHED
from elite.recordings.serialization import CDR, LABEL_INFO, standard_definition, type_store
from elite.recordings.topics import Topic


def label_info_topic(name: str) -> Topic:
    """Latched topic of class names."""
    return Topic(name, LABEL_INFO, CDR, "ros2msg", standard_definition(LABEL_INFO, CDR).encode(), LATCHED)


def encode_label_info(names: Mapping[int, str], stamp: int, frame: str) -> bytes:
    """Encode the name of each id (0 to 65535), for clouds of a frame from a stamp (ns) on."""
    store = type_store(CDR)
    types = store.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9)), frame)
    classes = [types["vision_msgs/msg/VisionClass"](number, name) for number, name in names.items()]
    return bytes(store.serialize_cdr(types[LABEL_INFO](header, classes, 0.0), LABEL_INFO))
