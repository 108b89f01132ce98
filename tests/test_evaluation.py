"""Scores of saved predictions."""

from pathlib import Path

import numpy as np
import pytest

from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.evaluation import BANDS, CONFIDENCE_BINS, Prediction, ScoreCounts, evaluate, saved_predictions
from tests.support.oracles import official_score
from tests.support.semantickitti import KITTI


def save_predictions(dataset: SemanticKITTI, out: Path, predict) -> None:
    """``predict(frame)`` gives raw ids."""
    for frame in dataset:
        path = out / "sequences" / frame.sequence / "predictions" / f"{frame.name}.label"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.asarray(predict(frame), "<u4").tofile(path)


def often_right(frame) -> np.ndarray:
    rng = np.random.default_rng(int(frame.name))
    guess = rng.integers(0, 20, len(frame.scan), dtype=np.uint8)
    return KITTI.to_raw(np.where(rng.random(len(guess)) < 0.5, frame.labels, guess))


@pytest.fixture
def labelled(tiny_kitti):
    return SemanticKITTI(tiny_kitti, "00,08", cameras=())


def test_evaluate_saved_predictions_score_by_the_official_rule(labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", often_right)
    report = evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))

    read = saved_predictions(tmp_path / "out", KITTI)
    prediction = np.concatenate([read(frame).labels for frame in labelled])
    truth = np.concatenate([frame.labels for frame in labelled])
    distance = np.concatenate([np.linalg.norm(frame.scan.points, axis=1) for frame in labelled])
    miou, iou, accuracy = official_score(prediction, truth)
    assert (report["miou"], report["accuracy"]) == (miou, accuracy)
    assert report["iou"][1:] == iou[1:].tolist()
    assert len(report["by_distance"]) == 5
    for k, band in enumerate(report["by_distance"]):
        near, far = (1e-8, 10, 20, 30, 40, 50)[k : k + 2]
        within = (distance > near) & (distance < far)
        band_miou, _, band_accuracy = official_score(prediction[within], truth[within])
        assert (band["miou"], band["accuracy"]) == (band_miou, band_accuracy)
        assert (band["from"], band["to"], band["points"]) == (near, far, (truth[within] != 0).sum())
    assert report["points"] == (truth != 0).sum()
    assert (report["frames"], report["unlabelled"], report["classes"]) == (3, [], list(KITTI.names))
    assert np.array(report["confusion"])[7, 3] == ((prediction == 7) & (truth == 3)).sum()


def test_evaluate_distance_bands_exclude_both_ends():
    x = np.array([0, 1e-9, 1e-3, 9.999, 10, 10.001, 20, 25, 30, 40, 49.999, 50, 60], np.float32)
    points = np.stack([np.zeros_like(x), x, np.zeros_like(x)], axis=1)
    ones = np.ones(len(x), np.uint8)
    tally = ScoreCounts(KITTI)
    tally.add(Prediction(ones), ones, points)
    assert [band["points"] for band in tally.report()["by_distance"]] == [2, 1, 1, 0, 1]
    assert tally.report()["points"] == len(x)


def test_evaluate_distance_is_three_dimensional():
    ones = np.ones(1, np.uint8)
    tally = ScoreCounts(KITTI)
    tally.add(Prediction(ones), ones, np.array([[6.0, 6.0, 6.0]], np.float32))  # 8.5 m on the ground, 10.4 m in space
    assert [band["points"] for band in tally.report()["by_distance"]] == [0, 1, 0, 0, 0]
    assert len(BANDS) == 5


def test_evaluate_moving_classes_map_to_static_ones(labelled, tmp_path):
    moving = {10: 252, 30: 254, 31: 253, 32: 255, 18: 258, 20: 259}
    fold = np.vectorize(lambda raw: moving.get(int(raw), int(raw)))
    save_predictions(labelled, tmp_path / "out", lambda frame: fold(KITTI.to_raw(frame.labels)) | (5 << 16))
    report = evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))
    assert report["miou"] == pytest.approx(1)
    assert report["accuracy"] == pytest.approx(1)


