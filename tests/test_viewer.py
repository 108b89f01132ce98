"""The viewer without a browser: colours, picking, texts, sources, background work."""

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from elite.camera_tiles import surround_rows, tiled
from elite.cli import main
from elite.datasets.dense_labels import write_dense
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.layout import Layout
from elite.prediction_files import file_job
from elite.student import SPVCNN, save_student
from elite.taxonomy import Taxonomy, default_taxonomy, load_taxonomy
from elite.types import Camera, Frame, PointPixelPairs, Scan
from elite.viewer import DataSource, SavedPredictions, ScanSource, StudentPredictor, open_data
from elite.viewer.background import Background
from elite.viewer.camera_view import TILE, CameraView
from elite.viewer.cloud import Cloud, PointPrediction, counts, first_per_cell, merge, pick, visible_points
from elite.viewer.colors import Mode, make_style, missing, point_colors, ramp
from elite.viewer.frame_cache import FrameCache
from elite.viewer.images import draw_labels, draw_regions
from elite.viewer.text import legend_css, legend_label, picked, status, worst
from elite.viewer.window import first_choice, open_window
from tests.support.scans import random_scan, write_frame
from tests.support.semantickitti import HDL_64E, KITTI
from tests.support.taxonomies import FIVE
from tests.support.waiting import PATIENCE_S, wait_until

STYLE = make_style(KITTI, dark=True, safe=False)
CAMERA = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # from x right, y down, z forward to our axes
BOTH = pytest.mark.parametrize("taxonomy", [KITTI, FIVE], ids=["semantickitti", "five"])


def cloud(truth: list[int] | None, predicted: list[int] | None, n: int = 4, taxonomy: Taxonomy = KITTI) -> Cloud:
    points = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    labels = np.array(truth, np.uint8) if truth else None
    prediction = PointPrediction(np.array(predicted, np.uint8)) if predicted else None
    return Cloud(points, np.linspace(0, 1, n, dtype=np.float32), taxonomy, labels, None, prediction)


# ---- colours --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("safe", [False, True])
def test_point_colours_by_class_use_visible_class_colours(dark, safe, taxonomy):
    style, table = make_style(taxonomy, dark=dark, safe=safe), taxonomy.safe_colors if safe else taxonomy.colors
    luma = table @ np.array([0.299, 0.587, 0.114])
    kept = ((luma >= 72) if dark else (luma <= 190)) & (np.arange(len(taxonomy)) > 0)
    assert kept.any()
    assert len(style.classes) == len(taxonomy)
    np.testing.assert_array_equal(style.classes[kept], table[kept])
    changed = style.classes[~kept] @ np.array([0.299, 0.587, 0.114])
    assert (changed[1:] > 70).all() if dark else (changed[1:] < 192).all()


def test_point_colours_by_error_mark_scored_points_only():
    colors = point_colors(cloud([1, 2, 0, 3], [1, 3, 1, 0]), Mode.ERROR, STYLE, 1)
    np.testing.assert_array_equal(colors, [STYLE.correct, STYLE.wrong, STYLE.unscored, STYLE.wrong])


def test_probabilities_exclude_the_ignored_class():
    logits = np.zeros((1, 20), np.float32)
    logits[0, 0], logits[0, 5] = 50, np.log(18)
    prediction = PointPrediction.from_logits(logits)
    assert prediction.labels.tolist() == [5]
    assert prediction.confidence == pytest.approx(0.5)
    assert prediction.shares(5) == pytest.approx(0.5)
    assert prediction.shares(7) == pytest.approx(0.5 / 18)


def test_ramp_colours_saturate_at_the_range():
    np.testing.assert_array_equal(ramp(STYLE, np.array([-3.0, 0, 1, 7])), STYLE.ramp[[0, 0, -1, -1]])


@pytest.mark.parametrize(
    ("mode", "known", "word"),
    [
        (Mode.GROUND_TRUTH, cloud(None, [1, 1, 1, 1]), "no labels"),
        (Mode.ERROR, cloud([1, 1, 1, 1], None), "no prediction"),
        (Mode.CONFIDENCE, cloud(None, [1, 1, 1, 1]), "confidence"),
        (Mode.PROBABILITY, cloud(None, [1, 1, 1, 1]), "probabilities"),
    ],
)
def test_layers_without_data_name_the_missing_part(mode, known, word):
    assert word in missing(known, mode)
    assert point_colors(known, mode, STYLE, 1) is None
    assert not missing(known, Mode.HEIGHT)


