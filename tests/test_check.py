"""Survey and verdict of ``elite check``: measures against planted values, slow loops, and real frames."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from elite.cli import main
from elite.config import StudentConfig
from elite.datasets import open_dataset
from elite.datasets.check import (
    SequenceReport,
    Survey,
    TrainedInput,
    advise,
    check,
    judge,
    sequence_advice,
    survey,
    unlabelled_splits,
)
from elite.datasets.check.alignment import Alignment, alignment, depth_edges, edge_points, shift_scores
from elite.datasets.check.beam_pattern import azimuth_step, beam_of_points, matching_sensor
from elite.datasets.check.camera_measures import CameraMeasures, CameraSurvey, motion_at
from elite.datasets.check.label_ids import foreign_ids, likely_taxonomy, raised_ground
from elite.datasets.check.orientation import axis_words, heading, length_unit, quarter_turn, upright
from elite.datasets.check.pictures import DISTANCE
from elite.datasets.check.scan_measures import duplicates, measure_scan, pooled
from elite.datasets.check.time_offset import TimeOffset
from elite.datasets.check.trained import beam_advice
from elite.datasets.doubts import full_scale
from elite.datasets.formats import read_image
from elite.datasets.input_guard import some_scans
from elite.occlusion import points_in_view
from elite.remission import quantiles_of
from elite.sensor import SensorSettings, load_sensor
from elite.student import SPVCNN, save_student
from elite.taxonomy import load_taxonomy
from elite.types import Camera, Scan
from tests.support.street_scans import street as street_scan
from tests.support.trams import TRAMS_YAML

HDL_32E = load_sensor("hdl-32e")
KITTI = load_taxonomy("semantickitti")


def street(ahead: float = 0.0) -> np.ndarray:
    """Points of an HDL-32E, beam by beam, between two facades 8 m to the sides, with pillars in front of one.

    The pillars are moved by ``ahead`` metres.
    """
    azimuth = np.arange(0, 360, 0.3318)
    angle, beam = np.meshgrid(np.radians(azimuth), np.radians(HDL_32E.elevations))
    ray = np.stack([np.cos(angle) * np.cos(beam), np.sin(angle) * np.cos(beam), np.sin(beam)], -1).reshape(-1, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(ray[:, 2] < 0, -1.84 / ray[:, 2], np.inf)
        wall = 8 / np.abs(ray[:, 1])
        pillar = np.where(
            (ray[:, 1] > 0) & (np.floor(4.5 * ray[:, 0] / ray[:, 1] - 0.75 * ahead) % 3 == 0), 6 / ray[:, 1], np.inf
        )
    distance = np.minimum.reduce([ground, wall, pillar])
    distance *= 1 + np.random.default_rng(0).normal(0, 1e-3, len(distance))
    seen = distance < 70
    return (ray[seen] * distance[seen, None]).astype(np.float32)


STREET = street()
# A camera that looks to the left, at the pillars.
LEFT = Camera(
    "left",
    np.array([[300.0, 0, 240], [0, 300, 120], [0, 0, 1]])
    @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    @ np.eye(3, 4),
)


def photograph() -> np.ndarray:
    """Image of the pillars by ``LEFT``: bright ones on a dark facade, ray by ray."""
    u, v = np.meshgrid(np.arange(480) + 0.5, np.arange(240) + 0.5)
    across, up = (u - 240) / 300, (120 - v) / 300
    is_pillar = np.floor(4.5 * across) % 3 == 0
    on_ground = 1.84 + np.where(is_pillar, 6, 8) * up < 0
    grey = np.where(on_ground, 90, np.where(is_pillar, 220, 40)) + np.random.default_rng(1).normal(0, 4, u.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


# ---- scans --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["turns", "shuffled", "rings"])
def test_beams_in_any_order_are_counted(order: str) -> None:
    points = STREET if order == "turns" else np.random.default_rng(0).permutation(STREET)
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(*points[:, :2].T)))
    truth = np.abs(elevation[:, None] - np.array(HDL_32E.elevations)).argmin(axis=1)
    beams = beam_of_points(points, truth if order == "rings" else None)
    assert beams is not None
    same = [len(np.unique(beams[truth == k])) == 1 for k in range(32)]  # one number per beam, whatever its order
    assert len(np.unique(beams)) == 32
    assert np.mean(same) > 0.9
    assert azimuth_step(points, beams) == pytest.approx(0.3318, rel=0.02)


def test_beams_of_random_points_are_unknown() -> None:
    assert beam_of_points(np.random.default_rng(0).normal(0, 10, (20_000, 3)).astype(np.float32)) is None


def test_matching_sensor_requires_the_number_and_the_ends() -> None:
    assert matching_sensor(32, -30.5, 10.5) == "hdl-32e"
    assert matching_sensor(32, -25.2, 14.8) == "vlp-32c"
    assert matching_sensor(32, -20, 20) is matching_sensor(31, -30.5, 10.5) is None


def test_duplicates_equal_those_of_a_set() -> None:
    points = np.random.default_rng(0).integers(-3, 4, (500, 3)).astype(np.float32)
    points[::7] *= -0.0
    assert duplicates(points) == pytest.approx(1 - len({tuple(row) for row in points.tolist()}) / 500)


def test_measure_scan_of_planted_values() -> None:
    stored = np.column_stack([STREET, np.linspace(0, 1.002, len(STREET))]).astype(np.float32)
    stored = np.concatenate([stored, np.zeros((len(STREET) // 4, 4), np.float32), stored[:100]])
    kept = (stored[:, :3] != 0).any(axis=1)
    found = measure_scan(stored, Scan(stored[kept, :3], stored[kept, 3], kept))
    assert found.no_return == pytest.approx((~kept).mean()) == pytest.approx(1 - found.kept)
    assert found.duplicates == pytest.approx(100 / kept.sum())
    assert found.ranges == pytest.approx(
        np.quantile(np.linalg.norm(stored[kept, :3], axis=1), (0.01, 0.5, 0.99, 1)), 1e-4
    )
    assert found.unusual == pytest.approx((stored[:, 3] > 1).sum() / kept.sum())
    assert (found.ground, found.tilt) == (pytest.approx(-1.84, abs=0.03), pytest.approx(0, abs=0.5))


def test_pooled_measures_are_medians_and_rare_ones_unknown() -> None:
    scans = [
        measure_scan(np.ones((4, 4), np.float32) * k, Scan(np.ones((4, 3), np.float32) * k, np.ones(4, np.float32)))
        for k in (1, 2, 9)
    ]
    found = pooled([replace(scans[0], ground=-2.0), *scans[1:]])
    assert found.ranges[0] == pytest.approx(2 * np.sqrt(3))
    assert found.ground is None
    assert found.beams is None


# ---- axes and units -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["forward-left-up", "right-forward-up", "backward-right-up", "forward-right-down", "left-up-forward"]
)
def test_axis_words_are_those_of_the_settings(words: str) -> None:
    assert axis_words(SensorSettings(name="own", axes=words).spec().to_ours) == words


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_heading_and_quarter_turn_bring_the_motion_to_x(degrees: float) -> None:
    poses = [np.eye(4) for _ in range(4)]
    for k, pose in enumerate(poses):
        pose[:3, :3] = Rotation.from_euler("z", 30 - degrees, degrees=True).as_matrix()
        pose[:3, 3] = k * np.array([np.cos(np.pi / 6), np.sin(np.pi / 6), 0])  # moves 30 degrees to the left
    found = heading(poses)
    assert found is not None
    assert abs((found - degrees + 180) % 360 - 180) < 1e-6
    moved = quarter_turn(found) @ Rotation.from_euler("z", found, degrees=True).apply([1.0, 0, 0])
    np.testing.assert_allclose(moved, [1, 0, 0], atol=1e-9)
    assert heading([np.eye(4), np.eye(4)]) is None


@pytest.mark.parametrize("up", ["z", "-z", "y", "-y", "x", "-x"])
def test_upright_finds_the_axis_that_points_up(up: str) -> None:
    column = np.zeros(3)
    column["xyz".index(up[-1])] = -1 if up[0] == "-" else 1
    rotation = Rotation.align_vectors([column], [[0.0, 0, 1]])[0].as_matrix()
    points = (STREET @ rotation.T).astype(np.float32)
    turn = upright(points)
    if up == "z":
        assert turn is None
    else:
        assert turn is not None
        assert np.linalg.det(turn) == pytest.approx(1)
        np.testing.assert_allclose(turn @ column, [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize(("factor", "unit"), [(1, None), (100, (100, "centimetres")), (1000, (1000, "millimetres"))])
def test_length_unit_of_scaled_points(factor: int, unit: tuple[int, str] | None) -> None:
    assert length_unit(STREET * np.float32(factor)) == unit


# ---- alignment ----------------------------------------------------------------------------------------------------


def test_depth_edges_equal_those_of_a_loop() -> None:
    points = STREET[(STREET[:, 1] > 0) & (np.abs(STREET[:, 0]) < 8)]
    points = np.random.default_rng(0).permutation(points)
    azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0]).astype(np.float64))
    elevation = np.degrees(np.arctan2(points[:, 2].astype(float), np.hypot(*points[:, :2].T.astype(float))))
    distance = np.linalg.norm(points.astype(float), axis=1)
    expected = np.zeros(len(points))
    for row in np.unique(np.floor(elevation / 0.15)):
        order = sorted(np.flatnonzero(np.floor(elevation / 0.15) == row), key=lambda k: azimuth[k])
        for a, b in itertools.pairwise(order):
            near = a if distance[a] < distance[b] else b
            jump = abs(distance[a] - distance[b])
            if azimuth[b] - azimuth[a] < 1.5 and jump > max(0.5, 0.1 * distance[near]) and distance[near] >= 2.5:
                expected[near] = max(expected[near], np.sqrt(min(jump, 9)))
    assert (expected > 0).sum() > 50
    np.testing.assert_allclose(depth_edges(points), expected, atol=1e-4)


def aligned(points: np.ndarray) -> Alignment:
    edges = edge_points(points, depth_edges(points), LEFT, photograph())
    found = alignment([shift_scores(edges, LEFT)], len(edges.points))
    assert found is not None
    return found


def test_alignment_of_a_sound_calibration_is_best_without_a_shift() -> None:
    found = aligned(STREET)
    assert abs(found.best[0]) <= 0.5
    assert found.sigmas(found.near_score) > 2.5


@pytest.mark.parametrize("degrees", [-2, 2])
def test_alignment_of_a_rotated_calibration_finds_the_rotation(degrees: float) -> None:
    turned = Rotation.from_euler("z", degrees, degrees=True).apply(STREET).astype(np.float32)  # to the left by degrees
    found = aligned(turned)
    assert found.best[0] == pytest.approx(degrees, abs=0.5)
    assert found.sigmas(found.best_score) - found.sigmas(found.near_score) > 1


SPEED = np.array([3.0, 0, 0, 0, 0, 0])  # m/s along x


def timed(late: float) -> CameraMeasures:
    """Measures of four images that were taken ``late`` seconds after their stated times."""
    cameras, image = CameraSurvey(), photograph()
    before = street(ahead=late * SPEED[0])
    weight = depth_edges(before)
    for _ in range(4):
        cameras.add(before, weight, LEFT, image, SPEED)
    return cameras.finish(4, 4, [0.01, 0.03])


@pytest.mark.parametrize("late", [-0.1, 0.04, 0.2])
def test_camera_survey_finds_the_time_of_the_images(late: float) -> None:
    found = timed(late)
    assert found.offset is not None
    assert found.offset.best == pytest.approx(late, abs=0.01)
    assert found.offset.low - 0.01 <= late <= found.offset.high + 0.01
    assert (found.gaps, found.looks) == ((0.01, 0.02, 0.03), pytest.approx(90))


OFFSETS = {
    "late": (TimeOffset(0.041, 0.036, 0.046, 0.78, 0.66, ()), r"41 ms later \(± 5 ms\)\. Add 0\.041 to"),
    "early": (TimeOffset(-0.1, -0.1005, -0.0995, 0.78, 0.66, ()), r"100 ms earlier \(± 1 ms\)\. Add -0\.100 to"),
    "by little": (TimeOffset(0.015, 0.014, 0.016, 0.78, 0.66, ()), None),
    "not determined": (TimeOffset(0.1, -0.1, 0.2, 0.78, 0.66, ()), None),
    "not clearly": (TimeOffset(0.1, 0.09, 0.11, 0.67, 0.66, ()), None),
    "rather turned": (TimeOffset(0.1, 0.09, 0.11, 0.70, 0.66, ()), None),
}


@pytest.mark.parametrize("case", OFFSETS)
def test_advice_on_the_time_of_images_requires_a_clear_offset(case: str) -> None:
    offset, expected = OFFSETS[case]
    turned = 0.72 if case == "rather turned" else 0.66
    camera = CameraMeasures(4, 4, alignment=Alignment(900, 0.66, 0.58, 0.02, (1.0, 0.0), turned, 0.66), offset=offset)
    found = [a.message for a in advise(Survey(cameras={"left": camera}), HDL_32E, KITTI) if a.kind == "times"]
    assert len(found) == (expected is not None)
    assert all(re.search(expected, message) for message in found if expected)


def test_images_at_their_stated_times_have_no_offset() -> None:
    found = timed(0.0)
    assert found.offset is not None
    assert found.offset.best == pytest.approx(0, abs=0.01)
    assert advise(Survey(cameras={"left": found}), HDL_32E, KITTI) == []


def test_offset_of_images_without_edges_is_not_determined() -> None:
    """Noise has edges everywhere, so that the best time is one of chance."""
    cameras, rng = CameraSurvey(), np.random.default_rng(0)
    for _ in range(4):
        noise = rng.integers(0, 256, (240, 480, 3), np.uint8)
        cameras.add(STREET, depth_edges(STREET), LEFT, noise, SPEED)
    found = cameras.finish(4, 4, ())
    assert found.offset is not None
    assert not found.offset.is_determined


# ---- label ids ----------------------------------------------------------------------------------------------------


def test_foreign_ids_name_the_labelling_that_defines_them() -> None:
    rellis = load_taxonomy("rellis")
    assert foreign_ids([0, 3, 4, 17], rellis) is None
    message = foreign_ids([0, 10, 40, 44, 48, 50, 70], rellis)
    assert message is not None
    assert "expected label ids of rellis, found 40, 44, 48, 50, 70." in message
    assert "10 may then be other classes, too (10 is read as asphalt). semantickitti defines all of them" in message


def test_likely_taxonomy_is_not_guessed_from_consecutive_ids() -> None:
    assert likely_taxonomy(range(12)) is None
    assert likely_taxonomy([0, 3, 17, 19, 33]) == "rellis"


def test_raised_ground_is_a_ground_class_above_the_ground() -> None:
    classes = np.where(STREET[:, 2] > 0, KITTI.names.index("road"), KITTI.names.index("building")).astype(np.uint8)
    assert list(raised_ground(STREET, classes, KITTI, -1.84)) == ["road"]
    on_ground = np.where(STREET[:, 2] < -1.7, KITTI.names.index("road"), 0).astype(np.uint8)
    assert not raised_ground(STREET, on_ground, KITTI, -1.84)


# ---- verdict ------------------------------------------------------------------------------------------------------

SOUND = measure_scan(
    np.column_stack([STREET, np.linspace(0, 1, len(STREET), dtype=np.float32)]),
    Scan(STREET, np.linspace(0, 1, len(STREET), dtype=np.float32)),
)
PLANTED = {
    "unit": (Survey(scans=SOUND, unit=(100, "centimetres")), "Divide x, y and z by 100"),
    "axes": (Survey(scans=SOUND, heading=-89.0), "89 degrees to the right of x. Set 'axes: left-backward-up'"),
    "upside down": (Survey(scans=SOUND, turn=np.diag([1.0, -1.0, -1.0])), "Set 'axes: forward-right-down'"),
    "remission": (
        Survey(scans=replace(SOUND, remission=(0.0, 9.0, 90.0, 240.0), bright=210.0, unusual=0.9)),
        "Set 'intensity: {max: 255}'",
    ),
    "remission of several fields": (
        Survey(
            scans=replace(SOUND, remission=(0.0, 9.0, 90.0, 240.0), bright=210.0, unusual=0.9),
            intensities=("intensity", "reflectivity"),
        ),
        "Set 'intensity: {field: intensity, max: 255}' in the description of the sensor. To read reflectivity instead",
    ),
    "dark": (Survey(scans=replace(SOUND, remission=(0.0, 0.001, 0.01, 0.0115), bright=0.0113)), "{max: 0.012}"),
    "ids": (Survey(ids=frozenset({0, 1, 2, 3})), "found 2, 3"),
    "no-returns": (
        Survey(scans=replace(SOUND, no_return=0.17)),
        "found 17% at the origin or not finite. Set 'no_return: drop'",
    ),
    "duplicates": (Survey(scans=replace(SOUND, duplicates=0.3)), "found 30% with the coordinates"),
    "height": (Survey(scans=replace(SOUND, ground=-2.4)), "Set 'height: 2.40'"),
    "beams": (Survey(scans=replace(SOUND, beams=128.0, lowest=-22.4, highest=22.4)), "Set 'preset: os1-128'"),
    "azimuth": (Survey(scans=replace(SOUND, azimuth_step=0.2)), "Set 'azimuth_step: 0.200'"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_advice_on_a_planted_fault_names_the_setting(fault: str) -> None:
    found, expected = PLANTED[fault]
    (advice,) = advise(found, HDL_32E, KITTI)
    assert expected in advice.message
    assert judge([], [advice], 0).lines() == ["verdict: 1 thing to change:", f"  1. {advice.message}"]


def test_advice_on_sound_measures_is_none() -> None:
    assert advise(Survey(scans=SOUND, heading=3.0), HDL_32E, KITTI) == []
    assert judge([], [], 0).lines() == ["verdict: ready"]
    assert judge([], [], 4).lines()[1] == "  1. 4 faults in the files: see above."


def report_of(sequence: str, labels: int) -> SequenceReport:
    return SequenceReport(sequence, np.zeros(2, np.int64), scans=3, labels=labels)


def test_verdict_without_labels_is_ready_to_predict_only() -> None:
    unlabelled = [report_of("a", 0), report_of("b", 0)]
    expected = "verdict: ready to predict; training, pseudo-labels and scores require labels"
    assert judge(unlabelled, [], 0).lines() == [expected]
    assert not list(unlabelled_splits(unlabelled, {"train": ["a"], "val": ["b"]}))


def test_split_without_labels_is_a_thing_to_change() -> None:
    reports = [report_of("a", 2), report_of("b", 0), report_of("c", 0)]
    (advice,) = unlabelled_splits(reports, {"train": ["a", "c"], "val": ["b"], "valid": ["b"], "test": ["c"]})
    assert advice.message.startswith("val: expected labels, found none in b. ")
    assert judge(reports, [advice], 0).lines()[0] == "verdict: 1 thing to change:"


@pytest.mark.parametrize(
    ("largest", "full"), [(240, 255), (3, 255), (4012, 4100), (0.0113, 0.012), (1.0, 1), (65535, 66000)]
)
def test_full_scale_is_that_of_a_byte_or_the_next_number_of_two_digits(largest: float, full: float) -> None:
    assert full_scale(largest) == full


def test_advice_on_a_match_near_chance_is_to_look_at_the_picture() -> None:
    camera = CameraMeasures(1, 1, alignment=Alignment(900, 0.61, 0.60, 0.03, (1.0, 2.0), 0.66, 0.62))
    (advice,) = advise(Survey(cameras={"front": camera}), HDL_32E, KITTI)
    assert not advice.is_certain
    assert "Look at --pictures" in advice.message
    assert judge([], [advice], 0).lines()[0] == "verdict: ready"


def test_check_of_a_wrong_description_lists_what_to_change(
    trams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Axes of the files taken for ours, and raw intensities."""
    sensor = TRAMS_YAML["sensor"] | {"axes": "forward-left-up", "intensity": {"max": 1}, "height": 1.7}
    values = TRAMS_YAML | {"path": str(trams), "sensor": sensor, "cameras": {}}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(values))
    assert main(["check", str(tmp_path), "--json", str(tmp_path / "check.json")]) == 0
    output = capsys.readouterr().out
    assert "verdict: 2 things to change:" in output
    assert "1. sensor.intensity: expected 0..1, found up to 255. Set 'intensity: {max: 255}'" in output
    assert "2. sensor.height: expected the ground at z = -1.70 m, found it at -3.20 m. Set 'height: 3.20'" in output
    assert yaml.safe_load((tmp_path / "check.json").read_text())["verdict"]["ready"] is False
    assert main(["check", str(tmp_path), "--strict"]) == 1


