"""Every command on a data set that is nothing like SemanticKITTI: five classes, two cameras, names without numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.config import TrainConfig
from elite.datasets.dense_labels import read_dense_files
from elite.formatting import hex_color
from elite.inference import Segmenter
from elite.student import load_student
from elite.training import train
from examples.tram_reader import Trams
from tests.support.runs import assert_identical, read_checkpoint, read_metrics, run_with_stops
from tests.support.settings import parse_settings
from tests.support.trams import DRIVES, NAMES, RAW, SIZES

FORMAT = "examples.tram_reader:Trams"
OPEN = ["--format", FORMAT]
CAMERAS = ["--cameras", "left,right"]
SMALL = "--student.channels 8 --student.cells [50,50,10] --data.batch-size 1 --data.workers 0 --accelerator cpu"
TEACHER = "--teacher.weights random --teacher.model resnet-tiny --teacher.adapter.method frozen --image.crop [64,128]"
DENSE = "--data.cameras left,right --data.dense-labels left_pseudo,right_pseudo --loss.class-weights data"
TRAIN = ["--data.format", FORMAT, *SMALL.split(), *TEACHER.split(), *DENSE.split()]
SCANS = {(drive, name) for drive, names in DRIVES.items() for name in names}


def run(*words: object) -> int:
    """Exit status of a command."""
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def root(trams: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set with pseudo-labels of both cameras and lifted labels."""
    root = shutil.copytree(trams, tmp_path_factory.mktemp("second") / "trams")
    assert run("pseudo-label", root, *OPEN, *CAMERAS, "--sequences", "train,valid", "--lift", "--pictures") == 0
    return root


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps with a teacher on pseudo-labels."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run("train", root, "-o", folder, *TRAIN, "--steps", 4) == 0
    return folder


