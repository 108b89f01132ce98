"""Readers of data sets: files in, frames out."""

from elite.datasets.base import Dataset
from elite.datasets.described import Described
from elite.datasets.nuscenes import NuScenes
from elite.datasets.opening import is_dataset, open_dataset, resolved_cameras, taxonomy_of
from elite.datasets.reader import Reader
from elite.datasets.records import FrameFiles, FrameId, ImageRef, PointLabels, Selection
from elite.datasets.semantickitti import SemanticKITTI

__all__ = [
    "Dataset",
    "Described",
    "FrameFiles",
    "FrameId",
    "ImageRef",
    "NuScenes",
    "PointLabels",
    "Reader",
    "Selection",
    "SemanticKITTI",
    "is_dataset",
    "open_dataset",
    "resolved_cameras",
    "taxonomy_of",
]
