"""Readers of data sets: files in, frames out."""

from elite.datasets.base import Dataset, FrameId, ImageRef, PointLabels, Selection
from elite.datasets.nuscenes import NuScenes
from elite.datasets.opening import is_dataset, open_dataset, taxonomy_of
from elite.datasets.semantickitti import SemanticKITTI

__all__ = [
    "Dataset",
    "FrameId",
    "ImageRef",
    "NuScenes",
    "PointLabels",
    "Selection",
    "SemanticKITTI",
    "is_dataset",
    "open_dataset",
    "taxonomy_of",
]
