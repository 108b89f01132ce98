"""The report: drawn points, self-contained pages, and missing parts."""

import io
import json
import re
import sys
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from elite.batches import Pixels, TeacherOutput
from elite.cli import main
from elite.config import AdapterConfig, ImageConfig, StudentConfig, TeacherConfig, TrainConfig, plain
from elite.data.views import frame_views
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.evaluation import Prediction, ScoreCounts
from elite.figures import stack_panels
from elite.geometry import in_volume
from elite.layout import Layout
from elite.pictures import (
    BACKGROUND,
    CORRECT,
    UNSCORED,
    WRONG,
    EncodedImage,
    encode_jpeg,
    encode_png,
    fit_width,
    palette,
)
from elite.report import bev, canvas, class_colors, error_colors, overlay, report_run, write_report
from elite.report.charts import draw_charts
from elite.report.curve_charts import score_chart
from elite.report.curves import Curve, Curves
from elite.report.evaluation import Confusion, Evaluation, FrameScore
from elite.report.page import PageImages, render
from elite.report.run import Run, read_run
from elite.report.score_charts import class_chart
from elite.report.teacher_views import Models, compare_with_teacher
from elite.segmentation_result import SegmentationResult
from elite.student import SPVCNN, save_student
from elite.taxonomy import ClassSpec, Taxonomy, default_taxonomy, load_taxonomy
from elite.teacher import Teacher
from elite.teacher.prediction import predict_view
from elite.types import Frame, PointPixelPairs, Scan, View
from tests.support.scans import RAW_IDS, random_scan, write_frame
from tests.support.semantickitti import KITTI
from tests.support.taxonomies import FIVE

VIEWS = ("ground_truth", "prediction", "error")
VOLUME = ((-10.0, -20.0, -4.0), (10.0, 20.0, 2.0))
RED, GREEN = np.array([250, 0, 0], np.uint8), np.array([0, 250, 0], np.uint8)
METRICS = """\
epoch,lr,step,train/loss,val/accuracy,val/miou,val/miou_present
0,0.1,0,2.5,,,
0,0.1,5,nan,,,
0,,9,,0.5,0.2,0.4
1,0.1,10,1.5,,,
1,,19,,0.6,0.3,0.5
"""


def road(scan: Scan) -> SegmentationResult:
    """Road everywhere: right for some points of the random scans, wrong for most."""
    return SegmentationResult(np.full(len(scan), 9, np.uint8), np.ones(len(scan), np.float32), KITTI.names)


def predict(frame: Frame) -> Prediction:
    return Prediction(road(frame.scan).labels)


def evaluation(seed: int = 0, taxonomy: Taxonomy = KITTI) -> dict[str, Any]:
    """A result as ``elite evaluate`` writes it; the last class is absent from the truth."""
    rng, tally, last = np.random.default_rng(seed), ScoreCounts(taxonomy), len(taxonomy) - 1
    truth = rng.integers(0, last, 4000).astype(np.uint8)
    prediction = np.where(rng.random(4000) < 0.7, truth, rng.integers(1, last, 4000)).astype(np.uint8)
    tally.add(
        Prediction(prediction, rng.random(4000, np.float32)), truth, rng.normal(0, 15, (4000, 3)).astype(np.float32)
    )
    return tally.report() | {"command": "elite evaluate best.ckpt data", "versions": {"torch": "9.9"}}


