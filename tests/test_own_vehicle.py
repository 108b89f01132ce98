"""A vehicle of one's own, from its files to a report in ten commands, and the same in Python."""

import json
from pathlib import Path

import numpy as np
import pytest

import elite
from elite.cli import main
from elite.point_files import read_point_file
from tests.support.fleet import CLASSES, write_fleet
from tests.support.rendered_recordings import CAMERAS

pytest.importorskip("embreex")
NAMES = tuple(name for name, _ in CLASSES.values())
SMALL = "--student.channels 8 --data.batch-size 1 --data.workers 0 --accelerator cpu"
TEACHER = "--teacher.weights random --teacher.model resnet-tiny --teacher.adapter.method frozen --image.crop [64,128]"
DENSE = "front_pseudo,left_pseudo,right_pseudo"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fleet(tmp_path_factory.mktemp("fleet") / "fleet")


@pytest.fixture(scope="module")
def run(fleet: Path) -> Path:
    """Commands 1 to 4."""
    folder = fleet.parent / "run"
    commands = [
        f"check {fleet}",
        f"pseudo-label {fleet} --sequences train",
        f"train {fleet} -o {folder} --config semantickitti {SMALL} {TEACHER} --steps 2 --val-every 2 "
        f"--data.dense-labels {DENSE} --loss.class-weights data",
        f"evaluate {folder}/checkpoints/best.ckpt {fleet} --json {fleet.parent}/score.json",
    ]
    for command in commands:
        assert main(command.split()) == 0, command
    return folder


def test_own_vehicle_is_checked_trained_and_scored_with_its_classes(run: Path) -> None:
    score = json.loads((run.parent / "score.json").read_text())
    assert tuple(score["classes"]) == NAMES
    assert score["frames"] == 1
    model = elite.load(run / "checkpoints" / "best.ckpt", "cpu")
    assert (model.taxonomy.names, model.sensor.height) == (NAMES, 2.1)
    assert model.student.config.volume == ((-48, -48, -3.2), (48, 48, 4.8))


def test_own_vehicle_is_labelled_as_clouds(fleet: Path, run: Path) -> None:
    out = fleet.parent / "labelled"
    assert main(f"predict {run}/checkpoints/best.ckpt {fleet} --sequences harbour_02 --as pcd -o {out}".split()) == 0
    before = read_point_file(fleet / "harbour_02" / "lidar" / "100.0.pcd", ())
    after = read_point_file(next(out.rglob("100.0.pcd")), ())
    assert after.shape == before.shape == (128, 1024)
    missing = np.isnan(before.values["x"])
    assert missing.any()
    assert (after.values["class_id"][missing] == 255).all()
    assert set(after.values["class_id"][~missing]) <= set(range(1, 12))
    np.testing.assert_array_equal(after.values["signal"], before.values["signal"])


def test_own_vehicle_has_a_report_a_view_and_an_exported_student(fleet: Path, run: Path) -> None:
    from elite.viewer import open_data

    assert main(f"report {run}".split()) == 0
    page = (run / "report" / "index.html").read_text()
    assert all(name in page for name in NAMES[1:])
    student = fleet.parent / "fleet.safetensors"
    assert main(f"export {run}/checkpoints/best.ckpt -o {student}".split()) == 0
    source = open_data(fleet)
    assert source.cameras == CAMERAS
    assert set(source.read(0).frame.images) == set(CAMERAS)


def test_own_vehicle_from_python_gives_the_same_labels(fleet: Path, run: Path) -> None:
    result = elite.train(
        fleet,
        fleet.parent / "second",
        "semantickitti-student",
        settings={
            "steps": 1,
            "student.channels": 4,
            "data.batch_size": 1,
            "data.workers": 0,
            "loss.class_weights": "none",
            "data.val_sequences": "none",
        },
    )
    assert elite.load(result.last, "cpu").taxonomy.names == NAMES
    model, dataset = elite.load(run / "checkpoints" / "best.ckpt", "cpu"), elite.open_dataset(fleet)
    path = dataset.scan_path(0)
    labels = model(elite.read(path, sensor=dataset.sensor)).labels
    assert len(labels) == 128 * 1024
    frame = dataset[0]
    np.testing.assert_array_equal(labels[frame.scan.kept], model.segment(frame.scan).labels)
    assert frame.labels is not None
    np.testing.assert_array_equal(
        frame.labels, np.load(path.parents[1] / "labels" / f"{path.stem}.npy").ravel()[frame.scan.kept]
    )