@pytest.fixture(scope="module")
def student(trained: Path) -> Path:
    return trained / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def predictions(root: Path, student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "predictions"
    assert run("predict", student, root, *OPEN, "-o", out, "--confidence") == 0
    return out


@pytest.fixture(scope="module")
def scored(root: Path, student: Path, trained: Path) -> Path:
    result = trained.parent / "score.json"
    assert run("evaluate", student, root, *OPEN, "--json", result) == 0
    return result


def prediction(folder: Path, drive: str, name: str) -> np.ndarray:
    return np.fromfile(folder / "sequences" / drive / "predictions" / f"{name}.label", "<u4")


def test_check_counts_classes_images_and_drives(trams: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("check", trams, *OPEN, "--json", tmp_path / "check.json", "--strict") == 0
    found = {s["sequence"]: s for s in json.loads((tmp_path / "check.json").read_text())["sequences"]}
    assert {drive: (s["scans"], s["labels"], s["images"]) for drive, s in found.items()} == {
        drive: (len(names), len(names), 2 * len(names)) for drive, names in DRIVES.items()
    }
    labels = np.concatenate([np.load(path) for path in (trams / "depot" / "labels").iterdir()])
    assert found["depot"]["classes"] == [int((labels == raw).sum()) for raw in RAW]
    output = capsys.readouterr().out
    assert all(f"  {name} " in output for name in NAMES)


def test_check_names_labels_that_do_not_fit_their_scan(trams: Path, tmp_path: Path, capsys) -> None:
    root = shutil.copytree(trams, tmp_path / "trams")
    path = root / "harbour" / "labels" / "e00-0001.npy"
    np.save(path, np.load(path)[1:])
    assert run("check", root, *OPEN, "--cameras", "none") == 1
    output = capsys.readouterr().out
    assert f"{path}: expected " in output
    assert "harbour   -    " in output  # no camera, no calibration


def test_pseudo_labels_have_ids_of_the_files_and_agree_with_the_ground_truth(root: Path) -> None:
    dataset = Trams(root)
    for i in dataset.labelled():
        for camera, size in SIZES.items():
            if dataset.ids[i].sequence == "harbour":
                assert not dataset.derived(i, "pseudo", camera).semantic.exists()
                continue
            made, _ = read_dense_files(dataset.derived(i, "pseudo", camera))
            truth, _ = read_dense_files(dataset.derived(i, "labels", camera))
            assert made.shape == size
            assert {*made.ravel()} <= {*RAW}
            both = (made != 255) & (truth != 255)
            assert both.mean() > 0.3
            assert (made == truth)[both].mean() > 0.85
    assert np.isin(np.fromfile(dataset.layout.labels("depot", "f3a-0007", "labels_pseudo"), "<u4"), RAW).all()


def test_pseudo_labels_are_kept_until_a_camera_changes(root: Path, tmp_path: Path, capsys) -> None:
    copy = shutil.copytree(root, tmp_path / "trams")
    command = ["pseudo-label", copy, *OPEN, *CAMERAS, "--sequences", "market"]
    assert run(*command) == 0
    assert "4 skipped" in capsys.readouterr().out
    drive = json.loads((copy / "market" / "drive.json").read_text())
    drive["left"]["K"][0][2] += 1
    (copy / "market" / "drive.json").write_text(json.dumps(drive))
    assert run(*command) == 0
    assert "2 images labelled" in capsys.readouterr().out


def test_score_of_pseudo_labels_names_the_classes(root: Path, tmp_path: Path) -> None:
    result = tmp_path / "scores.json"
    command = ["score-pseudo-labels", root, *OPEN, *CAMERAS, "--sequences", "valid", "--holdout", "rings:2"]
    assert run(*command, "--json", result) == 0
    tests = json.loads(result.read_text())["tests"]
    assert {*tests} == {"rings:2", "dense"}
    for methods in tests.values():
        assert {*methods["segments"]["iou"]} <= {*NAMES[1:]}
        assert methods["segments"]["accuracy"] > 0.85


def test_training_gives_a_student_of_the_classes_and_the_sensor(student: Path) -> None:
    trained = load_student(student)
    assert trained.taxonomy.names == NAMES
    assert trained.taxonomy.to_dict() == Trams.taxonomy.to_dict()
    assert trained.sensor == Trams.sensor
    assert trained.config.classes == 6


def test_training_distils_the_teacher_of_the_images(trained: Path) -> None:
    rows = read_metrics(trained)
    assert any(float(row["train/kl0"] or 0) > 0 and float(row["train/teacher/cross_entropy"]) > 0 for row in rows)
    assert any(row["val/teacher_miou"] for row in rows)
    assert "left,right" in (trained / "config.yaml").read_text()


def test_training_stopped_and_resumed_equals_an_uninterrupted_run(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data.root", str(root), *TRAIN, "--steps", "3", "--save-every", "1", "--data.val-sequences", "none"]
    stopped, uninterrupted = (tmp_path / name for name in ("stopped", "uninterrupted"))
    run_with_stops(parse_settings([*words, "--out", str(stopped)], TrainConfig), [2], monkeypatch)
    train(parse_settings([*words, "--out", str(uninterrupted)], TrainConfig), progress=False)
    assert_identical(read_checkpoint(stopped)["state_dict"], read_checkpoint(uninterrupted)["state_dict"])


def test_training_on_lifted_labels_reads_them(root: Path, tmp_path: Path, capsys) -> None:
    words = [*SMALL.split(), "--teacher.weights", "none", "--loss.class-weights", "none", "--steps", "1"]
    command = ["train", root, "-o", tmp_path / "run", "--data.format", FORMAT, *words]
    assert run(*command, "--data.labels", "labels_pseudo", "--data.val-sequences", "none") == 0
    assert "no labels" not in capsys.readouterr().out


def test_evaluation_has_the_classes_and_frames_by_name(scored: Path) -> None:
    found = json.loads(scored.read_text())
    assert (found["classes"], found["taxonomy"], found["frames"]) == (list(NAMES), "trams", 2)
    assert np.array(found["confusion"]).shape == (6, 6)
    assert {frame["frame"] for frame in found["by_frame"]} == {f"market/{name}" for name in DRIVES["market"]}


def test_predictions_have_ids_of_the_files_and_the_score_of_the_model(
    root: Path, predictions: Path, scored: Path, tmp_path: Path
) -> None:
    files = {(path.parents[1].name, path.stem) for path in predictions.rglob("*.label")}
    assert files == SCANS
    for drive, name in SCANS:
        words = prediction(predictions, drive, name)
        assert len(words) == len(np.load(root / drive / "scans" / f"{name}.npy"))
        assert {*words} <= {*RAW[1:]}
    assert run("evaluate", root, *OPEN, "--predictions", predictions, "--json", tmp_path / "files.json") == 0
    by_files = json.loads((tmp_path / "files.json").read_text())
    assert by_files["confusion"] == json.loads(scored.read_text())["confusion"]


def test_prediction_again_skips_complete_files(root: Path, student: Path, predictions: Path, capsys) -> None:
    assert run("predict", student, root, *OPEN, "-o", predictions, "--confidence", "--skip-existing") == 0
    assert "0 scans labelled" in capsys.readouterr().out


def test_prediction_without_the_format_names_the_option(root: Path, student: Path, tmp_path: Path, capsys) -> None:
    assert run("predict", student, root, "-o", tmp_path / "out") == 2
    assert "give --format" in capsys.readouterr().err


def test_bench_times_every_scan(root: Path, student: Path, tmp_path: Path) -> None:
    result = tmp_path / "latency.json"
    assert run("bench", "latency", student, root, *OPEN, "--rounds", 1, "--json", result) == 0
    assert json.loads(result.read_text())["scans"] == len(SCANS)


def test_stream_labels_files_in_the_columns_of_the_sensor(root: Path, student: Path, tmp_path: Path) -> None:
    rows = np.load(root / "market" / "scans" / "c5d-0004.npy")
    (tmp_path / "in").mkdir()
    rows.astype("<f4").tofile(tmp_path / "in" / "c5d-0004.bin")
    assert run("stream", student, tmp_path / "in", "-o", tmp_path / "out", "--once") == 0
    result = Segmenter.load(student)(*(Trams.sensor.points_of(rows), Trams.sensor.remission_of(rows)))
    labels = np.fromfile(tmp_path / "out" / "c5d-0004.label", "<u4")
    np.testing.assert_array_equal(labels, RAW[result.labels])


def has_legend(page: Path) -> bool:
    """Whether a page has each class with its colour."""
    text, taxonomy = page.read_text("utf-8"), Trams.taxonomy
    return all(
        name in text and hex_color(color) in text
        for name, color in zip(taxonomy.names[1:], taxonomy.colors[1:].tolist(), strict=True)
    )


def test_report_without_the_format_does_not_import_the_class_of_the_run(trained: Path, capsys) -> None:
    assert run("report", trained, "--frames", 1) == 0
    assert f"Give --format {FORMAT} for frames" in capsys.readouterr().err
    assert not list((trained / "report").glob("frame_*"))


def test_report_of_the_run_has_frames_in_the_colours_of_the_classes(trained: Path) -> None:
    assert run("report", trained, *OPEN, "--frames", 1) == 0
    files = {path.name for path in (trained / "report").iterdir()}
    assert any(name.startswith("frame_market_") for name in files)
    assert has_legend(trained / "report" / "index.html")


def test_report_of_an_evaluation_takes_the_classes_of_the_data_set(root: Path, scored: Path, predictions: Path) -> None:
    assert run("report", scored, "--data", root, *OPEN, "--predictions", predictions, "--frames", 1) == 0
    assert has_legend(scored.with_name("score_report") / "index.html")


def test_view_shows_labels_images_and_the_map(root: Path, student: Path, predictions: Path) -> None:
    pytest.importorskip("viser")
    from elite.viewer import StudentPredictor, open_data

    predictor = StudentPredictor(Segmenter.load(student))
    source = open_data(root, FORMAT, sequences="depot", predictor=predictor)
    assert source.cameras == ("left", "right")
    assert source.dense == ("pseudo", "labels")
    views = source.read(0).views
    assert {camera: len(view.pairs) > 300 for camera, view in views.items()} == {"left": True, "right": True}
    assert views["right"].dense.keys() == {"pseudo", "labels"}
    assert source.taxonomy.names == NAMES
    assert source.raw_label(0, 7) == np.load(root / "depot" / "labels" / "f3a-0007.npy")[7]
    shown = open_data(root, FORMAT, sequences="depot", predictions=predictions).predict(0)
    predicted = source.predict(0)
    assert shown is not None
    assert predicted is not None
    np.testing.assert_array_equal(shown.labels, predicted.labels)
    poses = source.sequence_map("depot").poses
    np.testing.assert_allclose(poses[2][:3, 3], [6, 0, 0], atol=1e-9)


@pytest.mark.parametrize("given", [OPEN, []])
def test_submission_of_a_data_set_without_a_benchmark_is_refused(
    root: Path, predictions: Path, tmp_path: Path, given: list[str], capsys
) -> None:
    assert run("submit", predictions, root, *given, "-o", tmp_path / "zip.zip") == 2
    message = capsys.readouterr().err
    assert "semantickitti" in message
    assert not given or f"found the format {FORMAT}. Score its predictions with 'elite evaluate'" in message


def test_teacher_trains_on_the_classes_of_the_images(root: Path, tmp_path: Path) -> None:
    selection = "--data.sequences depot --data.val-sequences market --data.cameras left,right --image.crop [64,128]"
    words = "--model resnet-tiny --objective classes --steps 1 --data.batch-size 1 --data.workers 0 --accelerator cpu"
    command = ["train-teacher", root, "-o", tmp_path / "teacher", "--data.format", FORMAT]
    assert run(*command, *selection.split(), *words.split()) == 0
    record = json.loads((tmp_path / "teacher" / "training.json").read_text())
    assert record["images"] == 6


def test_student_of_other_classes_is_refused(student: Path, tiny_kitti: Path, capsys) -> None:
    assert run("evaluate", student, tiny_kitti) == 2
    assert "expected the classes of the data, semantickitti, found those of trams" in capsys.readouterr().err


def test_labels_of_other_classes_with_the_same_ids_are_refused(
    root: Path, predictions: Path, tmp_path: Path, capsys
) -> None:
    other = tmp_path / "poles.yaml"
    text = (Path(__file__).parents[1] / "examples" / "trams.yaml").read_text()
    other.write_text(text.replace("mast", "pole").replace("name: trams", "name: poles"))
    given = [*OPEN, "--taxonomy", other]
    assert run("evaluate", root, *given, "--predictions", predictions) == 2
    message = "expected the classes of the data, poles, found those of trams (such as 'mast' and 'pole')"
    assert message in capsys.readouterr().err
    assert run("train", root, "-o", tmp_path / "run", *TRAIN, "--data.taxonomy", other, "--steps", 1) == 2
    assert "labels generated for the classes of the data, poles, found those of trams" in capsys.readouterr().err
    assert run("check", root, *given, "--labels", "labels_pseudo", "--sequences", "market") == 1
    assert "labels generated for the classes of the data, poles, found those of trams" in capsys.readouterr().out
