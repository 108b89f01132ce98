"""The benchmarks' scores: worked by hand, and against a second formulation of the official scripts."""

import json

import numpy as np
import pytest

from elite.datasets import NuScenes, SemanticKITTI
from elite.errors import DataError
from elite.metrics import NUSCENES_RULE, SEMANTICKITTI_RULE, Score, confusion_matrix, score
from elite.submission import BENCHMARKS
from tests.support.oracles import official_nuscenes_score, official_score


def test_score_of_three_points_worked_by_hand():
    # Truth car, car, road; predicted car, unlabelled, car.
    confusion = confusion_matrix(np.array([1, 0, 1]), np.array([1, 1, 9]), 20)
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
    ours = score(confusion_matrix(prediction.astype(np.uint8), truth.astype(np.uint8), 20))
    assert ours.miou == miou
    assert ours.accuracy == accuracy
    np.testing.assert_array_equal(ours.iou[1:], iou[1:])
    assert ours.points == (truth != 0).sum()
    assert ours.present == tuple(np.unique(truth[truth != 0]))


def test_score_ignores_predictions_on_unlabelled_points():
    truth = np.array([1, 2, 0, 0])
    assert score(confusion_matrix(np.array([1, 2, 5, 1]), truth, 20)).miou == pytest.approx(2 / 19)


def test_score_of_some_perfect_classes_is_one_on_those_only():
    truth = np.array([3, 4, 4, 0])
    result = score(confusion_matrix(truth, truth, 20))
    assert result.miou == pytest.approx(2 / 19)
    assert result.miou_present == pytest.approx(1)
    assert result.accuracy == pytest.approx(1)


def test_score_without_labels_is_zero():
    result = score(confusion_matrix(np.array([4, 5]), np.array([0, 0]), 20))
    assert (result.miou, result.miou_present, result.accuracy, result.points) == (0, 0, 0, 0)
    assert result.present == ()


def test_confusion_matrix_of_parts_adds_up():
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 20, (2, 500))
    halves = confusion_matrix(prediction[:200], truth[:200], 20) + confusion_matrix(prediction[200:], truth[200:], 20)
    np.testing.assert_array_equal(halves, confusion_matrix(prediction, truth, 20))
    assert confusion_matrix(np.array([], np.int64), np.array([], np.int64), 20).sum() == 0


# ---- nuScenes ---------------------------------------------------------------------------------------------------


def _nuscenes(prediction, truth) -> Score:
    return score(confusion_matrix(np.array(prediction), np.array(truth), 17), NUSCENES_RULE)


def test_nuscenes_score_of_four_points_worked_by_hand():
    # Truth car, car, bus, ignored; predicted car, truck, bus, trailer. The last one is not scored.
    result = _nuscenes([4, 10, 3, 9], [4, 4, 3, 0])
    assert result.iou[4] == pytest.approx(1 / 2)
    assert result.iou[3] == 1
    assert result.iou[10] == 0  # absent but predicted: it counts
    assert np.isnan(result.iou[9])  # predicted for an ignored point only: it drops out
    assert np.isnan(result.iou[0])
    assert result.miou == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert result.fw_iou == pytest.approx((2 * 1 / 2 + 1 * 1) / 3)
    assert result.present == (3, 4)
    assert result.points == 3


@pytest.mark.parametrize("seed", range(5))
def test_nuscenes_score_equals_a_second_formulation(seed):
    rng = np.random.default_rng(seed)
    present = rng.permutation(17)[: rng.integers(2, 17)]  # some classes are absent
    truth = rng.choice(present, 2000)
    prediction = np.where((rng.random(2000) < 0.6) & (truth > 0), truth, rng.choice(present[present > 0], 2000))
    miou, iou, fw_iou = official_nuscenes_score(prediction, truth)
    ours = _nuscenes(prediction, truth)
    assert ours.miou == pytest.approx(miou, abs=1e-12)
    assert ours.fw_iou == pytest.approx(fw_iou, abs=1e-12)
    np.testing.assert_allclose(ours.iou, iou, atol=1e-12)


def test_rules_are_those_of_the_data_sets():
    assert (SemanticKITTI.rule, NuScenes.rule) == (SEMANTICKITTI_RULE, NUSCENES_RULE)
    assert [benchmark.rule for benchmark in BENCHMARKS.values()] == [SEMANTICKITTI_RULE, NUSCENES_RULE]


def test_nuscenes_score_refuses_predictions_of_zero():
    for truth in (4, 0):  # even where the point is ignored
        with pytest.raises(DataError, match=r"nuScenes-lidarseg: expected a class for each point, .* for 1 points"):
            _nuscenes([4, 0], [4, truth])


def test_nuscenes_score_as_plain_values_has_no_nan():
    plain = _nuscenes([4, 3], [4, 4]).to_dict()
    assert plain["iou"][5] is None
    assert plain["iou"][4] == 0.5
    assert list(plain)[:3] == ["miou", "miou_present", "fw_iou"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert "fw_iou" not in score(confusion_matrix(np.array([1]), np.array([1]), 20)).to_dict()


def test_nuscenes_score_without_labels_is_zero():
    result = _nuscenes([4, 5], [0, 0])
    assert (result.miou, result.miou_present, result.fw_iou, result.points) == (0, 0, 0, 0)
