"""Taxonomies and sensors: packaged ones, files of users, and faults in them."""

import time
from dataclasses import replace

import numpy as np
import pytest
import yaml

from elite.errors import ConfigError, DataError
from elite.files import parse_yaml
from elite.sensor import SensorSpec, load_sensor, packaged_sensors, sensor_from
from elite.taxonomy import ClassSpec, Taxonomy, load_taxonomy, packaged_taxonomies, taxonomy_from
from tests.support.colors import nearest_colors
from tests.support.semantickitti import KITTI, RAW_TO_TRAIN, TRAIN_TO_RAW

NUSCENES = load_taxonomy("nuscenes-lidarseg")
# The devkit's FINE_TO_COARSE, as published.
FINE_TO_COARSE = (0, 0, 7, 7, 7, 0, 7, 0, 0, 1, 0, 0, 8, 0, 2, 3, 3, 4, 5, 0, 0, 6, 9, 10, 11, 12, 13, 14, 15, 0, 16, 0)


@pytest.mark.parametrize("name", packaged_taxonomies())
def test_packaged_taxonomy_is_complete(name):
    taxonomy = load_taxonomy(name)
    train = np.arange(len(taxonomy))
    assert taxonomy.name == name
    assert taxonomy.to_train(taxonomy.to_raw(train)).tolist() == train.tolist()
    assert len(np.unique(taxonomy.colors, axis=0)) == len(taxonomy)
    assert all(spec.color and (spec.safe_color or i == 0) for i, spec in enumerate(taxonomy.classes))
    assert all(bool(spec.stands_on) == spec.thing for spec in taxonomy.classes)
    assert taxonomy_from(taxonomy.to_dict(), "file") == taxonomy


@pytest.mark.parametrize("name", packaged_taxonomies())
def test_safe_colours_differ_for_every_colour_vision(name):
    taxonomy = load_taxonomy(name)
    assert nearest_colors(taxonomy.safe_colors[1:]) > (17 if len(taxonomy) <= 20 else 13)


