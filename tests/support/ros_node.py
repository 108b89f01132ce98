"""The ROS 2 node of ros2/elite_ros without ROS: built against stand-in headers, and run on messages of a file."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from elite.native import loader
from elite.recordings.serialization import CDR, type_store

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2" / "elite_ros"
_INCLUDES = [PACKAGE / "include", PACKAGE / "test" / "stand_in", ROOT / "src" / "elite" / "native" / "include"]
_TYPES = {
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    "label_info": "vision_msgs/msg/LabelInfo",
}


@dataclass(frozen=True)
class Published:
    """A message of the node: ``data`` as bytes (CDR), ``message`` as decoded by rosbags."""

    topic: str
    is_latched: bool
    data: bytes

    @property
    def message(self) -> Any:
        kind = _TYPES.get(self.topic.rpartition("/")[2], _TYPES.get(self.topic, "sensor_msgs/msg/PointCloud2"))
        return type_store(CDR).deserialize_cdr(self.data, kind)


def build_replay(folder: Path) -> Path:
    """Compile test/replay.cpp with the node, and link it with the library of the Python package."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    shutil.copy(loader.library_path(), folder / "libelite.so")
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", *(f"-I{path}" for path in _INCLUDES)]
    sources = [*sorted((PACKAGE / "src").glob("*.cpp")), PACKAGE / "test" / "replay.cpp"]
    objects = [folder / f"{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(2) as pool:
        commands = ([compiler, *options, "-c", s, "-o", o] for s, o in zip(sources, objects, strict=True))
        list(pool.map(_run, commands))
    linked = [f"-L{folder}", "-lelite", f"-Wl,-rpath,{folder}", "-pthread", "-o", folder / "replay"]
    _run([compiler, *objects, *linked])
    return folder / "replay"


def replay(program: Path, folder: Path, messages: Iterable[bytes], **parameters: object) -> tuple[list[Published], str]:
    """Give the node these PointCloud2 messages (CDR). Return what it published, and its errors."""
    (folder / "in").write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in messages))
    values = [f"{name}:={_text(value)}" for name, value in parameters.items()]
    command = [program, folder / "in", folder / "out", *values]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=600)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    return list(_published((folder / "out").read_bytes())), done.stderr


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _published(data: bytes) -> Iterator[Published]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        topic = data[at + 4 : at + 4 + length].decode()
        is_latched, size = struct.unpack_from("<?I", data, at + 4 + length)
        at += length + 9
        yield Published(topic, is_latched, data[at : at + size])
        at += size


def _run(command: list[object]) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
