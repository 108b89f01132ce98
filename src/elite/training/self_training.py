"""Self-training: confident predictions of the averaged student replace missing labels.

The averaged weights teach (Tarvainen and Valpola, NeurIPS 2017), where they are confident (FixMatch, Sohn et al.,
NeurIPS 2020). They see the scan from other headings than the student, and their predictions are averaged.
"""

import math

import torch
from torch import Tensor, nn

from elite.batches import Batch
from elite.shapes import Float, Float32, Int64
from elite.taxonomy import IGNORE


@torch.no_grad()
def rotated_probabilities(student: nn.Module, batch: Batch, views: int) -> Float[Tensor, "n trained"]:
    """Probabilities of the classes 1.. for each point: mean softmax over ``views`` random rotations of each scan."""
    total = torch.zeros((), device=batch.points.device)
    for _ in range(views):
        points = rotate_scans(batch.points, batch.batch_index, batch.size)
        logits = student(points, batch.remission, batch.batch_index, batch.age).logits
        total = total + torch.softmax(logits[:, 1:].float(), dim=1)  # class 0 is never predicted
    return total / views


def rotate_scans(points: Float32[Tensor, "n 3"], batch_index: Int64[Tensor, "n"], scans: int) -> Float32[Tensor, "n 3"]:
    """Rotate every scan about z by a random angle, drawn on the CPU (checkpoints contain that generator's state)."""
    angle = (torch.rand(scans) * 2 * math.pi).to(points.device)[batch_index]
    cos, sin = angle.cos(), angle.sin()
    x, y, z = points.unbind(1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=1)


def select_pseudo_labels(
    probabilities: Float[Tensor, "n trained"], labels: Int64[Tensor, "n"], confidence: float
) -> Int64[Tensor, "n"]:
    """Most probable class of each unlabelled point, if its probability reaches ``confidence``; 0 elsewhere."""
    highest, favoured = probabilities.max(dim=1)
    return torch.where((labels == IGNORE) & (highest >= confidence), favoured + 1, IGNORE)