def test_semantickitti_follows_the_learning_map():
    raw = np.array(list(RAW_TO_TRAIN), np.uint16)
    assert KITTI.to_train(raw).tolist() == list(RAW_TO_TRAIN.values())
    assert KITTI.to_train(raw.reshape(2, -1)).shape == (2, len(raw) // 2)
    assert KITTI.to_raw(np.arange(20)).tolist() == TRAIN_TO_RAW
    assert [KITTI.train_id[n] for n in ("unlabelled", "car", "road", "building", "traffic-sign")] == [0, 1, 9, 13, 19]


def test_semantickitti_point_counts_give_the_published_class_weights():
    counts = KITTI.point_counts
    assert counts is not None
    assert len(counts) == 19
    assert sum(counts) == 1_451_327_847
    assert counts[KITTI.train_id["vegetation"] - 1] == max(counts) == 476_491_114
    assert counts[KITTI.train_id["motorcyclist"] - 1] == min(counts) == 78_858


def test_multiscan_differs_in_moving_objects_only():
    multi = load_taxonomy("semantickitti-multiscan")
    assert multi.to_train(np.arange(252, 260)).tolist() == [20, 21, 22, 23, 24, 24, 25, 24]
    assert multi.to_raw(np.arange(20, 26)).tolist() == [252, 253, 254, 255, 259, 258]
    assert all(multi.to_train(np.array([raw]))[0] == train for raw, train in RAW_TO_TRAIN.items() if raw < 252)
    assert multi.names[:20] == KITTI.names


def test_nuscenes_follows_the_devkit():
    assert NUSCENES.to_train(np.arange(32)).tolist() == list(FINE_TO_COARSE)
    assert NUSCENES.things == tuple(range(1, 11))
    ignored = 340_994_457
    assert sum(NUSCENES.point_counts or ()) + ignored == pytest.approx(34_720 * 34_149, rel=1e-5)  # points of a scan


def test_to_train_other_raw_id_is_refused():
    every = np.arange(1 << 16, dtype=np.uint16)
    assert KITTI.unknown_raw_ids(every) == sorted(set(range(1 << 16)) - set(RAW_TO_TRAIN))
    assert KITTI.unknown_raw_ids(np.array([], np.uint16)) == []
    assert len(KITTI.to_train(np.array([], np.uint16))) == 0


@pytest.mark.parametrize(
    "raw", [np.array([10, 12, 9], np.uint16), np.array([70000, 10]), np.array([10, 65535]), np.array([-1, 10])]
)
def test_to_train_unknown_ids_are_named_with_their_source(raw):
    unknown = sorted(set(raw.tolist()) - {10})
    with pytest.raises(DataError) as caught:
        KITTI.to_train(raw, source="a/b.label")
    assert str(caught.value).startswith("a/b.label: expected raw label ids of semantickitti (0, 1, 10, ..., 259)")
    assert f"found {unknown}" in str(caught.value)


# ---- files of users ---------------------------------------------------------------------------------------------


def mapping_file() -> dict:
    """The single-scan classes in the format of the SemanticKITTI tools."""
    names = {raw: f"raw-{raw}" for raw in RAW_TO_TRAIN} | dict(zip(TRAIN_TO_RAW, KITTI.names, strict=True))
    return {
        "labels": names,
        "color_map": {raw: KITTI.colors[train][::-1].tolist() for train, raw in enumerate(TRAIN_TO_RAW)},
        "content": dict.fromkeys(names, 0.05),
        "learning_map": dict(RAW_TO_TRAIN),
        "learning_map_inv": dict(enumerate(TRAIN_TO_RAW)),
        "learning_ignore": {train: train == 0 for train in range(20)},
        "split": {"train": [0], "valid": [8], "test": [11]},
    }


def test_mapping_file_equals_the_packaged_taxonomy(tmp_path):
    (tmp_path / "kitti.yaml").write_text(yaml.safe_dump(mapping_file()))
    taxonomy = load_taxonomy(tmp_path / "kitti.yaml")
    assert taxonomy.matches(KITTI)
    assert KITTI.matches(taxonomy)
    assert taxonomy.name == "kitti"
    assert (taxonomy.colors == KITTI.colors).all()


def test_mapping_file_ignored_classes_become_class_0():
    file = mapping_file()
    file["learning_ignore"][12] = True  # other-ground
    taxonomy = taxonomy_from(file, "kitti.yaml")
    assert "other-ground" not in taxonomy.names
    assert taxonomy.to_train(np.array([49, 48, 50])).tolist() == [0, 11, 12]


def test_mapping_file_of_nuscenes_takes_its_names():
    coarse = dict(enumerate(NUSCENES.names))
    labels = {raw: f"fine-{raw}" for raw in range(32)}
    file = {"labels": labels, "labels_16": coarse, "learning_map": dict(enumerate(FINE_TO_COARSE))}
    taxonomy = taxonomy_from(file, "nuscenes.yaml")
    assert taxonomy.names[1:] == NUSCENES.names[1:]
    assert taxonomy.to_train(np.arange(32)).tolist() == list(FINE_TO_COARSE)


def test_mapping_file_without_learning_map_has_one_class_per_id():
    taxonomy = taxonomy_from(
        {"labels": {0: "void", 3: "grass", 17: "person"}, "things": ["person"], "ground": ["grass"]}, "own.yaml"
    )
    assert taxonomy.names == ("void", "grass", "person")
    assert taxonomy.to_raw(np.arange(3)).tolist() == [0, 3, 17]
    assert taxonomy.things == (2,)
    assert taxonomy.is_ground.tolist() == [False, True, False]
    assert len(np.unique(taxonomy.colors, axis=0)) == 3


def test_mapping_file_without_ignored_ids_is_refused_unless_0_is_free():
    labels = {"labels": {1: "grass", 2: "person"}, "ignore": []}
    assert taxonomy_from(labels, "own.yaml").names == ("unlabelled", "grass", "person")
    with pytest.raises(ConfigError, match=r"raw ids of ignored points, found none, and 0 is a class\. Give 'ignore'"):
        taxonomy_from({"labels": {0: "grass", 1: "person"}, "learning_map": {0: 1, 1: 2}}, "own.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": {}}, "found label"),
        ({"learning_map": {10: 1}}, "found none for 0, 1, 11"),
        ({"learning_map": RAW_TO_TRAIN | {7: 1}}, "'labels' names, found 7"),
        ({"learning_map": RAW_TO_TRAIN | {10: "car"}}, "learning_map: expected lines .* found '10: 'car''"),
        ({"learning_map": RAW_TO_TRAIN | {10: -1}}, r"train ids in 0\.\.254, .* found -1"),
        ({"learning_map": RAW_TO_TRAIN | {0: 255}}, r"train ids in 0\.\.254, .* found 255"),
        ({"learning_ignore": {0: False}}, "expected true for 0"),
        ({"labels": {0: "road", True: "car"}}, "found 'True: 'car''"),
        ({"labels": {0: "road", 1: False}}, "found '1: False'.* quote names"),
        ({"name": 2024}, "name: expected a text, found 2024"),
        ({"learning_map_inv": {1: 11}}, "learning_map_inv: expected one of"),
        ({"color_map": {10: [0, 0]}}, "blue, green and red of 10"),
        ({"color_map": {10: [0, 0, 300]}}, r"RGB in 0\.\.255"),
        ({"labels": {10: "road"} | dict.fromkeys(RAW_TO_TRAIN, "road")}, "'road' twice"),
        ({"things": ["lorry"]}, "found lorry"),
        ({"things": "car"}, "a list of class names"),
        ({"ignore": ["car"]}, "a list of ids"),
    ],
)
def test_mapping_file_with_a_fault_is_refused(change, message):
    with pytest.raises(ConfigError, match=f"own.yaml: .*{message}"):
        taxonomy_from(mapping_file() | change, "own.yaml")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "2 to 255 classes"),
        ((("void", (0,)), ("car", (0,))), "found 0 in 'void' and in 'car'"),
        ((("void", (0,)), ("car", (1, 1))), "found 1 in 'car' and in 'car'"),
        ((("void", (0,)), ("void", (1,))), "'void' twice"),
        ((("void", (0,)), ("car", ())), "raw ids for 'car', found none"),
        ((("void", (0,)), ("car", (65536,))), r"in 0\.\.65535, found 65536"),
        ((("void", (0,)), ("\x1b[31m", (1,))), "printable"),
        (tuple((f"c{i}", (i,)) for i in range(256)), "found 256"),
    ],
)
def test_taxonomy_of_impossible_classes_is_refused(classes, message):
    with pytest.raises(ConfigError, match=message):
        Taxonomy("own", tuple(ClassSpec(name, raw) for name, raw in classes))


