"""The student network against the paper's description."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elite.datasets.scan_files import read_scan
from elite.geometry import in_volume
from elite.native import describe, library
from elite.sparse import build_torch_geometry
from elite.student import SPVCNN
from tests.support.semantickitti import HDL_64E
from tests.support.students import with_random_norms

SMALL = {"channels": 16, "strides": (1, 2, 4), "cells": (40, 40, 12), "classes": 7}


@pytest.fixture(params=["torch", "native"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "native" and library() is None:
        pytest.skip(describe())
    monkeypatch.setattr(SPVCNN, "backend", request.param)


def scan(n: int = 300) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 3) * torch.tensor([15.0, 15.0, 1.0]), torch.rand(n)


def one_batch(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.int64)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# ---- a second implementation ----------------------------------------------------------------------------------


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.1 * x)


def norm(x: Tensor, layer: nn.BatchNorm1d) -> Tensor:
    return (x - layer.running_mean) / torch.sqrt(layer.running_var + 1e-5) * layer.weight + layer.bias


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return x @ layer.weight.T + layer.bias


def group_mean(x: Tensor, group: Tensor) -> Tensor:
    return torch.stack([x[group == g].mean(dim=0) for g in range(int(group.max()) + 1)])


def sub3(x: Tensor, coords: Tensor, weight: Tensor) -> Tensor:
    row_of = {tuple(c): i for i, c in enumerate(coords.tolist())}
    out = torch.zeros(len(x), weight.shape[2])
    for (b, z, y, x_), i in row_of.items():
        for k, (dz, dy, dx) in enumerate(itertools.product((-1, 0, 1), repeat=3)):
            j = row_of.get((b, z + dz, y + dy, x_ + dx))
            if j is not None:
                out[i] += x[j] @ weight[k]
    return out


def cells_of(student: SPVCNN, points: Tensor, batch: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    low, high = torch.tensor(student.config.volume)
    cells = torch.tensor([-(-n // stride) for n in student.config.cells], dtype=torch.float32)
    index = torch.floor((cells * (points - low)) / (high - low)).long()
    return torch.unique(torch.cat([batch[:, None], index.flip(1)], dim=1), dim=0, return_inverse=True)


@torch.no_grad()
def plain_forward(
    student: SPVCNN, points: Tensor, remission: Tensor, batch: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Logits per point, and per stage the voxel features with each point's voxel."""
    strides = student.config.strides
    grids = [cells_of(student, points, batch, stride) for stride in strides]
    low, high = torch.tensor(student.config.volume)
    coords, voxel_of = grids[0]
    corner = coords[:, 1:].flip(1) * (high - low) / torch.tensor(student.config.cells) + low
    to_mean = points - group_mean(points, voxel_of)[voxel_of]
    ten = torch.cat([points, remission[:, None], to_mean, points - corner[voxel_of]], dim=1)
    mlp = student.point_mlp
    f = group_mean(linear(torch.relu(linear(ten, mlp.hidden)), mlp.out), voxel_of)

    stages, per_point = [], []
    for stage, ((coords, fine), (_, coarse)) in zip(student.stages, itertools.pairwise(grids), strict=True):
        v = f
        for block in stage.voxel:
            y = leaky(norm(sub3(v, coords, block.conv1.weight), block.norm1))
            y = norm(sub3(y, coords, block.conv2.weight), block.norm2)
            v = leaky(y + norm(v @ block.shortcut.weight.T, block.shortcut_norm))
        stages.append((v, fine))
        g, encoder = f + v, stage.point
        halved = torch.cat([coords[:, :1], torch.div(coords[:, 1:], 2, rounding_mode="floor")], dim=1)
        _, block_of = torch.unique(halved, dim=0, return_inverse=True)
        z = norm(leaky(linear(group_mean(g, block_of), encoder.block[0])), encoder.block[2])
        z = norm(leaky(linear(z, encoder.block[3])), encoder.block[5])
        z = leaky(linear(z, encoder.block[6]))[block_of]
        h = torch.cat([leaky(linear(g, encoder.own)), z], dim=1)[fine]
        p = group_mean(linear(leaky(linear(h, encoder.fuse)), encoder.out), coarse)
        per_point.append(p[coarse])
        f = p + group_mean(v[fine], coarse)
    hidden = torch.relu(linear(torch.cat(per_point, dim=1), student.classifier[0]))
    return linear(hidden, student.classifier[2]), stages


