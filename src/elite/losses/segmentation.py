"""Weighted cross entropy and class weights."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from elite.shapes import Float, Int64
from elite.taxonomy import IGNORE


def class_weights(counts: Sequence[int]) -> Float[Tensor, "classes"]:
    """Class weights (max f / f)^(1/3) from the point counts f of the classes 1, 2, ...; class 0 has weight 0.

    A class without points has weight 1, which no loss uses.
    """
    f = torch.tensor(counts, dtype=torch.float64)
    weights = torch.where(f > 0, (f.max() / f.clamp(min=1)) ** (1 / 3), 1.0)
    return torch.cat([torch.zeros(1), weights.float()])


def cross_entropy(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"], weights: Float[Tensor, "classes"] | None = None
) -> Float[Tensor, ""]:
    """Class-weighted mean cross entropy over the batch, in float32 or float64. Rows with label 0 are ignored.

    Zero, with a zero gradient, if no row is labelled.
    """
    precision = torch.promote_types(logits.dtype, torch.float32)
    if not (labels != IGNORE).any():
        return logits.sum(dtype=precision) * 0  # in float16 the sum could overflow, and infinity * 0 is NaN
    return F.cross_entropy(logits.to(precision), labels, weights, ignore_index=IGNORE)
