"""Lovasz-softmax: a surrogate for the mean IoU (Berman, Triki, Blaschko, CVPR 2018)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from elite import native
from elite.labels import IGNORE


def lovasz_softmax(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"]) -> Float[Tensor, ""]:
    """Mean over the classes present in ``labels`` of the Lovasz extension of 1 - IoU, all rows in one set.

    Rows labelled 0 are left out. Zero (with a gradient of zero) if no row is labelled. Logits of half precision
    are taken to float32: ranks of more than 256 rows cannot be counted in bfloat16.
    """
    counted = labels != IGNORE
    precision = torch.promote_types(logits.dtype, torch.float32)
    probabilities, labels = torch.softmax(logits[counted], dim=1, dtype=precision), labels[counted]
    if not len(labels):
        return logits.sum(dtype=precision) * 0
    present = torch.unique(labels)
    truth = (labels == present[:, None]).to(precision)  # (present, m)
    errors = (truth - probabilities.T[present]).abs()
    return (errors * _jaccard_steps(errors.detach(), truth)).sum(dim=1).mean()


def _jaccard_steps(errors: Float[Tensor, "present m"], truth: Float[Tensor, "present m"]) -> Float[Tensor, "present m"]:
    """How much 1 - IoU grows with each error, when they are taken from the largest to the smallest (Algorithm 1)."""
    if errors.device.type == "cpu" and errors.dtype == torch.float32 and native.library() is not None:
        steps = torch.empty_like(truth)
        if native.call("elite_lovasz_steps", errors.contiguous(), truth, *truth.shape, steps):
            return steps
    order = _descending(errors)
    # The steps go back to the rows' own order, not the errors to the sorted one: no gradient passes a gather.
    return torch.empty_like(truth).scatter_(1, order, _growth(truth.gather(1, order)))


def _descending(errors: Float[Tensor, "present m"]) -> Int64[Tensor, "present m"]:
    """Per class, the order of the rows from the largest error to the smallest.

    Errors are not negative, so their bits read as integers rise with them; torch sorts a vector of integers by radix
    on the CPU, about six times as fast as the errors themselves.
    """
    bits = errors.view(torch.int32 if errors.dtype == torch.float32 else torch.int64)
    keys = torch.iinfo(bits.dtype).max - bits
    return torch.stack([torch.argsort(row, stable=True) for row in keys])


def _growth(truth: Float[Tensor, "present m"]) -> Float[Tensor, "present m"]:
    """How much 1 - IoU grows with each further row, rows taken in the given order.

    Rows are counted in integers: torch has no deterministic cumulative sum of floats on CUDA.
    """
    hits = truth.to(torch.int32).cumsum(dim=1, dtype=torch.int32)
    taken = torch.arange(1, truth.shape[1] + 1, dtype=torch.int32, device=truth.device)
    total = hits[:, -1:]
    intersection, union = total - hits, total + (taken - hits)
    loss = 1 - intersection.to(truth.dtype) / union
    return torch.diff(loss, dim=1, prepend=loss.new_zeros(len(loss), 1))
