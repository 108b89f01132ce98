"""Training losses: pure functions of logits and labels."""

from elite.losses.lovasz import lovasz_softmax
from elite.losses.segmentation import class_weights, cross_entropy

__all__ = ["class_weights", "cross_entropy", "lovasz_softmax"]