def test_evaluate_missing_prediction_is_refused(labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", often_right)
    lost = tmp_path / "out" / "sequences" / "00" / "predictions" / "000001.label"
    lost.unlink()
    with pytest.raises(DataError, match=str(lost)):
        evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))


def test_evaluate_prediction_of_another_format_is_named(labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", often_right)
    lost = tmp_path / "out" / "sequences" / "00" / "predictions" / "000001.label"
    lost.rename(lost.with_suffix(".pcd"))
    with pytest.raises(DataError, match=r"found 000001\.pcd\. Predict without --as\."):
        evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: np.append(raw, 10), lambda raw: raw * 0 + 7])
def test_evaluate_prediction_of_wrong_length_or_ids_is_refused(change, labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", lambda frame: change(often_right(frame)))
    with pytest.raises(DataError, match=r"000000\.label"):
        evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))


def test_evaluate_missing_predictions_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="sequences"):
        saved_predictions(tmp_path, KITTI)


def test_evaluate_scans_without_labels_are_listed_and_skipped(tiny_kitti, tmp_path):
    (tiny_kitti / "sequences" / "00" / "labels" / "000001.label").unlink()
    dataset = SemanticKITTI(tiny_kitti, "00,11", cameras=())
    report = evaluate(dataset, lambda frame: Prediction(frame.labels))
    assert report["frames"] == 1
    assert report["unlabelled"] == ["00/000001", "11/000000"]
    assert report["points"] == (dataset[0].labels != 0).sum()


def test_evaluate_selection_without_labels_is_refused(tiny_kitti):
    with pytest.raises(DataError, match="expected scans with a file in"):
        evaluate(SemanticKITTI(tiny_kitti, "test", cameras=()), lambda frame: Prediction(frame.labels))


def test_evaluate_progress_counts_every_labelled_frame(labelled):
    seen = []

    def watch(frames):
        for i in frames:
            seen.append(i)
            yield i

    evaluate(labelled, lambda frame: Prediction(frame.labels), watch)
    assert seen == [0, 1, 2]


def test_calibration_error_worked_by_hand():
    truth = np.array([1, 1, 1, 1, 2, 0], np.uint8)  # the last one is not scored
    prediction = Prediction(np.array([1, 1, 1, 3, 3, 3], np.uint8), np.array([1, 0.9, 0.9, 0.9, 0.3, 0.3], np.float32))
    tally = ScoreCounts(KITTI)
    tally.add(prediction, truth, np.zeros((6, 3), np.float32))
    found = tally.report()["calibration"]
    # 0.3 in its bin, all wrong; three of 0.9 in theirs, two right; 1 in the last, right
    assert found["ece"] == pytest.approx((0.3 + 3 * abs(0.9 - 2 / 3) + 0) / 5, abs=1e-6)
    bins = {i: row for i, row in enumerate(found["bins"]) if row["points"]}
    assert {i: row["points"] for i, row in bins.items()} == {4: 1, 13: 3, 14: 1}
    assert bins[13]["accuracy"] == pytest.approx(2 / 3)
    assert len(found["bins"]) == CONFIDENCE_BINS


def test_evaluate_saved_confidences_are_used_where_present(labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", often_right)
    assert evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))["calibration"] is None
    frame = labelled[0]
    path = tmp_path / "out" / "sequences" / "00" / "predictions" / "000000.confidence"
    np.full(len(frame.scan), 0.5, "<f4").tofile(path)
    report = evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))
    assert sum(row["points"] for row in report["calibration"]["bins"]) == (frame.labels != 0).sum()
    np.full(len(frame.scan), 1.5, "<f4").tofile(path)
    with pytest.raises(DataError, match=r"000000\.confidence: expected a share"):
        evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))


def test_evaluate_returns_a_score_per_frame(labelled, tmp_path):
    save_predictions(labelled, tmp_path / "out", often_right)
    report = evaluate(labelled, saved_predictions(tmp_path / "out", KITTI))
    assert [row["frame"] for row in report["by_frame"]] == ["00/000000", "00/000001", "08/000000"]
    frame = labelled[1]
    read = saved_predictions(tmp_path / "out", KITTI)
    _, _, accuracy = official_score(read(frame).labels, frame.labels)
    assert report["by_frame"][1]["accuracy"] == accuracy
