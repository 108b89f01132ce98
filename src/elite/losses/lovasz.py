"""Lovasz-softmax: a surrogate for the mean IoU (Berman, Triki, Blaschko, CVPR 2018)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from elite.labels import IGNORE


def lovasz_softmax(logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"]) -> Float[Tensor, ""]:
    """Mean over the classes present in ``labels`` of the Lovasz extension of 1 - IoU, all rows in one set.

    Rows labelled 0 are left out. Zero (with a gradient of zero) if no row is labelled.
    """
    counted = labels != IGNORE
    probabilities, labels = torch.softmax(logits[counted], dim=1), labels[counted]
    if not len(labels):
        return logits.sum() * 0
    present = torch.unique(labels)
    truth = (labels == present[:, None]).to(probabilities.dtype)  # (present, m)
    errors = (truth - probabilities.T[present]).abs()
    errors, order = torch.sort(errors, dim=1, descending=True)
    return (errors * _jaccard_steps(truth.gather(1, order))).sum(dim=1).mean()


def _jaccard_steps(truth: Float[Tensor, "present m"]) -> Float[Tensor, "present m"]:
    """How much 1 - IoU grows with each further error, errors taken in the given order (their Algorithm 1)."""
    total = truth.sum(dim=1, keepdim=True)
    intersection = total - truth.cumsum(dim=1)
    union = total + (1 - truth).cumsum(dim=1)
    loss = 1 - intersection / union
    return torch.diff(loss, dim=1, prepend=loss.new_zeros(len(loss), 1))