@pytest.mark.parametrize(
    "settings",
    [SMALL, {"channels": 6, "strides": (1, 2, 4, 8, 16), "cells": (50, 50, 30)}, {"channels": 4, "strides": (1, 2, 3)}],
    ids=["three-grids", "five-grids", "odd-strides"],
)
def test_student_equals_its_description_written_out(settings):
    student = with_random_norms(SPVCNN(**settings), std=0.3)
    points, remission = scan()
    batch = torch.arange(len(points)) // 180
    logits, stages = plain_forward(student, points, remission, batch)
    with torch.no_grad():
        out = student(points, remission, batch)
    torch.testing.assert_close(out.logits, logits, rtol=1e-5, atol=1e-5)
    assert logits.std(dim=0).min() > 1e-3  # points do differ
    for ours, (feats, point_to_voxel) in zip(out.stages, stages, strict=True):
        torch.testing.assert_close(ours.feats, feats, rtol=1e-5, atol=1e-5)
        assert torch.equal(ours.point_to_voxel, point_to_voxel)


# ---- laws -----------------------------------------------------------------------------------------------------


def test_student_parameter_counts_are_those_of_the_paper():
    student = SPVCNN()
    assert parameters(student.stages) == 1_893_120
    assert parameters(student.classifier) == 35_476
    assert parameters(student.point_mlp) == 4_864
    assert parameters(student) == 1_933_460


@torch.no_grad()
def test_student_permuted_points_permute_the_logits():
    student = with_random_norms(SPVCNN(**SMALL), std=0.3)
    points, remission = scan()
    order = torch.randperm(len(points))
    batch = one_batch(len(points))
    expected = student(points, remission, batch).logits[order]
    torch.testing.assert_close(student(points[order], remission[order], batch).logits, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_student_scans_of_a_batch_are_independent():
    student = with_random_norms(SPVCNN(**SMALL), std=0.3)
    scans = [scan(200), scan(120)]
    scans[1][0][:100] = scans[0][0][:100]  # same places, so only the batch index keeps them apart
    alone = torch.cat([student(p, r, one_batch(len(p))).logits for p, r in scans])
    points, remission = (torch.cat(parts) for parts in zip(*scans, strict=True))
    together = student(points, remission, torch.tensor([0] * 200 + [1] * 120)).logits
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_student_gradients_reach_every_parameter():
    student = SPVCNN(**SMALL)
    points, remission = scan()
    out = student(points, remission, one_batch(len(points)))
    F.cross_entropy(out.logits, torch.randint(7, (len(points),))).backward()
    # The last stage feeds the classifier through its point branch, which sees the voxel branch, so nothing is idle.
    idle = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not idle


def test_student_same_input_repeats_bit_for_bit():
    student = SPVCNN(**SMALL)
    points, remission = scan()
    grads = []
    for _ in range(2):
        student.zero_grad()
        student(points, remission, one_batch(len(points))).logits.square().mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in student.parameters()]))
    assert torch.equal(*grads)


def test_student_without_points_gives_no_logits():
    out = SPVCNN(**SMALL).eval()(torch.empty(0, 3), torch.empty(0), one_batch(0))
    assert out.logits.shape == (0, 7)


def test_geometry_of_a_real_frame_has_known_voxel_counts(real_kitti):
    student = SPVCNN()
    points = read_scan(real_kitti / "sequences" / "00" / "velodyne" / "000000.bin", HDL_64E).points
    points = points[in_volume(points, student.config.volume)]
    assert len(points) == 123_021
    geometry = build_torch_geometry(
        torch.from_numpy(points), one_batch(len(points)), student.grid, student.config.strides
    )
    assert [len(level) for level in geometry.levels] == [58_510, 30_227, 13_170, 5_260, 1_882]
    assert len(np.unique(geometry.point_groups.group)) == geometry.point_groups.group_count


def test_student_gradients_with_two_threads_repeat_bit_for_bit() -> None:
    """Large enough that torch works in parallel; a gather whose gradient is added with atomics would not repeat."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        student = SPVCNN(channels=8, cells=(100, 100, 12))
        points = torch.rand(40_000, 3) * torch.tensor([90.0, 90.0, 5.0]) - torch.tensor([45.0, 45.0, 3.5])
        scan = (points, torch.rand(40_000), torch.zeros(40_000, dtype=torch.int64))
        runs = []
        for _ in range(2):
            student.zero_grad()
            student(*scan).logits.square().mean().backward()
            runs.append([p.grad.clone() for p in student.parameters()])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_student_on_cuda_equals_cpu() -> None:
    """Logits and gradients of the whole student, in float32 without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    student = SPVCNN(channels=16, cells=(200, 200, 24)).eval()
    points = torch.rand(3000, 3) * torch.tensor([90.0, 90.0, 5.0]) - torch.tensor([45.0, 45.0, 3.5])
    scan = (points, torch.rand(3000), (torch.arange(3000) >= 1700).long())
    results = []
    for device in ("cpu", "cuda"):
        moved = student.to(device)
        moved.zero_grad()
        logits = moved(*(t.to(device) for t in scan)).logits
        logits.square().mean().backward()
        results.append([logits.detach().cpu(), *(p.grad.cpu().clone() for p in moved.parameters())])
    for cpu, cuda in zip(*results, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=1e-3, atol=1e-4)
