"""Records of readers: ids, files and labels of frames, and selections of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from elite.shapes import Integer, UInt8, UInt16, UInt32
from elite.taxonomy import IGNORE, Taxonomy


class FrameId(NamedTuple):
    """Sequence and name of a frame; as text ``00/000000``."""

    sequence: str
    name: str

    def __str__(self) -> str:
        return f"{self.sequence}/{self.name}"


class ImageRef(NamedTuple):
    """An image file that has not been read, and the camera that recorded it.

    The projection is not part of it (see ``Dataset.frame_cameras``): images are usable without a calibration.
    """

    camera: str
    path: Path


@dataclass(frozen=True)
class FrameTimes:
    """Times of the recordings of a frame, in seconds of one clock.

    Attributes:
        scan: of the scan, the moment that its points refer to.
        images: of the images, by camera, where they are known.
    """

    scan: float
    images: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameFiles:
    """Files of one frame. They need not exist: a frame may lack labels or images.

    Attributes:
        id: sequence and name, which are names of folders and files where the library writes its own labels.
        scan: file of the points.
        labels: file of the labels of the points; None = no labels.
        images: files of the images, by camera.
    """

    id: FrameId
    scan: Path
    labels: Path | None = None
    images: Mapping[str, Path] = field(default_factory=dict)


class PointLabels(NamedTuple):
    """Train ids of the points of a scan, and their objects: class << 16 | instance, 0 = none."""

    classes: UInt8[np.ndarray, "n"]
    objects: UInt32[np.ndarray, "n"]


def object_ids(
    train: UInt8[np.ndarray, "*shape"], instance: UInt16[np.ndarray, "*shape"]
) -> UInt32[np.ndarray, "*shape"]:
    """Number the objects: class << 16 | instance, since instance ids are unique within a class only.

    0 = no object (instance 0, or an ignored class).
    """
    ids = (train.astype(np.uint32) << 16) | instance
    ids[(instance == 0) | (train == IGNORE)] = 0
    return ids


def point_labels(
    taxonomy: Taxonomy, raw: Integer[np.ndarray, "n"], instance: UInt16[np.ndarray, "n"], source: object
) -> PointLabels:
    """Convert raw ids and instance ids of points; ``source`` names their file. Raises DataError for undefined ids."""
    classes = taxonomy.to_train(raw, source=source)
    return PointLabels(classes, object_ids(classes, instance))


@dataclass(frozen=True)
class Selection:
    """A part of a data set.

    Attributes:
        sequences: splits, numbers or names of sequences: ``train``, ``00,08``, ``0-7``; None = all.
        frames: numbers of the frames within each sequence: ``0-2,7``; None = all.
        labels: source of the point labels.
        cameras: cameras whose images belong to a frame; none = LiDAR only.
        without: sequences to exclude, in the same words; ``none`` = none.
        frame_files: files that make a frame: its scan, or an image of one of the cameras.
    """

    sequences: str | None = None
    frames: str | None = None
    labels: str = "labels"
    cameras: tuple[str, ...] = ("image_2",)
    without: str = "none"
    frame_files: Literal["scans", "images"] = "scans"
