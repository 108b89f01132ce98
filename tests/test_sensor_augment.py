"""Variation of the sensor in training, and repetition of scans with rare classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elite.beams import Beams
from elite.config import AugmentConfig, RemissionAugmentConfig, SensorAugmentConfig, StudentConfig
from elite.data.dataset import TrainingSet
from elite.data.rare_scans import repeat_factors, repeated
from elite.data.sensor_augment import keep_returns, vary_mounting, vary_remission
from elite.datasets import SemanticKITTI
from elite.errors import ConfigError
from tests.support.scans import random_scan, write_frame

BEAMS = Beams(tuple(np.linspace(-20, 5, 26)), 0.4)
STILL = {"drop": 0.0, "rotate": 0.0, "flip": False, "scale": (1.0, 1.0), "shift": 0.0}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def rings(beams: Beams = BEAMS, azimuths: int = 200, distance: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Points of all beams at one distance, and the beam of each."""
    beam, azimuth = np.divmod(np.arange(len(beams.elevations) * azimuths), azimuths)
    elevation, turn = np.deg2rad(beams.elevations)[beam], 2 * np.pi * azimuth / azimuths
    rays = np.stack([np.cos(elevation) * np.cos(turn), np.cos(elevation) * np.sin(turn), np.sin(elevation)], axis=1)
    return (distance * rays).astype(np.float32), beam


@pytest.mark.parametrize("known", [True, False])
def test_beams_are_removed_as_a_whole_up_to_the_share(known: bool, rng: np.random.Generator) -> None:
    points, beam = rings()
    removed = []
    for _ in range(100):
        kept = keep_returns(points, SensorAugmentConfig(beams=0.5), BEAMS if known else None, rng)
        share = np.bincount(beam, kept) / np.bincount(beam)
        assert ((share < 0.01) | (share == 1)).all()  # one point always remains
        removed.append((share < 1).mean())
    assert min(removed) < 0.1
    assert 0.4 < max(removed) < 0.8


def test_losses_grow_with_distance(rng: np.random.Generator) -> None:
    near, far = rings(distance=5.0)[0], rings(distance=50.0)[0]
    config = SensorAugmentConfig(far=0.6)
    kept = np.array([[keep_returns(part, config, BEAMS, rng).mean() for part in (near, far)] for _ in range(200)])
    assert kept.mean(axis=0) == pytest.approx([1 - 0.03, 1 - 0.3], abs=0.03)
    assert kept[:, 1].min() == pytest.approx(0.4, abs=0.05)


def test_remission_worked_by_hand(rng: np.random.Generator) -> None:
    points = np.array([[8, 0, 0], [18, 0, 0], [0, 38, 0]], np.float32)
    remission = np.array([0.2, 0.4, 0.1], np.float32)
    law = RemissionAugmentConfig(gain=(0.5, 0.5), offset=(0.1, 0.1), slope=(-0.01, -0.01))
    np.testing.assert_allclose(vary_remission(remission, points, law, rng), [0.3, 0.3, 0], atol=1e-6)
    np.testing.assert_array_equal(vary_remission(remission, points, RemissionAugmentConfig(blank=1), rng), 0)
    np.testing.assert_array_equal(vary_remission(remission, points, RemissionAugmentConfig(), rng), remission)
    bright = vary_remission(remission, points, RemissionAugmentConfig(gain=(9, 9)), rng)
    assert bright.max() == 1
    assert bright.dtype == np.float32


def test_remission_is_lost_in_cubes(rng: np.random.Generator) -> None:
    corners = rng.integers(-40, 40, (500, 3))
    points = (np.repeat(corners, 8, axis=0) + 0.01 * rng.random((4000, 3))).astype(np.float32)
    half, config = np.full(4000, 0.5, np.float32), RemissionAugmentConfig(zeros=0.8)
    lost = np.array([vary_remission(half, points, config, rng) == 0 for _ in range(50)])
    together = lost.reshape(50, 500, 8)
    assert (together.all(axis=2) | ~together.any(axis=2)).mean() > 0.9  # except where a face passes
    assert lost.mean() == pytest.approx(0.4, abs=0.1)