def test_check_of_a_sound_description_is_ready_with_pictures(
    trams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(TRAMS_YAML | {"path": str(trams)}))
    assert main(["check", str(tmp_path), "--strict", "--pictures", str(tmp_path / "pictures")]) == 0
    assert "verdict: ready" in capsys.readouterr().out
    pictures = {path.name: read_image(path) for path in (tmp_path / "pictures").iterdir()}
    assert {name: image.shape[1] for name, image in pictures.items()} == {
        **{"left.png": 1280, "right.png": 1280},
        "top.png": 960,
    }
    frame = open_dataset(tmp_path).frame(0)
    pairs = points_in_view(frame, frame.cameras[0])
    nearest = pairs.point[-1]  # drawn last: its pixel has the colour of its distance
    row, column = (pairs.pixel[-1] * 1280 / frame.images["left"].shape[1]).astype(int)
    color = DISTANCE.colors(np.linalg.norm(frame.scan.points[[nearest]].astype(float), axis=1))
    np.testing.assert_array_equal(pictures["left.png"][row, column], color[0])


def test_check_of_a_camera_named_top_has_a_picture_of_each(trams: Path, tmp_path: Path) -> None:
    cameras = {"top": TRAMS_YAML["cameras"]["left"]}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(TRAMS_YAML | {"path": str(trams), "cameras": cameras}))
    assert main(["check", str(tmp_path), "--pictures", str(tmp_path / "pictures")]) == 0
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"top.png", "top_of_scan.png"}