def test_points_of_hidden_classes_are_not_drawn():
    labels = np.array([1, 2, 2, 0], np.uint8)
    assert visible_points(labels, frozenset({2}), 4).tolist() == [True, False, False, True]
    assert visible_points(None, frozenset({2}), 3).all()
    assert visible_points(np.array([254, 3], np.uint8), frozenset({254}), 2).tolist() == [False, True]


# ---- points ---------------------------------------------------------------------------------------------------


def test_pick_point_takes_the_nearest_surface_on_the_ray():
    points = np.array([[10, 0.02, 0], [10.2, 0, 0], [30, 0, 0], [5, 1, 0], [-5, 0, 0]], np.float32)
    eye, ahead = np.zeros(3), np.array([2.0, 0, 0])
    assert pick(points, eye, ahead) == 1  # straighter than 0, and no more than half a metre behind it
    assert pick(points, np.array([15.0, 0, 0]), ahead) == 2
    assert pick(points, eye, np.array([0.0, 0, 1])) is None


def test_thin_points_keeps_one_point_per_cube():
    points = np.random.default_rng(0).uniform(-3, 3, (500, 3)).astype(np.float32)
    cubes = {tuple(cube) for cube in np.floor(points / 0.5).astype(int)}
    kept = np.floor(points[first_per_cell(points, 0.5)] / 0.5).astype(int)
    assert {tuple(cube) for cube in kept} == cubes
    assert len(kept) == len(cubes)


def test_map_frames_without_labels_are_unlabelled():
    later = cloud(None, [5, 5, 5, 5])
    both = merge(
        [cloud([1, 2, 3, 4], None), Cloud(later.points + 50, later.remission, KITTI, prediction=later.prediction)], 0.1
    )
    assert both.ground_truth.tolist() == [1, 2, 3, 4, 0, 0, 0, 0]
    assert both.prediction.labels.tolist() == [0, 0, 0, 0, 5, 5, 5, 5]
    assert merge([cloud(None, None)], 0.1).ground_truth is None


# ---- pictures and texts ---------------------------------------------------------------------------------------


def test_picture_with_hidden_classes_stays_grey():
    image, labels = np.full((2, 2, 3), 200, np.uint8), np.array([[1, 2], [2, 0]], np.uint8)
    drawn = draw_labels(image, labels, STYLE, frozenset({2}))
    assert (np.ptp(drawn, axis=2) > 0).tolist() == [[True, False], [False, False]]


def test_picture_regions_have_rims_except_unlabelled():
    regions = np.zeros((6, 6), np.uint32)
    regions[1:5, 1:5] = 7
    drawn = draw_regions(np.full((6, 6, 3), 100, np.uint8), regions)
    assert (drawn[4, 1:5] == 235).all()
    assert (drawn[0] == 60).all()
    assert not (drawn[2, 2] == drawn[0, 0]).all()


@pytest.mark.parametrize(
    ("headings", "rows"),
    [
        (
            {"f": 0, "fr": -55, "br": -110, "b": 180, "bl": 110, "fl": 55},
            [["fl", "f", "fr"], ["bl", "b", "br"]],
        ),
        ({"right": -90, "left": 90, "front": 1}, [["left", "front", "right"]]),
        ({"image_3": 0.1, "image_2": 0}, [["image_2", "image_3"]]),  # parallel, 0.5 m apart
    ],
)
def test_cameras_are_arranged_as_they_look_from_the_vehicle(headings: dict[str, float], rows: list[list[str]]):
    cameras = []
    for number, (name, heading) in enumerate(headings.items()):
        R_cam_sensor = (Rotation.from_euler("z", heading, degrees=True) * CAMERA).as_matrix().T
        centre = np.array([1.0, 0.5 * number, 1.5])
        matrix = np.diag([700.0, 700.0, 1.0]) @ R_cam_sensor @ np.column_stack([np.eye(3), -centre])
        cameras.append(Camera(name, matrix))
    assert surround_rows(cameras) == rows


