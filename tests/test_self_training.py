"""Self-training: accepted predictions, rotated views, participating scans."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from elite.batches import Batch
from elite.config import DataConfig, OptimConfig, SelfTrainingConfig
from elite.data.datamodule import DataModule
from elite.errors import ConfigError
from elite.training import train
from elite.training.module import TrainingModule
from elite.training.self_training import rotate_scans, rotated_probabilities, select_pseudo_labels
from tests.support.runs import student_run

INDEX = torch.tensor([0, 0, 0, 1, 1])


def batch_of(points: torch.Tensor, labels: list[int]) -> Batch:
    return Batch(("00/000000", "00/000001"), points, torch.rand(len(points)), INDEX, torch.tensor(labels))


def test_self_training_fills_missing_labels_by_confident_predictions_only() -> None:
    answers = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.05, 0.9, 0.05], [0.2, 0.2, 0.6]])
    given = torch.tensor([0, 0, 1, 0])
    assert select_pseudo_labels(answers, given, 0.7).tolist() == [0, 3, 0, 0]
    assert select_pseudo_labels(answers, given, 0.0).tolist() == [1, 3, 0, 3]


def test_self_training_rotates_each_scan_about_z() -> None:
    torch.manual_seed(0)
    points = torch.randn(5, 3)
    angles = []
    for _ in range(2):
        after = rotate_scans(points, INDEX, 2)
        assert torch.equal(after[:, 2], points[:, 2])
        start, end = (torch.complex(p[:, 0], p[:, 1]) for p in (points, after))
        torch.testing.assert_close(start.abs(), end.abs())
        angle = (end / start).angle()
        torch.testing.assert_close(angle[:3], angle[:1].expand(3))
        torch.testing.assert_close(angle[3:], angle[3:4].expand(2))
        angles += [float(angle[0]), float(angle[3])]
    assert len({round(angle, 3) for angle in angles}) == 4


def test_self_training_predictions_are_the_mean_softmax_of_views() -> None:
    points, seen = torch.randn(5, 3), []

    def student(points: torch.Tensor, remission: torch.Tensor, index: torch.Tensor, age: None) -> Any:
        seen.append(points)
        return SimpleNamespace(logits=torch.cat([torch.full((5, 1), 9.0), points * 2], dim=1))

    answers = rotated_probabilities(student, batch_of(points, [0] * 5), 3)  # type: ignore[arg-type]
    expected = sum(np.exp(2 * p.numpy()) / np.exp(2 * p.numpy()).sum(1, keepdims=True) for p in seen) / 3
    np.testing.assert_allclose(answers.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("length", "batch", "broken"), [("steps", 2, 0), ("steps", 2, 1), ("epochs", 3, 0)])
def test_self_training_uses_unlabelled_scans_from_the_start(
    tiny_kitti: Path, tmp_path: Path, monkeypatch, length: str, batch: int, broken: int
) -> None:
    """Without any image: the second of the two scans shows no label. Skipped steps count as well, and so
    do epochs that are shorter than a step.
    """
    data = DataConfig(root=tiny_kitti, sequences="00", batch_size=batch, workers=0, label_fraction=0.5)
    own, optim = SelfTrainingConfig(weight=2.0, confidence=0.0, start=0.5), OptimConfig(lr=0.05, average=0.5)
    whole = {"steps": None, "epochs": 4} | {length: 4}
    settings = student_run(tiny_kitti, tmp_path, data=data, self_training=own, optim=optim, **whole)
    train_set = DataModule(settings).train_set
    assert (train_set.budget.labelled, train_set.budget.unlabelled) == ([0], [1])
    terms, scans, losses = [], [], TrainingModule.losses

    def record(self: TrainingModule, output: Any, batch: Batch) -> dict[str, torch.Tensor]:
        scans.append(sorted(batch.ids))
        terms.append(losses(self, output, batch))
        return {name: term * (math.nan if len(terms) <= broken else 1) for name, term in terms[-1].items()}

    monkeypatch.setattr(TrainingModule, "losses", record)
    train(settings, progress=False)
    assert [sorted(step) for step in terms[:2]] == [["cross_entropy", "lovasz"]] * 2
    assert [float(step["self_training/cross_entropy"].detach()) > 0 for step in terms[2:]] == [True, True]
    assert scans == [["00/000000"] * 2] * 2 + [["00/000000", "00/000001"]] * 2  # till then, hidden scans teach nothing


def test_self_training_without_moving_average_is_refused(tiny_kitti: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optim\.average"):
        student_run(tiny_kitti, tmp_path, self_training=SelfTrainingConfig(weight=1.0))
