"""Labelled recordings, read by mcap and rosbags: bytes that stay, fields that are added, topics that are copied."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from rosbags import rosbag1, rosbag2
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import elite
from elite.cli import main
from elite.cli.labelled_recordings import is_recording
from elite.config import StudentConfig
from elite.errors import DataError
from elite.inference import Segmenter
from elite.inspection.sources import kind_of_source
from elite.point_files import PointFields, encode_points, read_point_file
from elite.recordings import CDR, encode_cloud, open_recording, standard_definition, writing
from elite.recordings.qos import LATCHED, is_latched
from elite.segmentation_result import SegmentationResult
from elite.student import SPVCNN, save_student
from tests.support.clouds import points
from tests.support.recordings import (
    LAYOUTS,
    PERIOD,
    START,
    Item,
    cloud,
    cloud_item,
    odometry_item,
    store,
    structured,
    tf_item,
    write_recording,
)
from tests.support.semantickitti import KITTI

NEW = {"class_id": (np.uint8, 2), "probability": (np.float32, 7), "entropy": (np.float32, 7)}
POSE = np.eye(4)
COUNT = 24
FOREVER = QosTime(9223372036, 854775807)
LATCH = [
    Qos(
        *(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, FOREVER, FOREVER),
        *(QosLiveliness.AUTOMATIC, FOREVER, False),
    )
]
CLOUD = "sensor_msgs/msg/PointCloud2"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "student.safetensors"
    save_student(SPVCNN(channels=8, cells=(100, 100, 12)), path)
    return path


def items(ros1: bool = False, count: int = 3) -> list[Item]:
    """Clouds with static transforms and odometry."""
    found = [tf_item("/tf_static", {("base", "lidar"): POSE}, START, ros1=ros1)]
    for i in range(count):
        stamp = START + i * PERIOD
        found.append(odometry_item("/odom", POSE, stamp + 1, ros1=ros1))
        record = cloud("ouster", points("ouster", seed=i), height=4, stamp=stamp)
        found.append(cloud_item("/points", record, time=stamp + 2, ros1=ros1))
    return found


def predict(student: Path, recording: Path, *options: str) -> Path:
    out = recording.parent / "out.mcap"
    out.unlink(missing_ok=True)
    assert main(["predict", str(student), str(recording), "-o", str(out), *options]) == 0
    return out


def messages(path: Path) -> Iterator[tuple[str, int, bytes, Any]]:
    """Topic, time, bytes and contents of each message, by mcap's reader and the definitions in the file."""
    types = get_typestore(Stores.EMPTY)
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            definition = get_types_from_msg(schema.data.decode(), schema.name)
            types.register({name: fields for name, fields in definition.items() if name not in types.fielddefs})
            yield channel.topic, message.log_time, message.data, types.deserialize_cdr(message.data, schema.name)


def column(message: Any, name: str) -> np.ndarray:
    """Numbers of a field added by elite."""
    field = next(field for field in message.fields if field.name == name)
    assert (field.datatype, field.count) == (NEW[name][1], 1)
    kind = np.dtype(NEW[name][0]).newbyteorder(">" if message.is_bigendian else "<")
    assert field.offset % kind.itemsize == 0
    strides = (message.row_step, message.point_step)
    return np.ndarray((message.height, message.width), kind, message.data, field.offset, strides).reshape(-1)


