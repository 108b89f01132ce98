"""The Dataset protocol: all that the library requires of a data set, whatever its format."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self, runtime_checkable

import numpy as np

from elite.beams import Beams
from elite.datasets.formats import read_image
from elite.datasets.past_scans import PastScan, Timeline, past_points, pose_and_time, require_poses
from elite.datasets.records import FrameId, FrameTimes, ImageRef, PointLabels, Selection
from elite.layout import DenseFiles, Layout
from elite.metrics import ScoreRule
from elite.sensor import SensorSpec
from elite.shapes import Float32, Float64, Int64, Integer
from elite.taxonomy import Taxonomy
from elite.types import Camera, Frame, Scan


@runtime_checkable
class Dataset(Protocol):
    """Frames of a selection, numbered from 0 and read on request.

    A frame without labels or images is legal. ``Reader`` is a base class with all of it for files in a format of yours.

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
        unlabelled: labels that the scans of a split lack, in the same form.
        splits: names of sequences by split, if the format has splits of sequences.
        past_scans: number of past scans whose points frames have (``with_past_scans``).
    """

    taxonomy: Taxonomy
    sensor: SensorSpec
    rule: ScoreRule
    layout: Layout
    selection: Selection
    cameras: tuple[str, ...]
    ids: Sequence[FrameId]
    sequences: tuple[str, ...]
    absent: tuple[str, ...] = ()
    unused: Sequence[str] = ()
    unlabelled: Sequence[str] = ()
    splits: Mapping[str, Sequence[str]] = MappingProxyType({})
    stray_files: int = 0
    past_scans: int = 0
    _timeline: Timeline | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} frames in the sequences {', '.join(self.sequences)}>"

    def select(self, selection: Selection) -> Self:
        """Return another part of the same data set."""
        other = copy(self)
        other._timeline = None
        other._open(selection)
        return other

    def with_past_scans(self, count: int) -> Self:
        """Return the same data set with the points of ``count`` past scans for each frame.

        Raises:
            ConfigError: a negative ``count``.
            DataError: a sequence has no poses or no times.
        """
        require_poses(self, count)
        other = copy(self)
        other.past_scans = count
        return other

    def _open(self, selection: Selection) -> None:
        """Check the selection and list its frames."""
        ...

    def scan_path(self, i: int) -> Path:
        """Return the file of the scan."""
        ...

    def scan(self, i: int) -> Scan:
        """Read the scan. Raises DataError if it is missing or damaged."""
        ...

    def scan_with_past(self, i: int) -> Scan:
        """Read the scan, with the points of its past scans if the data set has ``past_scans``.

        Past scans that cannot be read are skipped and named in ``Scan.past.faults``.

        Raises:
            DataError: the scan is missing or damaged, or poses or times are.
        """
        scan = self.scan(i)
        if not self.past_scans:
            return scan
        past = past_points(*pose_and_time(self, i), self.scans_before(i), f"scan {self.ids[i]}")
        return replace(scan, past=past)

    def scans_before(self, i: int) -> Iterable[PastScan]:
        """Yield at most ``past_scans`` scans before a frame in its sequence, the latest first, selected or not.

        Raises:
            DataError: as ``pose`` and ``times``, or one of them is not known.
        """
        if self._timeline is None:
            self._timeline = Timeline.of(self)
        return self._timeline.before(self.ids[i], self.past_scans)

    def stored_points(self, i: int) -> Float32[np.ndarray, "n 4"]:
        """Read x y z remission of the scan (our axes, 0..1), NaN and infinite numbers too, and scans without points.

        Raises:
            DataError: the file is missing or has another size or encoding.
        """
        ...

    def count_points(self, i: int) -> int:
        """Count the points of the scan. Raises DataError if it is missing."""
        ...

    def rings(self, i: int) -> Int64[np.ndarray, "n"] | None:
        """Read the number of the beam of each point, if the file states it. Raises DataError if it is damaged."""
        return None

    def has_labels(self, i: int) -> bool:
        """Return whether the points of the frame are labelled."""
        ...

    @property
    def label_files(self) -> str:
        """Pattern of the files of the selected labels, for messages."""
        return str(self.layout.labels("*", "*", self.selection.labels))

    def labels(self, i: int) -> PointLabels | None:
        """Read the labels of the points; None without a file. Raises DataError if they are damaged."""
        ...

    def label_path(self, i: int) -> Path:
        """Return the file of the point labels."""
        ...

    def label_record(self, i: int) -> Path:
        """Return the record of the provenance of the point labels, which generated ones have."""
        return self.layout.dense_files(*self.ids[i], self.selection.labels).record

    def raw_labels(self, i: int) -> Integer[np.ndarray, "n"]:
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
        return None

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
        """Return the file that the projections of the frame depend on; None if it is not known."""
        return None

    def pose(self, i: int) -> Float64[np.ndarray, "4 4"] | None:
        """Return T_world_sensor at the time of the scan; None without poses, or without a calibration that they need.

        It moves points of ``scan`` (m; x forward, y left, z up) to a world that all frames of a sequence share.

        Raises:
            DataError: the files are damaged, or have no pose for the frame.
        """
        return None

    def times(self, i: int) -> FrameTimes | None:
        """Return the times of the scan and its images; None = unknown. Raises DataError if they are damaged."""
        return None

    def derived(self, i: int, kind: str, camera: str) -> DenseFiles:
        """Return the paths of dense labels that the library reads and writes.

        Args:
            i: number of the frame.
            kind: ``labels`` for ground truth, otherwise the name that they were generated under, such as ``pseudo``.
            camera: name of the camera.
        """
        return self.layout.dense_files(*self.ids[i], f"{camera}_{kind}")

    def frame(self, i: int, cameras: Sequence[str] | None = None) -> Frame:
        """Read a frame with the images of some of its cameras (None = all selected ones).

        Raises:
            DataError: a file is damaged, or a calibration is missing.
        """
        scan, labels = self.scan_with_past(i), self.labels(i)
        images = [image for image in self.images(i) if cameras is None or image.camera in cameras]
        return Frame(
            sequence=self.ids[i].sequence,
            name=self.ids[i].name,
            scan=scan,
            labels=None if labels is None else labels.classes,
            objects=None if labels is None else labels.objects,
            cameras=self.frame_cameras(i),
            images={image.camera: read_image(image.path) for image in images},
            beams=self.beams,
        )

    @property
    def beams(self) -> Beams | None:
        """Beams of the LiDAR for the occlusion test; None = it uses constant patches."""
        return self.sensor.beams

    def labelled(self) -> list[int]:
        """Return the numbers of the frames with labels."""
        return [i for i in range(len(self)) if self.has_labels(i)]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Frame:
        return self.frame(i)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))
