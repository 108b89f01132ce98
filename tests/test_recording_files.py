"""Recordings that others write, and damaged ones: read as far as they are whole, or refused by name."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType, IndexType, Writer
from rosbags import rosbag2

from elite.errors import DataError, MissingExtraError
from elite.recordings import (
    CDR,
    CameraInfo,
    PointCloud2,
    RawImage,
    Recording,
    encode_cloud,
    open_recording,
    standard_definition,
)
from elite.recordings.serialization import ROS1, decode_record
from tests.support.recordings import (
    LAYOUTS,
    START,
    Item,
    cloud,
    cloud_item,
    odometry_item,
    random_points,
    store,
    write_recording,
)

CLOUD = "sensor_msgs/msg/PointCloud2"
PERIOD = 10**8


def clouds(count: int = 20, *, points: int = 3000, ros1: bool = False) -> list[Item]:
    """Clouds of 96 kB, so that a chunk of an mcap file contains 11 of them."""
    records = [cloud("XYZI", random_points("XYZI", points, seed=i), stamp=START + i * PERIOD) for i in range(count)]
    return [cloud_item("/points", record, ros1=ros1) for record in records]


def stamps(recording: Recording) -> list[int]:
    """Numbers of the clouds of a recording, in its order."""
    return [(message.record.stamp - START) // PERIOD for message in recording.messages()]


def write_mcap(
    path: Path,
    *,
    encoding: str = CDR,
    schema: tuple[str, bytes] | None = None,
    times: tuple[int, ...] = tuple(range(20)),
    type_name: str = CLOUD,
    **options: object,
) -> Path:
    """Clouds written by the package mcap, and a channel that is not of ROS."""
    text = standard_definition(CLOUD, encoding).encode()
    with path.open("wb") as file:
        writer = Writer(file, **{"chunk_size": 2**12} | options)
        writer.start(profile="", library="a test")
        other = writer.register_channel("/json", "json", writer.register_schema("state", "jsonschema", b"{}"))
        kind, text = schema or ("ros2msg" if encoding == CDR else "ros1msg", text)
        points = writer.register_channel("/points", encoding, writer.register_schema(type_name, kind, text))
        for i in times:
            record = cloud("XYZI", random_points("XYZI", 40, seed=i), stamp=START + i * PERIOD)
            writer.add_message(other, START + i * PERIOD, b"{}", 0)
            writer.add_message(points, START + i * PERIOD, encode_cloud(record, encoding), 0)
        writer.finish()
    return path


# ---- files of other writers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"compression": CompressionType.NONE},
        {"compression": CompressionType.LZ4},
        {"compression": CompressionType.ZSTD},
        {"use_chunking": False},
        {"index_types": IndexType.NONE},
        {"use_statistics": False},
        {"repeat_channels": False, "repeat_schemas": False},
        {"encoding": ROS1, "type_name": "sensor_msgs/PointCloud2"},
        {"times": tuple(reversed(range(20)))},
    ],
    ids=lambda options: " ".join(options),
)
def test_mcap_of_any_structure_is_read_by_time(tmp_path, options):
    with open_recording(write_mcap(tmp_path / "a.mcap", **options)) as recording:
        points = recording.topic(None, PointCloud2)
        assert (points.type, points.count) == (CLOUD, 20)
        assert recording.span == (START, START + 19 * PERIOD)
        assert recording.span_of(points) == recording.span
        assert stamps(recording) == list(range(20))
        assert sum(message.topic.name == "/json" for message in recording.raw_messages()) == 20
        assert recording.faults == ()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", [CDR, ROS1])
def test_cloud_is_encoded_to_the_bytes_of_rosbags(layout, encoding):
    record = cloud(layout, random_points(layout, 24), height=4, row_padding=5)
    types, message = store(encoding == ROS1), cloud_item("/points", record, ros1=encoding == ROS1).message
    data = bytes(types.serialize_cdr(message, CLOUD) if encoding == CDR else types.serialize_ros1(message, CLOUD))
    assert encode_cloud(decode_record(data, CLOUD, encoding), encoding) == data


@pytest.mark.parametrize("plugin", ["MCAP", "SQLITE3"])
@pytest.mark.parametrize("mode", ["MESSAGE", "FILE"])
def test_compressed_folder_is_read(tmp_path, mode, plugin):
    writer = rosbag2.Writer(tmp_path / "a", version=9, storage_plugin=rosbag2.StoragePlugin[plugin])
    writer.set_compression(rosbag2.CompressionMode[mode], rosbag2.CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection("/points", CLOUD, typestore=store())
        for item in clouds(3, points=10):
            writer.write(topic, item.time, store().serialize_cdr(item.message, CLOUD))
    with open_recording((tmp_path / "a").rename(tmp_path / "drive.bag")) as recording:
        assert stamps(recording) == [0, 1, 2]


def splits(folder: Path, suffix: str) -> Path:
    """Three files of 4 clouds each; those of the second overlap with the third in time."""
    folder.mkdir()
    for number, chosen in enumerate(([0, 1, 2, 3], [4, 5, 6, 9], [7, 8, 10, 11])):
        every = clouds(12, points=10)
        write_recording(folder / f"drive_{number}{suffix}", [every[i] for i in chosen])
    return folder


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_folder_without_metadata_is_read_as_one_recording(tmp_path, suffix):
    with open_recording(splits(tmp_path / "drive", suffix)) as recording:
        assert stamps(recording) == list(range(12))
        assert recording.topic(None, PointCloud2).count == 12


def test_folder_with_a_damaged_and_a_missing_file_is_read_without_them(tmp_path):
    folder = splits(tmp_path / "drive", ".mcap")
    (folder / "drive_1.mcap").write_bytes(b"no recording")
    names = "".join(f"\n  - drive_{i}.mcap" for i in range(4))
    (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  relative_file_paths:{names}\n")
    with open_recording(folder) as recording:
        assert stamps(recording) == [0, 1, 2, 3, 7, 8, 10, 11]
        assert len(recording.faults) == 2
        assert "drive_3.mcap" in recording.faults[0]
        assert "drive_1.mcap: expected a .mcap file" in recording.faults[1]


def test_folder_of_two_recordings_is_refused(tmp_path):
    for name in ("a.mcap", "b.mcap"):
        write_recording(tmp_path / name, clouds(1, points=3))
    with pytest.raises(DataError, match=r"found a\.mcap, b\.mcap\. Give one of the files"):
        open_recording(tmp_path)


@pytest.mark.parametrize("name", ["run #1 50%41?x.db3", "UPPER.DB3", "UPPER.BAG", "UPPER.MCAP"])
def test_recording_of_any_name_is_read(tmp_path, name):
    suffix = Path(name).suffix.lower()
    path = write_recording(tmp_path / f"a{suffix}", clouds(2, points=3, ros1=suffix == ".bag"))
    with open_recording(path.rename(tmp_path / name)) as recording:
        assert stamps(recording) == [0, 1]


# ---- types -------------------------------------------------------------------------------------------------------


def test_topic_of_another_definition_is_skipped_by_name(tmp_path):
    text = standard_definition(CLOUD, CDR).replace("uint32 width", "uint64 width").encode()
    with open_recording(write_mcap(tmp_path / "a.mcap", schema=("ros2msg", text))) as recording:
        assert list(recording.messages()) == []
        assert recording.faults == (f"/points: it is skipped, because its {CLOUD} differs from that of ROS",)
        with pytest.raises(DataError, match=f"expected a topic of {CLOUD}, found /json .state., /points"):
            recording.topic(None, PointCloud2)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"uint32", b"=" * 60000, b"#" * 2**17], ids=lambda text: repr(text[:9]))
def test_topic_of_a_damaged_definition_is_read_with_the_standard_one(tmp_path, text):
    with open_recording(write_mcap(tmp_path / "a.mcap", schema=("ros2msg", text))) as recording:
        assert stamps(recording) == list(range(20))
        assert "/points: the standard definition is used, because its own is damaged" in recording.faults[0]


def test_topic_without_a_definition_is_read_with_the_standard_one(tmp_path):
    with open_recording(write_mcap(tmp_path / "a.mcap", schema=("", b""))) as recording:
        assert stamps(recording) == list(range(20))
        assert recording.faults == ()


def test_unreadable_messages_are_counted_and_the_others_are_read(tmp_path):
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema(CLOUD, "ros2msg", standard_definition(CLOUD, CDR).encode())
        points = writer.register_channel("/points", CDR, schema)
        for i, item in enumerate(clouds(6, points=3)):
            data = bytes(store().serialize_cdr(item.message, CLOUD))
            writer.add_message(points, item.time, data[: len(data) // 2] if i % 2 else data, item.time)
        writer.finish()
    with open_recording(tmp_path / "a.mcap") as recording:
        assert stamps(recording) == [0, 2, 4]
        assert len(recording.faults) == 1
        assert recording.faults[0].startswith("/points: 3 messages are not readable, the first at 1700000000.100 s (")


def test_ambiguous_and_missing_topics_are_errors_that_list_topics(tmp_path):
    items = clouds(1, points=3)
    path = write_recording(tmp_path / "a.mcap", [*items, items[0]._replace(topic="/rear/points")])
    with open_recording(path) as recording:
        with pytest.raises(DataError, match=r"found /points, /rear/points\. Choose one with --topic\."):
            recording.topic(None, PointCloud2)
        with pytest.raises(DataError, match="expected a topic of sensor_msgs/msg/CameraInfo, found /points"):
            recording.topic(None, CameraInfo)
        with pytest.raises(DataError, match="expected a topic of sensor_msgs/msg/Image"):
            recording.topic("/points", RawImage)


# ---- damage ------------------------------------------------------------------------------------------------------


def test_truncated_mcap_is_read_up_to_its_end(tmp_path):
    path = write_recording(tmp_path / "a.mcap", clouds())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_recording(path) as recording:
        found = stamps(recording)
        assert found == list(range(len(found)))
        assert len(found) == recording.topics[0].count == 11
        assert "a.mcap: it ends within the record at byte" in recording.faults[0]


def test_damaged_chunk_of_an_mcap_is_skipped(tmp_path):
    path = write_mcap(tmp_path / "a.mcap")
    data = bytearray(path.read_bytes())
    place = data.index(b"zstd") + 60
    data[place : place + 4] = b"\xff" * 4
    path.write_bytes(data)
    with open_recording(path) as recording:
        found = stamps(recording)
        assert 10 < len(found) < 20
        assert "a.mcap: 1 damaged chunks are skipped, the first at byte" in recording.faults[0]


def test_unknown_compression_of_an_mcap_is_named(tmp_path):
    path = write_mcap(tmp_path / "a.mcap")
    path.write_bytes(path.read_bytes().replace(b"zstd", b"brot"))
    with open_recording(path) as recording:
        assert stamps(recording) == []
        assert "the unknown compression 'brot'" in recording.faults[0]


def test_truncated_database_is_refused_with_a_remedy(tmp_path):
    path = write_recording(tmp_path / "a.db3", clouds())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(
        DataError, match=r"a\.db3: expected a readable recording, found .* Copy it again, or run 'sqlite3"
    ):
        open_recording(path)


def test_database_with_a_damaged_message_is_read_up_to_it(tmp_path):
    path = write_recording(tmp_path / "a.db3", clouds())
    data = bytearray(path.read_bytes())
    page = len(data) * 2 // 3 // 4096 * 4096
    data[page : page + 4096] = bytes(4096)
    path.write_bytes(data)
    with open_recording(path) as recording:
        found = stamps(recording)
        assert found == list(range(len(found)))
        assert 10 < len(found) < 20
        assert recording.faults[0].startswith(
            f"a.db3: the messages after 170000000{len(found) / 10 - 0.1:.3f} s are not"
        )


def test_unmerged_log_of_a_database_is_reported(tmp_path):
    path = write_recording(tmp_path / "a.db3", clouds(2, points=3))
    (tmp_path / "a.db3-wal").write_bytes(b"pages")
    with open_recording(path) as recording:
        assert "a.db3-wal: its messages are not read" in recording.faults[0]


def test_bag_with_a_damaged_chunk_is_read_up_to_it(tmp_path):
    path = write_recording(tmp_path / "a.bag", clouds(ros1=True), compressed=True)
    data = bytearray(path.read_bytes())
    place = data.index(b"compression=lz4", len(data) // 2) + 4096
    data[place : place + 9] = b"\xff" * 9
    path.write_bytes(data)
    with open_recording(path) as recording:
        found = stamps(recording)
        assert found == list(range(len(found)))
        assert 5 < len(found) < 20
        assert recording.faults[0].startswith("a.bag: the messages after ")


def test_truncated_bag_is_refused_with_a_remedy(tmp_path):
    path = write_recording(tmp_path / "a.bag", clouds(ros1=True))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.bag: expected a readable recording, found .*run 'rosbag reindex' on it"):
        open_recording(path)


def _other(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.bag")
    return folder / "pipe.bag"


def _database(folder: Path) -> Path:
    with sqlite3.connect(folder / "a.db3") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    return folder / "a.db3"


WRONG = {
    "missing": (lambda folder: folder / "a.mcap", "found nothing there. Check the path."),
    "empty": (_other("a.mcap", b""), "found an empty file. Copy or record it again."),
    "text": (_other("a.bag", b"hello, these are notes"), "expected a .bag file, found one with other first bytes."),
    "another suffix": (_other("a.pcd", b"VERSION .7"), "found '.pcd'."),
    "packed": (_other("a.db3.zstd", b"zstd"), "Give its folder, or unpack it with 'zstd -d'."),
    "active": (_other("a.bag.active", b"#ROSBAG V2.0"), "run 'rosbag reindex' on it"),
    "only the first bytes": (_other("a.mcap", b"\x89MCAP0\r\n"), "expected topics, found a.mcap: it ends within"),
    "another database": (_database, "expected a readable recording, found an error (Cannot open database a.db3"),
    "pipe": (_pipe, "found a pipe, socket or device"),
    "folder": (lambda folder: folder, "found a folder without such files"),
}


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("elite.errors.find_spec", lambda name: None if name == "mcap" else name)
    with pytest.raises(MissingExtraError, match=r"mcap is not installed and is needed for recordings.*\.\[ros\]"):
        open_recording(Path("a.mcap"))


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_file_that_is_not_a_recording_is_refused_by_name(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(DataError) as caught:
        open_recording(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert message in str(caught.value)


# ---- memory ------------------------------------------------------------------------------------------------------


def test_files_are_read_from_their_first_message_on(tmp_path):
    folder = splits(tmp_path / "drive", ".mcap")
    read: list[str] = []
    with open_recording(folder) as recording:
        for file in recording._files:
            file.messages = _noting(file.messages, file.path.name, read)
        messages = recording.messages()
        next(messages)
        assert read == ["drive_0.mcap"]
        list(messages)
        assert read == ["drive_0.mcap", "drive_1.mcap", "drive_2.mcap"]


def _noting(messages: Callable, name: str, read: list[str]) -> Callable:
    def noted(*args: object) -> Iterator:
        read.append(name)
        yield from messages(*args)

    return noted


READ = """
import resource, sys
from pathlib import Path
from elite.recordings import open_recording
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
with open_recording(Path(sys.argv[1])) as recording:
    next(recording.messages())
    before, times = peak(), [message.time for message in recording.messages()]
    print(len(times), times == sorted(times), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag"])
def test_recording_of_5_gb_is_read_in_100_mib(tmp_path, name):
    ros1, count = name.endswith(".bag"), 800
    record = cloud("ouster", random_points("ouster", 2**17), height=128)
    scan, odometry = cloud_item("/points", record, ros1=ros1), odometry_item("/odom", np.eye(4), START, ros1=ros1)
    items = (
        item._replace(time=START + 10 * i + k) for i in range(count) for k, item in enumerate([scan, *[odometry] * 9])
    )
    path = write_recording(tmp_path / name, items)
    assert path.stat().st_size > 5e9
    output = subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True, text=True).stdout
    messages, is_sorted, mebibytes = output.split()
    assert (messages, is_sorted) == (str(10 * count), "True")
    assert int(mebibytes) < 100
    path.unlink()
