"""Losses against their definitions."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elite import native
from elite.config import TrainConfig
from elite.losses import class_weights, cross_entropy, lovasz_softmax
from elite.losses.lovasz import _jaccard_steps
from elite.native.tensors import call
from elite.taxonomy import ClassSpec, Taxonomy
from elite.training.build import loss_weights
from tests.support.oracles import lovasz_by_loop
from tests.support.semantickitti import KITTI


def test_lovasz_equals_its_definition() -> None:
    logits, labels = torch.randn(60, 6, dtype=torch.float64), torch.randint(0, 5, (60,))
    assert lovasz_softmax(logits, labels).item() == pytest.approx(lovasz_by_loop(logits, labels), abs=1e-12)


def test_lovasz_of_hard_predictions_is_one_minus_iou() -> None:
    labels = torch.tensor([1, 1, 1, 2, 2, 3])
    answers = torch.tensor([1, 1, 2, 2, 2, 1])
    logits = F.one_hot(answers, 4).double() * 200
    iou = np.mean([2 / 4, 2 / 3, 0])
    assert lovasz_softmax(logits, labels).item() == pytest.approx(1 - iou, abs=1e-6)


ERRORS = {
    "plain": lambda shape: torch.rand(shape),
    "ties": lambda shape: (torch.rand(shape) * 4).round() / 4,
    "tiny": lambda shape: torch.rand(shape) * 1e-42,
    "zero": lambda shape: torch.zeros(shape),
    "infinite": lambda shape: torch.where(torch.rand(shape) < 0.3, torch.inf, torch.rand(shape)),
    "no numbers": lambda shape: torch.where(torch.rand(shape) < 0.3, torch.nan, torch.rand(shape)),
    "transposed": lambda shape: torch.rand(shape[::-1]).T,
}


@pytest.mark.parametrize("rows", [1, 257, 20_000])
@pytest.mark.parametrize("kind", ERRORS)
def test_jaccard_steps_native_equal_torch_bit_for_bit(rows: int, kind: str, monkeypatch) -> None:
    if native.library() is None:
        pytest.skip(native.describe())
    errors = ERRORS[kind]((3, rows))
    truth = (torch.randint(0, 3, (rows,)) == torch.arange(3)[:, None]).float()
    called = Mock(wraps=call)
    monkeypatch.setattr("elite.losses.lovasz.call", called)
    steps = _jaccard_steps(errors, truth)
    assert called.call_count == 1
    monkeypatch.setattr("elite.losses.lovasz.library", lambda: None)
    expected = _jaccard_steps(errors.contiguous(), truth)
    assert called.call_count == 1
    assert torch.equal(steps.view(torch.int32), expected.view(torch.int32))


@pytest.mark.slow  # a gigabyte
def test_jaccard_steps_of_too_many_rows_fall_back_to_torch() -> None:
    if native.library() is None:
        pytest.skip(native.describe())
    errors, truth = torch.rand(1, 2**24 + 8), torch.ones(1, 2**24 + 8)
    assert not call("elite_lovasz_steps", errors, truth, *truth.shape, torch.empty_like(truth))
    assert _jaccard_steps(errors, truth).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("loss", [lovasz_softmax, cross_entropy])
def test_loss_without_labels_is_zero_with_a_gradient(loss) -> None:
    logits = torch.randn(5, 4, requires_grad=True)
    value = loss(logits, torch.zeros(5, dtype=torch.int64))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_cross_entropy_equals_the_weighted_mean_of_labelled_rows() -> None:
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 1, 0, 2, 2])
    weights = torch.tensor([0.0, 2.0, 5.0])
    rows = [(weights[y], -torch.log_softmax(x, 0)[y]) for x, y in zip(logits, labels, strict=True) if y]
    expected = sum(w * nll for w, nll in rows) / sum(w for w, _ in rows)
    torch.testing.assert_close(cross_entropy(logits, labels, weights), expected)


def test_loss_weights_of_a_taxonomy_without_counts_follow_from_the_training_frames() -> None:
    own = Taxonomy("own", (ClassSpec("void", (0,)), ClassSpec("road", (1,)), ClassSpec("car", (2,))))
    data: Any = SimpleNamespace(frames=SimpleNamespace(taxonomy=own), point_counts=lambda: [8, 1])
    torch.testing.assert_close(loss_weights(TrainConfig(), data), class_weights((8, 1)))
    data.frames.taxonomy = KITTI
    assert KITTI.point_counts is not None
    torch.testing.assert_close(loss_weights(TrainConfig(), data), class_weights(KITTI.point_counts))


def test_class_weights_of_known_counts_are_published_ones() -> None:
    weights = class_weights((8, 1, 0))
    assert weights.tolist() == pytest.approx([0, 1, 2, 1])
    assert KITTI.point_counts is not None
    published = class_weights(KITTI.point_counts)
    assert published[15] == 1  # vegetation, the most frequent
    assert published[8].item() == pytest.approx((476491114 / 78858) ** (1 / 3), rel=1e-6)