def test_tiles_are_joined_in_rows_with_short_ones_centred():
    images = {name: np.full((10, TILE, 3), 50 * i, np.uint8) for i, name in enumerate("abc", 1)}
    joined = tiled([["a", "b"], ["c"]], images)
    assert joined.shape == (24, 2 * TILE + 4, 3)
    assert joined[5, [TILE - 1, TILE, 2 * TILE + 3], 0].tolist() == [50, 0, 100]
    assert joined[19, :, 0].tolist().count(150) > TILE - 30  # its name covers some
    assert (joined[19, 0] == joined[19, -1]).all()


def test_tile_of_a_view_keeps_points_and_labels_in_place():
    labels = np.zeros((900, 1600), np.uint8)
    labels[:, 800:] = 3
    pairs = PointPixelPairs(np.array([5]), np.array([[450, 1200]]))
    view = CameraView(
        np.zeros((900, 1600, 3), np.uint8), pairs, {"pseudo": labels}, {"pseudo": labels.astype(np.uint32)}
    )
    tile = view.tile
    assert tile.image.shape == (270, TILE, 3)
    assert tile.pairs.pixel.tolist() == [[135, 360]]
    assert (tile.dense["pseudo"] == np.repeat([[0, 3]], TILE // 2)).all()
    drawing = (np.full((6, 3), 200, np.uint8), np.ones(6, bool), STYLE, frozenset())
    assert tile.draw("Points", *drawing)[135, 360].tolist() == [200] * 3
    assert tile.draw("None", *drawing) is tile.image
    assert (tile.draw("Labels: pseudo", *drawing)[0, -1] > 0).any()
    assert tile.draw("Labels: other", *drawing) is None


def test_legend_shows_iou_or_point_counts():
    both = cloud([1, 1, 2, 2], [1, 2, 2, 2])
    counted = np.bincount([1, 1, 2, 2], minlength=20)
    assert legend_label(1, both, counted) == "car\t50.0\N{NO-BREAK SPACE}%"
    assert legend_label(1, cloud([1, 1, 2, 2], None), counted) == "car\t2"
    assert legend_label(4, both, counted) == "truck\tabsent"


def test_legend_of_other_classes_shows_their_names():
    counted = counts(np.array([1, 1, 0, 4], np.uint8), len(FIVE))
    assert counted.tolist() == [1, 2, 0, 0, 1, 0]
    known = cloud([1, 1, 0, 4], [1, 4, 1, 4], taxonomy=FIVE)
    assert known.score is not None
    assert known.score.present == (1, 4)
    assert known.score.miou_present == pytest.approx(0.5)
    assert legend_label(1, known, counted) == "tram & <b>\t50.0\N{NO-BREAK SPACE}%"
    assert legend_label(3, known, counted) == "track\tabsent"
    assert legend_label(4, known, counted) == "_mast with a rather lon\N{HORIZONTAL ELLIPSIS}\t50.0\N{NO-BREAK SPACE}%"
    assert legend_label(0, known, counted) == "nothing\t1"


@pytest.mark.parametrize("classes", [2, 6, 20, 255])
def test_legend_style_has_a_colour_per_class_and_scrolls_if_long(classes):
    taxonomy = default_taxonomy(classes)
    ids = {f"box{i}": i for i in range(classes)}
    css = legend_css(ids, make_style(taxonomy, dark=True, safe=False), taxonomy.names)
    assert css.count("::before {background:#") == classes
    assert ("overflow-y:auto" in css) == (classes == 255)


def test_legend_style_of_long_names_moves_the_numbers():
    tabs = [
        float(re.search(r"tab-size:([\d.]+)em", legend_css({"a": 1}, STYLE, t.names))[1])
        for t in (KITTI, load_taxonomy("nuscenes-lidarseg"))
    ]
    assert tabs == [9.5, 13.2]


def test_viewer_texts_from_files_are_escaped():
    point = picked(cloud([1, 1, 1, 1], None), 0, None, {"<i>": (0, 0)})
    for html in (status("<b>", None, "<i>"), worst([("<b>", 0.1, 0.2)], 1, 1), point):
        assert "&lt;" in html
        assert "<i>" not in html


@pytest.mark.parametrize(
    ("taxonomy", "class_id", "words"),
    [(KITTI, 9, ("road", "raw id 60", "raw id 40")), (FIVE, 1, ("tram &amp; &lt;b&gt;", "raw id 60", "raw id 300"))],
)
def test_describe_point_shows_every_known_value(taxonomy, class_id, words):
    logits = np.zeros((4, len(taxonomy)), np.float32)
    logits[2, class_id] = 3
    known = replace(
        cloud([2, 2, class_id, 2], None, taxonomy=taxonomy),
        objects=np.full(4, (class_id << 16) | 77, np.uint32),
        prediction=PointPrediction.from_logits(logits),
    )
    html = picked(known, 2, 60, {"image_2": (4, 5)})
    for word in (*words, "77", "3.00", "row 4, column 5"):
        assert word in html
    assert "<b>tram & <b>" not in html


# ---- sources --------------------------------------------------------------------------------------------------


def test_data_source_reads_images_poses_labels_and_predictions(kitti: Path, tmp_path: Path):
    ids = np.full((376, 1241), 10, np.uint16)
    dataset = SemanticKITTI(kitti)
    write_dense(dataset.layout, "00", "000000", "image_2_pseudo", semantic=ids, instance=ids)
    folder = tmp_path / "out" / "sequences" / "00" / "predictions"
    folder.mkdir(parents=True)
    KITTI.to_raw(dataset[1].labels).astype("<u4").tofile(folder / "000001.label")

    source = open_data(kitti, predictions=tmp_path / "out")
    assert source.dense == ("pseudo",)
    view = source.read(0).views["image_2"]
    assert (view.dense["pseudo"] == 1).all()
    assert (view.regions["pseudo"] == (1 << 16) | 10).all()
    assert len(view.pairs)
    assert source.predict(0) is None  # no file for this frame
    assert source.score(1).accuracy == 1
    assert source.raw_label(0, 3) == np.fromfile(dataset.label_path(0), "<u4")[3] & 0xFFFF
    assert source.read(2).frame.images.keys() == {"image_2"}
    assert not source.read(1).frame.images


def drive_past_a_wall(root: Path) -> None:
    """Three frames, 2 m apart, of a wall 9 m long on the left."""
    wall = np.stack([np.linspace(0, 9, 40), np.full(40, 5.0), np.zeros(40), np.zeros(40)], axis=1)
    for i in range(3):
        write_frame(root, "00", f"{i:06d}", wall - np.array([2.0 * i, 0, 0, 0]), np.full(40, 50))
    # in the camera's frame (x right, y down, z forward) the car goes along z
    poses = "".join(f"1 0 0 0 0 1 0 0 0 0 1 {2 * i}\n" for i in range(3))
    (root / "sequences" / "00" / "poses.txt").write_text(poses)


def test_map_joins_frames_at_their_poses(tmp_path: Path):
    """A wall that stands still while the car drives past it is one wall."""
    drive_past_a_wall(tmp_path)
    sequence_map = open_data(tmp_path).sequence_map("00")
    assert np.allclose(sequence_map.cloud.points[:, 1], 5, atol=1e-4)
    assert sequence_map.cloud.points[:, 0].max() == pytest.approx(9, abs=0.25)
    np.testing.assert_allclose(sequence_map.poses[2][:3, 3], [4, 0, 0], atol=1e-6)
    assert (sequence_map.cloud.ground_truth == 13).all()


def test_map_is_aligned_with_the_scan(tmp_path: Path):
    drive_past_a_wall(tmp_path)
    source = open_data(tmp_path)
    with open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer:
        viewer.panel.toggle("map")
        viewer.go_to(2)
        moved = viewer.scene._map
        wait_until(lambda: viewer.shown == 2 and moved.visible and tuple(moved.position) != (0, 0, 0))
        placed = moved.points + np.array(moved.position)
    assert np.allclose(placed.min(0), [-4, 5, 0], atol=0.3)
    assert np.allclose(placed.max(0), [5, 5, 0], atol=0.3)


def test_scene_view_camera_that_returns_has_its_picture_and_place(kitti: Path):
    source = open_data(kitti)
    frame = source.read(0).frame
    with open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer:
        wait_until(lambda: "image_2" in viewer.scene._cameras)
        style, scene = STYLE, viewer.scene
        cameras = {camera.name: camera for camera in frame.cameras}
        scene.show_cameras(cameras, {}, style)
        scene.show_cameras(cameras, frame.images, style)
        handle = scene._cameras["image_2"][0]
        assert handle.image is not None
        scene.show_cameras(cameras, frame.images, style)
        assert scene._cameras["image_2"][0] is handle
        shifted = {"image_2": Camera("image_2", cameras["image_2"].projection + np.eye(3, 4, 3) * 99.0)}
        scene.show_cameras(shifted, frame.images, style)
        assert not np.allclose(scene._cameras["image_2"][0].position, handle.position)


def test_data_source_with_a_removed_scan_reports_a_data_error(tiny_kitti: Path, tmp_path: Path):
    source, live = open_data(tiny_kitti), ScanSource("live", KITTI)
    source.dataset.scan_path(0).unlink()
    live.add(file_job(tmp_path / "gone.bin", tmp_path, HDL_64E))
    for ask in (lambda: source.raw_label(0, 3), lambda: live.predict(0), lambda: source.dataset.labels(0)):
        with pytest.raises(DataError, match="expected a scan"):
            ask()


def test_map_without_poses_names_the_remedy(tiny_kitti: Path):
    with pytest.raises(DataError, match=r"poses\.txt"):
        open_data(tiny_kitti).sequence_map("00")


def test_data_source_without_the_requested_pseudo_labels_is_refused(kitti: Path):
    with pytest.raises(DataError, match=r"image_2_other.*elite pseudo-label"):
        open_data(kitti, pseudo="image_2_other")


def test_student_predictions_have_logits_except_with_votes():
    scan = random_scan(np.random.default_rng(0))
    student = SPVCNN(channels=8, cells=(100, 100, 12))
    frame = Frame("00", "000000", Scan(np.ascontiguousarray(scan[:, :3]), np.ascontiguousarray(scan[:, 3])))
    plain, voting = StudentPredictor(Segmenter(student))(frame), StudentPredictor(Segmenter(student, votes=2))(frame)
    np.testing.assert_array_equal(plain.labels, Segmenter(student)(scan[:, :3], scan[:, 3]).labels)
    assert voting.logits is None
    assert voting.confidence is not None


@BOTH
def test_scan_source_adds_scans_one_by_one(taxonomy, tmp_path: Path):
    source = ScanSource("live", taxonomy)
    scan = random_scan(np.random.default_rng(0), 30)
    scan.tofile(tmp_path / "7.bin")
    np.full(30, 40, "<u4").tofile(tmp_path / "7.label")
    source.add(file_job(tmp_path / "7.bin", tmp_path, HDL_64E))
    assert source.ids == [("live", "7")]
    np.testing.assert_array_equal(source.read(0).frame.scan.points, scan[:, :3])
    assert (source.predict(0).labels == taxonomy.train_id["road" if taxonomy is KITTI else "track"]).all()
    assert source.read(0).cloud(None).taxonomy is taxonomy


def write_five(root: Path) -> Path:
    """One frame with the classes of ``FIVE``, and predictions that are all right."""
    raw = np.repeat([9, 300, 2, 0, 40, 5, 7], 20)
    write_frame(root, "00", "000000", random_scan(np.random.default_rng(0), len(raw)), raw)
    path = Layout(root).prediction("00", "000000")
    path.parent.mkdir()
    FIVE.to_raw(FIVE.to_train(raw)).astype("<u4").tofile(path)
    return root


def test_data_source_of_other_classes_reads_labels_and_predictions(tmp_path: Path):
    source = open_data(write_five(tmp_path), predictions=tmp_path, taxonomy=FIVE)
    cloud = source.read(0).cloud(source.predict(0))
    assert source.taxonomy is FIVE
    assert np.bincount(cloud.ground_truth).tolist() == [20, 40, 20, 20, 20, 20]
    assert cloud.score.miou_present == source.score(0).miou_present == pytest.approx(1)
    assert source.raw_label(0, 0) == 9
    with open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer:
        wait_until(lambda: viewer.shown == 0)
        boxes = {i: box for i, box in viewer.panel.classes if box.visible}
        assert list(boxes) == [1, 2, 3, 4, 5, 0]
        assert boxes[3].label == "track\t100.0\N{NO-BREAK SPACE}%"
        assert viewer.panel.class_name.options == FIVE.names[1:]


def test_data_source_of_unknown_raw_ids_names_its_taxonomy(tmp_path: Path):
    source = open_data(write_five(tmp_path))
    with pytest.raises(
        DataError, match=r"000000\.label: expected raw label ids of semantickitti.*found \[2, 5, 7, 9, 300\]"
    ):
        source.read(0)


def test_data_source_of_a_model_requires_data_of_its_classes(tmp_path: Path):
    student = SPVCNN(channels=4, cells=(50, 50, 10), classes=len(FIVE), taxonomy=FIVE)
    predictor = StudentPredictor(Segmenter(student))
    source = open_data(write_five(tmp_path), predictor=predictor, taxonomy=FIVE)
    assert source.predict(0).logits.shape == (140, len(FIVE))
    assert source.score(0) is not None
    with pytest.raises(
        ConfigError, match=r"MODEL: expected the classes of the data, semantickitti, found those of five"
    ):
        open_data(tmp_path, predictor=predictor)  # not read as labels of the model


@pytest.mark.parametrize("classes", [2, 255])
def test_window_of_few_or_many_classes_shows_all_of_them(classes, tmp_path: Path):
    taxonomy = default_taxonomy(classes)
    raw = np.arange(10 * classes) % classes
    write_frame(tmp_path, "00", "000000", random_scan(np.random.default_rng(0), len(raw)), raw)
    source = open_data(tmp_path, taxonomy=taxonomy)
    with open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer:
        wait_until(lambda: viewer.shown == 0)
        assert sum(box.visible for _, box in viewer.panel.classes) == classes
        assert len(np.unique(viewer.scene._cloud.colors, axis=0)) > 0.9 * classes


# ---- background -----------------------------------------------------------------------------------------------


def test_viewer_damaged_scan_is_reported_and_the_next_shown(tiny_kitti: Path):
    (tiny_kitti / "sequences/00/velodyne/000000.bin").write_bytes(b"123")
    news, failures = threading.Event(), []
    cache = FrameCache(DataSource(SemanticKITTI(tiny_kitti)), news.set, failures.append)
    for i in (0, 1):
        while not cache.frame(i, []).complete:
            assert news.wait(PATIENCE_S)
            news.clear()
    assert "000000.bin: expected a multiple of 16 bytes" in cache.frame(0, []).fault
    assert cache.frame(0, []).cloud is None
    assert len(cache.frame(1, []).cloud) == 500
    cache.close()
    assert not failures


def test_background_work_drops_outdated_requests_and_results():
    begun, go, made = threading.Event(), threading.Event(), []

    def make(key: int) -> int:
        begun.set()
        assert go.wait(PATIENCE_S)
        made.append(key)
        return key

    done = threading.Semaphore(0)
    work = Background(make, keep=2, done=done.release, failed=lambda error: None)
    work.request([1, 2, 3])
    assert begun.wait(PATIENCE_S)
    work.request([1, 4, 5])  # 1 is in progress, 2 and 3 are dropped
    go.set()
    for _ in range(3):
        assert done.acquire(timeout=PATIENCE_S)
    work.close()
    assert made == [1, 4, 5]
    assert [work.get(key) is not None for key in (1, 2, 4, 5)] == [False, False, True, True]


def test_rank_frames_puts_the_worst_first(tiny_kitti: Path, tmp_path: Path):
    dataset = SemanticKITTI(tiny_kitti, "00,08")
    for frame, wrong in zip(dataset, (100, 400, 0), strict=True):
        labels = KITTI.to_raw(frame.labels)
        labels[:wrong] = 30
        path = dataset.layout.prediction(frame.sequence, frame.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        labels.astype("<u4").tofile(path)
    news = threading.Semaphore(0)
    cache = FrameCache(DataSource(dataset, SavedPredictions(tiny_kitti, KITTI)), news.release, lambda error: None)
    assert cache.ranking() == ([], 0, 3)
    cache.rank()
    for _ in range(3):
        assert news.acquire(timeout=PATIENCE_S)
    ranked, done, of = cache.ranking()
    cache.close()
    assert ([i for i, _ in ranked], done, of) == ([1, 0, 2], 3, 3)
    assert ranked[-1][1].miou_present == pytest.approx(1)


def test_window_program_error_ends_it(tiny_kitti: Path, monkeypatch):
    source = open_data(tiny_kitti)
    monkeypatch.setattr(source, "read", lambda i: [][1])
    with (
        pytest.raises(IndexError),
        open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer,
    ):
        viewer.wait()


def test_window_with_a_read_that_never_ends_closes(tiny_kitti: Path, monkeypatch):
    monkeypatch.setattr("elite.viewer.frame_cache.PATIENCE", 0.1)
    source, begun, end = open_data(tiny_kitti), threading.Event(), threading.Event()

    def stall(_frame: int) -> None:
        begun.set()
        end.wait()

    def open_and_close() -> None:
        with open_window(source, first_choice(source), host="127.0.0.1", port=0):
            assert begun.wait(PATIENCE_S)

    monkeypatch.setattr(source, "read", stall)
    thread = threading.Thread(target=open_and_close)
    thread.start()
    thread.join(20)
    is_open = thread.is_alive()
    end.set()
    thread.join()
    assert begun.is_set()
    assert not is_open


def test_viewer_program_error_is_raised():
    failed = threading.Event()
    work = Background(lambda key: 1 / 0, keep=1, done=lambda: None, failed=lambda error: failed.set())
    work.request([1])
    assert failed.wait(10)
    work.close()


# ---- the command ----------------------------------------------------------------------------------------------


def test_view_taken_port_names_the_remedy(tiny_kitti: Path, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["view", str(tiny_kitti), "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in error
    assert "--port" in error


def test_stream_with_view_prints_the_address_of_the_window(tmp_path: Path, capsys):
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    (tmp_path / "in").mkdir()
    random_scan(np.random.default_rng(0)).tofile(tmp_path / "in" / "000000.bin")
    places = [str(tmp_path / "in"), "--checkpoint", str(tmp_path / "student.safetensors"), "-o", str(tmp_path / "out")]
    assert main(["stream", *places, "--once", "--view", "--port", "0"]) == 0
    printed = capsys.readouterr()
    assert "open http://127.0.0.1:" in printed.err
    assert "1 scans labelled" in printed.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--sequences", "08", "--frames", "7"], "expected a scan"),
        (["--checkpoint", __file__, "--predictions", "b"], "Give one of them"),
        (["--predictions", "nowhere"], "elite predict"),
        (["--checkpoint", "nowhere.ckpt"], "nowhere.ckpt"),
    ],
)
def test_view_impossible_arguments_are_refused_before_the_window(arguments, word, tiny_kitti: Path, capsys):
    assert main(["view", str(tiny_kitti), "--port", "0", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_view_of_a_model_with_other_classes_names_both(tiny_kitti: Path, tmp_path: Path, capsys):
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    words = ["view", str(tmp_path / "student.safetensors"), str(tiny_kitti), "--port", "0", "--taxonomy"]
    assert main([*words, "nuscenes-lidarseg"]) == 2
    assert (
        "expected the classes of the data, nuscenes-lidarseg, found those of semantickitti" in capsys.readouterr().err
    )
    assert main([*words, "kitty"]) == 2
    assert "taxonomy: expected" in capsys.readouterr().err


def test_view_without_its_extra_names_it(tiny_kitti: Path, monkeypatch, capsys):
    monkeypatch.setattr("elite.errors.find_spec", lambda package: None if package == "viser" else object())
    assert main(["view", str(tiny_kitti)]) == 2
    assert 'pip install ".[view]"' in capsys.readouterr().err


def test_view_host_of_another_machine_is_refused(tiny_kitti: Path):
    source = open_data(tiny_kitti)
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        open_window(source, first_choice(source), host="192.0.2.1", port=0)
