"""The benchmark's score: worked by hand, and against a second formulation of the official script."""

import numpy as np
import pytest

from elite.metrics import confusion_matrix, score
from tests.support.oracles import official_score


def test_score_of_three_points_worked_by_hand():
    # Truth car, car, road; predicted car, unlabelled, car.
    confusion = confusion_matrix(np.array([1, 0, 1]), np.array([1, 1, 9]))
    assert confusion[1, 1] == confusion[0, 1] == confusion[1, 9] == 1
    assert confusion.sum() == 3
    result = score(confusion)
    assert result.iou[1] == pytest.approx(1 / 3)  # one hit, one miss, one false alarm
    assert result.iou[9] == 0
    assert result.miou == pytest.approx(1 / 3 / 19)
    assert result.miou_present == pytest.approx(1 / 3 / 2)
    assert result.accuracy == pytest.approx(1 / 2)  # of the two points given a class, one is right
    assert result.present == (1, 9)
    assert result.points == 3


@pytest.mark.parametrize("seed", range(5))
def test_score_equals_the_official_script_exactly(seed):
    rng = np.random.default_rng(seed)
    present = rng.permutation(20)[: rng.integers(3, 21)]  # some classes are absent
    truth = rng.choice(present, 2000)
    prediction = np.where(rng.random(2000) < 0.6, truth, rng.integers(0, 20, 2000))  # 0 among them
    miou, iou, accuracy = official_score(prediction, truth)
    ours = score(confusion_matrix(prediction.astype(np.uint8), truth.astype(np.uint8)))
    assert ours.miou == miou
    assert ours.accuracy == accuracy
    np.testing.assert_array_equal(ours.iou[1:], iou[1:])
    assert ours.points == (truth != 0).sum()
    assert ours.present == tuple(np.unique(truth[truth != 0]))


def test_score_ignores_predictions_on_unlabelled_points():
    truth = np.array([1, 2, 0, 0])
    assert score(confusion_matrix(np.array([1, 2, 5, 1]), truth)).miou == pytest.approx(2 / 19)


def test_score_of_some_perfect_classes_is_one_on_those_only():
    truth = np.array([3, 4, 4, 0])
    result = score(confusion_matrix(truth, truth))
    assert result.miou == pytest.approx(2 / 19)
    assert result.miou_present == pytest.approx(1)
    assert result.accuracy == pytest.approx(1)


def test_score_without_labels_is_zero():
    result = score(confusion_matrix(np.array([4, 5]), np.array([0, 0])))
    assert (result.miou, result.miou_present, result.accuracy, result.points) == (0, 0, 0, 0)
    assert result.present == ()


def test_confusion_matrix_of_parts_adds_up():
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 20, (2, 500))
    halves = confusion_matrix(prediction[:200], truth[:200]) + confusion_matrix(prediction[200:], truth[200:])
    np.testing.assert_array_equal(halves, confusion_matrix(prediction, truth))
    assert confusion_matrix(np.array([], np.int64), np.array([], np.int64)).sum() == 0
