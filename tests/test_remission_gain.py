"""The gain of the remission: one network, whether the gain multiplies the input or is part of the weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from elite.errors import ConfigError
from elite.inference import Segmenter
from elite.native import describe, library
from elite.sparse import Backend
from elite.student import SPVCNN, load_student, save_student
from elite.student.engine import Engine
from elite.student.student_file import FORMAT
from elite.student.transfer import with_remission_gain
from elite.training import train
from elite.training.build import initial_student
from elite.weights.safetensors_file import open_safetensors
from tests.support.runs import SMALL, student_run
from tests.support.scans import random_scan
from tests.support.semantickitti import HDL_64E, KITTI
from tests.support.students import run_engine, with_random_norms

GAIN = 20.0
needs_kernels = pytest.mark.skipif(library() is None, reason=describe())


def student_of(gain: float = GAIN, past_scans: int = 0) -> SPVCNN:
    torch.manual_seed(5)
    return with_random_norms(SPVCNN(channels=16, cells=(100, 100, 12), remission_gain=gain, past_scans=past_scans), 0.3)


def scan(points: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    values = torch.from_numpy(random_scan(np.random.default_rng(2), points) * np.float32([0.5, 0.5, 1, 1]))
    return values[:, :3].contiguous(), values[:, 3].contiguous(), torch.zeros(points, dtype=torch.int64)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", pytest.param("native", marks=needs_kernels)])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_remission_gain_multiplies_the_remission(backend: Backend, mode: str) -> None:
    with_gain, without = student_of(), student_of(1.0)
    points, remission, batch_index = scan()
    for student in (with_gain, without):
        student.backend = backend
        student.train(mode == "training")
    expected = without(points, GAIN * remission, batch_index).logits
    torch.testing.assert_close(with_gain(points, remission, batch_index).logits, expected, rtol=0, atol=0)
    assert (without(points, remission, batch_index).logits - expected).abs().max() > 0.01


@torch.no_grad()
def test_remission_gain_in_the_weights_gives_equal_logits(tmp_path: Path) -> None:
    student, inputs = student_of(), scan()
    before = student(*inputs).logits
    save_student(student, tmp_path / "student.safetensors")
    loaded = load_student(tmp_path / "student.safetensors")
    close(loaded(*inputs).logits, before)
    close(with_remission_gain(loaded, GAIN)(*inputs).logits, before)
    assert loaded.config == replace(student.config, remission_gain=1.0)
    with open_safetensors(tmp_path / "student.safetensors") as file:
        assert "remission_gain" not in str(file.entry(FORMAT))
    assert torch.equal(student(*inputs).logits, before)  # it is not changed by saving


@needs_kernels
@pytest.mark.parametrize("past_scans", [0, 1])
def test_engine_and_votes_contain_the_remission_gain(past_scans: int) -> None:
    student, (points, remission, batch_index) = student_of(past_scans=past_scans), scan()
    age = [torch.rand(len(points))] if past_scans else []
    with torch.no_grad():
        expected = student(points, remission, batch_index, *age).logits
    logits, group, _ = run_engine(Engine(student), points, remission, *age)
    close(logits[group], expected)
    if past_scans:
        return
    for votes in (1, 3):
        results = [
            Segmenter(with_remission_gain(student, gain), votes=votes)(points.numpy(), remission.numpy())
            for gain in (GAIN, 1.0)
        ]
        np.testing.assert_allclose(results[0].probabilities(), results[1].probabilities(), atol=1e-5)


def test_init_takes_the_network_over_to_the_gain_of_the_run(tmp_path: Path) -> None:
    student = SPVCNN.from_config(SMALL)
    save_student(student, tmp_path / "student.safetensors")
    run = student_run(tmp_path, tmp_path / "run", init=tmp_path / "student.safetensors")
    started = initial_student(replace(run, student=replace(SMALL, remission_gain=GAIN)), KITTI, HDL_64E)
    assert started.config.remission_gain == GAIN
    with torch.no_grad():
        close(started.eval()(*scan()).logits, student.eval()(*scan()).logits)


def test_remission_gain_of_a_run_is_kept_and_must_not_change(tiny_kitti: Path, tmp_path: Path) -> None:
    first = student_run(tiny_kitti, tmp_path, steps=1, student=replace(SMALL, remission_gain=GAIN))
    result = train(first, progress=False)
    assert load_student(result.last).config.remission_gain == GAIN
    with pytest.raises(ConfigError, match=r"student.remission_gain 20.0 then, 1.0 now"):
        train(replace(first, resume="last", student=SMALL), progress=False)


def test_remission_gain_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"student.remission_gain: expected a positive number, found 0"):
        replace(SMALL, remission_gain=0)
