"""Losses of the stage heads, labels of voxels and pixels, and the divergence between teacher and student.

Source: ELiTe's patch-to-point multi-stage distillation (Zhang et al., ICME 2024), after 2DPASS (Yan et al., ECCV 2022).
"""

import torch
from torch import Tensor

from elite.batches import Pixels, Views
from elite.losses.lovasz import lovasz_softmax
from elite.losses.segmentation import cross_entropy
from elite.shapes import Float, Int64
from elite.taxonomy import IGNORE


def voxel_majority(
    labels: Int64[Tensor, "n"],
    point_to_voxel: Int64[Tensor, "n"],
    voxels: int,
    classes: int,
    *,
    count_ignored: bool = True,
) -> Int64[Tensor, "voxels"]:
    """Majority label of the points in each voxel; the smallest class wins a tie.

    Class 0 counts like any other, as in the published training: a voxel with mostly unlabelled points is ignored.
    Without ``count_ignored``, only labelled points count, and a voxel without one is 0. Labels are below ``classes``.
    The counts take voxels x classes x 8 bytes.
    """
    counts = torch.bincount(point_to_voxel * classes + labels, minlength=voxels * classes).view(voxels, classes)
    if not count_ignored:
        counts[:, IGNORE] = 0
    return counts.argmax(dim=1)  # torch returns the first maximum


def segmentation_loss(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"], weights: Float[Tensor, "classes"] | None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(cross entropy, Lovasz-softmax) of a stage head, each with weight 1; both are zero if no row is labelled."""
    return cross_entropy(logits, labels, weights), lovasz_softmax(logits, labels)


def kl_divergence(
    teacher_logits: Float[Tensor, "p classes"], student_logits: Float[Tensor, "p classes"]
) -> Float[Tensor, ""]:
    """KL(teacher || student), averaged over pairs **and** classes, without gradient for the teacher.

    With 20 classes, this is 1/20 of the usual mean over pairs. The published weight of 0.05 refers to it. Computed in
    float32 or float64. Zero, with a zero gradient, without pairs.
    """
    precision = torch.promote_types(student_logits.dtype, torch.float32)
    teacher = torch.log_softmax(teacher_logits.detach(), dim=1, dtype=precision)
    student = torch.log_softmax(student_logits, dim=1, dtype=precision)
    terms = teacher.exp() * (teacher - student)
    return terms.sum() / max(terms.numel(), 1)


def dense_pixels(views: Views, stride: int) -> tuple[Pixels, Int64[Tensor, "labelled"]]:
    """Labelled pixels of the images with dense labels, and their labels.

    Only every ``stride``-th row and column is used, starting at ``stride // 2``.
    """
    if views.labels is None:
        none = views.pair_pixel.view[:0]
        return Pixels(none, views.pair_pixel.position[:0]), none
    start = stride // 2
    grid = views.labels[:, start::stride, start::stride]
    view, row, column = torch.nonzero((grid != IGNORE) & views.has_labels[:, None, None], as_tuple=True)
    return Pixels(view, torch.stack([row, column], dim=1) * stride + start), grid[view, row, column].long()


def labelled_pairs(
    views: Views, point_labels: Int64[Tensor, "n"], *, everywhere: bool = False
) -> tuple[Int64[Tensor, "labelled"], Int64[Tensor, "labelled"]]:
    """Indices of the pairs with a labelled point, and the labels.

    By default, only pairs in images without dense labels; with ``everywhere``, pairs in all images.
    """
    labels = point_labels[views.pair_point]
    keep = labels != IGNORE
    if not everywhere:
        keep &= ~views.has_labels[views.pair_pixel.view]
    indices = torch.nonzero(keep)[:, 0]
    return indices, labels[indices]