# ---- clouds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "every type"])
@pytest.mark.parametrize(("big_endian", "height", "row_padding"), [(False, 1, 0), (True, 4, 0), (False, 4, 5)])
def test_labelled_clouds_keep_every_byte_and_have_the_answers_of_the_student(
    student: Path, tmp_path: Path, layout: str, big_endian: bool, height: int, row_padding: int
) -> None:
    values, kinds = points(layout), {"big_endian": big_endian, "row_padding": row_padding}
    before = cloud(layout, values, height=height, fill=7, **kinds)  # type: ignore[arg-type]
    recording = write_recording(tmp_path / "a.mcap", [cloud_item("/lidar/points", before)])
    (tmp_path / "own.yaml").write_text("name: own\nintensity: {field: intensity, max: 100}\n")
    found = {topic: m for topic, _, _, m in messages(predict(student, recording, "--sensor", f"{tmp_path}/own.yaml"))}
    after = found["/lidar/points_labelled"]

    assert [(f.name, f.offset, f.datatype, f.count) for f in after.fields[:-3]] == list(before.fields)
    assert [f.name for f in after.fields[-3:]] == list(NEW)
    assert (after.header.stamp.sec, after.header.frame_id, after.is_dense) == (START // 10**9, "lidar", True)
    assert (after.height, after.width, after.is_bigendian) == (before.height, before.width, big_endian)
    rows = after.data.reshape(height, after.row_step)
    inner = rows[:, : after.width * after.point_step].reshape(height, after.width, -1)
    old = before.data.reshape(height, before.row_step)
    kept = inner[..., : before.point_step].reshape(height, -1)
    np.testing.assert_array_equal(kept, old[:, : before.width * before.point_step])
    np.testing.assert_array_equal(rows[:, after.width * after.point_step :], old[:, kept.shape[1] :])

    result = elite.load(student, "cpu")(elite.read(structured(layout, values), sensor=tmp_path / "own.yaml"))
    np.testing.assert_array_equal(column(after, "class_id"), np.where(result.labels == 0, 255, result.labels))
    np.testing.assert_array_equal(column(after, "probability"), result.confidence)
    np.testing.assert_array_equal(column(after, "entropy"), result.entropy)
    assert np.flatnonzero(column(after, "class_id") == 255).tolist() == [0, 1]


def test_labels_equal_those_of_predict_on_files(student: Path, tmp_path: Path, capsys) -> None:
    values = points("ouster")
    recording = write_recording(tmp_path / "a.mcap", [cloud_item("/points", cloud("ouster", values))])
    (tmp_path / "a.pcd").write_bytes(encode_points(PointFields(values, (COUNT,)), ".pcd"))
    (tmp_path / "own.yaml").write_text("name: own\nno_return: drop\nintensity: {max: 100}\n")
    options = ("--sensor", f"{tmp_path}/own.yaml", "--fill-radius", "1")
    argv = ["predict", str(student), str(tmp_path / "a.pcd"), "-o", str(tmp_path / "files"), "--as", "pcd"]
    assert main([*argv, *options]) == 0
    expected = read_point_file(tmp_path / "files" / "a.pcd", ()).values
    [after] = [m for topic, *_, m in messages(predict(student, recording, *options)) if topic == "/points_labelled"]
    for name in NEW:
        np.testing.assert_array_equal(column(after, name), expected[name])
    without = column(after, "class_id") == 255
    assert without.sum() > 2  # also beyond the fill radius
    assert set(column(after, "probability")[without]) == {0}
    assert set(column(after, "entropy")[without]) == {1}
    assert capsys.readouterr().err.count("found intensity and reflectivity, of which intensity is read") == 2


def test_clouds_of_changing_layout_without_points_or_returns_are_labelled_each_on_its_own(
    student: Path, tmp_path: Path
) -> None:
    nothing = {name: np.full(3, np.nan, np.float32) for name in "xyz"}
    clouds = [
        cloud("ouster", points("ouster"), stamp=START),
        cloud("XYZI", points("XYZI", 5), stamp=START + 1),
        cloud("XYZI", points("XYZI", 0), stamp=START + 2),
        cloud("XYZI", nothing, stamp=START + 3, frame="other"),
    ]
    recording = write_recording(tmp_path / "a.db3", [cloud_item("/points", record) for record in clouds])
    found = [m for topic, *_, m in messages(predict(student, recording)) if topic == "/points_labelled"]
    assert [m.width for m in found] == [COUNT, 5, 0, 3]
    assert column(found[3], "class_id").tolist() == [255] * 3


def test_entropy_of_equal_probabilities_is_1_and_of_a_certain_class_0() -> None:
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    labels, group = np.array([1, 1, 1, 0], np.uint8), np.array([0, 1, 2, -1])
    result = SegmentationResult(labels, np.ones(4, np.float32), tuple("abcde"), distinct=(rows, group))
    np.testing.assert_allclose(result.entropy, [1, 0, 0.5, 1], atol=1e-6)


# ---- recordings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag", "folder"])
def test_copied_topics_have_their_bytes_in_the_order_of_time(student: Path, tmp_path: Path, name: str) -> None:
    recording = write_recording(tmp_path / name, items(ros1=name == "a.bag"))
    out = predict(student, recording, "--copy", "all")
    found = list(messages(out))
    expected = [(item.topic, item.time, bytes(store().serialize_cdr(item.message, item.type))) for item in items()]
    assert [m[:3] for m in found if m[0] in ("/odom", "/tf_static")] == [e for e in expected if e[0] != "/points"]
    assert [m[1] for m in found] == sorted(m[1] for m in found)
    assert [m[1] for m in found if m[0] == "/points_labelled"] == [e[1] for e in expected if e[0] == "/points"]
    with out.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    definition = {schema.name: schema.data.decode() for schema in summary.schemas.values()}
    assert definition["nav_msgs/msg/Odometry"] == standard_definition("nav_msgs/msg/Odometry", CDR)


def test_names_of_the_classes_are_a_latched_message_and_metadata(student: Path, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "a.mcap", items())
    out = predict(student, recording, "--output-topic", "/semantic")
    (topic, time, _, info), *_ = messages(out)
    assert (topic, time, info.header.frame_id) == ("/semantic/label_info", START + 2, "lidar")
    names = {c.class_id: c.class_name for c in info.class_map}
    assert (names[1], names[19], names[255], len(names)) == ("car", "traffic-sign", "unlabelled", 20)
    with out.open("rb") as file:
        reader = make_reader(file)
        [record] = reader.iter_metadata()
        assert reader.get_header().profile == "ros2"
    with AnyReader([out]) as by_rosbags:
        qos = {connection.topic: connection.ext.offered_qos_profiles for connection in by_rosbags.connections}  # type: ignore[union-attr]
    assert qos["/semantic/label_info"][0].durability is QosDurability.TRANSIENT_LOCAL
    assert (record.name, record.metadata["student"]) == ("elite", "student.safetensors")
    first = json.loads(record.metadata["classes"])[0]
    assert (first["class_id"], first["name"], first["color"]) == (1, "car", KITTI.colors[1].tolist())


@pytest.mark.parametrize("kind", CompressionType)
def test_recording_of_another_writer_is_labelled_and_publish_times_are_kept(
    student: Path, tmp_path: Path, kind: CompressionType
) -> None:
    record = cloud("velodyne", points("velodyne"))
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file, compression=kind, use_chunking=kind is not CompressionType.NONE)
        writer.start("ros2")
        text = writer.register_schema("my_msgs/msg/Text", "ros2msg", b"string text")
        schema = writer.register_schema(CLOUD, "ros2msg", standard_definition(CLOUD, CDR).encode())
        channels = [writer.register_channel("/note", "cdr", text), writer.register_channel("/points", "cdr", schema)]
        writer.add_message(channels[0], 5, b"\0\1\0\0\2\0\0\0a\0", 3)
        writer.add_message(channels[1], 6, encode_cloud(record, CDR), 4)
        writer.finish()
    out = predict(student, tmp_path / "a.mcap", "--copy", "/note", "--compression", kind.name.lower())
    with out.open("rb") as file:
        found = [(c.topic, m.log_time, m.publish_time) for _, c, m in make_reader(file).iter_messages()]
    assert found == [("/note", 5, 3), ("/points_labelled/label_info", 6, 6), ("/points_labelled", 6, 4)]


