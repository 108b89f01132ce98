"""Dense pseudo-labels of camera images from the labels of the LiDAR points in view."""

from elite.pseudo_labels.generate import Summary, generate, training_options
from elite.pseudo_labels.label_image import label_image
from elite.pseudo_labels.proposers import open_proposer
from elite.pseudo_labels.seeds import find_seeds

__all__ = ["Summary", "find_seeds", "generate", "label_image", "open_proposer", "training_options"]
