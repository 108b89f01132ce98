"""Self-training: what the averaged student is sure of stands in for labels that are missing.

The average of the weights teaches (Tarvainen and Valpola, NeurIPS 2017), only where it is sure (FixMatch, Sohn et al.,
NeurIPS 2020), and sees the scan from other headings than the student: their mean knows more than one view does.
"""

import math

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from elite.labels import IGNORE
from elite.types import Batch


@torch.no_grad()
def turned_answers(student: nn.Module, batch: Batch, views: int) -> Float[Tensor, "n named"]:
    """Share of every class 1.. for each point: the mean of the softmax over ``views`` turns of each scan."""
    total = torch.zeros((), device=batch.points.device)
    for _ in range(views):
        points = turned(batch.points, batch.batch_index, batch.size)
        logits = student(points, batch.remission, batch.batch_index).logits
        total = total + torch.softmax(logits[:, 1:].float(), dim=1)  # class 0 is never an answer
    return total / views


def turned(points: Float32[Tensor, "n 3"], batch_index: Int64[Tensor, "n"], scans: int) -> Float32[Tensor, "n 3"]:
    """Every scan turned about z by any angle. The CPU's generator draws it: its state is in checkpoints."""
    angle = (torch.rand(scans) * 2 * math.pi).to(points.device)[batch_index]
    cos, sin = angle.cos(), angle.sin()
    x, y, z = points.unbind(1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=1)


def missing_labels(
    answers: Float[Tensor, "n named"], labels: Int64[Tensor, "n"], confidence: float
) -> Int64[Tensor, "n"]:
    """The favoured class of points without a label, where its share reaches ``confidence``; 0 elsewhere."""
    share, favoured = answers.max(dim=1)
    return torch.where((labels == IGNORE) & (share >= confidence), favoured + 1, IGNORE)
