"""Confusion matrix of a training or validation pass, over batches and processes."""

import torch
from lightning.fabric import Fabric
from torch import Tensor

from elite.shapes import Float, Int64


class Confusion:
    """Counts [prediction, ground truth] that grow batch by batch.

    Attributes:
        matrix: counts of this process since the last ``reset``, on the device of the labels.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, prediction: Int64[Tensor, "n"], truth: Int64[Tensor, "n"]) -> None:
        flat = torch.bincount(prediction * self.classes + truth, minlength=self.classes**2)
        self.matrix = self.matrix.to(flat.device) + flat.view(self.classes, self.classes)

    def total(self, fabric: Fabric) -> Int64[Tensor, "classes classes"]:
        """Sum over all processes, which call it together. On the CPU."""
        return summed(self.matrix, fabric).cpu()

    def reset(self) -> None:
        self.matrix = torch.zeros_like(self.matrix)


def summed(values: Tensor, fabric: Fabric) -> Tensor:
    """Sum of ``values`` over all processes, which call it together."""
    if fabric.world_size == 1:
        return values
    found = fabric.all_reduce(values.to(fabric.device, copy=True), reduce_op="sum")
    assert isinstance(found, Tensor)
    return found


def predicted_classes(logits: Float[Tensor, "n classes"]) -> Int64[Tensor, "n"]:
    """Argmax over the classes 1.. (class 0 is never trained)."""
    return logits[:, 1:].argmax(dim=1) + 1