def test_part_of_a_recording_begins_with_the_latched_messages(student: Path, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "a.mcap", items(count=9))
    latch(recording, "/tf_static")
    options = ("--start", "0.2s", "--stop", "750ms", "--every", "2", "--copy", "/tf_static")
    found = [(topic, time - START) for topic, time, *_ in messages(predict(student, recording, *options))]
    clouds = [("/points_labelled", i * PERIOD + 2) for i in (2, 4, 6)]
    assert found == [("/tf_static", 2 * PERIOD), ("/points_labelled/label_info", 2 * PERIOD + 2), *clouds]


@pytest.mark.parametrize("name", ["a.db3", "a.bag"])
def test_recorded_durability_of_a_topic_is_read(tmp_path: Path, name: str) -> None:
    [item], types = items(ros1=name == "a.bag", count=0), store(ros1=name == "a.bag")
    if name == "a.bag":
        path, data, options = tmp_path / name, types.serialize_ros1(item.message, item.type), {"latching": 1}
        writer = rosbag1.Writer(path)
    else:
        path, data = tmp_path / "folder", types.serialize_cdr(item.message, item.type)
        writer = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.SQLITE3)
        options = {"offered_qos_profiles": LATCH}
    with writer:
        connection = writer.add_connection(item.topic, item.type, typestore=types, **options)  # type: ignore[arg-type]
        writer.write(connection, item.time, data)  # type: ignore[arg-type]
    with open_recording(path) as recording:
        assert is_latched(recording.topics[0].qos)