def test_taxonomy_standing_on_no_ground_is_refused():
    with pytest.raises(ConfigError, match="'car' stands on road, expected ground classes"):
        Taxonomy("own", (ClassSpec("road", (0,)), ClassSpec("car", (1,), stands_on=("road",))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: {1: car, 1: road}", "'1' twice"),
        ("labels: [1, 2", "is not YAML"),
        ("a: &a [1]\nlabels: [*a, *a]", "alias"),
        ("labels: !!python/object:os.system {}", "the tag '!!python/object:os.system'"),
        ("labels: {0: void, 1: !!int ''}", "the tag '!!int'"),
        ("[" * 10_000, "is not YAML"),
        ("- 1", "expected settings among name, classes"),
        ("name: own\nclasses: [{name: car, raw: [1]}]", "found 'raw'"),
    ],
)
def test_taxonomy_of_other_text_is_refused(text, message, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"own\.yaml.*{message}"):
        load_taxonomy(tmp_path / "own.yaml")


def test_taxonomy_of_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"expected nuscenes-lidarseg, rellis, .* found 'kitty'"):
        load_taxonomy("kitty")
    with pytest.raises(ConfigError, match=r"absent\.yaml: expected a readable taxonomy, found No such file"):
        load_taxonomy(tmp_path / "absent.yaml")


def test_taxonomy_of_a_long_name_is_refused():
    with pytest.raises(ConfigError, match="taxonomy: expected nuscenes-lidarseg"):
        load_taxonomy("x" * 5000)


def test_taxonomies_match_by_names_and_raw_ids():
    colored = Taxonomy("other", tuple(ClassSpec(c.name, c.raw_ids[::-1], (1, 2, 3)) for c in KITTI.classes))
    assert KITTI.matches(colored)
    assert not KITTI.matches(load_taxonomy("semantickitti-multiscan"))
    assert not KITTI.matches(Taxonomy("renamed", (ClassSpec("void", (0, 1, 52, 99)), *KITTI.classes[1:])))


def test_parse_yaml_returns_plain_values():
    assert parse_yaml("a: {b: [1, 2.5, no, x]}", "text") == {"a": {"b": [1, 2.5, False, "x"]}}


def test_parse_yaml_time_is_linear_in_the_keys():
    keys = 40_000  # a quadratic search for duplicates takes over 10 s
    start = time.process_time()
    assert len(parse_yaml("".join(f"{i}: a\n" for i in range(keys)), "text")) == keys
    assert time.process_time() - start < 5


# ---- sensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", packaged_sensors())
def test_packaged_sensor_is_complete(name):
    sensor = load_sensor(name)
    assert sensor.name == name
    assert len(sensor.elevations) in (32, 64, 128)
    assert sensor.azimuth_step
    assert sensor.range
    assert sensor_from(sensor.to_dict(), "file") == sensor


def test_sensor_turns_axes_and_scales_remission():
    sensor = load_sensor("nuscenes-hdl-32e")  # x to the right, y forward
    rows = np.array([[1, 2, 3, 51, 7]], np.float32)
    assert sensor.points_of(rows).tolist() == [[2, -1, 3]]
    assert sensor.remission_of(rows) == pytest.approx([0.2])
    assert np.linalg.det(sensor.to_ours) == pytest.approx(1)


