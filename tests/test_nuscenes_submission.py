"""The submission to nuScenes-lidarseg: written files are accepted; faults that the devkit refuses are refused."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elite.cli import main
from elite.datasets import NuScenes
from elite.datasets.nuscenes.splits import splits
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.layout import Layout
from elite.metrics import NUSCENES_RULE, confusion_matrix, score
from elite.student import SPVCNN
from elite.submission import benchmark_of, check_submission, nuscenes, write_submission
from elite.taxonomy import load_taxonomy
from tests.support.nuscenes import POINTS, write_nuscenes
from tests.support.nuscenes_faults import KEYS, planted_faults

SCENES = splits()["mini_val"].scenes  # two
STATEMENT = "mini_val/submission.json"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_nuscenes(tmp_path / "data", scenes=SCENES)


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mini_val of four keyframes."""
    small = {**splits(), "mini_val": replace(splits()["mini_val"], keyframes=4)}
    monkeypatch.setattr(nuscenes, "splits", lambda: small)


@pytest.fixture
def predictions(data: Path, tmp_path: Path) -> Path:
    """Raw ids of each class in turn, as 'elite predict' writes them."""
    out = tmp_path / "predictions"
    raw = load_taxonomy("nuscenes-lidarseg").to_raw(np.arange(POINTS) % 16 + 1)
    for frame_id in NuScenes(data, cameras=()).ids:
        path = Layout(out).prediction(*frame_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        raw.astype("<u4").tofile(path)
    return out


def member(data: Path, i: int = 0) -> str:
    return f"lidarseg/mini_val/{NuScenes(data, 'mini_val', cameras=()).ids[i].name}_lidarseg.bin"


@pytest.fixture
def make_zip(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """A submission built by hand; ``change`` edits its {name: bytes}."""

    def make(change: Callable[[dict[str, bytes]], object] = lambda files: None) -> Path:
        files = {member(data, i): np.full(POINTS, 16, np.uint8).tobytes() for i in range(4)}
        files[STATEMENT] = json.dumps({"meta": dict.fromkeys(KEYS, False)}).encode()
        change(files)
        with zipfile.ZipFile(tmp_path / "hand.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return tmp_path / "hand.zip"

    return make


def test_write_submission_complete_is_accepted(predictions: Path, data: Path, tmp_path: Path, complete: None) -> None:
    report = write_submission(predictions, data, tmp_path / "full.zip", split="mini_val")
    assert report.accepted
    assert (report.scans, report.points) == (4, 4 * POINTS)
    with zipfile.ZipFile(tmp_path / "full.zip") as archive:
        assert sorted(archive.namelist()) == sorted([*(member(data, i) for i in range(4)), STATEMENT])
        labels = np.frombuffer(archive.read(member(data, 2)), np.uint8)  # not uint32
        np.testing.assert_array_equal(labels, np.arange(POINTS) % 16 + 1)
        meta = json.loads(archive.read(STATEMENT))["meta"]
    assert meta == {key: key == "use_lidar" for key in KEYS}
    write_submission(predictions, data, tmp_path / "again.zip", split="mini_val", inputs=("lidar", "camera"))
    with zipfile.ZipFile(tmp_path / "again.zip") as archive:
        assert json.loads(archive.read(STATEMENT))["meta"]["use_camera"] is True


def test_submission_of_a_student_is_accepted(data: Path, tmp_path: Path, complete: None) -> None:
    """Points at the origin and outside the volume have a class too."""
    torch.manual_seed(0)
    frames, counts = NuScenes(data, cameras=()), np.zeros((17, 17), np.int64)
    student = SPVCNN(channels=4, strides=(1, 2), classes=17, taxonomy=frames.taxonomy, sensor=frames.sensor).eval()
    segmenter = Segmenter(student)
    for i, frame_id in enumerate(frames.ids):
        result, truth = segmenter.segment(frames.scan(i)), frames.labels(i)
        assert truth is not None
        counts += confusion_matrix(result.labels, truth.classes, 17)
        path = Layout(tmp_path / "out").prediction(*frame_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        segmenter.taxonomy.to_raw(result.labels).astype("<u4").tofile(path)
    assert not counts[0].any()
    assert np.isfinite(score(counts, NUSCENES_RULE).miou)
    assert write_submission(tmp_path / "out", data, tmp_path / "x.zip", split="mini_val").accepted


def test_submit_command_writes_and_checks_a_split(
    predictions: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.zip")
    options = ["--split", "mini_val", "--partial"]
    assert main(["submit", str(predictions), str(data), "-o", out, "--inputs", "lidar,camera", *options]) == 0
    with zipfile.ZipFile(out) as archive:
        assert sum(json.loads(archive.read(STATEMENT))["meta"].values()) == 2
    assert main(["submit", str(data), "--check", out, *options]) == 0
    assert (
        "mini_val has 4 of 81 keyframes\nNOT accepted by the server: the split is not complete"
        in capsys.readouterr().out
    )
    assert main(["submit", str(data), "--check", out, "--split", "valid"]) == 2
    assert "expected test, val, train" in capsys.readouterr().err


def test_write_submission_of_an_incomplete_split_is_refused(predictions: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mini_val split: .* mini_val has 4 of 81 keyframes\. .*--partial"):
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val")
    report = write_submission(predictions, data, tmp_path / "x.zip", split="mini_val", partial=True)
    assert not report.accepted


def test_write_submission_without_a_scan_is_refused(
    predictions: Path, data: Path, tmp_path: Path, complete: None
) -> None:
    dataset = NuScenes(data, SCENES[1], cameras=())
    dataset.scan_path(0).unlink()
    with pytest.raises(DataError, match="mini_val has 3 of 4 keyframes"):
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val")
    dataset.scan_path(1).unlink()
    with pytest.raises(DataError, match=rf"1 of 2 scenes have no scan \({SCENES[1]}\) \(and 1 more\)"):
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "expected a prediction for each scan of the mini_val split"),
        (np.full(POINTS - 1, 17), "expected 60 labels.*found 59"),
        (np.full(POINTS, 31), r"expected a class of 1 to 16 for each point, found \[0\]"),  # vehicle.ego is ignored
        (np.full(POINTS, 32), r"raw label ids of nuscenes-lidarseg.*\[32\]"),
    ],
    ids=["missing", "short", "zero", "unknown"],
)
def test_write_submission_of_wrong_predictions_is_refused(
    labels: np.ndarray | None, message: str, predictions: Path, data: Path, tmp_path: Path, complete: None
) -> None:
    path = Layout(predictions).prediction(*NuScenes(data, cameras=()).ids[1])
    path.unlink()
    if labels is not None:
        labels.astype("<u4").tofile(path)
    with pytest.raises(DataError, match=message) as caught:
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "x.zip").exists()


def test_check_submission_of_a_hand_made_zip_is_accepted(make_zip: Callable, data: Path, complete: None) -> None:
    assert check_submission(make_zip(), data, split="mini_val").accepted
    folders = make_zip(lambda files: files.update({"lidarseg/": b"", "lidarseg/mini_val/": b"", "mini_val/": b""}))
    assert check_submission(folders, data, split="mini_val").accepted


@pytest.mark.parametrize("fault", planted_faults("mini_val"))
def test_check_submission_with_a_fault_is_refused(fault: str, make_zip: Callable, data: Path, complete: None) -> None:
    change, message = planted_faults("mini_val")[fault]
    path = make_zip(change)
    with pytest.raises(DataError, match=message) as caught:
        check_submission(path, data, split="mini_val")
    assert str(path) in str(caught.value)


def test_submission_of_unknown_split_or_input_is_refused(predictions: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected test, val, train, mini_val, mini_train \(nuScenes"):
        write_submission(predictions, data, tmp_path / "x.zip", split="valid")
    with pytest.raises(ConfigError, match="expected some of camera, lidar, radar, map, external, found gps"):
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val", inputs=("lidar", "gps"))


def test_submission_to_semantickitti_states_no_inputs(tiny_kitti: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SemanticKITTI do not state them"):
        write_submission(tmp_path, tiny_kitti, tmp_path / "x.zip", inputs=("camera",))
    with pytest.raises(ConfigError, match=r"expected test \(SemanticKITTI"):
        write_submission(tmp_path, tiny_kitti, tmp_path / "x.zip", split="valid")


def test_benchmark_is_chosen_by_the_format(data: Path, tiny_kitti: Path) -> None:
    assert benchmark_of(data).name == "nuScenes-lidarseg"
    assert not benchmark_of(data).rule.accepts_zero
    assert benchmark_of(tiny_kitti).rule.accepts_zero


def test_split_without_data_is_refused(predictions: Path, data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "samples")
    with pytest.raises(DataError, match="expected keyframes with a scan in mini_val"):
        write_submission(predictions, data, tmp_path / "x.zip", split="mini_val")