def latch(path: Path, topic: str) -> None:
    """Make a topic of a recording latched."""
    with open_recording(path) as recording, writing.write_recording(path) as file:
        for message in recording.raw_messages():
            is_chosen = message.topic.name == topic
            file.write(replace(message, topic=replace(message.topic, qos=LATCHED)) if is_chosen else message)


# ---- faults ------------------------------------------------------------------------------------------------------


def test_damaged_clouds_are_counted_and_the_others_labelled(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contradicting = cloud_item("/points", cloud("XYZI", points("XYZI"), stamp=START + 9))
    contradicting.message.point_step = 8
    path, out = write_recording(tmp_path / "a.mcap", [*items(), contradicting]), tmp_path / "out.mcap"
    with open_recording(path) as recording, writing.write_recording(tmp_path / "b.mcap") as file:
        for i, message in enumerate(recording.raw_messages()):
            file.write(replace(message, data=message.data[:50]) if i == 2 else message)
    assert main(["predict", str(student), str(tmp_path / "b.mcap"), "-o", str(out), "--copy", "all"]) == 1
    printed = capsys.readouterr()
    assert "2 clouds of /points labelled" in printed.out
    assert "1 failed, 1 damaged" in printed.out
    assert "points of 8 bytes" in printed.err
    assert "/points: 1 messages are not readable" in printed.err
    assert sum(topic == "/points_labelled" for topic, *_ in messages(out)) == 2


def test_several_clouds_at_once_give_the_same_file(student: Path, tmp_path: Path, threads: None, capsys) -> None:
    contradicting = cloud_item("/points", cloud("XYZI", points("XYZI"), stamp=START + 9), time=START + 3 * PERIOD)
    contradicting.message.point_step = 8
    path = write_recording(tmp_path / "a.mcap", sorted([*items(count=7), contradicting], key=lambda item: item.time))
    files, errors = [], []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        out = tmp_path / f"{count}.mcap"
        assert main(["predict", str(student), str(path), "-o", str(out), "--copy", "/odom"]) == 1
        assert torch.get_num_threads() == count
        files.append([message[:3] for message in messages(out)])
        errors.append([line for line in capsys.readouterr().err.splitlines() if "points of 8 bytes" in line])
    assert [topic for topic, *_ in files[0]].count("/points_labelled") == 7
    assert files[1:] == files[:1] * 2
    assert errors[0]
    assert errors[1:] == errors[:1] * 2


def test_labelled_recording_is_not_labelled_again(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = predict(student, write_recording(tmp_path / "a.mcap", items()))
    assert main(["predict", str(student), str(labelled), "-o", str(tmp_path / "again.mcap")]) == 2
    assert "expected a cloud without the field 'class_id', found one with it" in capsys.readouterr().err
    assert not (tmp_path / "again.mcap").exists()


def test_existing_output_is_replaced_with_overwrite_only(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, other = (write_recording(tmp_path / f"{name}.mcap", items(count=1)) for name in "ab")
    before, argv = other.read_bytes(), ["predict", str(student), str(recording), "-o", str(other)]
    assert main(argv) == 2
    assert "b.mcap: expected a new file, found an existing one. Give --overwrite" in capsys.readouterr().err
    assert other.read_bytes() == before
    assert main([*argv, "--overwrite"]) == 0
    assert other.read_bytes() != before


def test_interrupted_run_leaves_no_file(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = write_recording(tmp_path / "a.mcap", items())
    out, whole, calls = tmp_path / "new" / "out.mcap", Segmenter.segment, []

    def interrupted(self: Segmenter, *args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, *args)

    monkeypatch.setattr(Segmenter, "segment", interrupted)
    assert main(["predict", str(student), str(recording), "-o", str(out)]) == 130
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "out.bag"], "expected a name that ends in .mcap, found 'out.bag'"),
        (["-o", "out.mcap", "--topic", "/point"], "Did you mean /points?"),
        (["-o", "out.mcap", "--copy", "/odm"], "Did you mean /odom?"),
        (["-o", "out.mcap", "--copy", "all", "--output-topic", "/odom"], "expected a new topic, found /odom"),
        (["-o", "out.mcap", "--output-topic", "no//name"], "expected a name such as /ouster/points_labelled"),
        (["-o", "out.mcap", "--start", "9s"], "found none at these times"),
        (["-o", "out.mcap", "--start", "2", "--stop", "1"], "--stop: expected more than --start"),
        (["-o", "out.mcap", "--as", "pcd", "--confidence"], "--confidence: expected scans, found the recording"),
        (["-o", "a.mcap"], "expected a new file, found the input"),
    ],
)
def test_impossible_options_are_refused_and_nothing_is_written(
    student: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = write_recording(tmp_path / "a.mcap", items()).read_bytes()
    assert main(["predict", str(student), "a.mcap", *options]) == 2
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.mcap": before}


def test_student_with_past_scans_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "student.safetensors"
    save_student(SPVCNN.from_config(StudentConfig(channels=8, cells=(100, 100, 12), past_scans=2)), path)
    recording = write_recording(tmp_path / "a.mcap", items())
    assert main(["predict", str(path), str(recording), "-o", str(tmp_path / "out.mcap")]) == 2
    assert "the student takes 2 past scans, found a recording" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["monday.mcap"], True),
        (["MONDAY_0.MCAP"], True),
        (["metadata.yaml", "monday_0.db3.zstd"], True),
        (["monday.mcap", "000000.pcd"], False),
        (["metadata.yaml", "000000.bin"], False),
    ],
)
def test_folder_of_a_recording_is_one_for_all_commands(tmp_path: Path, names: list[str], expected: bool) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert is_recording([tmp_path]) == expected
    assert (kind_of_source(tmp_path) == "recording") == expected


def test_folder_of_a_data_set_with_a_recording_is_a_data_set(tmp_path: Path) -> None:
    for name in ("monday.mcap", "dataset.yaml"):
        (tmp_path / name).touch()
    assert not is_recording([tmp_path])
    with pytest.raises(DataError, match="found a data set"):
        kind_of_source(tmp_path)


def test_output_in_the_folder_of_the_recording_is_refused(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_recording(tmp_path / "folder", items())
    for name, message in (("folder.mcap", "found the input"), ("new.mcap", "expected a file outside of the recording")):
        assert main(["predict", str(student), str(folder), "-o", str(folder / name)]) == 2
        assert message in capsys.readouterr().err


def test_options_and_outputs_of_recordings_are_refused_for_scans(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(16))
    argv = ["predict", str(student), str(tmp_path / "a.bin"), "-o"]
    assert main([*argv, str(tmp_path / "out"), "--topic", "/points"]) == 2
    assert "--topic: expected a recording (.mcap, .db3, .bag), found scans" in capsys.readouterr().err
    assert main([*argv, str(tmp_path / "out.mcap")]) == 2
    assert "out.mcap: expected a folder for the labels of scans" in capsys.readouterr().err
