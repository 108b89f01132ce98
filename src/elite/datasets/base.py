"""The Dataset protocol: all that the library requires of a data set, whatever its format."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16, UInt32

from elite.datasets.formats import read_image
from elite.errors import ConfigError
from elite.layout import DenseFiles, Layout
from elite.metrics import ScoreRule
from elite.sensor import SensorSpec
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Camera, Frame, Scan


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


def check_cameras(selection: Selection, known: Collection[str]) -> None:
    """Check the cameras of a selection.

    Raises:
        ConfigError: one is not ``known``, or there is none although images make a frame.
    """
    unknown = [camera for camera in selection.cameras if camera not in known]
    if unknown or (selection.frame_files == "images" and not selection.cameras):
        raise ConfigError(
            f"data.cameras: expected some of {', '.join(known)}, found {', '.join(unknown) or 'no camera'}. Change the "
            "selection."
        )


@runtime_checkable
class Dataset(Protocol):
    """Frames of a selection, numbered from 0 and read on request.

    A frame without labels or images is legal.

    Attributes:
        taxonomy: classes of its labels. Frames have train ids; only the reader uses the ids in the files.
        sensor: LiDAR of its scans. Frames have points in our axes, and remission in 0..1.
        rule: how its benchmark computes scores.
        layout: paths of the labels that the library generates, unless another folder was given for them.
        selection: part of the data set that was selected.
        cameras: names of the selected cameras.
        ids: frame ids in the order of the frames.
        sequences: names of the selected sequences.
        absent: sequences of a selected split that the data set lacks.
        stray_files: number of files among the scans that are not scans.
        unused: data that the reader skips, and files that it lacks, one line for each kind.
    """

    taxonomy: Taxonomy
    sensor: SensorSpec
    rule: ScoreRule
    layout: Layout
    selection: Selection
    cameras: tuple[str, ...]
    ids: Sequence[FrameId]
    sequences: tuple[str, ...]
    absent: tuple[str, ...]
    unused: Sequence[str]
    stray_files: int

    def select(self, selection: Selection) -> Self:
        """Return another part of the same data set."""
        ...

    def scan_path(self, i: int) -> Path:
        """Return the file of the scan."""
        ...

    def scan(self, i: int) -> Scan:
        """Read the scan. Raises DataError if it is missing or damaged."""
        ...

    def stored_points(self, i: int) -> Float32[np.ndarray, "n 4"]:
        """Read x y z remission of the scan (our axes, 0..1), NaN and infinite numbers too, and scans without points.

        Raises:
            DataError: the file is missing or has another size or encoding.
        """
        ...

    def count_points(self, i: int) -> int:
        """Count the points of the scan from the size of its file. Raises DataError if it is missing."""
        ...

    def has_labels(self, i: int) -> bool:
        """Return whether the points of the frame are labelled."""
        ...

    def labels(self, i: int) -> PointLabels | None:
        """Read the labels of the points; None without a file. Raises DataError if they are damaged."""
        ...

    def label_path(self, i: int) -> Path:
        """Return the file of the point labels."""
        ...

    def label_record(self, i: int) -> Path:
        """Return the record of the provenance of the point labels, which generated ones have."""
        ...

    def raw_labels(self, i: int) -> UInt16[np.ndarray, "n"]:
        """Read the labels as they are stored, of a frame that has some. Raises DataError if they are damaged."""
        ...

    def available_cameras(self) -> tuple[str, ...]:
        """Return the cameras that have images in the selected sequences, also those that are not selected."""
        ...

    def unselected(self, used: Collection[str]) -> tuple[str, ...]:
        """Return the sequences beyond the ``used`` ones, without those of the test split."""
        ...

    def unused_derived(self, dense_folders: Collection[str]) -> Path | None:
        """Return the given root of generated labels if it has neither the point labels nor one of these folders."""
        ...

    def image_cameras(self, i: int) -> tuple[str, ...]:
        """Return the selected cameras that have an image of the frame."""
        ...

    def images(self, i: int) -> tuple[ImageRef, ...]:
        """Return the images of these cameras."""
        ...

    def frame_cameras(self, i: int) -> tuple[Camera, ...]:
        """Read the projections of the selected cameras for this frame; empty if it needs none and there are none.

        Raises:
            DataError: damaged, or missing although the frame has an image.
        """
        ...

    def calibration_path(self, i: int) -> Path | None:
        """Return the file that the projections of the frame depend on; None if it is a table of all frames."""
        ...

    def pose(self, i: int) -> Float64[np.ndarray, "4 4"] | None:
        """Return T_world_sensor at the time of the scan; None without poses, or without a calibration that they need.

        It moves points of ``scan`` (m; x forward, y left, z up) to a world that all frames of a sequence share.

        Raises:
            DataError: the files are damaged, or have no pose for the frame.
        """
        ...

    def derived(self, i: int, kind: str, camera: str) -> DenseFiles:
        """Return the paths of dense labels that the library reads and writes.

        Args:
            i: number of the frame.
            kind: ``labels`` for ground truth, otherwise the name that they were generated under, such as ``pseudo``.
            camera: name of the camera.
        """
        ...

    def frame(self, i: int, cameras: Sequence[str] | None = None) -> Frame:
        """Read a frame with the images of some of its cameras (None = all selected ones).

        Raises:
            DataError: a file is damaged, or a calibration is missing.
        """
        scan, labels = self.scan(i), self.labels(i)
        images = [image for image in self.images(i) if cameras is None or image.camera in cameras]
        return Frame(
            sequence=self.ids[i].sequence,
            name=self.ids[i].name,
            scan=scan,
            labels=None if labels is None else labels.classes,
            objects=None if labels is None else labels.objects,
            cameras=self.frame_cameras(i),
            images={image.camera: read_image(image.path) for image in images},
        )

    def labelled(self) -> list[int]:
        """Return the numbers of the frames with labels."""
        return [i for i in range(len(self)) if self.has_labels(i)]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Frame:
        return self.frame(i)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))
