"""Training samples: augmentation, sampler, label budget, collation."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from elite.config import AugmentConfig, DataConfig, StudentConfig, TrainConfig
from elite.data.augment import keep_points, rotation_z, transform_points
from elite.data.collate import collate
from elite.data.datamodule import DataModule
from elite.data.dataset import ScoringSet, TrainingSet
from elite.data.label_budget import evenly_spaced
from elite.data.sampler import EpochSampler, SampleKey
from elite.datasets import SemanticKITTI
from elite.errors import DataError
from tests.support.scans import RAW_IDS, random_scan, write_frame

VOLUME = StudentConfig().volume


def training_set(root: Path, seed: int = 0, **augment) -> TrainingSet:
    return TrainingSet(SemanticKITTI(root, "00", cameras=()), VOLUME, AugmentConfig(**augment), seed)


def test_training_set_same_key_repeats_and_other_epoch_differs(tiny_kitti: Path) -> None:
    data, again = training_set(tiny_kitti), training_set(tiny_kitti)
    np.testing.assert_array_equal(data[(3, 1)].points, again[(3, 1)].points)
    assert data[(3, 1)].points.shape != data[(4, 1)].points.shape or (data[(3, 1)].points != data[(4, 1)].points).any()
    assert (data[(3, 1)].points[:50] != training_set(tiny_kitti, seed=1)[(3, 1)].points[:50]).any()


def test_training_set_without_augmentation_gives_the_cropped_scan(tiny_kitti: Path) -> None:
    data = training_set(tiny_kitti, enabled=False)
    frame, sample = data.frames[0], data[(0, 0)]
    inside = [i for i, p in enumerate(frame.scan.points) if np.all(p > VOLUME[0]) and np.all(p < VOLUME[1])]
    assert 0 < len(inside) < len(frame.scan)
    assert frame.labels is not None
    np.testing.assert_array_equal(sample.points, frame.scan.points[inside])
    np.testing.assert_array_equal(sample.labels, frame.labels[inside])


def test_augmentation_keeps_labels_with_their_points(tiny_kitti: Path) -> None:
    """z and remission change by one offset only, so every point can be found again."""
    data = training_set(tiny_kitti, shift=0.0)
    frame, sample = data.frames[0], data[(0, 0)]
    assert frame.labels is not None
    original = {
        (z, r): label for (_, _, z), r, label in zip(frame.scan.points, frame.scan.remission, frame.labels, strict=True)
    }
    assert [
        original[(z, r)] for (_, _, z), r in zip(sample.points, sample.remission, strict=True)
    ] == sample.labels.tolist()


def test_augmentation_removes_dropped_points() -> None:
    rng = np.random.default_rng(0)
    kept = [keep_points(1000, 0.2, rng).mean() for _ in range(200)]
    assert 0.75 < min(kept) < 0.85
    assert max(kept) > 0.97
    assert keep_points(1, 0.99, rng).all()


def test_transforms_worked_by_hand() -> None:
    point = np.array([[1, 0, 5]], np.float32)
    np.testing.assert_allclose(point @ rotation_z(np.pi / 2), [[0, 1, 5]], atol=1e-6)
    still = AugmentConfig(rotate=0, flip=False, scale=(2, 2), shift=0)
    np.testing.assert_allclose(transform_points(point, still, np.random.default_rng(0)), [[2, 0, 5]])


def test_augmentation_draws_rotation_flip_scale_and_shift() -> None:
    """The distances to the axis change by the scale only; all four flips and the whole circle occur."""
    rng, config = np.random.default_rng(0), AugmentConfig(shift=0)
    out = np.concatenate([transform_points(np.array([[3, 4, 1]], np.float32), config, rng) for _ in range(400)])
    radius = np.hypot(out[:, 0], out[:, 1]) / 5
    assert radius.min() == pytest.approx(0.95, abs=0.01)
    assert radius.max() == pytest.approx(1.05, abs=0.01)
    assert (np.histogram(np.arctan2(out[:, 1], out[:, 0]), 8)[0] > 20).all()
    assert (out[:, 2] == 1).all()


def test_scoring_set_covers_every_point_of_every_scan(tiny_kitti: Path) -> None:
    data = ScoringSet(SemanticKITTI(tiny_kitti, "00", cameras=()), VOLUME)
    samples = [data[0], data[1]]
    batch = collate(samples)
    assert batch.point_to_row is not None
    whole = np.concatenate([data.frames[i].scan.points for i in range(2)])
    inside = np.all((whole > VOLUME[0]) & (whole < VOLUME[1]), axis=1)
    np.testing.assert_array_equal(batch.points[batch.point_to_row[inside]], whole[inside])
    scan = np.repeat([0, 1], [len(data.frames[i].scan) for i in range(2)])
    np.testing.assert_array_equal(batch.batch_index[batch.point_to_row], scan)


def test_collate_concatenates_samples(tiny_kitti: Path) -> None:
    data = training_set(tiny_kitti)
    samples = [data[(0, 0)], data[(0, 1)]]
    batch = collate(samples)
    assert batch.size == 2
    assert batch.point_to_row is None
    for i, sample in enumerate(samples):
        torch.testing.assert_close(batch.points[batch.batch_index == i], torch.from_numpy(sample.points))
    assert batch.to("cpu").labels.equal(batch.labels)


def test_sampler_visits_each_scan_once_in_an_order_per_epoch() -> None:
    sampler = EpochSampler(50, seed=1)
    first = list(sampler)
    assert sorted(key.index for key in first) == list(range(50))
    assert first == list(EpochSampler(50, seed=1))
    sampler.set_epoch(1)
    assert [key.index for key in sampler] != [key.index for key in first]
    assert {key.epoch for key in sampler} == {1}


def test_training_set_scan_outside_the_volume_is_named(tmp_path: Path) -> None:
    write_frame(tmp_path, "00", "000004", np.full((3, 4), 99, np.float32), np.full(3, 40))
    with pytest.raises(DataError, match=r"00/000004: expected a point in the volume.*student\.volume"):
        training_set(tmp_path)[(0, 0)]


def test_training_set_without_labels_is_refused(tiny_kitti: Path) -> None:
    expected = rf"\(files: {tiny_kitti}/sequences/\*/labels/\*\.label\), found none; training needs labels"
    with pytest.raises(DataError, match=expected):
        TrainingSet(SemanticKITTI(tiny_kitti, "11", cameras=()), VOLUME, AugmentConfig(), 0)


def few_labels(root: Path, fraction: float, unit: Literal["scans", "points"], augment: bool = True) -> TrainingSet:
    frames = SemanticKITTI(root, "00", cameras=())
    return TrainingSet(frames, VOLUME, AugmentConfig(enabled=augment), 0, label_fraction=fraction, label_unit=unit)


@pytest.fixture
def ten_scans(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for i in range(10):
        write_frame(tmp_path, "00", f"{i:06d}", random_scan(rng, 400), rng.choice(RAW_IDS, 400))
    return tmp_path


def test_evenly_spaced_takes_every_kth_and_the_requested_share() -> None:
    for k in range(1, 120):
        assert evenly_spaced(500, 1 / k).tolist() == list(range(0, 500, k))
    for fraction in (0.3, 0.7, 0.95, 0.015):
        chosen = evenly_spaced(1000, fraction)
        assert len(chosen) == pytest.approx(1000 * fraction, abs=1)
        assert np.ptp(np.diff(chosen)) <= 1
    assert evenly_spaced(3, 0.001).tolist() == evenly_spaced(3, 1e-12).tolist() == [0]


def test_label_fraction_of_scans_takes_evenly_spaced_scans(ten_scans: Path) -> None:
    data = few_labels(ten_scans, 0.3, "scans")
    assert [data[(0, i)].id for i in range(len(data))] == ["00/000000", "00/000004", "00/000007"]


def test_sampler_labelled_only_repeats_scans_to_full_length(ten_scans: Path) -> None:
    frames = SemanticKITTI(ten_scans, "00", cameras=())
    data = TrainingSet(frames, VOLUME, AugmentConfig(), 0, label_fraction=0.2, repeat_labelled=True)
    assert data.entries.tolist() == [0, 5] * 5
    assert not np.array_equal(data[(0, 0)].points, data[(0, 2)].points)  # each repeat is augmented on its own
    hidden = TrainingSet(frames, VOLUME, AugmentConfig(), 0, label_fraction=0.4, unlabelled="all", repeat_labelled=True)
    assert hidden.entries.tolist() == [0, 3, 5, 8, 1, 2, 4, 6, 7, 9]


def test_label_fraction_of_points_is_the_same_in_every_epoch(ten_scans: Path) -> None:
    few, everything = (few_labels(ten_scans, f, "points", augment=False) for f in (0.1, 1.0))
    share = []
    for i in range(10):
        first, later, truth = few[(0, i)].labels, few[(9, i)].labels, everything[(0, i)].labels
        np.testing.assert_array_equal(first, later)
        assert set(first[first != truth]) == {0}
        share.append((first > 0).sum() / (truth > 0).sum())
    assert np.mean(share) == pytest.approx(0.1, abs=0.02)
    assert len(set(share)) > 1
    tiny = few_labels(ten_scans, 1e-9, "points")
    assert [tiny.class_counts(i)[1:].sum() for i in range(10)] == [1] * 10


@pytest.mark.parametrize(
    ("key", "frame_id", "digest", "middle"),
    [
        (SampleKey(0, 0), "00/000000", "27ee8b24a05b", (2.7068, -0.9433, -1.2942)),
        (SampleKey(4, 3), "00/000000", "93030feea063", (0.0383, -0.6609, -1.4955)),
        (SampleKey(0, 9), "00/000005", "cd73f6ef5d5f", (1.0163, 0.0518, -1.3777)),
        (SampleKey(0, 0, labelled_only=True), "00/000004", "17a5781aca4b", (0.7740, -2.5039, -1.4308)),
        (SampleKey(2, 7, labelled_only=True), "00/000007", "b1ced3b0eef8", (0.2490, -1.1685, -1.4767)),
    ],
)
def test_training_set_of_one_seed_gives_the_samples_of_earlier_versions(
    ten_scans: Path, key: SampleKey, frame_id: str, digest: str, middle: tuple[float, ...]
) -> None:
    """Runs that were started before resume with the same samples."""
    frames = SemanticKITTI(ten_scans, "00", cameras=())
    data = TrainingSet(frames, VOLUME, AugmentConfig(), 5, label_fraction=0.3, unlabelled="all")
    sample = data[key]
    assert sample.id == frame_id
    assert hashlib.sha256(sample.remission.tobytes() + sample.labels.tobytes()).hexdigest()[:12] == digest
    np.testing.assert_allclose(sample.points.mean(axis=0), middle, atol=1e-3)


def test_label_fraction_of_points_survives_augmentation(ten_scans: Path) -> None:
    still, moving = (few_labels(ten_scans, 0.3, "points", augment=a) for a in (False, True))
    a, b = still[(0, 4)], moving[(3, 4)]
    label_of = dict(zip(a.remission.tolist(), a.labels.tolist(), strict=True))
    assert [label_of[r] for r in b.remission.tolist()] == b.labels.tolist()
    assert 0 < (b.labels > 0).sum() < 0.5 * len(b.labels)


@pytest.mark.parametrize("settings", [{}, {"label_unit": "points"}, {"label_fraction": 1.0}])
def test_point_counts_cover_visible_labels_only(ten_scans: Path, settings: dict[str, Any]) -> None:
    settings = {"label_fraction": 0.3} | settings
    data = DataConfig(root=ten_scans, sequences="00", val_sequences="none", **settings)
    module = DataModule(TrainConfig(data=data))
    assert len(module.train_set) == (3 if settings == {"label_fraction": 0.3} else 10)
    frames = SemanticKITTI(ten_scans, "00", cameras=())
    whole = np.sum([np.bincount(frames.labels(i).classes, minlength=20) for i in range(10)], axis=0)[1:]
    counts = np.array(module.point_counts())
    assert (counts <= whole).all()
    assert counts.sum() == pytest.approx(data.label_fraction * whole.sum(), rel=0.1)