def test_sensor_of_a_preset_has_its_values_except_for_the_given_ones():
    preset = load_sensor("os1-128")
    sensor = sensor_from({"preset": "os1-128", "name": "mine", "height": 2.1}, "own.yaml")
    assert sensor == replace(preset, name="mine", height=2.1)
    assert sensor_from({"preset": "os1-128"}, "own.yaml") == preset


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"preset": "os-128"}, "preset: expected hdl-32e, .*found 'os-128'"),
        ({"preset": ["os1-128"]}, "preset: expected a text, found list"),
        ({"preset": None}, "sensor: expected a printable name, found ''"),
        ({"preset": "os1-128", "axes": "right-forward"}, "axes: expected the directions of x, y and z"),
        ({"preset": "os1-128", "axes": "right-right-up"}, "axes: expected the directions of x, y and z"),
        ({"preset": "os1-128", "axes": "left-forward-up"}, "expected right-handed axes"),
        ({"preset": "os1-128", "ego_box": [[1, 0, 0], [0, 1, 1]]}, "expected an ego_box"),
    ],
)
def test_sensor_of_impossible_settings_is_refused(values, found):
    with pytest.raises(ConfigError, match=rf"own\.yaml: .*{found}"):
        sensor_from(values, "own.yaml")


def test_sensor_settings_name_axes_and_intensity_in_words():
    sensor = sensor_from(
        {"name": "mine", "axes": "right-forward-up", "intensity": {"field": "reflectivity", "max": 255}}, "own.yaml"
    )
    assert sensor == SensorSpec("mine", axes=("y", "-x", "z"), intensity_field="reflectivity", remission_max=255)
    assert sensor_from(sensor.to_dict(), "own.yaml") == sensor


def test_sensor_that_drops_points_keeps_the_measured_ones():
    points = np.array([[0, 0, 0], [1, 1, 0], [9, 1, 0], [np.nan, 1, 0], [9, 1, 0]], np.float32)
    remission = np.array([0.5, 0, 1, 0, np.inf], np.float32)
    box = ((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0))
    assert SensorSpec("own", no_return="drop").measured(points, remission).tolist() == [False, True, True, False, False]
    assert SensorSpec("own", ego_box=box).measured(points, remission).tolist() == [False, False, True, True, True]
    assert not SensorSpec("own").drops_points


def test_sensor_without_remission_has_zeros():
    sensor = SensorSpec("own", ("t", "z", "y", "x"))
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert sensor.points_of(rows).tolist() == [[3, 2, 1], [7, 6, 5]]
    assert sensor.remission_of(rows).tolist() == [0, 0]


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": ["x", "y"]},
        {"columns": ["x", "y", "z", "z"]},
        {"axes": ["x", "x", "z"]},
        {"axes": ["x", "-y", "z"]},
        {"axes": ["forward", "y", "z"]},
        {"remission_max": 0},
        {"remission_max": float("nan")},
        {"elevations": [1, 0]},
        {"elevations": [-90, 0]},
        {"azimuth_step": 0},
        {"height": -1},
        {"range": 0},
        {"beams": 64},
    ],
)
def test_sensor_of_impossible_values_is_refused(settings):
    with pytest.raises(ConfigError, match=r"own\.yaml: .*expected .*found"):
        sensor_from({"name": "own", **settings}, "own.yaml")


def test_sensor_with_an_unprintable_name_is_refused():
    with pytest.raises(ConfigError, match=r"printable name, found '\\x1b\[31m'"):
        SensorSpec("\x1b[31m")


def test_sensor_of_no_file_is_refused():
    with pytest.raises(ConfigError, match=r"sensor: expected hdl-32e, .* found 'hdl-65e'"):
        load_sensor("hdl-65e")


@pytest.mark.parametrize(
    ("load", "text", "found"),
    [
        (
            load_sensor,
            "name: own\ncolumns: [x, y, z]\nelevation: [1]",
            ", line 3: .*Replace 'elevation' by 'elevations'",
        ),
        (load_sensor, "name: own\n# beams\nazimuth_step: wide", ", line 3: azimuth_step: expected a finite number"),
        (load_taxonomy, "labels:\n  0: void\n  1: [road]\n", ", line 3: labels: expected lines"),
        (load_taxonomy, "labels:\n  0: void\ncolour_map: {}\n", ", line 3: expected keys among"),
        (load_taxonomy, "name: own", r"own\.yaml: settings: expected .* found none for classes"),
    ],
)
def test_fault_of_a_description_is_named_with_its_line(tmp_path, load, text: str, found: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=found):
        load(tmp_path / "own.yaml")
