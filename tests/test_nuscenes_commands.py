"""The commands on a data set in nuScenes' layout."""

import json
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.datasets import NuScenes
from elite.datasets.nuscenes.tables import CAMERAS
from elite.inference import Segmenter
from elite.layout import Layout
from elite.prediction_files import file_job
from elite.student import load_student
from elite.viewer import ScanSource, StudentPredictor, open_data
from tests.support.nuscenes import POINTS, SCENES, write_nuscenes

pytest.importorskip("lightning")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nuscenes(tmp_path_factory.mktemp("nuscenes"))


@pytest.fixture(scope="module")
def student(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a few steps of the packaged configuration on the first scene, scored on the second one."""
    run = tmp_path_factory.mktemp("run") / "run"
    arguments = f"--config nuscenes --data.sequences {SCENES[0]} --data.val-sequences {SCENES[1]} --steps 2"
    small = "--data.workers 0 --data.batch-size 1 --student.channels 4 --image.scale 1 --image.crop [32,64]"
    teacher = "--teacher.weights random --teacher.model resnet-tiny --teacher.adapter.method frozen"
    assert main(["train", str(root), "-o", str(run), *arguments.split(), *small.split(), *teacher.split()]) == 0
    return run / "checkpoints" / "best.ckpt"


def test_train_on_nuscenes_gives_a_student_of_its_classes_and_sensor(student: Path) -> None:
    trained = load_student(student)
    assert trained.taxonomy.name == "nuscenes-lidarseg"
    assert trained.sensor.name == "nuscenes-hdl-32e"
    assert trained.config.classes == 17
    assert trained.config.volume == ((-64, -64, -4), (64, 64, 8.8))
    assert trained.config.cells == (1280, 1280, 128)


def test_train_on_nuscenes_distils_one_image_per_scan(student: Path) -> None:
    head, *rows = (student.parents[1] / "metrics.csv").read_text().splitlines()
    values = [dict(zip(head.split(","), row.split(","), strict=True)) for row in rows]
    assert any(float(row["train/kl0"] or 0) > 0 for row in values)
    assert any(row["val/teacher_miou"] for row in values)


def test_evaluate_on_nuscenes_applies_its_rule(root: Path, student: Path, tmp_path: Path) -> None:
    result = tmp_path / "score.json"
    assert main(["evaluate", str(student), str(root), "--split", SCENES[1], "--json", str(result)]) == 0
    found = json.loads(result.read_text())
    assert found["taxonomy"] == "nuscenes-lidarseg"
    assert len(found["classes"]) == 17
    assert "fw_iou" in found
    assert found["frames"] == 2


def test_predict_on_nuscenes_writes_an_id_per_point_and_its_score_is_that_of_the_model(
    root: Path, student: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions"
    assert main(["predict", str(student), str(root), "--sequences", SCENES[1], "-o", str(out)]) == 0
    files = sorted(out.rglob("*.label"))
    assert [len(np.fromfile(file, "<u4")) for file in files] == [POINTS] * 2
    assert {file.parent.parent.name for file in files} == {SCENES[1]}
    for name, source in (("model", [str(student)]), ("files", ["--predictions", str(out)])):
        result = str(tmp_path / f"{name}.json")
        assert main(["evaluate", *source, str(root), "--split", SCENES[1], "--json", result]) == 0
    by_model, by_files = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("model", "files"))
    assert by_files["confusion"] == by_model["confusion"]


def test_predict_on_nuscenes_again_skips_complete_files(root: Path, student: Path, tmp_path: Path, capsys) -> None:
    command = ["predict", str(student), str(root), "-o", str(tmp_path), "--skip-existing"]
    assert main(command) == main(command) == 0
    assert "4 skipped" in capsys.readouterr().out.splitlines()[-1]


def test_loose_scans_have_the_columns_axes_and_remission_of_the_student(
    root: Path, student: Path, tmp_path: Path, capsys
) -> None:
    """Predictions of files in a folder, listed or arriving, are those of the data set."""
    folder, dataset = root / "samples" / "LIDAR_TOP", NuScenes(root)
    commands = {
        "predict": ["predict", str(student), str(root)],
        "loose": ["predict", str(student), str(folder)],
        "stream": ["stream", str(student), str(folder), "--once"],
        "again": ["predict", str(student), str(folder), "--skip-existing"],
    }
    for name, command in commands.items():
        assert main([*command, "-o", str(tmp_path / name.replace("again", "stream"))]) == 0
    assert "4 skipped" in capsys.readouterr().out.splitlines()[-1]
    for i, frame_id in enumerate(dataset.ids):
        expected = Layout(tmp_path / "predict").prediction(*frame_id).read_bytes()
        assert len(expected) == 4 * POINTS
        name = f"{dataset.scan_path(i).name.removesuffix('.pcd.bin')}.label"
        assert (tmp_path / "loose" / name).read_bytes() == (tmp_path / "stream" / name).read_bytes() == expected


def test_loose_scan_of_another_sensor_is_refused(student: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(16))
    assert main(["predict", str(student), str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "a.bin: expected a multiple of 20 bytes (float32 x y z remission ring)" in capsys.readouterr().err


def test_bench_on_nuscenes_times_its_scans(root: Path, student: Path, tmp_path: Path) -> None:
    for data in (root, root / "samples" / "LIDAR_TOP"):
        result = tmp_path / "latency.json"
        assert main(["bench", "latency", str(student), str(data), "--rounds", "1", "--json", str(result)]) == 0
        found = json.loads(result.read_text())
        assert (found["scans"], found["points"]) == (4, POINTS)


def test_view_on_nuscenes_shows_cameras_labels_and_map(root: Path, student: Path) -> None:
    predictor = StudentPredictor(Segmenter.load(student))
    source = open_data(root, sequences=SCENES[0], predictor=predictor)
    assert (source.cameras, source.dense) == (CAMERAS, ())
    scene = source.read(0)
    assert set(scene.views) == set(CAMERAS)
    assert scene.cloud(source.predict(0)).score is not None
    assert source.raw_label(0, 7) == np.fromfile(source.dataset.label_path(0), np.uint8)[7]
    poses = source.sequence_map(SCENES[0]).poses
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-9)
    assert np.linalg.norm(poses[1][:3, 3]) == pytest.approx(4.5, abs=0.1)  # half a second at 9 m/s


def test_view_on_nuscenes_opens_a_window(root: Path, student: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("elite.viewer.Viewer.wait", lambda viewer: None)
    assert main(["view", str(student), str(root), "--format", "nuscenes", "--port", "0"]) == 0
    assert "open http://127.0.0.1:" in capsys.readouterr().out


def test_stream_of_nuscenes_shows_its_scans(root: Path, student: Path, tmp_path: Path) -> None:
    path, source = next((root / "samples" / "LIDAR_TOP").iterdir()), ScanSource("live", load_student(student).taxonomy)
    job = file_job(path, tmp_path, load_student(student).sensor)
    source.taxonomy.to_raw(np.full(POINTS, 4, np.uint8)).astype("<u4").tofile(job.labels)
    source.add(job)
    assert source.ids == [("live", path.name.removesuffix(".pcd.bin"))]
    rows = np.fromfile(path, "<f4").reshape(-1, 5)
    np.testing.assert_array_equal(source.read(0).frame.scan.points[:, 0], rows[:, 1])  # forward is y in the file
    assert (source.predict(0).labels == 4).all()


def test_report_on_nuscenes_draws_a_keyframe_and_its_first_image(student: Path) -> None:
    run = student.parents[1]
    assert main(["report", str(run), "--frames", "1"]) == 0
    names = {path.name for path in (run / "report").iterdir()}
    (frame,) = {name.removesuffix("_error.png") for name in names if name.endswith("_error.png")}
    assert frame.startswith(f"frame_{SCENES[1]}_")
    assert {f"{frame}_ground_truth.png", f"{frame}_camera_prediction.jpg"} <= names
    assert "driveable_surface" in (run / "report" / "index.html").read_text()


def test_pseudo_labels_of_all_cameras_are_complete_the_second_time(tmp_path: Path, capsys) -> None:
    root = write_nuscenes(tmp_path)
    command = ["pseudo-label", str(root), "--sequences", SCENES[0], "--cameras", ",".join(CAMERAS)]
    assert main(command) == main(command) == 0
    assert "12 skipped, because they are complete" in capsys.readouterr().out
    record = json.loads(next((root / "elite").rglob("CAM_BACK_pseudo/*.json")).read_text())
    sensor = {"columns": ["x", "y", "z", "remission", "ring"], "axes": ["y", "-x", "z"]}
    assert record["settings"]["sensor"] == sensor


def test_student_of_another_taxonomy_is_refused(root: Path, student: Path, tiny_kitti: Path, capsys) -> None:
    assert main(["evaluate", str(student), str(tiny_kitti)]) == 2
    assert (
        "expected the classes of the data, semantickitti, found those of nuscenes-lidarseg" in capsys.readouterr().err
    )


def test_check_on_nuscenes_reads_every_file(root: Path, tmp_path: Path, capsys) -> None:
    assert main(["check", str(root), "--json", str(tmp_path / "check.json")]) in (0, 1)  # random points are doubtful
    found = json.loads((tmp_path / "check.json").read_text())
    assert [(s["sequence"], s["scans"], s["labels"], s["calibrated"]) for s in found["sequences"]] == [
        (scene, 2, 2, True) for scene in SCENES
    ]
    assert [s["images"] for s in found["sequences"]] == [12, 8]  # the second scene lacks two cameras
    assert "driveable_surface" in capsys.readouterr().out


def test_check_of_a_split_that_is_mostly_absent_names_some_of_its_scenes(tmp_path: Path, capsys) -> None:
    main(["check", str(write_nuscenes(tmp_path, "v1.0-trainval", ("scene-0001",))), "--sequences", "train"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("absent")]
    assert line == "absent sequences: scene-0002, scene-0004, scene-0005, ..., scene-1110 (699)"


def test_check_on_nuscenes_names_damaged_files(tmp_path: Path, capsys) -> None:
    root = write_nuscenes(tmp_path / "damaged")
    scan, image = next((root / "samples/LIDAR_TOP").iterdir()), next((root / "samples/CAM_BACK").iterdir())
    scan.write_bytes(scan.read_bytes()[:-1])
    image.write_bytes(image.read_bytes()[:100])
    assert main(["check", str(root)]) == 1
    output = capsys.readouterr().out
    assert f"{scan}: expected a multiple of 20 bytes" in output
    assert str(image) in output
