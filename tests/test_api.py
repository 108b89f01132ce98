"""The commands in Python."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

import elite
from elite.datasets.input_guard import DoubtfulInput
from elite.errors import ConfigError, DataError
from elite.sensor import SensorSpec
from elite.student import SPVCNN, save_student
from tests.support.scans import random_scan

ROWS = random_scan(np.random.default_rng(0), 24)
ORGANISED = ROWS.reshape(4, 6, 4).copy()
ORGANISED[1, 2], ORGANISED[3, 0, 1] = 0, np.nan


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> elite.Segmenter:
    path = tmp_path_factory.mktemp("model") / "student.safetensors"
    save_student(SPVCNN(channels=8, cells=(100, 100, 12)), path)
    return elite.load(path, "cpu")


@pytest.mark.parametrize("kind", ["rows", "double", "tensor", "structured", "organised"])
def test_read_arrays_of_every_kind_gives_the_same_scan(kind: str) -> None:
    fields = np.zeros(24, [("intensity", "f4"), ("z", "f8"), ("y", "f4"), ("x", "f4")])
    for i, name in enumerate(("x", "y", "z", "intensity")):
        fields[name] = ROWS[:, i]
    arrays = {
        "rows": ROWS,
        "double": ROWS.astype(np.float64),
        "tensor": torch.from_numpy(ROWS),
        "structured": fields,
        "organised": ROWS.reshape(4, 6, 4),
    }
    scan = elite.read(arrays[kind])
    np.testing.assert_array_equal(scan.points, ROWS[:, :3])
    np.testing.assert_array_equal(scan.remission, ROWS[:, 3])


def test_read_converts_axes_and_intensity_of_the_sensor(tmp_path: Path) -> None:
    sensor = SensorSpec("own", axes=("y", "-x", "z"), remission_max=2)
    scan = elite.read(ROWS, sensor)
    np.testing.assert_array_equal(scan.points, np.stack([ROWS[:, 1], -ROWS[:, 0], ROWS[:, 2]], 1))
    np.testing.assert_array_equal(scan.remission, ROWS[:, 3] / 2)
    np.save(tmp_path / "scan.npy", ROWS)
    np.testing.assert_array_equal(elite.read(tmp_path / "scan.npy", sensor).points, scan.points)
    np.testing.assert_array_equal(elite.read(ROWS, "hdl-64e").points, ROWS[:, :3])


def test_read_masked_points_are_absent() -> None:
    masked = np.ma.masked_array(ROWS, np.zeros_like(ROWS, bool))
    masked[3] = np.ma.masked
    scan = elite.read(masked)
    assert repr(scan) == "<Scan of 23 points of 24 in the file>"
    np.testing.assert_array_equal(scan.points, np.delete(ROWS[:, :3], 3, axis=0))


def test_read_reports_integer_intensities_without_their_largest_value() -> None:
    points = np.zeros(len(ROWS), [("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "u1")])
    points["x"], points["intensity"] = ROWS[:, 0], 10 * np.arange(len(ROWS))
    with pytest.warns(DoubtfulInput, match=r"scan: expected remission in 0\.\.1, found 0 to 230\. Divide it by 255"):
        elite.read(points)
    elite.read(points, SensorSpec("roof", remission_max=255))  # a warning would be an error


def test_read_array_with_the_intensity_field_of_other_files(tmp_path: Path) -> None:
    """Columns without names are those of the sensor, whatever its files call the remission."""
    sensor = SensorSpec("roof", intensity_field="reflectivity", remission_max=2.0)
    np.save(tmp_path / "scan.npy", ROWS)
    for points in (ROWS, tmp_path / "scan.npy"):
        np.testing.assert_array_equal(elite.read(points, sensor).remission, ROWS[:, 3] / 2)


def test_read_rows_of_other_lengths_is_a_data_error() -> None:
    with pytest.raises(DataError, match="points: expected an array, found setting an array element"):
        elite.read([[1, 2, 3, 4], [1, 2]])


def test_model_of_an_organised_cloud_answers_in_its_order_and_length(model: elite.Segmenter) -> None:
    result = model(elite.read(ORGANISED))
    missing = np.zeros(24, bool)
    missing[[8, 18]] = True
    kept = ORGANISED.reshape(-1, 4)[~missing]
    expected = model(kept[:, :3], kept[:, 3])
    assert len(result) == 24
    np.testing.assert_array_equal(result.labels[~missing], expected.labels)
    assert not result.labels[missing].any()
    assert not result.confidence[missing].any()


def test_result_probabilities_contain_label_and_confidence(model: elite.Segmenter) -> None:
    result = model(elite.read(ORGANISED))
    every, answered = result.probabilities(), result.labels > 0
    assert every.shape == (24, 20)
    np.testing.assert_array_equal(every.argmax(axis=1), result.labels)
    np.testing.assert_array_equal(every.max(axis=1), result.confidence)
    np.testing.assert_allclose(every.sum(axis=1), answered, atol=1e-5)


def test_result_text_is_short(model: elite.Segmenter) -> None:
    text = repr(model(elite.read(ROWS)))
    assert text.startswith("<SegmentationResult of 24 points: ")
    assert len(text) < 120


@pytest.mark.parametrize("arguments", [(ROWS[:, :3],), (elite.read(ROWS), ROWS[:, 3])])
def test_model_of_points_without_remission_or_a_scan_with_it_is_refused(model: elite.Segmenter, arguments) -> None:
    with pytest.raises(DataError, match="remission"):
        model(*arguments)


def test_train_logs_and_calls_back_instead_of_printing(tiny_kitti: Path, tmp_path: Path, caplog, capsys) -> None:
    pytest.importorskip("lightning")
    steps: list[tuple[int, int, bool]] = []
    with caplog.at_level(logging.INFO, "elite"):
        result = elite.train(
            tiny_kitti,
            tmp_path / "run",
            "semantickitti-student",
            settings={"steps": 2, "data.batch_size": 1, "data.workers": 0, "student.channels": 4, "val_every": 2},
            on_step=lambda done, total, metrics: steps.append((done, total, metrics["train/loss"] > 0)),
        )
    assert result.last.exists()
    assert steps == [(1, 2, True), (2, 2, True)]
    assert any("parameters" in message for message in caplog.messages)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ConfigError, match="stepz"):
        elite.train(tiny_kitti, tmp_path / "other", settings={"stepz": 2})
