"""Lovasz-softmax: a surrogate for the mean IoU (Berman, Triki, Blaschko, CVPR 2018)."""

import torch
from torch import Tensor

from elite.native import library
from elite.native.tensors import call
from elite.shapes import Float, Int64
from elite.taxonomy import IGNORE


def lovasz_softmax(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"]) -> Float[Tensor, ""]:
    """Lovasz extension of 1 - IoU over all rows, averaged over the classes in ``labels``.

    Rows with label 0 are ignored. Zero, with a zero gradient, if no row is labelled. 16-bit logits are converted to
    float32: bfloat16 cannot represent more than 256 different ranks.
    """
    counted = labels != IGNORE
    precision = torch.promote_types(logits.dtype, torch.float32)
    probabilities, labels = torch.softmax(logits[counted], dim=1, dtype=precision), labels[counted]
    if not len(labels):
        return logits.sum(dtype=precision) * 0
    present = torch.unique(labels)
    target = (labels == present[:, None]).to(precision)  # (present, m)
    errors = (target - probabilities.T[present]).abs()
    return (errors * _jaccard_steps(errors.detach(), target)).sum(dim=1).mean()


def _jaccard_steps(
    errors: Float[Tensor, "present m"], target: Float[Tensor, "present m"]
) -> Float[Tensor, "present m"]:
    """Increase of 1 - IoU by each error, in descending order of the errors (Algorithm 1)."""
    if errors.device.type == "cpu" and errors.dtype == torch.float32 and library() is not None:
        steps = torch.empty_like(target)
        if call("elite_lovasz_steps", errors.contiguous(), target, *target.shape, steps):
            return steps
    order = _argsort_descending(errors)
    # Scattering the steps back, instead of sorting the errors, keeps the gradient out of a gather.
    return torch.empty_like(target).scatter_(1, order, _jaccard_increments(target.gather(1, order)))


def _argsort_descending(errors: Float[Tensor, "present m"]) -> Int64[Tensor, "present m"]:
    """Indices that sort the errors of each class in descending order.

    Errors are not negative, so their bits, read as integers, have the same order. On the CPU, torch sorts a vector of
    integers by radix, about six times as fast as floats.
    """
    bits = errors.view(torch.int32 if errors.dtype == torch.float32 else torch.int64)
    keys = torch.iinfo(bits.dtype).max - bits
    return torch.stack([torch.argsort(row, stable=True) for row in keys])


def _jaccard_increments(target: Float[Tensor, "present m"]) -> Float[Tensor, "present m"]:
    """Increase of 1 - IoU by each row, in the given order.

    The counts are integers: on CUDA, torch has no deterministic cumulative sum of floats.
    """
    positives = target.to(torch.int32).cumsum(dim=1, dtype=torch.int32)
    ranks = torch.arange(1, target.shape[1] + 1, dtype=torch.int32, device=target.device)
    total = positives[:, -1:]
    intersection, union = total - positives, total + (ranks - positives)
    loss = 1 - intersection.to(target.dtype) / union
    return torch.diff(loss, dim=1, prepend=loss.new_zeros(len(loss), 1))
