"""Training losses: pure functions of logits and labels."""

from elite.losses.distillation import (
    dense_pixels,
    kl_divergence,
    labelled_pairs,
    segmentation_loss,
    voxel_majority,
)
from elite.losses.lovasz import lovasz_softmax
from elite.losses.segmentation import class_weights, cross_entropy

__all__ = [
    "class_weights",
    "cross_entropy",
    "dense_pixels",
    "kl_divergence",
    "labelled_pairs",
    "lovasz_softmax",
    "segmentation_loss",
    "voxel_majority",
]