def test_mounting_tilts_and_lifts_rigidly_and_jitter_does_not(rng: np.random.Generator) -> None:
    points, _ = rings()
    rigid = np.stack([vary_mounting(points, SensorAugmentConfig(tilt=2, height=0.3), rng) for _ in range(100)])
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(rigid, axis=1), axis=2), np.tile(steps, (100, 1)), atol=1e-3)
    lift = rigid.mean(axis=1)[:, 2] - points.mean(axis=0)[2]
    assert 0.2 < np.abs(lift).max() < 0.35
    ahead = points[:, 0].argmax()
    pitch = np.rad2deg(np.arcsin((rigid[:, ahead, 2] - lift - points[ahead, 2]) / 20))
    assert np.std(pitch) == pytest.approx(2, abs=0.5)
    noisy = vary_mounting(points, SensorAugmentConfig(jitter=0.03), rng)
    assert np.std(noisy - points) == pytest.approx(0.03, rel=0.1)


def test_training_set_varies_its_scans_and_repeats_them(tiny_kitti: Path) -> None:
    frames = SemanticKITTI(tiny_kitti, "00", cameras=())
    sensor = SensorAugmentConfig(beams=0.5, far=0.5, jitter=0.01, tilt=1, height=0.2)
    augment = AugmentConfig(**STILL, sensor=sensor, remission=RemissionAugmentConfig(gain=(0.5, 2)))
    varied, plain = (TrainingSet(frames, StudentConfig.volume, a, 0) for a in (augment, AugmentConfig(**STILL)))
    again = TrainingSet(frames, StudentConfig.volume, augment, 0)
    sizes = set()
    for epoch in range(8):
        sample = varied[(epoch, 0)]
        np.testing.assert_array_equal(sample.points, again[(epoch, 0)].points)
        np.testing.assert_array_equal(sample.remission, again[(epoch, 0)].remission)
        assert len(sample.points) == len(sample.remission) == len(sample.labels) <= len(plain[(epoch, 0)].points)
        sizes.add(len(sample.points))
    assert len(sizes) > 1
    only_response = replace(augment, sensor=SensorAugmentConfig())
    sample = TrainingSet(frames, StudentConfig.volume, only_response, 0)[(0, 0)]
    np.testing.assert_array_equal(sample.points, plain[(0, 0)].points)
    assert (sample.remission != plain[(0, 0)].remission).any()


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (SensorAugmentConfig, {"beams": 1.0}),
        (SensorAugmentConfig, {"tilt": -1}),
        (RemissionAugmentConfig, {"gain": (2.0, 1.0)}),
        (RemissionAugmentConfig, {"slope": (0.1, 0.0)}),
        (RemissionAugmentConfig, {"zeros": 1.5}),
    ],
)
def test_impossible_variation_is_refused(record: type, values: dict) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.\w+\.{next(iter(values))}: expected"):
        record(**values)


# ---- rare classes -----------------------------------------------------------------------------------------------


def test_repeat_factors_are_those_of_the_rarest_class() -> None:
    counts = np.full((100, 3), 50)
    counts[:, 1] = 0
    counts[0, 1] = 50  # in 1 % of the scans
    counts[1, 1] = 3  # too few points
    factors = repeat_factors(counts, 0.16)
    assert factors[0] == 4
    assert (factors[1:] == 1).all()


def test_repeated_entries_have_their_factors_on_average() -> None:
    entries = repeated(np.arange(1000), np.tile([1, 1.25, 1.5, 2.75], 250))
    assert np.bincount(entries).reshape(250, 4).mean(axis=0) == pytest.approx([1, 1.25, 1.5, 2.75], abs=0.3)
    assert len(entries) == 1625
    np.testing.assert_array_equal(repeated(np.arange(5), np.ones(5)), np.arange(5))


def test_training_set_repeats_scans_of_rare_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(16):
        labels = np.full(500, 40)
        labels[:100] = 30 if i == 5 else 40  # one scan with people
        write_frame(tmp_path, "00", f"{i:06d}", random_scan(rng), labels)
    frames = SemanticKITTI(tmp_path, "00", cameras=())
    data = TrainingSet(frames, StudentConfig.volume, AugmentConfig(), 0, balance=1.0)
    assert np.bincount(data.entries).tolist() == [1] * 5 + [4] + [1] * 10
    assert data[(0, 5)].id == data[(0, 8)].id == "00/000005"
    assert (data[(0, 5)].points[:9] != data[(0, 6)].points[:9]).any()