def test_color_scale_of_distances_is_that_of_their_ratios() -> None:
    np.testing.assert_allclose(DISTANCE.share(np.array([1.0, 2.0, np.sqrt(2 * 60), 60, 90])), [0, 0, 0.5, 1, 1])


# ---- a student, and other sequences ---------------------------------------------------------------------------------


def write_streets(root: Path, names: Sequence[str] = ("00",)) -> Path:
    """Scans of streets in SemanticKITTI's layout: three in each sequence."""
    for k, name in enumerate(names):
        for i in range(3):
            rewrite(root, name, i, street_scan(3 * k + i))
    return root


def rewrite(root: Path, sequence: str, i: int, values: np.ndarray) -> None:
    path = root / "sequences" / sequence / "velodyne" / f"{i:06d}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(values.astype("<f4").tobytes())


def changed(root: Path, sequence: str, brightness: float = 1.0, lower: float = 0.0) -> None:
    for i in range(3):
        values = np.fromfile(root / "sequences" / sequence / "velodyne" / f"{i:06d}.bin", "<f4").reshape(-1, 4)
        rewrite(root, sequence, i, np.subtract(values * (1, 1, 1, brightness), (0, 0, lower, 0)))


FOR_STUDENT = {
    "same data": ({}, None),
    "rescaled intensities": ({"brightness": 0.07}, "as in the training scans, found up to 0.066. Divide it by"),
    "shifted height": ({"lower": 0.5}, "If these are metres, give --height 2.2"),
}