def write_run(folder: Path, taxonomy: Taxonomy = KITTI) -> Path:
    """A run folder with everything but checkpoints."""
    folder.mkdir()
    config = {"seed": 7, "student": {"volume": [[-30, -30, -4], [30, 20, 2]]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "versions.json").write_text(json.dumps({"elite": "0.1.0", "commit": "abc123", "seed": 7}))
    (folder / "metrics.csv").write_text(METRICS)
    (folder / "evaluation.json").write_text(json.dumps(evaluation(0, taxonomy)))
    (folder / "evaluation_before.json").write_text(json.dumps(evaluation(1, taxonomy)))
    return folder


def write_drive(root: Path, taxonomy: Taxonomy = KITTI) -> SemanticKITTI:
    """Five labelled frames, the first one with a camera image."""
    rng = np.random.default_rng(0)
    raw_ids = RAW_IDS if taxonomy is KITTI else [i for c in taxonomy.classes for i in c.raw_ids]
    for i in range(5):
        points = random_scan(rng, 300)
        write_frame(root, "08", f"{i:06d}", points, rng.choice(raw_ids, len(points)))
    (root / "sequences/08/image_2").mkdir()
    Image.new("RGB", (1241, 376), (90, 120, 150)).save(root / "sequences/08/image_2/000000.png")
    return SemanticKITTI(root, "08", taxonomy=taxonomy)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "my-run")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SemanticKITTI:
    return write_drive(tmp_path_factory.mktemp("drive"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, dataset: SemanticKITTI) -> Path:
    """The page of a run with everything; only to be read."""
    return write_report(write_run(tmp_path_factory.mktemp("runs") / "my-run"), predict, dataset)


@pytest.fixture
def blank_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the rendering of charts, which is slow, and draw small pictures."""
    monkeypatch.setattr("elite.report.frames._BEV_SIZE", 60)
    blank = encode_png(np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr("elite.report.canvas.encode", lambda figure: blank)


def page_of(run: Path, dataset: SemanticKITTI | None = None, **options: Any) -> str:
    return write_report(run, predict, dataset, **options).read_text("utf-8")


# ---------------------------------------------------------------------------------------------- pictures


def painted(picture: np.ndarray, color: np.ndarray) -> list[list[int]]:
    """(row, column) of every pixel of exactly this colour."""
    return np.argwhere((picture == color).all(axis=2)).tolist()


def test_bev_paints_a_point_at_its_position() -> None:
    # 20 m x 40 m on 400 pixels: 10 pixels a metre, 200 rows by 400 columns, the sensor in the middle.
    points = np.array([[4.95, 7.95, 0], [-9.95, -19.95, 0]], np.float32)
    picture = bev(points, np.stack([RED, GREEN]), volume=VOLUME, size=400, dot=1, ring=0.0)
    assert picture.shape == (200, 400, 3)
    assert picture.dtype == np.uint8
    assert painted(picture, RED) == [[50, 120]]  # (10 - 4.95) * 10, (20 - 7.95) * 10: ahead is up, left is left
    assert painted(picture, GREEN) == [[199, 399]]


def test_bev_paints_the_highest_point_last() -> None:
    points = np.array([[5.05, 5.05, 1.0], [5.05, 5.05, -1.0], [5.05, 4.95, 0.0]], np.float32)
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        colors = np.stack([RED, GREEN, GREEN])[order]
        picture = bev(points[order], colors, volume=VOLUME, size=400, dot=3, ring=0.0)
        assert painted(picture, RED) == [[r, c] for r in (48, 49, 50) for c in (148, 149, 150)]
        assert painted(picture, GREEN) == [[r, 151] for r in (48, 49, 50)]


def test_bev_skips_points_outside_and_nan() -> None:
    points = np.array([[10, 0, 0], [0, 20, 0], [0, 0, 2], [11, 0, 0], [np.nan, 5, 0]], np.float32)
    nothing = bev(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), volume=VOLUME)
    assert np.array_equal(bev(points, np.tile(RED, (5, 1)), volume=VOLUME), nothing)


def test_bev_rings_lie_at_their_distance() -> None:
    empty = np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8)
    picture = bev(*empty, volume=VOLUME, size=400, ring=5.0)
    ring = (picture != bev(*empty, volume=VOLUME, size=400, ring=0.0)).any(axis=2)
    assert ring[100, 200 - 50] and ring[100, 200 + 49] and ring[49, 200]  # noqa: PT018
    assert not ring[100, 200 - 25]


def test_bev_keeps_its_arguments_unchanged() -> None:
    points, colors = np.array([[5, 5, 0]], np.float32), RED[None].copy()
    before = points.copy(), colors.copy()
    bev(points, colors)
    assert np.array_equal(points, before[0])
    assert np.array_equal(colors, before[1])


def test_overlay_paints_the_points_of_the_pairs() -> None:
    image = np.full((5, 7, 3), (200, 100, 50), np.uint8)
    pairs = PointPixelPairs(np.array([2, 0]), np.array([[1, 2], [4, 6]]))
    picture = overlay(image, pairs, np.stack([RED, RED, GREEN]), dot=1, dim=0.5)
    assert painted(picture, GREEN) == [[1, 2]]
    assert painted(picture, RED) == [[4, 6]]
    # The rest is grey: 0.5 (0.299 * 200 + 0.587 * 100 + 0.114 * 50) = 62.1
    assert picture[0, 0].tolist() == [62, 62, 62]
    assert (image == (200, 100, 50)).all()


def test_overlay_cuts_dots_at_the_edge() -> None:
    pairs = PointPixelPairs(np.array([0]), np.array([[0, 6]]))
    picture = overlay(np.zeros((5, 7, 3), np.uint8), pairs, RED[None], dot=3)
    assert painted(picture, RED) == [[0, 5], [0, 6], [1, 5], [1, 6]]


def test_error_colors_of_each_case_differ() -> None:
    truth, prediction = np.array([3, 3, 0, 0], np.uint8), np.array([3, 4, 0, 5], np.uint8)
    assert error_colors(truth, prediction).tolist() == [list(CORRECT), list(WRONG), list(UNSCORED), list(UNSCORED)]


def test_class_colors_differ_and_show_on_the_ground() -> None:
    colors = class_colors(np.arange(20), KITTI)
    assert len(np.unique(colors, axis=0)) == 20
    brightness = colors @ [0.299, 0.587, 0.114]
    assert (brightness[1:] > 50 + np.mean(BACKGROUND)).all()
    # Colours that are bright enough are the benchmark's own.
    assert colors[[1, 9, 15]].tolist() == KITTI.colors[[1, 9, 15]].tolist()


@pytest.mark.parametrize("classes", [2, 20, 255])
def test_palette_has_a_visible_colour_per_class(classes: int) -> None:
    taxonomy = Taxonomy("a", tuple(ClassSpec(f"class {i}", (i,)) for i in range(classes)))
    colors = palette(taxonomy)
    assert colors.shape == (classes, 3)
    assert colors[0].tolist() == list(UNSCORED)
    assert (colors[1:] @ [0.299, 0.587, 0.114] > 50 + np.mean(BACKGROUND)).all()
    assert palette(taxonomy) is colors  # computed once
    with pytest.raises(ValueError, match="read-only"):
        colors[0] = 0


def test_stacked_panels_name_their_classes_in_columns_that_fit() -> None:
    image = np.zeros((20, 700, 3), np.uint8)
    five, kitti = stack_panels({"a": image}, range(1, 6), FIVE), stack_panels({"a": image}, range(1, 6), KITTI)
    assert kitti.shape == (30 + 20 + 24 + 14, 700, 3)  # five columns of 140 pixels
    assert five.shape == (30 + 20 + 3 * 24 + 14, 700, 3)  # long names have more space
    for i in range(1, 6):
        assert painted(five, palette(FIVE)[i])
    assert (five[60:, -8:] == BACKGROUND).all()  # no name is cut


# ---------------------------------------------------------------------------------------------- page


def test_report_of_a_complete_run_shows_every_section(page: Path) -> None:
    html, result = page.read_text("utf-8"), evaluation(0)
    for text in ("my-run", f"{100 * result['miou_present']:.1f}", f"{100 * evaluation(1)['accuracy']:.1f}", "abc123"):
        assert text in html
    for title in ("Training loss", "Mean IoU on validation", "IoU of each class", "by distance", "Confusion matrix"):
        assert re.search(f"<h[23]>[^<]*{title}", html)
    assert re.findall(r"<h3>Frame (\S+)</h3>", html) == ["08/000000", "08/000002", "08/000004"]
    assert html.count("This frame has no camera image") == 2
    assert "<details><summary>Configuration</summary><pre>seed: 7" in html
    assert "elite evaluate best.ckpt data" in html
    assert "Excluded values of train/loss that are not finite: 1." in html
    # 7 charts, 3 views of each frame, 2 camera pictures.
    assert html.count("<img ") == 7 + 9 + 2


def test_report_page_is_self_contained(page: Path) -> None:
    html = page.read_text("utf-8")
    assert not re.search(r"https?://|<script|@import|url\(", html)
    assert all(re.match("data:image/(png|jpeg);base64,", source) for source in re.findall(r'src="([^"]*)"', html))
    assert all(target.startswith(("#", "data:,")) for target in re.findall(r'href="([^"]*)"', html))


def test_report_writes_pictures_next_to_the_page(page: Path, dataset: SemanticKITTI) -> None:
    views = {f"frame_08_{frame}_{view}.png" for frame in ("000000", "000002", "000004") for view in VIEWS}
    views |= {"frame_08_000000_camera_ground_truth.jpg", "frame_08_000000_camera_prediction.jpg"}
    charts = {"loss", "miou", "classes", "distance", "class_distance", "confusion", "calibration"}
    assert {path.name for path in page.parent.iterdir()} == {f"{n}.png" for n in charts} | views | {"index.html"}
    frame = dataset[0]
    assert frame.labels is not None
    volume = ((-30.0, -30.0, -4.0), (30.0, 20.0, 2.0))  # the run's own, not the default
    expected = bev(frame.scan.points, class_colors(frame.labels, KITTI), volume=volume, size=720)
    with Image.open(page.parent / "frame_08_000000_ground_truth.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB")), expected)
    with Image.open(page.parent / "frame_08_000000_camera_prediction.jpg") as picture:
        assert picture.width == 960  # the camera image has 1241


def test_report_of_the_same_run_has_the_same_bytes(run: Path, page: Path, dataset: SemanticKITTI) -> None:
    assert page_of(run, dataset) == page.read_text("utf-8")


@pytest.mark.usefixtures("blank_charts")
@pytest.mark.parametrize(
    ("missing", "sentence", "charts"),
    [
        ("metrics.csv", "No training curves", 5),
        ("evaluation.json", "Not evaluated", 2),
        ("evaluation_before.json", "No score of the untrained network", 7),
        ("config.yaml", "No config.yaml", 7),
        ("versions.json", "No versions.json", 7),
    ],
)
def test_report_of_missing_files_omits_their_sections(run: Path, missing: str, sentence: str, charts: int) -> None:
    (run / missing).unlink()
    page = page_of(run)
    assert sentence in page
    assert page.count("<img ") == charts
    assert "No frames: the run has no data set." in page


def test_report_without_evaluation_contains_the_complete_command(run: Path) -> None:
    (run / "evaluation.json").unlink()
    settings = "data: {root: /data/my kitti, format: semantickitti, val_sequences: '05'}"
    (run / "config.yaml").write_text(settings)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.ckpt").touch()
    command = f"elite evaluate {run}/checkpoints/best.ckpt '/data/my kitti' --format semantickitti --split 05 --json"
    found = read_run(run)
    assert found.evaluate_command == f"{command} {run}/evaluation.json"
    assert found.evaluate_command in unescape(render(found))


@pytest.mark.usefixtures("blank_charts")
def test_report_worst_frames_exclude_unscored_ones() -> None:
    rows = [{"frame": f"08/{i}", "miou_present": i / 10, "accuracy": 1, "points": i} for i in (2, 0, 1)]
    found = Evaluation(by_frame=tuple(FrameScore(**row) for row in rows))
    assert [score.frame for score in found.worst_frames()] == ["08/1", "08/2"]


@pytest.mark.usefixtures("blank_charts")
def test_report_shows_the_worst_frames_of_the_evaluation(run: Path, dataset: SemanticKITTI) -> None:
    scores = {"08/000003": 0.3, "08/000001": 0.1, "09/000000": 0.0, "08/000000": 0.2}  # one of another sequence
    rows = [{"frame": frame, "miou_present": miou, "accuracy": 0.5, "points": 9} for frame, miou in scores.items()]
    (run / "evaluation.json").write_text(json.dumps(evaluation(0) | {"by_frame": rows}))
    page = page_of(run, dataset, frames=2)
    assert re.findall(r"<h3>Frame (\S+)</h3>", page) == ["08/000001", "08/000000"]
    assert "Worst frames" in page


@pytest.mark.usefixtures("blank_charts")
def test_report_shows_results_of_other_commands(run: Path) -> None:
    methods = {"segments": {"coverage": 0.5, "accuracy": 0.93, "miou": None, "seconds_per_image": 0.25}}
    (run / "pseudo_label_score.json").write_text(json.dumps({"tests": {"rings:2": methods}}))
    times = {"p50": 30.0, "p95": 41.5, "p99": 60.0, "mean": 33.0}
    latency = {"scans": 3, "points": 120_000.4, "whole": times, "stages": {"network": times}, "device": "cpu"}
    (run / "latency.json").write_text(json.dumps(latency))
    page = page_of(run).replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    for text in ("<td>50.0 %</td><td>93.0 %</td><td>-</td><td>0.25</td>", "41.5 ms", "120 000 points; cpu"):
        assert text in page


@pytest.mark.usefixtures("blank_charts")
def test_report_of_an_evaluation_file_writes_a_page(tmp_path: Path) -> None:
    file = tmp_path / "val.json"
    file.write_text(json.dumps(evaluation(0)))
    assert main(["report", str(file)]) == 0
    page = (tmp_path / "val_report" / "index.html").read_text("utf-8")
    assert "Evaluation report" in page
    assert "Expected calibration error" in page
    for word in ("Training", "No config.yaml", "untrained"):
        assert word not in page


@pytest.mark.usefixtures("blank_charts")
@pytest.mark.parametrize(
    ("confidence", "verdict"), [(0.6, ["underconfident"]), (0.698, []), (0.702, []), (0.8, ["overconfident"])]
)
def test_report_of_a_calibration_names_a_gap_of_a_per_cent(
    tmp_path: Path, confidence: float, verdict: list[str]
) -> None:
    tally, truth = ScoreCounts(KITTI), np.ones(1000, np.uint8)
    labels = np.where(np.arange(1000) < 700, 1, 2).astype(np.uint8)
    tally.add(Prediction(labels, np.full(1000, confidence, np.float32)), truth, np.ones((1000, 3), np.float32))
    (tmp_path / "val.json").write_text(json.dumps(tally.report()))
    assert main(["report", str(tmp_path / "val.json")]) == 0
    page = (tmp_path / "val_report" / "index.html").read_text("utf-8")
    assert re.findall(r"the network is (\w+)", page) == verdict


def test_score_chart_of_one_validation_begins_at_step_0(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(canvas, "encode", drawn.append)
    score_chart(Curves("step", {"val/miou_present": Curve(np.array([349.0]), np.array([0.4]))}, {}))
    assert drawn[0].axes[0].get_xlim()[0] == 0


@pytest.mark.usefixtures("blank_charts")
def test_report_of_an_evaluation_shows_its_predictions(tmp_path: Path, dataset: SemanticKITTI) -> None:
    for frame in dataset:
        path = Layout(tmp_path / "out").prediction(frame.sequence, frame.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.full(len(frame.scan), 40, "<u4").tofile(path)
    file, root = tmp_path / "val.json", str(dataset.layout.root)
    predictions = ["--predictions", str(tmp_path / "out")]
    assert main(["evaluate", root, "--split", "08", *predictions, "--json", str(file)]) == 0
    assert main(["report", str(file), "--data", root, *predictions, "--frames", "1"]) == 0
    page = (tmp_path / "val_report" / "index.html").read_text("utf-8")
    worst = min(json.loads(file.read_text())["by_frame"], key=lambda row: row["miou_present"])
    assert f"<h3>Frame {worst['frame']}</h3>" in page


@pytest.mark.usefixtures("blank_charts")
def test_report_of_doubtful_scans_warns_once_and_strict_refuses_them(run: Path, tmp_path: Path, capsys) -> None:
    dataset = write_drive(tmp_path / "drive")
    for i in range(len(dataset)):
        values = np.fromfile(dataset.scan_path(i), "<f4").reshape(-1, 4) * (1, 1, 1, 255)
        values.astype("<f4").tofile(dataset.scan_path(i))
    student = tmp_path / "student.safetensors"
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), student)
    argv = ["report", str(run / "evaluation.json"), "--data", str(tmp_path / "drive"), "--model", str(student)]
    assert main(argv) == 0
    assert capsys.readouterr().err.count("Divide it by 255") == 1
    assert main([*argv, "--strict"]) == 2
    assert "Divide it by 255" in capsys.readouterr().err


@pytest.mark.usefixtures("blank_charts")
def test_report_names_the_data_that_it_does_not_use(run: Path, dataset: SemanticKITTI, tmp_path: Path, capsys) -> None:
    drive, file = write_drive(tmp_path / "drive").layout.root, run / "evaluation.json"
    (drive / "sequences/08/velodyne/a.pcd").touch()
    data = ("--data", str(drive))
    for argv, line in (
        ((file, *data), f"{drive} is not used: pictures of frames need --data, and --predictions or --model"),
        ((run, *data), f"{drive} is not used: {run / 'checkpoints'} has no checkpoint"),
    ):
        assert main(["report", *map(str, argv)]) == 0
        assert line in capsys.readouterr().err
    page_of(run, SemanticKITTI(drive, "08"))
    assert "08/velodyne: 1 files are not read (a.pcd, ...)" in capsys.readouterr().err
    assert main(["report", str(run), "--data", str(tmp_path / "missing")]) == 2


def test_report_reads_files_of_its_run_only(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--checkpoint", "other.ckpt"]) == 2
    assert "found a run. Leave the option out" in capsys.readouterr().err


@pytest.mark.usefixtures("blank_charts")
def test_report_of_an_evaluation_with_scores_only_has_a_page(run: Path) -> None:
    for name in ("evaluation.json", "evaluation_before.json"):
        (run / name).write_text('{"miou": 0.25}')
    page = page_of(run)
    assert "25.0" in page
    assert "has no scores by class" in page
    assert "has no confusion matrix" in page


@pytest.mark.usefixtures("blank_charts")
def test_report_names_frames_without_labels(run: Path, tiny_kitti: Path) -> None:
    assert "no frame of sequences 11 has labels" in page_of(run, SemanticKITTI(tiny_kitti, "11"))


def test_report_escapes_text_from_files(run: Path) -> None:
    attack = "<script>alert('&')</script>"
    names = [attack, *(f"$x_{i}$ {attack}" for i in range(1, 20))]  # $...$ must not be read as a formula either
    for name in ("evaluation.json", "evaluation_before.json"):
        (run / name).write_text(json.dumps(evaluation() | {"classes": names, "command": attack}))
    (run / "versions.json").write_text(json.dumps({"commit": attack, attack: {attack: attack}}))
    (run / "config.yaml").write_text(f'note: "{attack}"')
    folder = run.rename(run.with_name("<b>run"))
    page = page_of(folder)
    assert "<script" not in page
    assert "<b>run" not in page
    assert page.count("&lt;script&gt;") >= 6


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("evaluation.json", '{"miou": 0.', "expected JSON"),
        ("evaluation.json", "[1, 2]", "expected a JSON object"),
        ("evaluation.json", '{"miou": "high"}', "miou: expected a finite number"),
        ("evaluation.json", '{"miou": NaN}', "miou: expected a finite number"),
        ("evaluation.json", '{"miou": 1.5}', "miou: expected a number from 0 to 1"),
        ("evaluation.json", '{"iou": [0.5]}', "iou: expected 20 values, found 1"),
        ("evaluation.json", '{"present": [25]}', "class ids below 20"),
        ("evaluation.json", '{"confusion": [[1, 2], [3]]}', "expected 20 x 20 counts"),
        ("evaluation.json", '{"by_distance": [{"from": 5, "to": 1}]}', "'from' and 'to' in metres"),
        ("evaluation_before.json", '{"frames": -1}', "frames: expected a count"),
        (
            "evaluation.json",
            '{"by_distance": [{"from": 0, "to": 9, "miou": 0, "iou": [1]}]}',
            "by_distance: iou: expected 20 values",
        ),
        (
            "evaluation.json",
            '{"calibration": {"ece": 0.1, "bins": [7]}}',
            "expected settings among points, accuracy, confidence",
        ),
        ("evaluation.json", '{"calibration": {"ece": 2, "bins": [{"points": 1}]}}', "none for accuracy, confidence"),
        ("evaluation.json", '{"by_frame": [{"frame": "08/000000"}]}', "none for miou_present, accuracy"),
        ("evaluation.json", '{"points": 1' + "0" * 400 + "}", "points: expected a count"),
        (
            "pseudo_label_score.json",
            '{"tests": {"dense": {"segments": {"accuracy": 2}}}}',
            "accuracy: expected a number from 0 to 1",
        ),
        ("pseudo_label_score.json", '{"tests": [1]}', "tests: expected"),
        ("latency.json", '{"whole": 3}', "none for scans, points, stages"),
        ("latency.json", '{"whole": {"p50": 1}, "stages": {}, "scans": 1}', "none for points"),
        (
            "evaluation.json",
            '{"by_distance": [{"from": 0, "to": 1' + "0" * 400 + "}]}",
            "by_distance.to: expected a finite number",
        ),
        (
            "evaluation.json",
            '{"classes": ["a"], "confusion": [[1' + "0" * 400 + "]]}",
            "confusion: expected a finite number",
        ),
        ("versions.json", "\N{LATIN SMALL LETTER E WITH ACUTE}", "expected text in UTF-8"),
        ("metrics.csv", "", "expected a header, found an empty file"),
        ("metrics.csv", "hello\n", "expected a header with columns such as step"),
        ("metrics.csv", "step,train/loss\n1,0.5,7\n", "expected 2 values in line 2"),
        ("metrics.csv", "step,train/loss\n1,low\n", "a number under 'train/loss' in line 2"),
        ("config.yaml", "a: [1", "expected YAML"),
        ("config.yaml", "student: {volume: [1, 2]}", "student.volume"),
        ("config.yaml", "student: {volume: [[0, 0, 0], [1, 1]]}", "student.volume"),
    ],
)
def test_report_damaged_files_are_named(run: Path, name: str, content: str, message: str) -> None:
    (run / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        page_of(run)
    assert str(run / name) in str(caught.value)
    assert "Regenerate it" in str(caught.value)
    assert not (run / "report").exists()


def test_report_of_a_folder_without_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").touch()
    with pytest.raises(DataError, match=r"expected a run folder.*found holiday\.txt.*elite train"):
        page_of(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        page_of(tmp_path / "nowhere")


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_report_without_a_package_names_the_extra(
    package: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("elite.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("elite.report")
    monkeypatch.setattr("elite.errors.find_spec", lambda name: None if name == package else object())
    assert main(["report", str(run)]) == 2
    message = capsys.readouterr().err
    assert f"{package} is not installed and is needed for 'elite report'" in message
    assert 'pip install ".[report]"' in message


# ---------------------------------------------------------------------------------------------- other classes


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> SemanticKITTI:
    """A drive with the classes of ``FIVE``."""
    return write_drive(tmp_path_factory.mktemp("five"), FIVE)


def write_checkpoint(run: Path, data: Path, taxonomy: Taxonomy) -> None:
    """The best checkpoint of a run on ``data``."""
    student = SPVCNN(channels=4, cells=(50, 50, 10), classes=len(taxonomy), taxonomy=taxonomy)
    (run / "checkpoints").mkdir()
    state = {f"student.{name}": value for name, value in student.state_dict().items()}
    config = {"student": plain(student.config)}
    content = {"elite_config": config, "state_dict": state, "elite_taxonomy": taxonomy.to_dict()}
    torch.save(content, run / "checkpoints" / "best.ckpt")
    (run / "config.yaml").write_text(yaml.safe_dump({"data": {"root": str(data), "val_sequences": "08"}}))


def swatch(taxonomy: Taxonomy, i: int) -> str:
    """Entry of a legend of the page."""
    red, green, blue = palette(taxonomy)[i]
    return f'<li><span style="background:#{red:02x}{green:02x}{blue:02x}"></span>{escape(taxonomy.names[i])}</li>'


def test_report_of_other_classes_shows_their_names_and_colours(tmp_path: Path, five: SemanticKITTI) -> None:
    run = write_run(tmp_path / "run", FIVE)
    write_checkpoint(run, five.layout.root, FIVE)
    page = report_run(run, device="cpu", frames=1).read_text("utf-8")
    assert [swatch(FIVE, i) in page for i in range(6)] == [False, True, True, True, True, True]
    assert "mean IoU 0.0" not in page
    assert "over the 5 classes of this frame" in page
    assert "over the 4 classes in the ground truth" in page
    for word in (">car<", ">road<", "tram & <b>"):
        assert word not in page
    expected = bev(five[0].scan.points, class_colors(five[0].labels, FIVE), volume=StudentConfig().volume, size=720)
    with Image.open(run / "report" / "frame_08_000000_ground_truth.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB")), expected)
    assert {path.stem for path in (run / "report").iterdir()} >= {"classes", "class_distance", "confusion"}


def test_class_chart_has_the_colours_of_its_taxonomy() -> None:
    iou = (0.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    drawn = decoded(class_chart(Evaluation(FIVE.names, iou=iou, present=(1, 2, 4, 5)), None, palette(FIVE)))
    bars = [(np.abs(drawn.astype(int) - color).max(axis=2) <= 2).sum() > 500 for color in palette(FIVE)]
    assert bars == [False, True, True, False, True, True]


@pytest.mark.usefixtures("blank_charts")
def test_report_of_a_run_and_a_result_of_other_classes_names_both(tmp_path: Path, five: SemanticKITTI, capsys) -> None:
    run = write_run(tmp_path / "run")
    write_checkpoint(run, five.layout.root, FIVE)
    message = r"evaluation_before\.json: expected the classes of the data, five, found those of semantickitti"
    with pytest.raises(ConfigError, match=message):
        report_run(run, device="cpu")
    assert main(["report", str(run), "--taxonomy", "semantickitti", "--device", "cpu"]) == 2
    message = "MODEL: expected the classes of the data, semantickitti, found those of five"
    assert message in capsys.readouterr().err
    (run / "config.yaml").unlink()  # no data set: the classes are those of the checkpoint nevertheless
    with pytest.raises(ConfigError, match="found those of semantickitti"):
        report_run(run, device="cpu")


@pytest.mark.usefixtures("blank_charts")
def test_report_of_an_evaluation_of_other_classes_needs_their_taxonomy(
    tmp_path: Path, five: SemanticKITTI, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out, given = tmp_path / "val.json", tmp_path / "out", tmp_path / "five.yaml"
    file.write_text(json.dumps(evaluation(0, FIVE)))
    for frame_id in five.ids:
        path = Layout(out).prediction(*frame_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.full(300, 40, "<u4").tofile(path)
    given.write_text(yaml.safe_dump(FIVE.to_dict()))
    words = ["report", str(file), "--data", str(five.layout.root), "--predictions", str(out), "--frames", "1"]
    assert main(words) == 2
    message = "val.json: expected the classes of the data, semantickitti, found those of five"
    assert message in capsys.readouterr().err
    assert main([*words, "--taxonomy", str(given)]) == 0
    assert swatch(FIVE, 3) in (tmp_path / "val_report" / "index.html").read_text("utf-8")
    assert main([*words, "--taxonomy", "rellis"]) == 2
    assert "val.json: expected the classes of the data, rellis, found those of five" in capsys.readouterr().err
    file.write_text(json.dumps(evaluation(0)))
    assert main(words) == 2
    assert "expected raw label ids of semantickitti" in capsys.readouterr().err


def test_report_of_results_finds_the_packaged_taxonomy_by_its_names() -> None:
    nuscenes = load_taxonomy("nuscenes-lidarseg")
    assert Evaluation().taxonomy is KITTI  # of before version 0.2
    assert Evaluation(nuscenes.names).taxonomy is nuscenes
    unknown = Evaluation((*nuscenes.names[:-1], "trees"), "mine")
    assert unknown.packaged_taxonomy is None
    assert (unknown.taxonomy.name, unknown.taxonomy.names[-1]) == ("mine", "trees")
    assert np.array_equal(unknown.taxonomy.colors, default_taxonomy(17).colors)


@pytest.mark.parametrize("classes", [2, 255])
def test_report_of_few_or_many_classes_has_a_legible_confusion_matrix(classes: int) -> None:
    taxonomy = default_taxonomy(classes)
    confusion = np.diag(np.arange(float(classes))) + np.eye(classes, k=1)
    found = Evaluation(taxonomy.names, confusion=tuple(map(tuple, confusion.tolist())))
    assert found.most_frequent(60) == list(range(max(1, classes - 60), classes))
    charts = draw_charts(run := Run("many", after=found), taxonomy)
    with Image.open(io.BytesIO(charts["confusion"].data)) as chart:
        assert chart.width == (4440 if classes == 255 else 1480)
    page = render(run, PageImages(taxonomy, charts))
    assert ("the 60 with the most points" in page) == (classes == 255)
    assert ('style="width: 2580px; max-width: none"' in page) == (classes == 255)


@pytest.mark.usefixtures("blank_charts")
def test_report_of_a_rule_that_excludes_absent_classes_is_complete(run: Path) -> None:
    result = evaluation(0)
    result["iou"][19] = None
    for band in result["by_distance"]:
        band["iou"] = [iou if i in band["present"] else None for i, iou in enumerate(band["iou"])]
    (run / "evaluation.json").write_text(json.dumps(result | {"fw_iou": 0.625}))
    page = page_of(run)
    assert page.count("<img ") == 7
    assert "Frequency-weighted IoU</dt>" in page
    assert "62.5" in page


# ---------------------------------------------------------------------------------------------- records


def test_curves_keep_finite_logged_values(run: Path) -> None:
    record = read_run(run)
    assert record.curves.axis == "step"
    loss = record.curves.columns["train/loss"]
    assert (loss.x.tolist(), loss.y.tolist(), loss.dropped) == ([0, 10], [2.5, 1.5], 1)
    assert record.curves.columns["val/miou_present"].x.tolist() == [9, 19]
    assert "train/miou_present" not in record.curves.columns


def test_curves_without_steps_use_epochs_or_rows(run: Path) -> None:
    (run / "metrics.csv").write_text("epoch,train/loss\n3,0.5\n")
    assert (read_run(run).curves.axis, read_run(run).curves.columns["train/loss"].x.tolist()) == ("epoch", [3])
    (run / "metrics.csv").write_text("train/loss\n0.5\n0.25\n")
    assert (read_run(run).curves.axis, read_run(run).curves.columns["train/loss"].x.tolist()) == ("row", [0, 1])


def test_scores_show_rates_and_confused_classes() -> None:
    confusion = np.zeros((4, 4))
    confusion[1, 1], confusion[2, 1] = 60, 40  # of 100 points of a, 40 were called b
    confusion[2, 2], confusion[0, 2] = 90, 10  # of 100 points of b, 10 were called nothing
    confusion[3, 0] = 500  # points without a label do not count
    found = Evaluation(("none", "a", "b", "c"), confusion=tuple(map(tuple, confusion.tolist())))
    assert found.rates is not None
    assert found.rates[:2].tolist() == [[0.6, 0.4, 0], [0, 0.9, 0]]
    assert np.isnan(found.rates[2]).all()
    assert found.top_confusions() == [Confusion("a", "b", 0.4)]
    assert found.top_confusions(points=101) == []


def test_curves_of_a_killed_run_end_before_its_partial_row(run: Path) -> None:
    (run / "metrics.csv").write_text("step,train/loss\n4,2.5\n9,1.5\n14,0.")
    curve = read_run(run).curves.columns["train/loss"]
    assert (curve.x.tolist(), curve.y.tolist()) == ([4, 9], [2.5, 1.5])


def test_curves_sum_the_loss_terms(run: Path) -> None:
    """The second row is of a batch without images: its teacher has no sum, its student has."""
    (run / "metrics.csv").write_text(
        "step,train/cross_entropy,train/lovasz,train/student0/lovasz,train/student12/cross_entropy,"
        "train/teacher0/lovasz,train/teacher/cross_entropy,train/kl0,train/kl1,train/orthogonality,train/no_image\n"
        "4,1,2,4,8,16,32,0.5,0.25,0.125,\n"
        "9,2,2,2,2,,,,,0.125,0\n"
    )
    terms = {name: list(zip(curve.x, curve.y, strict=True)) for name, curve in read_run(run).curves.terms.items()}
    assert terms == {
        "student": [(4, 3), (9, 4)],
        "student heads": [(4, 12), (9, 4)],
        "teacher heads": [(4, 48)],
        "divergence": [(4, 0.75)],
        "orthogonality": [(4, 0.125), (9, 0.125)],
    }


def test_smooth_equals_a_trailing_mean() -> None:
    from elite.report.curve_charts import smooth

    assert smooth(np.array([2.0, 4.0, 6.0, 8.0]), 2).tolist() == [2, 3, 5, 7]
    assert smooth(np.array([2.0, 4.0]), 1).tolist() == [2, 4]


def test_png_round_trip_is_exact() -> None:
    many_colors = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for picture in (many_colors, many_colors[:5]):
        assert np.array_equal(decoded(encode_png(picture)), picture)


def test_encode_jpeg_keeps_size_and_colors() -> None:
    picture = np.full((16, 24, 3), (200, 60, 30), np.uint8)
    assert np.abs(decoded(encode_jpeg(picture)).astype(int) - picture).max() < 8


def decoded(image: EncodedImage) -> np.ndarray:
    with Image.open(io.BytesIO(image.data)) as read:
        assert (read.format or "").lower() == image.format
        return np.asarray(read.convert("RGB"))


# ---------------------------------------------------------------------------------------------- the teacher

IMAGE = ImageConfig(scale=0.25, crop=(64, 304))  # of 94 x 310 pixels
SMALL = StudentConfig(channels=8, cells=(100, 100, 12))
TAUGHT = """\
step,train/loss,val/miou,val/miou_present,val/teacher_miou,val/teacher_miou_present
0,2.5,,,,
9,,0.2,0.4,0.3,0.7
19,,0.1,0.5,0.4,0.8
"""


class Stripes(Teacher):
    """A teacher that predicts class 1 + (row + 3 column) % number, and has its largest logit for class 0."""

    def __init__(self, number: int = 19) -> None:
        nn.Module.__init__(self)
        self.number = number
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Any:
        return images

    def logits_at(self, maps: Any, pixels: Pixels, size: tuple[int, int]) -> TeacherOutput:
        place = (pixels.position * torch.tensor([1, 3])).sum(dim=1) % self.number + 1
        logits = nn.functional.one_hot(place, self.number + 1).float()
        logits[:, 0] = 9
        return TeacherOutput((), logits)


def stripe(row: Any, column: Any, number: int = 19) -> Any:
    return (row + 3 * column) % number + 1


def test_predict_view_predicts_a_grid_of_pixels_and_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elite.teacher.prediction._PIXELS_PER_PASS", 7)
    pairs = PointPixelPairs(np.array([5, 0]), np.array([[4, 6], [1, 3]]))
    view = View("image_2", np.zeros((5, 7, 3), np.uint8), pairs)
    predicted = predict_view(Stripes(), view)
    assert predicted.points.tolist() == [stripe(4, 6), stripe(1, 3)]
    assert predicted.image.tolist() == [[stripe(r // 2 * 2, c // 2 * 2) for c in range(7)] for r in range(5)]


@pytest.mark.parametrize("taxonomy", [KITTI, FIVE], ids=["semantickitti", "five"])
def test_teaching_panels_show_the_scored_crop(tmp_path: Path, taxonomy: Taxonomy) -> None:
    frame, number = write_drive(tmp_path, taxonomy)[0], len(taxonomy) - 1
    assert frame.labels is not None
    untrained = SegmentationResult(np.full(300, 3, np.uint8), np.ones(300, np.float32), taxonomy.names)
    models = Models(Stripes(number), IMAGE, lambda scan: untrained)
    found = compare_with_teacher(frame, frame.labels, models, SMALL.volume, taxonomy)
    assert found.classes == tuple(range(1, len(taxonomy)))
    rows = np.flatnonzero(in_volume(frame.scan.points, SMALL.volume))
    view = frame_views(frame, rows, IMAGE)[0]
    truth, (row, column) = frame.labels[rows][view.pairs.point], view.pairs.pixel.T
    scored = truth > 0
    assert found.points == scored.sum() > 3
    shares = [
        float((guess == truth)[scored].mean()) for guess in (stripe(row, column, number), np.full(len(truth), 3), truth)
    ]
    panels = {panel.key: panel for panel in found.panels}
    accuracies = dict(zip(("teacher", "untrained", "student"), shares, strict=True))
    assert {key: panel.accuracy for key, panel in panels.items() if panel.accuracy is not None} == accuracies
    assert {panel.image.shape for panel in found.panels} == {(202, 960, 3)}
    assert np.array_equal(panels["image"].image, fit_width(view.image, 960))
    middle = ((view.pairs.pixel + 0.5) * (202 / 64, 960 / 304)).astype(int)
    nearest = np.linalg.norm(frame.scan.points[rows][view.pairs.point], axis=1).argmin()
    drawn = panels["ground_truth"].image[tuple(middle[nearest])]
    assert drawn.tolist() == class_colors(truth[[nearest]], taxonomy)[0].tolist()


def write_distilled_run(folder: Path, data: Path) -> Path:
    """The run folder of a student and a random teacher, as training leaves it."""
    settings = TrainConfig(
        student=SMALL,
        image=IMAGE,
        teacher=TeacherConfig(weights="random", model="sam-tiny", channels=8, adapter=AdapterConfig(method="frozen")),
    )
    config = plain(settings)
    config["data"] |= {"root": str(data), "val_sequences": "08"}
    teacher = Teacher.build(settings.teacher, stages=4, classes=20, total_steps=6)
    state = {f"student.{name}": value for name, value in SPVCNN.from_config(SMALL).state_dict().items()}
    state |= {f"distillation.teacher.{name}": value for name, value in teacher.trained_state().items()}
    checkpoint = {"elite_config": config, "state_dict": state, "elite_teacher": {"total_steps": 6, "base": ""}}
    run = write_run(folder)
    (run / "evaluation.json").unlink()  # its charts take their time, and the teacher is spoken of without them
    (run / "checkpoints").mkdir()
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    save_student(SPVCNN.from_config(SMALL), run / "untrained.safetensors")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "parameters.json").write_text(json.dumps({"student, trained": 1234567, "foundation model, frozen": 89}))
    (run / "metrics.csv").write_text(TAUGHT)
    return run


@pytest.mark.usefixtures("blank_charts")
def test_report_of_a_run_with_a_teacher_shows_its_predictions(tmp_path: Path, dataset: SemanticKITTI) -> None:
    run = write_distilled_run(tmp_path / "taught", dataset.layout.root)
    html = report_run(run, frames=2, device="cpu").read_text("utf-8")
    assert re.findall("<h3>(Frame .*, camera .*)</h3>", html) == [
        "Frame 08/000000, camera image_2"
    ]  # the other has none
    assert "started from random weights" in html
    assert re.search(r"Teacher mean IoU</dt>\s*<dd>70\.0", html)  # at the best step of the student
    assert "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567" in html
    keys = ("image", "ground_truth", "teacher", "untrained", "student")
    files = {run / "report" / f"teacher_08_000000_{key}.jpg" for key in keys}
    assert set((run / "report").glob("teacher_*")) == files
    for file in files:
        with Image.open(file) as picture:
            assert picture.width == 960
    (run / "untrained.safetensors").unlink()
    assert "Student before training" not in page_after(run, frames=1)


@pytest.mark.usefixtures("blank_charts")
def test_report_names_the_reason_for_a_missing_teacher(
    tmp_path: Path, dataset: SemanticKITTI, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_distilled_run(tmp_path / "taught", dataset.layout.root)
    assert "none of the frames has a camera image" in page_after(run, cameras=())
    assert "the report contains no frames" in page_after(run, frames=0)
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt")
    checkpoint["elite_config"]["teacher"]["weights"] = str(tmp_path / "moved")
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    assert re.search(r"No images of the teacher: --teacher\.weights: .*moved.*Correct the path", page_after(run))
    monkeypatch.setattr("elite.errors.find_spec", lambda package: None if package == "peft" else object())
    assert "No images of the teacher: peft is not installed" in page_after(run)


def page_after(run: Path, **options: Any) -> str:
    return report_run(run, device="cpu", **options).read_text("utf-8")


def test_report_of_a_run_without_teacher_mentions_none(page: Path) -> None:
    assert "eacher" not in page.read_text("utf-8")
