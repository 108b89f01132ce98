"""The commands on a data set in nuScenes' layout."""

import json
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.student import load_student
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


def test_check_on_nuscenes_names_damaged_files(tmp_path: Path, capsys) -> None:
    root = write_nuscenes(tmp_path / "damaged")
    scan, image = next((root / "samples/LIDAR_TOP").iterdir()), next((root / "samples/CAM_BACK").iterdir())
    scan.write_bytes(scan.read_bytes()[:-1])
    image.write_bytes(image.read_bytes()[:100])
    assert main(["check", str(root)]) == 1
    output = capsys.readouterr().out
    assert f"{scan}: expected 20 bytes for each point" in output
    assert str(image) in output
