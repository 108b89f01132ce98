"""Quality of service of topics, as recordings of ROS 2 contain it: YAML with numbers, which all versions read."""

import re
from enum import Enum
from typing import Any

import yaml

_FOREVER = "{sec: 9223372036, nsec: 854775807}"
LATCHED = f"""\
- history: 1
  depth: 1
  reliability: 1
  durability: 1
  deadline: {_FOREVER}
  lifespan: {_FOREVER}
  liveliness: 1
  liveliness_lease_duration: {_FOREVER}
  avoid_ros_namespace_conventions: false
"""


def qos_text(connection: Any) -> str:
    """Profiles of a connection of rosbags; empty = unknown."""
    if not hasattr(connection.ext, "offered_qos_profiles"):
        return LATCHED if connection.ext.latching else ""  # of ROS 1
    profiles = [
        {name: _plain(value) for name, value in profile._asdict().items()}
        for profile in connection.ext.offered_qos_profiles
    ]
    return yaml.safe_dump(profiles, sort_keys=False) if profiles else ""


def is_latched(qos: str) -> bool:
    """Whether late subscribers get the last messages (durability transient_local)."""
    return re.search(r"\bdurability: *(1|transient_local)\b", qos) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value._asdict() if hasattr(value, "_asdict") else value
