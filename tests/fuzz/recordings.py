"""Valid point clouds and recordings, and the calls of their readers, for fuzzing."""

import struct
from pathlib import Path

import numpy as np

from elite.errors import DataError
from elite.recordings import (
    CDR,
    CompressedImage,
    PointCloud2,
    PointField,
    RawImage,
    decode_cloud,
    decode_image,
    encode_cloud,
    open_recording,
    with_fields,
)
from elite.recordings.serialization import ROS1, decode_record
from tests.fuzz.files import changed, put, remembered
from tests.support.recordings import (
    START,
    camera_info_item,
    cloud,
    cloud_item,
    compressed_item,
    image_item,
    odometry_item,
    random_points,
    tf_item,
    write_recording,
)

_POINTS = 6
_HEAD, _FIELD = struct.Struct("<IIBIIB"), struct.Struct("<IBIB")


def make_clouds(folder: Path) -> list[Path]:
    """Clouds in the encodings of both ROS versions, and others whose steps, offsets and sizes are hit more often."""
    records = [
        cloud("velodyne", random_points("velodyne", _POINTS), height=2, row_padding=3),
        cloud("ouster", random_points("ouster", _POINTS)),
        cloud("every type", random_points("every type", _POINTS), height=3, big_endian=True),
    ]
    paths = [put(folder / f"{i}.packed", _packed(record)) for i, record in enumerate(records)]
    encoded = [put(folder / f"a.{encoding}", encode_cloud(records[0], encoding)) for encoding in (CDR, ROS1)]
    return remembered(*paths, *encoded)


def use_clouds(folder: Path) -> None:
    """Read every number of the changed cloud, append fields, and read them and the first ones again."""
    for path in changed(*folder.iterdir()):
        content = path.read_bytes()
        if path.suffix == ".packed":
            record = _unpacked(content)
        else:
            record = decode_record(content, "sensor_msgs/msg/PointCloud2", path.suffix[1:])
        if not isinstance(record, PointCloud2):
            continue
        points = decode_cloud(record, path)
        added = {"class_id": np.full(len(points), 7, np.uint8), "entropy": np.full(len(points), 0.5, np.float32)}
        wider = encode_cloud(with_fields(record, added, path), CDR)
        again = decode_cloud(decode_record(wider, "sensor_msgs/msg/PointCloud2", CDR), path)
        assert again.shape == points.shape
        for name, values in {**points.values, **added}.items():
            assert values.tobytes() == again.values[name].tobytes()


def _packed(record: PointCloud2) -> bytes:
    steps = record.height, record.width, record.is_bigendian, record.point_step, record.row_step, len(record.fields)
    fields = (_FIELD.pack(f.offset, f.datatype, f.count, len(f.name)) + f.name.encode() for f in record.fields)
    return _HEAD.pack(*steps) + b"".join(fields) + record.data.tobytes()


def _unpacked(content: bytes) -> PointCloud2 | None:
    """Cloud of ``_packed``; None if numbers are missing."""
    try:
        height, width, big, point_step, row_step, count = _HEAD.unpack_from(content)
        at, fields = _HEAD.size, []
        for _ in range(count):
            offset, datatype, numbers, size = _FIELD.unpack_from(content, at)
            name = content[at + _FIELD.size :][:size].decode(errors="replace")
            fields.append(PointField(name, offset, datatype, numbers))
            at += _FIELD.size + size
    except struct.error:
        return None
    data = np.frombuffer(content, np.uint8)[at:]
    return PointCloud2(START, "lidar", height, width, tuple(fields), bool(big), point_step, row_step, data, True)


def make_recordings(folder: Path) -> list[Path]:
    """A few messages of every type as mcap (packed, and not), database and bag."""
    paths = []
    for name, is_packed in (
        ("a.mcap", False),
        ("packed.mcap", True),
        ("a.db3", False),
        ("a.bag", False),
        ("packed.bag", True),
    ):
        paths.append(write_recording(folder / name, _items(ros1=name.endswith(".bag")), compressed=is_packed))
    return remembered(*paths)


def _items(*, ros1: bool) -> list:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    clouds = [cloud("velodyne", random_points("velodyne", 4), stamp=START + i) for i in range(3)]
    return [
        tf_item("/tf_static", {("base", "lidar"): np.eye(4)}, START, ros1=ros1),
        camera_info_item("/cam/info", np.eye(3), (4, 5), START, "cam", ros1=ros1),
        *(cloud_item("/points", record, ros1=ros1) for record in clouds),
        image_item("/cam/raw", rgb, START + 3, "cam", "rgb8", ros1=ros1),
        compressed_item("/cam/jpeg", rgb, START + 3, "cam", ros1=ros1),
        odometry_item("/odom", np.eye(4), START + 4, ros1=ros1),
    ]


def use_recordings(folder: Path) -> None:
    """Read every message of the changed recording, and its points and pixels; damaged ones do not hide the others."""
    for path in changed(*(path for path in folder.iterdir() if path.is_file())):
        with open_recording(path) as recording:
            for topic in recording.topics:
                recording.rate_of(topic)
            for message in recording.messages():
                _use(message.record, path)
            assert all(isinstance(fault, str) for fault in recording.faults)


def _use(record: object, path: Path) -> None:
    try:
        if isinstance(record, PointCloud2):
            decode_cloud(record, path)
        elif isinstance(record, RawImage | CompressedImage):
            decode_image(record, path)
    except DataError:
        pass
