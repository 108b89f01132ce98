"""What teaches the stages: labels of voxels and of pixels, the loss of a head, and the pull of teacher on student.

Source: ELiTe's patch-to-point multi-stage distillation (Zhang et al., ICME 2024), after 2DPASS (Yan et al., ECCV 2022).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from elite.labels import IGNORE
from elite.losses.lovasz import lovasz_softmax
from elite.losses.segmentation import cross_entropy
from elite.types import Pixels, Views


def voxel_majority(
    labels: Int64[Tensor, "n"],
    point_to_voxel: Int64[Tensor, "n"],
    voxels: int,
    classes: int,
    *,
    count_ignored: bool = True,
) -> Int64[Tensor, "voxels"]:
    """The most frequent label among the points of each voxel; a tie goes to the smallest class.

    Class 0 votes like any other, as in the published training: a voxel of mostly unlabelled points is ignored. With
    ``count_ignored`` off only labelled points vote, and a voxel without one is 0. Labels are below ``classes``.
    Takes voxels x classes counts of 8 bytes.
    """
    counts = torch.bincount(point_to_voxel * classes + labels, minlength=voxels * classes).view(voxels, classes)
    if not count_ignored:
        counts[:, IGNORE] = 0
    return counts.argmax(dim=1)  # the first maximum, by torch's promise


def segmentation_loss(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"], weights: Float[Tensor, "classes"] | None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(cross entropy, Lovasz) of a stage's head, to be added with weight 1 each; both zero if no row is labelled."""
    return cross_entropy(logits, labels, weights), lovasz_softmax(logits, labels)


def kl_divergence(
    teacher_logits: Float[Tensor, "p classes"], student_logits: Float[Tensor, "p classes"]
) -> Float[Tensor, ""]:
    """KL(teacher || student), the mean over pairs **and** classes; no gradient reaches the teacher.

    With 20 classes this is 1/20 of the usual mean over pairs: the published weight of 0.05 belongs to it. At least
    float32 inside. Zero (with a gradient of zero) without pairs.
    """
    precision = torch.promote_types(student_logits.dtype, torch.float32)
    teacher = torch.log_softmax(teacher_logits.detach(), dim=1, dtype=precision)
    student = torch.log_softmax(student_logits, dim=1, dtype=precision)
    terms = teacher.exp() * (teacher - student)
    return terms.sum() / max(terms.numel(), 1)


def dense_pixels(views: Views, stride: int) -> tuple[Pixels, Int64[Tensor, "labelled"]]:
    """Pixels whose dense label is known, of the images that have such, and the labels.

    In every ``stride``-th row and column, from ``stride // 2`` on.
    """
    if views.labels is None:
        none = views.pairs.view[:0]
        return Pixels(none, views.pairs.position[:0]), none
    start = stride // 2
    grid = views.labels[:, start::stride, start::stride]
    view, row, column = torch.nonzero((grid != IGNORE) & views.has_labels[:, None, None], as_tuple=True)
    return Pixels(view, torch.stack([row, column], dim=1) * stride + start), grid[view, row, column].long()


def labelled_pairs(
    views: Views, point_labels: Int64[Tensor, "n"], *, everywhere: bool = False
) -> tuple[Int64[Tensor, "labelled"], Int64[Tensor, "labelled"]]:
    """Which pairs have a labelled point, in the images without dense labels or ``everywhere``, and the labels."""
    labels = point_labels[views.pair_point]
    keep = labels != IGNORE
    if not everywhere:
        keep &= ~views.has_labels[views.pairs.view]
    chosen = torch.nonzero(keep)[:, 0]
    return chosen, labels[chosen]
