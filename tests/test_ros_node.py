"""The ROS 2 node, built without ROS: its messages are, byte for byte, those of ``elite predict``."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from elite import native
from elite.cli import main
from elite.datasets.scan_files import read_scan
from elite.errors import DataError
from elite.inference import Segmenter
from elite.labelled_recordings import class_names, label_cloud
from elite.native import loader
from elite.recordings import CDR, PointCloud2, PointField, encode_cloud, open_recording
from elite.sensor import SensorSettings, SensorSpec, load_sensor
from elite.student import SPVCNN, save_student
from elite.student.model_file import save_model
from tests.support.clouds import WRONG_CLOUDS, points
from tests.support.recordings import LAYOUTS, PERIOD, START, cloud, cloud_item, random_points, write_recording
from tests.support.ros_node import PACKAGE, ROOT, Published, build_replay, replay
from tests.support.semantickitti import HDL_64E, KITTI
from tests.support.students import with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
COUNT = 600
LABELLED = [name for name in LAYOUTS if name != "every type"]  # which has no coordinates


def student_of(sensor: SensorSpec = HDL_64E) -> SPVCNN:
    torch.manual_seed(0)
    student = SPVCNN(channels=8, strides=(1, 2, 4), cells=(100, 100, 12), sensor=sensor)
    return with_random_norms(student, std=0.2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_replay(tmp_path_factory.mktemp("node"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(student_of(), tmp_path / "m.elite")
    return tmp_path / "m.elite"


def expected_bytes(clouds: Iterable[PointCloud2], sensor: SensorSpec = HDL_64E, **options: object) -> list[bytes]:
    """Messages of ``elite predict``."""
    segmenter = Segmenter(student_of(), report=lambda _: None, **options)  # type: ignore[arg-type]
    return [encode_cloud(label_cloud(segmenter, cloud, sensor)[0], CDR) for cloud in clouds]


def clouds_of(published: list[Published], topic: str = "points_labelled") -> list[bytes]:
    return [each.data for each in published if each.topic == topic]


def label(program: Path, model: Path, clouds: Iterable[PointCloud2], **parameters: object) -> list[bytes]:
    """Messages of the node, which fails with none of the clouds."""
    data = [encode_cloud(cloud, CDR) for cloud in clouds]
    published, errors = replay(
        program, model.parent, data, **{"model": model, "drop": "none", "threads": 1} | parameters
    )
    assert errors == ""
    return clouds_of(published)


# ---- clouds --------------------------------------------------------------------------------------------------------


def test_node_any_layout_gives_the_bytes_of_predict(program: Path, model: Path) -> None:
    kinds = product(LABELLED, [False, True], [(1, 0), (1, 5), (4, 0), (4, 7)])
    clouds = [
        cloud(
            layout,
            points(layout, COUNT, seed),
            height=height,
            big_endian=big,
            row_padding=padding,
            fill=0xAB,
            stamp=seed,
        )
        for seed, (layout, big, (height, padding)) in enumerate(kinds)
    ]
    found = label(program, model, clouds)
    assert len(found) == 7 * 2 * 4
    assert found == expected_bytes(clouds)


def test_node_unusual_clouds_give_the_bytes_of_predict(program: Path, model: Path) -> None:
    """Empty, without a return, a single row of any row step, bytes after the rows, other types of coordinates."""
    base = cloud("ouster", points("ouster", COUNT), height=4)
    row = cloud("XYZIRC", points("XYZIRC", COUNT))
    renamed = tuple(field._replace(name=field.name.replace("intensity", "Reflectivity")) for field in row.fields)
    clouds = [
        *(replace(base, **size) for size in ({"width": 0}, {"height": 0}, {"height": 0, "data": base.data[:0]})),
        cloud("XYZI", dict.fromkeys("xyz", np.zeros(COUNT, np.float32))),
        replace(row, row_step=0, is_dense=False),
        replace(row, row_step=2**32 - 1),
        replace(row, data=np.append(row.data, np.arange(9, dtype=np.uint8))),
        replace(row, fields=renamed),
        replace(row, fields=tuple(field._replace(count=0) for field in row.fields)),
        mixed_cloud(),
    ]
    assert label(program, model, clouds) == expected_bytes(clouds)


def mixed_cloud() -> PointCloud2:
    """Coordinates of the types float64, int16 and int8, intensity of uint32, and a field of two numbers."""
    formats, offsets = ["<f8", "<i2", "i1", "<u4"], [0, 8, 10, 12]
    kinds = np.dtype({"names": [*"xyzi"], "formats": formats, "offsets": offsets, "itemsize": 17})
    rows, rng = np.zeros(COUNT, kinds), np.random.default_rng(0)
    for name, limit in zip("xyzi", (60, 40, 3, 2**32), strict=True):
        rows[name] = rng.uniform(0 if name == "i" else -limit, limit, COUNT)
    fields = PointField("X", 0, 8), PointField("y", 8, 3), PointField("z", 10, 1), PointField("i", 12, 6)
    size = {"width": COUNT, "point_step": 17, "row_step": 17 * COUNT, "data": rows.view(np.uint8)}
    return replace(cloud("XYZI", points("XYZI")), fields=(*fields, PointField("x_", 0, 7, 2)), **size)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_node_other_precision_gives_the_bytes_of_predict(program: Path, model: Path, precision: str) -> None:
    if not native.multiplies(precision):
        pytest.skip(f"this processor does not multiply {precision}")
    clouds = [cloud("XYZI", points("XYZI", COUNT))]
    assert label(program, model, clouds, precision=precision) == expected_bytes(clouds, precision=precision)


SENSORS = {
    "intensity": (
        {"intensity_field": "reflectivity", "intensity_max": 255.0},
        {"intensity_field": "reflectivity", "remission_max": 255.0},
    ),
    "axes": ({"axes": "right-forward-up"}, {"axes": "right-forward-up"}),
    "upside down": ({"axes": "forward-right-down"}, {"axes": "forward-right-down"}),
    "vehicle": ({"ego_box": "[-9,-8,-3,9,8.5,3]"}, {"ego_box": ((-9, -8, -3), (9, 8.5, 3))}),
    "no intensity": ({"use_intensity": False}, {"columns": ("x", "y", "z")}),
}


@pytest.mark.parametrize("name", SENSORS)
def test_node_with_a_sensor_gives_the_bytes_of_predict(program: Path, model: Path, name: str) -> None:
    parameters, settings = SENSORS[name]
    clouds = [cloud("ouster", points("ouster", COUNT), height=4)]
    expected = expected_bytes(clouds, SensorSettings(**settings).spec("own"))  # type: ignore[arg-type]
    assert label(program, model, clouds, **parameters) == expected
    assert expected != expected_bytes(clouds)


def test_node_with_a_height_and_a_fill_radius_gives_the_bytes_of_predict(program: Path, model: Path) -> None:
    clouds = [cloud("XYZI", points("XYZI", COUNT))]
    expected = expected_bytes(clouds, height=2.1, fill_radius=2)
    assert label(program, model, clouds, height=2.1, fill_radius=2.0) == expected
    assert expected not in (expected_bytes(clouds, height=2.1), expected_bytes(clouds, fill_radius=2))


def test_node_has_the_sensor_of_the_training_scans_by_default(program: Path, model: Path) -> None:
    sensor = replace(load_sensor("nuscenes-hdl-32e"), ego_box=((-5, -5, -3), (5, 5, 3)), intensity_field="reflectivity")
    save_model(student_of(sensor), model)
    clouds = [cloud("ouster", points("ouster", COUNT))]
    assert label(program, model, clouds) == expected_bytes(clouds, sensor)


def test_recording_labelled_by_predict_has_the_bytes_of_the_node(program: Path, model: Path) -> None:
    """The command on a recording, with several threads."""
    clouds = [cloud("hesai", points("hesai", COUNT, i), height=2, stamp=START + i * PERIOD) for i in range(5)]
    recording = write_recording(model.parent / "a.mcap", [cloud_item("/points", each) for each in clouds])
    save_student(student_of(), model.parent / "student.safetensors")
    labelled = model.parent / "labelled.mcap"
    options = ["--device", "cpu", "-o", str(labelled)]
    assert main(["predict", str(model.parent / "student.safetensors"), str(recording), *options]) == 0
    with open_recording(labelled) as found:
        topic = found.topic("/points_labelled", PointCloud2)
        predicted = [message.data for message in found.raw_messages([topic])]
    assert label(program, model, clouds) == predicted


# ---- faults --------------------------------------------------------------------------------------------------------


def refused(cloud: PointCloud2) -> str:
    """Error of ``elite predict``."""
    with pytest.raises(DataError) as error:
        expected_bytes([cloud])
    return str(error.value).removeprefix("the cloud: ")


def test_node_refuses_clouds_as_predict_does_and_labels_the_next(program: Path, model: Path) -> None:
    sound = cloud("velodyne", points("velodyne"), height=4)
    far = points("velodyne") | {"x": np.full(24, 3e5, np.float32)}
    wrong = [
        *(replace(sound, **values) for values in WRONG_CLOUDS.values()),
        replace(sound, fields=(*sound.fields, PointField("entropy", 0, 7))),
        replace(sound, fields=tuple(field for field in sound.fields if field.name not in ("y", "intensity"))),
        cloud("every type", random_points("every type", 24)),
        cloud("velodyne", far),
        cloud("velodyne", points("velodyne") | {"z": np.full(24, 300, np.float32)}),
    ]
    data = [encode_cloud(each, CDR) for each in (*wrong, sound)]
    published, errors = replay(program, model.parent, data, model=model, drop="none", input="/points", threads=1)
    assert clouds_of(published, "/points_labelled") == expected_bytes([sound])
    found = errors.splitlines()
    assert len(found) == len(wrong)
    for line, cause in zip(found, wrong, strict=True):
        expected = refused(cause)
        assert line.startswith("/points: ")
        assert (
            line.split(", found")[0].endswith(expected.split(", found")[0].removeprefix("/points: "))
            or "volume" in line
        )
    status = [each.message for each in published if each.topic == "/diagnostics"][-1].status[0]
    assert {entry.key: entry.value for entry in status.values}["clouds failed"] == str(len(wrong))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "none.elite"}, "none.elite: expected a model file, found No such file"),
        ({"drop": "some"}, "drop: expected latest or none, found 'some'"),
        ({"precision": "fp16"}, "precision: expected fp32, bf16 or int8, found 'fp16'"),
        ({"axes": "forward-right-up"}, "in a right-handed frame, such as forward-left-up, found 'forward-right-up'"),
        ({"axes": "forward-left"}, "found 'forward-left'"),
        ({"axes": "forward-left-up-up"}, "found 'forward-left-up-up'"),
        ({"axes": "forward-left-high"}, "found 'forward-left-high'"),
        ({"ego_box": "[1,1,1,0,2,2]"}, "ego_box: expected two corners, low and high"),
        ({"threads": -1}, "threads: expected 0 to 1024, found -1"),
        ({"threads": 2**32}, "threads: expected 0 to 1024, found 4294967296"),
        ({"input": "no topic", "output": "labels"}, "Invalid topic name: no topic"),
        ({"height": -2.0}, "height: expected metres above the ground"),
        ({"intensity_max": -1.0}, "intensity_max: expected at least 0"),
    ],
)
def test_node_with_an_impossible_parameter_does_not_start(
    program: Path, model: Path, parameters: dict[str, object], message: str
) -> None:
    published, errors = replay(program, model.parent, [], **{"model": model} | parameters)
    assert message in errors
    assert published == []


@pytest.mark.parametrize("parameters", [{"intensity_field": "reflectivity"}, {"intensity_max": 255.0}])
def test_node_with_a_unit_for_a_model_without_intensity_does_not_start(
    program: Path, model: Path, parameters: dict[str, object]
) -> None:
    save_model(student_of(replace(HDL_64E, columns=("x", "y", "z"))), model)
    _, errors = replay(program, model.parent, [], model=model, **parameters)
    assert f"{next(iter(parameters))}: expected a model that was trained with intensity, found one without" in errors


# ---- other topics --------------------------------------------------------------------------------------------------


def test_class_names_are_latched_and_those_of_predict(program: Path, model: Path) -> None:
    published, _ = replay(program, model.parent, [], model=model, output="/labels")
    [info] = [each for each in published if each.topic == "/labels/label_info"]
    assert info.is_latched
    assert {entry.class_id: entry.class_name for entry in info.message.class_map} == class_names(KITTI)


@pytest.mark.parametrize("drop", ["latest", "none"])
def test_drop_policy_counts_every_cloud_once_and_labels_the_newest(program: Path, model: Path, drop: str) -> None:
    clouds = [cloud("XYZI", points("XYZI", 20_000), stamp=i) for i in range(8)]
    data = [encode_cloud(each, CDR) for each in clouds]
    published, _ = replay(program, model.parent, data, model=model, drop=drop, threads=1)
    stamps = [each.message.header.stamp.nanosec for each in published if each.topic == "points_labelled"]
    reports = [each.message.status[0] for each in published if each.topic == "/diagnostics"]
    values = {entry.key: entry.value for entry in reports[-1].values}
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == 7
    assert int(values["clouds labelled"]) == len(stamps)
    assert int(values["clouds labelled"]) + int(values["clouds dropped"]) == 8
    assert (len(stamps) == 8) == (drop == "none")
    assert Counter(report.level for report in reports)[1] >= (drop == "latest")
    assert 0 < float(values["latency p50 (ms)"]) <= float(values["latency p95 (ms)"])


# ---- builds by CMake, which take minutes ---------------------------------------------------------------------------


def cmake(source: Path, folder: Path, *options: object) -> None:
    for command in (["-S", source, "-B", folder, *options], ["--build", folder, "--parallel", os.cpu_count()]):
        done = subprocess.run(["cmake", *map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


ROS_PACKAGES = {  # as CMake finds them
    "ament_cmake": "macro(ament_package)\nendmacro()",
    "rclcpp": f"add_library(rclcpp::rclcpp INTERFACE IMPORTED)\n"
    f"target_include_directories(rclcpp::rclcpp INTERFACE {PACKAGE}/test/stand_in)",
    "rclcpp_components": "add_library(rclcpp_components::component INTERFACE IMPORTED)\n"
    "macro(rclcpp_components_register_node target)\n  get_target_property(kind ${target} TYPE)\nendmacro()",
    **{f"{name}_msgs": f"set({name}_msgs_TARGETS rclcpp::rclcpp)" for name in ("sensor", "diagnostic", "vision")},
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no CMake")
def test_package_with_stand_in_packages_builds_and_installs_its_component(tmp_path: Path) -> None:
    """The part of CMakeLists.txt for ROS, whose packages are empty here."""
    for name, text in ROS_PACKAGES.items():
        (tmp_path / f"Find{name}.cmake").write_text(text + "\n")
    write_elite_package(tmp_path)
    cmake(PACKAGE, tmp_path / "node", f"-Delite_DIR={tmp_path}", f"-DCMAKE_MODULE_PATH={tmp_path}")
    install = ["cmake", "--install", tmp_path / "node", "--prefix", tmp_path / "usr"]
    subprocess.run(install, check=True, capture_output=True)
    component = tmp_path / "usr" / "lib" / "liblabel_node.so"
    header = subprocess.run(["readelf", "-d", component], check=True, capture_output=True, text=True).stdout
    assert re.search(rf"(RUNPATH|RPATH).*{re.escape(str(tmp_path))}\]", header)  # the folder of libelite
    assert (tmp_path / "usr" / "share" / "elite_ros" / "launch" / "label.launch.xml").exists()
    found = {element.text for element in ElementTree.parse(PACKAGE / "package.xml").getroot().iter() if element.text}
    assert ROS_PACKAGES.keys() <= found


def write_elite_package(folder: Path) -> None:
    """Write the CMake package of libelite, with the library of the Python package."""
    shutil.copy(loader.library_path(), folder / "libelite.so")
    (folder / "elite-config.cmake").write_text(
        "add_library(elite::elite INTERFACE IMPORTED)\n"
        f"target_include_directories(elite::elite INTERFACE {ROOT}/src/elite/native/include)\n"
        f"target_link_libraries(elite::elite INTERFACE {folder}/libelite.so)\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no CMake")
def test_sanitizers_find_no_fault_in_any_cloud(model: Path, tmp_path: Path, real_kitti: Path) -> None:
    """Also the package's CMake project, against an installed libelite; and a real scan."""
    options = ["-DELITE_SANITIZERS=address,undefined", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1"]
    cmake(ROOT / "libelite", tmp_path / "libelite", *options, "-DBUILD_SHARED_LIBS=OFF")
    prefix = tmp_path / "usr"
    subprocess.run(["cmake", "--install", tmp_path / "libelite", "--prefix", prefix], check=True, capture_output=True)
    cmake(PACKAGE, tmp_path / "node", *options, "-DELITE_ROS_STAND_IN=ON", f"-DCMAKE_PREFIX_PATH={prefix}")
    for seed in range(2):
        command = [tmp_path / "node" / "fuzz", model, "20000", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert 3000 < int(done.stdout.split()[2]) < 17_000
    scan = read_scan(next(real_kitti.glob("sequences/00/velodyne/*.bin")), HDL_64E)
    values = dict(zip("xyz", scan.points.T, strict=True)) | {"intensity": scan.remission}
    clouds = [
        cloud("XYZI", values),
        *(cloud(layout, points(layout, COUNT), height=4, row_padding=7) for layout in LABELLED),
    ]
    assert label(tmp_path / "node" / "replay", model, clouds) == expected_bytes(clouds)
