"""Training losses: pure functions of logits and labels."""

from elite.losses.distillation import kl_divergence, labelled_pixels, segmentation_loss, voxel_majority
from elite.losses.lovasz import lovasz_softmax
from elite.losses.segmentation import class_weights, cross_entropy

__all__ = [
    "class_weights",
    "cross_entropy",
    "kl_divergence",
    "labelled_pixels",
    "lovasz_softmax",
    "segmentation_loss",
    "voxel_majority",
]