@pytest.mark.parametrize("change", FOR_STUDENT)
def test_check_with_a_student_names_the_options_of_the_guard(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The description follows the data, so that only the student does not fit."""
    root, (options, expected) = write_streets(tmp_path / "data"), FOR_STUDENT[change]
    remission = np.concatenate([scan.remission for _, scan in some_scans(open_dataset(root, cameras=()), range(3))])
    save_student(SPVCNN(channels=4, remission=quantiles_of(remission)), tmp_path / "own.safetensors")
    changed(root, "00", **options)
    (root / "sensor.yaml").write_text(f"preset: hdl-64e\nheight: {1.73 + (change == 'shifted height') / 2}\n")
    words = ["check", str(root), "--model", str(tmp_path / "own.safetensors"), "--json", str(tmp_path / "check.json")]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "trained (own.safetensors)" in output
    result = json.loads((tmp_path / "check.json").read_text())
    assert len(result["student"]["remission"]) == 33
    changes = result["verdict"]["changes"]
    assert len(changes) == (expected is not None)
    assert all(expected in line and line.startswith("predict with own.safetensors: ") for line in changes)
    if change == "rescaled intensities":
        assert "or --intensity quantile" in changes[0]
    assert main([*words, "--strict"]) == (expected is not None)


def test_check_reports_other_beams_than_those_of_the_student_as_a_look() -> None:
    trained = TrainedInput("kitti.ckpt", StudentConfig.volume, load_sensor("hdl-64e"))
    (advice,) = beam_advice(SOUND, trained)
    assert not advice.is_certain
    assert (
        "kitti.ckpt: expected 64 beams from -24.3 to 2.0 degrees, as in the training scans, found 32" in advice.message
    )
    assert not [*beam_advice(SOUND, replace(trained, sensor=HDL_32E))]


OF_SEQUENCES = {
    "alike": ({}, None),
    "raw intensities": ({"brightness": 0.07}, "as in most scans, found 0.066 in 08. Convert their"),
    "mounted higher": ({"lower": 0.5}, " m, as in most scans, found it at -2.2"),
}


@pytest.mark.parametrize("change", OF_SEQUENCES)
def test_check_names_the_sequence_that_differs_from_the_others(change: str, tmp_path: Path) -> None:
    root, (options, expected) = write_streets(tmp_path, ("00", "01", "08")), OF_SEQUENCES[change]
    changed(root, "08", **options)
    messages = [advice.message for advice in sequence_advice(check(open_dataset(root, cameras=())))]
    assert len(messages) == (expected is not None)
    assert all(expected in message for message in messages)


def test_judge_takes_a_doubt_about_few_scans_for_a_look() -> None:
    """A slope is not a mounting."""
    reports = [SequenceReport(name, np.zeros(2), scans=scans) for name, scans in (("a", 2), ("b", 1))]
    reports[1].doubt("height", "b/0.bin: expected the ground elsewhere")
    found = judge(reports, [], 0)
    assert found.is_ready
    assert found.looks == ("b/0.bin: expected the ground elsewhere (in 1 of 3 scans)",)
    reports[0].doubts["height"] = (1, "a/1.bin: expected the ground elsewhere")
    assert judge(reports, [], 0).changes == ("a/1.bin: expected the ground elsewhere",)


# ---- large data sets ------------------------------------------------------------------------------------------------


def test_check_of_a_sample_reads_evenly_spaced_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_streets(tmp_path, ("00", "01", "08"))
    assert main(["check", str(root), "--sample", "3"]) == 0
    assert "no faults in 3 of 9 frames" in capsys.readouterr().out
    assert [report.scans for report in check(open_dataset(root, cameras=()), most=3)] == [1, 1, 1]


def test_check_that_is_interrupted_does_not_read_the_other_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    dataset = open_dataset(write_streets(tmp_path, [f"{k:02d}" for k in range(40)]), cameras=())
    points = dataset.stored_points
    monkeypatch.setattr(dataset, "stored_points", lambda i: (read.append(i), points(i))[1])

    def interrupted(frames: Iterable[SequenceReport], total: int) -> Iterator[SequenceReport]:
        assert total == 120
        yield next(iter(frames))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(dataset, threads=1, progress=interrupted)
    assert len(read) < 20


# ---- real frames --------------------------------------------------------------------------------------------------


def test_survey_of_real_frames_is_ready(real_data: Path) -> None:
    dataset = open_dataset(real_data / "semantickitti", cameras=("image_3",), frames="0-1")
    found = survey(dataset)
    assert advise(found, dataset.sensor, dataset.taxonomy) == []
    assert found.scans is not None
    assert found.scans.beams == 64
    offset = found.cameras["image_3"].offset
    assert offset is not None
    assert abs(offset.best) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [-2, 2])
def test_alignment_of_real_frames_finds_a_planted_rotation(real_data: Path, degrees: float) -> None:
    dataset = open_dataset(real_data / "semantickitti", cameras=("image_3",))
    scores = []
    for i in range(len(dataset)):
        points = Rotation.from_euler("z", degrees, degrees=True).apply(dataset.scan(i).points).astype(np.float32)
        (camera,), (image,) = dataset.frame_cameras(i), dataset.images(i)
        scores.append(shift_scores(edge_points(points, depth_edges(points), camera, read_image(image.path)), camera))
    found = alignment(scores, 2000)
    assert found is not None
    assert found.best[0] == pytest.approx(degrees, abs=0.75)
    assert found.sigmas(found.best_score) - found.sigmas(found.near_score) > 1


@pytest.mark.slow
@pytest.mark.parametrize("late", [-1, 1])
def test_time_of_real_frames_finds_the_images_of_the_next_ones(real_data: Path, late: int) -> None:
    """Frames are 0.104 s apart. Their scans match at 0.8 of the distance of their poses, and so do the images."""
    dataset = open_dataset(real_data / "semantickitti", cameras=("image_3",))
    cameras = CameraSurvey()
    for i in range(max(0, -late), len(dataset) - max(0, late)):
        points, (camera,), (image,) = dataset.scan(i).points, dataset.frame_cameras(i), dataset.images(i + late)
        cameras.add(points, depth_edges(points), camera, read_image(image.path), motion_at(dataset, i))
    found = cameras.finish(4, 4, ())
    assert found.offset is not None
    assert found.offset.best == pytest.approx(0.083 * late, abs=0.01)
    (advice,) = advise(Survey(cameras={"image_3": found}), dataset.sensor, dataset.taxonomy)
    assert "earlier" in advice.message if late < 0 else "later" in advice.message
