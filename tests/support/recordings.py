"""Small recordings of ROS, written by rosbags: clouds of every layout, cameras, poses.

Bytes of clouds come from structured arrays of numpy, so that they are independent of the decoder under test.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from elite.recordings import PointCloud2, PointField

START = 1_700_000_000_000_000_000  # ns
PERIOD = 100_000_000
_CLOUD, _TF = "sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage"
_DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
_XYZ = {"x": ("f4", 0), "y": ("f4", 4), "z": ("f4", 8)}

# Fields with their types and offsets, and bytes per point, as drivers publish them.
LAYOUTS: dict[str, tuple[dict[str, tuple[str, int]], int]] = {
    "XYZI": (_XYZ | {"intensity": ("f4", 16)}, 32),
    "XYZIRC": (_XYZ | {"intensity": ("u1", 12), "return_type": ("u1", 13), "channel": ("u2", 14)}, 16),
    "XYZIRADRT": (
        _XYZ
        | {"intensity": ("f4", 12), "ring": ("u2", 16), "azimuth": ("f4", 20), "distance": ("f4", 24)}
        | {"return_type": ("u1", 28), "time_stamp": ("f8", 32)},
        40,
    ),
    "XYZIRCAEDT": (
        _XYZ
        | {"intensity": ("u1", 12), "return_type": ("u1", 13), "channel": ("u2", 14), "azimuth": ("f4", 16)}
        | {"elevation": ("f4", 20), "distance": ("f4", 24), "time_stamp": ("u4", 28)},
        32,
    ),
    "ouster": (
        _XYZ
        | {"intensity": ("f4", 16), "t": ("u4", 20), "reflectivity": ("u2", 24), "ring": ("u2", 26)}
        | {"ambient": ("u2", 28), "range": ("u4", 32)},
        48,
    ),
    "velodyne": (_XYZ | {"intensity": ("f4", 12), "ring": ("u2", 16), "time": ("f4", 18)}, 22),
    "hesai": (_XYZ | {"intensity": ("f4", 16), "timestamp": ("f8", 24), "ring": ("u2", 32)}, 48),
    "every type": ({f"{kind}_": (kind, 8 * i) for i, kind in enumerate(_DATATYPES)}, 70),
}


class Item(NamedTuple):
    """A message to write: of rosbags, of the type ``type`` of ROS 2."""

    topic: str
    time: int
    type: str
    message: Any


def structured(layout: str, values: Mapping[str, np.ndarray], *, big_endian: bool = False, fill: int = 0) -> np.ndarray:
    """Points of a layout as a structured array; fields without values are 0, and padding bytes are ``fill``."""
    fields, size = LAYOUTS[layout]
    order = ">" if big_endian else "<"
    kinds = {
        "names": [*fields],
        "formats": [order + kind for kind, _ in fields.values()],
        "offsets": [offset for _, offset in fields.values()],
        "itemsize": size,
    }
    count = len(next(iter(values.values())))
    points = np.full(count * size, fill, np.uint8).view(np.dtype(kinds))
    for name in fields:
        points[name] = values.get(name, np.zeros(count))
    return points


def random_points(layout: str, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers of every field of a layout, over the range of its type."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 20, count).astype(kind)
        if kind.startswith("f")
        else rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, count, kind, endpoint=True)
        for name, (kind, _) in LAYOUTS[layout][0].items()
    }


def cloud(
    layout: str,
    values: Mapping[str, np.ndarray],
    *,
    height: int = 1,
    big_endian: bool = False,
    row_padding: int = 0,
    fill: int = 0,
    stamp: int = START,
    frame: str = "lidar",
) -> PointCloud2:
    """Points of a layout in ``height`` rows, each followed by ``row_padding`` bytes."""
    points = structured(layout, values, big_endian=big_endian, fill=fill)
    rows = points.view(np.uint8).reshape(height, -1)
    padded = np.concatenate([rows, np.full((height, row_padding), fill, np.uint8)], axis=1)
    fields = tuple(PointField(name, offset, _DATATYPES[kind]) for name, (kind, offset) in LAYOUTS[layout][0].items())
    return PointCloud2(
        stamp=stamp,
        frame=frame,
        height=height,
        width=len(points) // height,
        fields=fields,
        is_bigendian=big_endian,
        point_step=points.itemsize,
        row_step=padded.shape[1],
        data=padded.reshape(-1),
        is_dense=True,
    )


# ---- messages of rosbags -----------------------------------------------------------------------------------------


@cache
def store(ros1: bool = False) -> Any:
    """Types of rosbags, with those of tf2 for ROS 1."""
    if not ros1:
        return get_typestore(Stores.ROS2_HUMBLE)
    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", _TF))
    return types


def _make(name: str, *values: Any, ros1: bool = False) -> Any:
    return store(ros1).types[name](*values)


def header(stamp: int, frame: str, *, ros1: bool = False) -> Any:
    time = _make("builtin_interfaces/msg/Time", *divmod(stamp, 10**9))
    return _make("std_msgs/msg/Header", *([7] if ros1 else []), time, frame, ros1=ros1)


def cloud_item(topic: str, record: PointCloud2, *, time: int | None = None, ros1: bool = False) -> Item:
    fields = [_make("sensor_msgs/msg/PointField", *field) for field in record.fields]
    message = _make(
        *(_CLOUD, header(record.stamp, record.frame, ros1=ros1), record.height, record.width, fields),
        *(record.is_bigendian, record.point_step, record.row_step, record.data, record.is_dense),
    )
    return Item(topic, record.stamp if time is None else time, _CLOUD, message)


def image_item(
    topic: str, pixels: np.ndarray, stamp: int, frame: str, encoding: str, *, padding: int = 0, ros1: bool = False
) -> Item:
    """Raw image of pixels (h, w) or (h, w, channels) in the order of ``encoding``."""
    rows = pixels.reshape(len(pixels), -1)
    rows = np.concatenate([rows, np.full((len(rows), padding), 255, np.uint8)], axis=1)
    head = header(stamp, frame, ros1=ros1)
    values = (head, *pixels.shape[:2], encoding, 0, rows.shape[1], rows.reshape(-1))
    return Item(topic, stamp, "sensor_msgs/msg/Image", _make("sensor_msgs/msg/Image", *values))


def compressed_item(
    topic: str, rgb: np.ndarray, stamp: int, frame: str, *, kind: str = "JPEG", ros1: bool = False
) -> Item:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, quality=90)
    values = header(stamp, frame, ros1=ros1), kind.lower(), np.frombuffer(file.getvalue(), np.uint8)
    return Item(topic, stamp, "sensor_msgs/msg/CompressedImage", _make("sensor_msgs/msg/CompressedImage", *values))


def camera_info_item(
    topic: str,
    K: np.ndarray,
    size: tuple[int, int],
    stamp: int,
    frame: str,
    *,
    model: str = "plumb_bob",
    D: Sequence[float] = (0.0, 0.0, 0.0, 0.0, 0.0),
    ros1: bool = False,
) -> Item:
    """Calibration of images of ``size`` (height, width), without rectification."""
    numbers = (
        np.array(D, np.float64),
        K.reshape(-1),
        np.eye(3).reshape(-1),
        np.column_stack([K, np.zeros(3)]).reshape(-1),
    )
    roi = _make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    values = (header(stamp, frame, ros1=ros1), *size, model, *numbers, 0, 0, roi)
    return Item(topic, stamp, "sensor_msgs/msg/CameraInfo", _make("sensor_msgs/msg/CameraInfo", *values, ros1=ros1))


def tf_item(topic: str, transforms: Mapping[tuple[str, str], np.ndarray], stamp: int, *, ros1: bool = False) -> Item:
    """Transforms (parent, child) -> pose of the child in the parent."""
    stamped = []
    for (parent, child), matrix in transforms.items():
        moved = _make("geometry_msgs/msg/Vector3", *map(float, matrix[:3, 3]))
        transform = _make("geometry_msgs/msg/Transform", moved, _quaternion(matrix))
        head = header(stamp, parent, ros1=ros1)
        stamped.append(_make("geometry_msgs/msg/TransformStamped", head, child, transform))
    return Item(topic, stamp, _TF, _make(_TF, stamped, ros1=ros1))


def odometry_item(
    topic: str, pose: np.ndarray, stamp: int, *, frame: str = "odom", child: str = "base_link", ros1: bool = False
) -> Item:
    zero = _make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
    placed = _make(
        "geometry_msgs/msg/Pose", _make("geometry_msgs/msg/Point", *map(float, pose[:3, 3])), _quaternion(pose)
    )
    values = (
        *(header(stamp, frame, ros1=ros1), child),
        _make("geometry_msgs/msg/PoseWithCovariance", placed, np.zeros(36)),
        _make("geometry_msgs/msg/TwistWithCovariance", _make("geometry_msgs/msg/Twist", zero, zero), np.zeros(36)),
    )
    return Item(topic, stamp, "nav_msgs/msg/Odometry", _make("nav_msgs/msg/Odometry", *values))


def _quaternion(matrix: np.ndarray) -> Any:
    return _make("geometry_msgs/msg/Quaternion", *map(float, Rotation.from_matrix(matrix[:3, :3]).as_quat()))


# ---- files -------------------------------------------------------------------------------------------------------


def write_recording(path: Path, items: Iterable[Item], *, compressed: bool = False) -> Path:
    """Write a recording, by the suffix of ``path``: .mcap, .db3, .bag, or a folder of ROS 2 (of mcap) without one.

    Items of a .bag have been made with ``ros1``.
    """
    if path.suffix == ".bag":
        bag = rosbag1.Writer(path)
        if compressed:
            bag.set_compression(rosbag1.Writer.CompressionFormat.LZ4)
        _write(bag, items, store(ros1=True), store(ros1=True).serialize_ros1)
        return path
    folder = path.with_suffix("")
    plugin = rosbag2.StoragePlugin.SQLITE3 if path.suffix == ".db3" else rosbag2.StoragePlugin.MCAP
    writer = rosbag2.Writer(folder, version=9, storage_plugin=plugin)
    if compressed:
        writer.set_compression(rosbag2.CompressionMode.STORAGE, rosbag2.CompressionFormat.ZSTD)
    _write(writer, items, store(), store().serialize_cdr)
    if path.suffix:
        (folder / f"{folder.name}{path.suffix}").rename(path)
        (folder / "metadata.yaml").unlink()
        folder.rmdir()
    return path


def _write(writer: Any, items: Iterable[Item], types: Any, serialize: Callable[[Any, str], memoryview]) -> None:
    connections: dict[tuple[str, str], Any] = {}
    with writer:
        for topic, time, kind, message in items:
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connections[topic, kind], time, serialize(message, kind))
