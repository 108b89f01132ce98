"""Test-time augmentation: several views of a scan, and the average of their predictions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elite import native
from elite.cli import main
from elite.errors import ConfigError
from elite.inference import Segmenter
from elite.latency import timed
from elite.segmentation_result import SegmentationResult
from elite.sparse import Backend
from elite.student import SPVCNN, save_student
from elite.test_time_augmentation import ViewEnsemble, ViewLogits, VoteBy, softmax
from elite.types import Scan
from tests.support.scans import random_scan

BACKENDS = ["torch", pytest.param("native", marks=pytest.mark.skipif(native.library() is None, reason="not built"))]


def segmenter(backend: Backend = "auto", **votes) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(SPVCNN(channels=8, cells=(100, 100, 12)), backend=backend, **votes)


def scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    values = random_scan(np.random.default_rng(seed))
    return values[:, :3], values[:, 3]


def assert_same(one: SegmentationResult, other: SegmentationResult) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.confidence, other.confidence)


def test_mean_prediction_worked_by_hand() -> None:
    """Two views of three points; the first has one row for points 1 and 2, the second for points 0 and 2."""
    first = ViewLogits(np.log(np.float32([[9, 0.6, 0.4], [9, 0.1, 0.9]])), np.array([0, 1, 1]))
    second = ViewLogits(np.log(np.float32([[9, 0.8, 0.2], [9, 0.9, 0.1]])), np.array([0, 1, 0]))
    share, row = ViewEnsemble(2).mean([first, second])
    np.testing.assert_allclose(share[row], [[0.7, 0.3], [0.5, 0.5], [0.45, 0.55]], rtol=1e-6)
    share, row = ViewEnsemble(2, "logits").mean([first, second])  # the geometric mean of the shares, up to its sum
    product = np.sqrt([[0.6 * 0.8, 0.4 * 0.2], [0.1 * 0.9, 0.9 * 0.1], [0.1 * 0.8, 0.9 * 0.2]])
    np.testing.assert_allclose(share[row], product / product.sum(1, keepdims=True), rtol=1e-6)


def test_draw_views_rotates_about_z_and_shifts() -> None:
    points, _ = scan(0)
    plain, *turned = ViewEnsemble(9).views(points)
    assert plain is points
    for view in turned:
        turn, *_ = np.linalg.lstsq(points - points.mean(0), view - view.mean(0))
        np.testing.assert_allclose(turn[2], [0, 0, 1], atol=1e-4)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(turn) > 0  # not mirrored
        shift = view - points @ turn
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-3)
        assert 0 < np.abs(shift[0]).max() < 0.6
    assert len({round(float(view[0, 0]), 3) for view in turned}) == 8
    np.testing.assert_array_equal(
        [*ViewEnsemble(3).views(points)], [plain, *turned[:2]]
    )  # more votes are those and others
    released = [*ViewEnsemble(9, "released").views(points)]
    np.testing.assert_array_equal(released[1:], turned)
    assert not np.array_equal(released[0], points)


@pytest.mark.parametrize("backend", BACKENDS)
def test_predict_of_one_view_equals_the_plain_student(backend: Backend) -> None:
    alone = segmenter(backend)(*scan(0))
    assert_same(alone, segmenter(backend, votes=1, vote_by="softmax", seed=5)(*scan(0)))
    assert_same(alone, segmenter(backend, votes=1, vote_by="logits")(*scan(0)))


@pytest.mark.parametrize("by", ["softmax", "logits", "released"])
def test_predict_of_views_equals_the_mean_of_single_views(by: VoteBy) -> None:
    voting = segmenter("torch", votes=3, vote_by=by)
    crop = voting.crop(Scan(*scan(0)))
    scores = []
    for points in ViewEnsemble(3, by).views(crop.points):
        with torch.no_grad():
            zeros = torch.zeros(len(points), dtype=torch.int64)
            logits = voting.student(torch.from_numpy(points), torch.from_numpy(crop.remission), zeros).logits[:, 1:]
        scores.append(logits.softmax(1) if by == "softmax" else logits)
    mean = torch.stack(scores).mean(0)
    confidence, label = (mean if by == "softmax" else mean.softmax(1)).max(1)
    result = voting(*scan(0))
    np.testing.assert_array_equal(result.labels[crop.inside], label + 1)
    np.testing.assert_allclose(result.confidence[crop.inside], confidence, rtol=1e-5)
    assert len(result.labels) == len(crop.inside) > crop.inside.sum()  # those outside have labels too


@pytest.mark.parametrize("together", [2, 5, 8])
def test_predict_of_batched_views_equals_single_views(together: int) -> None:
    one, other = segmenter("torch", votes=5), segmenter("torch", votes=5)
    other.views_per_batch = together
    batch_sizes, forward = [], other.student.forward
    other.student.forward = lambda *given: batch_sizes.append(int(given[2].max()) + 1) or forward(*given)
    alone, batched = one(*scan(0)), other(*scan(0))
    assert batch_sizes == {2: [2, 2, 1], 5: [5], 8: [5]}[together]
    np.testing.assert_allclose(alone.confidence, batched.confidence, atol=1e-5)
    assert (alone.labels == batched.labels).mean() > 0.999


@pytest.mark.parametrize("backend", BACKENDS)
def test_draw_views_of_a_scan_repeats_in_any_order_and_process(backend: Backend) -> None:
    voting = segmenter(backend, votes=3)
    forth = [voting(*scan(i)) for i in range(3)]
    again = segmenter(backend, votes=3)
    back = [again(*scan(i)) for i in (2, 1, 0)][::-1]
    for one, other in zip(forth, back, strict=True):
        assert_same(one, other)
    other_seed = segmenter(backend, votes=3, seed=1)(*scan(0))
    assert not np.array_equal(forth[0].confidence, other_seed.confidence)


@pytest.mark.skipif(native.library() is None, reason="not built")
@pytest.mark.parametrize("by", ["softmax", "logits", "released"])
def test_predict_of_views_agrees_between_backends(by: VoteBy) -> None:
    one, other = (segmenter(backend, votes=4, vote_by=by)(*scan(0)) for backend in ("torch", "native"))
    np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-4)
    assert (one.labels == other.labels).mean() > 0.99  # ties apart


@pytest.mark.parametrize("backend", BACKENDS)
def test_latency_of_views_times_the_real_path(backend: Backend) -> None:
    voting, (points, remission) = segmenter(backend, votes=3), scan(0)
    result, times = timed(voting, Scan(points, remission))
    assert_same(result, voting(points, remission))
    apart = ["geometry"] if backend == "native" else []
    assert [*times] == ["crop", *apart, "network", "labels"]


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ({"votes": 0}, "votes: expected at least 1, found 0"),
        (
            {"votes": 2, "vote_by": "show of hands"},
            "vote_by: expected softmax, logits or released, found 'show of hands'",
        ),
        ({"votes": 2, "seed": -1}, "seed: expected a number in"),
    ],
)
def test_segmenter_impossible_votes_are_refused(votes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        segmenter(**votes)


def test_commands_with_votes_use_them(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    """Predicted files with votes score as an evaluation with votes does, and differ from a single view."""
    student, out = tmp_path / "student.safetensors", tmp_path / "out"
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), student)
    votes = ["--votes", "3", "--vote-by", "logits", "--seed", "7"]
    assert main(["predict", str(student), str(tiny_kitti), "-o", str(out), *votes]) == 0
    found = {}
    for name, argv in {
        "votes": [str(student), str(tiny_kitti), *votes],
        "files": ["--predictions", str(out), str(tiny_kitti)],
        "alone": [str(student), str(tiny_kitti)],
    }.items():
        assert main(["evaluate", *argv, "--split", "08", "--json", str(tmp_path / "x.json")]) == 0
        found[name] = json.loads((tmp_path / "x.json").read_text())
    confusion = {name: result["confusion"] for name, result in found.items()}
    assert confusion["votes"] == confusion["files"] != confusion["alone"]
    assert [found["votes"][key] for key in ("votes", "vote_by", "seed")] == [3, "logits", 7]
    assert found["alone"]["votes"] == 1
    assert "votes" not in found["files"]  # label files do not contain it
    submit = ["submit", str(out), "--data", str(tiny_kitti), "-o", str(tmp_path / "x.zip"), "--partial"]
    assert main(submit) == 0
    for argv, message in {
        ("evaluate", student, tiny_kitti, "--votes", "0"): "votes: expected at least 1, found 0",
        ("evaluate", "--predictions", out, tiny_kitti, "--votes", "2"): "elite predict --votes",
        ("predict", student, tiny_kitti, "-o", out, "--votes", "2", "--vote-by", "hands"): "vote-by",
    }.items():
        capsys.readouterr()
        assert main([*map(str, argv)]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("rows", [1, 3])
def test_softmax_equals_torch_and_keeps_its_input(rows: int) -> None:
    logits = torch.randn(rows, 19)
    before = logits.clone()
    np.testing.assert_allclose(softmax(logits.numpy()), logits.softmax(dim=1), rtol=1e-6)
    assert torch.equal(logits, before)
