"""Labels of voxels and pixels, and the divergence between teacher and student, against slow loops and by hand."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elite.batches import Pixels, Views
from elite.losses import (
    cross_entropy,
    dense_pixels,
    kl_divergence,
    labelled_pairs,
    lovasz_softmax,
    segmentation_loss,
    voxel_majority,
)


def ints(*values) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


# Voxels


def majority_by_loop(labels: Tensor, point_to_voxel: Tensor, voxels: int, count_ignored: bool) -> list[int]:
    votes = [Counter() for _ in range(voxels)]
    for label, voxel in zip(labels.tolist(), point_to_voxel.tolist(), strict=True):
        if label or count_ignored:
            votes[voxel][label] += 1
    return [min(v, key=lambda label: (-v[label], label)) if v else 0 for v in votes]


def test_majority_worked_by_hand() -> None:
    #               tie 2:2  | mostly 0  | 0 ties 5  | only 0 | no point
    labels = ints(7, 3, 7, 3, 0, 0, 4, 0, 5, 0)
    voxel = ints(0, 0, 0, 0, 1, 1, 1, 2, 2, 3)
    assert voxel_majority(labels, voxel, 5, 20).tolist() == [3, 0, 0, 0, 0]
    assert voxel_majority(labels, voxel, 5, 20, count_ignored=False).tolist() == [3, 4, 5, 0, 0]


@pytest.mark.parametrize("count_ignored", [True, False])
@pytest.mark.parametrize(("points", "voxels"), [(0, 0), (0, 3), (400, 90), (100_000, 40_000)])
def test_majority_in_any_point_order_equals_a_loop(points: int, voxels: int, count_ignored: bool) -> None:
    labels, voxel = torch.randint(0, 6, (points,)), torch.randint(0, max(voxels, 1), (points,))
    majority = voxel_majority(labels, voxel, voxels, 6, count_ignored=count_ignored)
    assert majority.tolist() == majority_by_loop(labels, voxel, voxels, count_ignored)
    order = torch.randperm(points)
    assert torch.equal(voxel_majority(labels[order], voxel[order], voxels, 6, count_ignored=count_ignored), majority)


# Heads


def test_segmentation_loss_returns_cross_entropy_then_lovasz() -> None:
    logits, labels = torch.randn(30, 4), torch.randint(0, 4, (30,))
    weights = torch.tensor([0.0, 1.0, 2.0, 3.0])
    terms = segmentation_loss(logits, labels, weights)
    assert terms == (cross_entropy(logits, labels, weights), lovasz_softmax(logits, labels))
    assert segmentation_loss(logits, torch.zeros_like(labels), weights) == (0, 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_segmentation_loss_of_half_precision_equals_float32(dtype: torch.dtype) -> None:
    logits, labels = torch.randn(40_000, 4).to(dtype), torch.randint(0, 4, (40_000,))
    torch.testing.assert_close(lovasz_softmax(logits, labels), lovasz_softmax(logits.float(), labels))
    teacher = logits.flip(0)
    torch.testing.assert_close(kl_divergence(teacher, logits), kl_divergence(teacher.float(), logits.float()))
    weights = torch.tensor([0.0, 1.0, 2.0, 3.0])
    expected = cross_entropy(logits.float(), labels, weights)
    for enabled in (False, True):
        with torch.autocast("cpu", dtype, enabled=enabled):
            torch.testing.assert_close(cross_entropy(logits, labels, weights), expected)


@pytest.mark.parametrize("loss", [cross_entropy, lovasz_softmax])
def test_loss_without_labels_of_large_float16_logits_is_zero(loss: Callable[..., Tensor]) -> None:
    """Their sum exceeds the largest float16."""
    logits = torch.full((40_000, 4), 10.0, dtype=torch.float16, requires_grad=True)
    found = loss(logits, torch.zeros(40_000, dtype=torch.int64))
    found.backward()
    assert found.item() == 0
    assert not logits.grad.any()


def test_lovasz_of_many_rows_equals_a_plain_sort() -> None:
    logits, labels = torch.randn(40_000, 3) * 6, torch.randint(1, 3, (40_000,))
    expected = []
    for c in (1, 2):
        truth = (labels == c).double()
        errors, order = (truth - logits.double().softmax(1)[:, c]).abs().sort(descending=True)
        hit, missed = truth[order].cumsum(0), (1 - truth[order]).cumsum(0)
        loss = 1 - (truth.sum() - hit) / (truth.sum() + missed)
        expected.append(errors[0] * loss[0] + errors[1:] @ loss.diff())
    torch.testing.assert_close(lovasz_softmax(logits, labels).double(), torch.stack(expected).mean())
    torch.testing.assert_close(lovasz_softmax(logits.double(), labels), torch.stack(expected).mean())


# Teacher to student


def test_kl_of_two_classes_worked_by_hand() -> None:
    teacher = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])  # shares 1/2 1/2 and 3/4 1/4
    student = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    first = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    second = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert kl_divergence(teacher, student).item() == pytest.approx((first + second) / (2 * 2), rel=1e-6)


def test_kl_equals_a_loop_and_torch() -> None:
    teacher, student = torch.randn(2, 9, 20, dtype=torch.float64) * 3
    total = 0.0
    for t, s in zip(teacher.tolist(), student.tolist(), strict=True):
        log_t, log_s = (math.log(sum(map(math.exp, x))) for x in (t, s))
        total += sum(math.exp(a - log_t) * ((a - log_t) - (b - log_s)) for a, b in zip(t, s, strict=True))
    value = kl_divergence(teacher, student)
    assert value.item() == pytest.approx(total / (9 * 20), rel=1e-12)
    with pytest.warns(UserWarning, match="batchmean"):  # torch's own word that this mean is not the usual one
        mean = F.kl_div(torch.log_softmax(student, 1), torch.softmax(teacher, 1), reduction="mean")
    torch.testing.assert_close(value, mean)


def test_kl_is_zero_only_for_equal_probabilities() -> None:
    teacher = torch.randn(6, 5, dtype=torch.float64)
    shifted = teacher + torch.randn(6, 1, dtype=torch.float64)
    assert abs(kl_divergence(teacher, shifted).item()) < 1e-15
    shifted[4, 2] += 0.01
    assert kl_divergence(teacher, shifted).item() > 1e-8


def test_kl_gradient_reaches_the_student_only() -> None:
    teacher = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    student = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    kl_divergence(teacher, student).backward()
    expected = (student.softmax(1) - teacher.softmax(1)).detach() / (7 * 5)
    torch.testing.assert_close(student.grad, expected)
    assert teacher.grad is None
    assert torch.autograd.gradcheck(lambda s: kl_divergence(teacher, s), student)


def test_kl_of_extreme_logits_is_finite() -> None:
    teacher, student = torch.tensor([[200.0, -200.0]]), torch.tensor([[-200.0, 200.0]], requires_grad=True)
    value = kl_divergence(teacher, student)
    value.backward()
    assert value.item() == 400 / 2
    assert student.grad is not None
    assert student.grad.tolist() == [[-0.5, 0.5]]


def test_kl_point_in_two_cameras_counts_twice() -> None:
    teacher, student = torch.randn(3, 4), torch.randn(2, 4, requires_grad=True)
    kl_divergence(teacher, student[ints(0, 1, 0)]).backward()
    shares, pull = teacher.softmax(1), student.softmax(1).detach()
    torch.testing.assert_close(
        student.grad, torch.stack([2 * pull[0] - shares[0] - shares[2], pull[1] - shares[1]]) / (3 * 4)
    )


def test_kl_without_pairs_is_zero() -> None:
    feats = torch.randn(3, 4, requires_grad=True)
    value = kl_divergence(torch.empty(0, 4), feats[ints()])
    value.backward()
    assert value.item() == 0
    assert feats.grad is not None
    assert not feats.grad.any()


# Pixels


def views_of(
    size: tuple[int, int], has_labels: list[bool], pairs: list[tuple[int, int, int, int]], labels: Tensor | None
) -> Views:
    """``pairs`` are (view, row, column, point)."""
    table = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 4)
    return Views(
        images=torch.zeros(len(has_labels), 3, *size, dtype=torch.uint8),
        pair_pixel=Pixels(view=table[:, 0], position=table[:, 1:3]),
        pair_point=table[:, 3],
        labels=labels,
        has_labels=torch.tensor(has_labels),
    )


def rows_of(pixels: Pixels, labels: Tensor) -> list[tuple[int, ...]]:
    """(view, row, column, label) of every pixel."""
    assert labels.dtype == torch.int64
    return [tuple(row) for row in torch.cat([pixels.view[:, None], pixels.position, labels[:, None]], 1).tolist()]


def labelled_pixels(views: Views, labels: Tensor, stride: int, *, pairs: bool = False) -> tuple[Pixels, Tensor]:
    """All labels of the teacher, by image."""
    dense, dense_labels = dense_pixels(views, stride)
    chosen, paired_labels = labelled_pairs(views, labels, everywhere=pairs)
    view = torch.cat([dense.view, views.pair_pixel.view[chosen]])
    order = torch.argsort(view, stable=True)
    position = torch.cat([dense.position, views.pair_pixel.position[chosen]])
    return Pixels(view[order], position[order]), torch.cat([dense_labels, paired_labels])[order]


def labelled_by_loop(views: Views, point_labels: Tensor, stride: int, pairs: bool) -> list[tuple[int, ...]]:
    found = []
    for view in range(len(views.images)):
        if views.has_labels[view]:
            assert views.labels is not None
            grid = views.labels[view].tolist()
            for row in range(stride // 2, len(grid), stride):
                for column in range(stride // 2, len(grid[row]), stride):
                    found.append((view, row, column, grid[row][column]))
        if pairs or not views.has_labels[view]:
            for i, point in enumerate(views.pair_point.tolist()):
                if views.pair_pixel.view[i] == view:
                    found.append((view, *views.pair_pixel.position[i].tolist(), int(point_labels[point])))
    return [pixel for pixel in found if pixel[-1]]


def test_labelled_pixels_of_two_cameras_worked_by_hand() -> None:
    """The first camera has dense labels, so its pairs are used only on request; the second has only its pairs."""
    dense = torch.zeros(2, 2, 4, dtype=torch.uint8)
    dense[0] = torch.tensor([[9, 9, 0, 9], [9, 15, 9, 0]])
    dense[1] = 3  # not a label: the second image has none
    pairs = [(0, 0, 0, 0), (1, 1, 3, 2), (1, 0, 2, 1), (1, 0, 1, 0)]
    views = views_of((2, 4), [True, False], pairs, dense)
    point_labels = ints(13, 0, 6)
    found = rows_of(*labelled_pixels(views, point_labels, stride=2))
    assert found == [(0, 1, 1, 15), (1, 1, 3, 6), (1, 0, 1, 13)]
    both = rows_of(*labelled_pixels(views, point_labels, stride=2, pairs=True))
    assert both == [(0, 1, 1, 15), (0, 0, 0, 13), (1, 1, 3, 6), (1, 0, 1, 13)]


def random_views(size: tuple[int, int], has_labels: list[bool]) -> Views:
    count = len(has_labels)
    views = [view for view in range(count) for _ in range(8 * view)]
    rows, columns, points = (torch.randint(0, n, (len(views),)).tolist() for n in (*size, 12))
    pairs = list(zip(views, rows, columns, points, strict=True))
    labels = torch.randint(0, 4, (count, *size), dtype=torch.uint8) if any(has_labels) else None
    return views_of(size, has_labels, pairs, labels)


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 50])
@pytest.mark.parametrize("has_labels", [[False] * 3, [True] * 3, [False, True, False, True, False], [False]])
@pytest.mark.parametrize("pairs", [False, True])
def test_labelled_pixels_equal_a_loop(stride: int, has_labels: list[bool], pairs: bool) -> None:
    """Sizes that no stride divides, a stride beyond the image, images without pairs, points with several."""
    views = random_views((7, 11), has_labels)
    point_labels = torch.randint(0, 4, (12,))
    pixels, labels = labelled_pixels(views, point_labels, stride, pairs=pairs)
    assert rows_of(pixels, labels) == labelled_by_loop(views, point_labels, stride, pairs)
    assert (dense_pixels(views, stride)[0].view.diff() >= 0).all()
    assert (labelled_pairs(views, point_labels, everywhere=pairs)[0].diff() > 0).all()


def test_labelled_pixels_ignore_the_point_order() -> None:
    views, point_labels = random_views((7, 11), [False, True, False]), torch.randint(0, 4, (12,))
    order = torch.randperm(12)
    moved = replace(views, pair_point=torch.argsort(order)[views.pair_point])
    found = rows_of(*labelled_pixels(moved, point_labels[order], 2))
    assert found == rows_of(*labelled_pixels(views, point_labels, 2))


@pytest.mark.parametrize("dense", [torch.zeros(1, 4, 4, dtype=torch.uint8), None])
def test_teacher_loss_without_labelled_pixel_is_zero(dense: Tensor | None) -> None:
    """An image whose dense labels are all unknown, or one that shares no labelled point."""
    views = views_of((4, 4), [dense is not None], [(0, 1, 1, 0)], dense)
    pixels, labels = labelled_pixels(views, ints(0, 5), stride=1)
    assert (len(pixels), pixels.position.shape, labels.shape) == (0, (0, 2), (0,))
    head = torch.nn.Linear(3, 20)
    torch.stack(segmentation_loss(head(torch.empty(0, 3)), labels, None)).sum().backward()
    assert head.weight.grad is not None
    assert not head.weight.grad.any()
