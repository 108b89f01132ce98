"""From a scan to labels. LiDAR only: no images, calibration or labels, and no optional packages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from elite.datasets.input_guard import warn
from elite.device import Backend, ResolvedBackend, pick_device
from elite.errors import ConfigError, DataError
from elite.geometry import in_volume, nearest
from elite.input_conversion import Intensity, conversion_for, guard_for, require_scan
from elite.native import Precision
from elite.scan_crop import ScanCrop, required_past
from elite.segmentation_result import SegmentationResult
from elite.shapes import Float32
from elite.student.engine import Engine, engines_for
from elite.student.opening import open_student
from elite.student.trained import TrainedStudent
from elite.taxonomy import IGNORE
from elite.test_time_augmentation import ViewEnsemble, ViewLogits, VoteBy
from elite.types import Scan

if TYPE_CHECKING:
    import torch

    from elite.student.spvcnn import SPVCNN
    from elite.student.torch_engine import TorchEngine

_VIEWS_PER_GPU_BATCH = 4  # on a CPU a batch takes longer than its scans one by one


class Segmenter:
    """Trained student that labels scans::

        segmenter = elite.Segmenter.load("best.ckpt")
        result = segmenter(points, remission)          # (N, 3) metres, (N,) -> labels (N,), confidence (N,)

    Several threads may call it at once. Its memory does not grow with the number of calls.

    Args:
        student: weights, or a network. The network is moved to ``device`` if PyTorch runs it, and set to eval mode.
        backend: auto (native on a CPU, spconv on CUDA), native, torch, or spconv.
        precision: fp32, bf16 or int8, of which the last two may change some labels. bf16 takes 60 % of the time on AMD
            Zen 4 and Zen 5, 45 % with AMX, and is slower on some other processors. int8, on CPUs only, takes half the
            time.
        votes: number of test-time-augmentation views (1 = off). Each view takes the time of a scan.
        vote_by: how the views are averaged: softmax, logits or released; see
            :class:`elite.test_time_augmentation.ViewEnsemble`.
        seed: of the rotations and shifts of the views.
        intensity: scale = remission as given; quantile = replaced by the training value of the same rank in the scan;
            zero = 0 for all points. The last two suit a sensor of other intensities.
        height: mounting height (m) of the sensor of the scans, from which z is shifted to that of the training scans;
            None = the same height.
        fill_radius: distance (m) from the nearest point inside the student's volume beyond which a point outside gets
            label 0 and confidence 0; None = every point gets a label.
        report: called once per kind of doubtful scan (remission, height, axes, points without a return) with a message.
            Default: DoubtfulInput warning.
        strict: raise a DataError for such scans instead.

    Attributes:
        taxonomy: classes of the labels; ``taxonomy.names[label]`` is the name of one.
        sensor: LiDAR of the training scans.
        backend: native, torch or spconv.
        past_scans: number of past scans whose points the student requires.

    Raises:
        MissingExtraError: a backend of PyTorch, or no native kernels, and PyTorch is not installed.
        ConfigError: a device, backend or precision that is not available, invalid views, a negative ``fill_radius`` or
            ``height``, or a student file without the values that ``intensity`` or ``height`` requires.
    """

    def __init__(
        self,
        student: "TrainedStudent | SPVCNN",
        device: "str | torch.device" = "cpu",
        *,
        backend: Backend = "auto",
        precision: Precision = "fp32",
        votes: int = 1,
        vote_by: VoteBy = "softmax",
        seed: int = 0,
        intensity: Intensity = "scale",
        height: float | None = None,
        fill_radius: float | None = None,
        report: Callable[[str], None] = warn,
        strict: bool = False,
    ) -> None:
        if fill_radius is not None and not fill_radius >= 0:
            raise ConfigError(f"fill_radius: expected metres, at least 0, found {fill_radius}. Change the value.")
        self.ensemble, self.fill_radius = ViewEnsemble(votes, vote_by, seed), fill_radius
        self.conversion = conversion_for(student, intensity, height)
        self.guard = guard_for(student, self.conversion, report, strict)
        self.device = pick_device(str(device))
        self.student, self.taxonomy, self.sensor = student, student.taxonomy, student.sensor
        self.past_scans = student.config.past_scans
        self.precision: Precision = precision
        self.engine, self.torch_engine = engines_for(student, self.device, backend, precision)
        self._engines = {precision: self.engine}  # shared with the segmenters of other settings
        self.views_per_batch = 1 if self.device == "cpu" else _VIEWS_PER_GPU_BATCH

    @property
    def _in_use(self) -> "Engine | TorchEngine":
        engine = self.engine or self.torch_engine
        assert engine is not None
        return engine

    @property
    def backend(self) -> ResolvedBackend:
        return self._in_use.backend

    @property
    def threads(self) -> int:
        """Number of processor threads of calls from the current thread."""
        return self._in_use.threads

    def use_threads(self, count: int) -> None:
        """Set the number of processor threads of calls from the current thread."""
        self._in_use.use_threads(count)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        backend: Backend = "auto",
        precision: Precision = "fp32",
        votes: int = 1,
        vote_by: VoteBy = "softmax",
        seed: int = 0,
        intensity: Intensity = "scale",
        height: float | None = None,
        fill_radius: float | None = None,
        report: Callable[[str], None] = warn,
        strict: bool = False,
    ) -> "Segmenter":
        """Load a training checkpoint, an imported or exported student, or a packaged one by its name.

        Arguments as in the class.

        Raises:
            CheckpointError: another kind of file, or a damaged one.
            ConfigError: as the class.
        """
        return cls(
            open_student(path),
            device,
            backend=backend,
            precision=precision,
            votes=votes,
            vote_by=vote_by,
            seed=seed,
            intensity=intensity,
            height=height,
            fill_radius=fill_radius,
            report=report,
            strict=strict,
        )

    @property
    def faster_precisions(self) -> tuple[Precision, ...]:
        """This precision, and those that take less time here, the fastest one last."""
        return (self.precision,) if self.engine is None else self.engine.faster_precisions

    def with_settings(self, precision: Precision, votes: int) -> "Segmenter":
        """Return a segmenter of the same student with another precision and number of views; they share all else.

        Raises:
            ConfigError: as the class.
        """
        other = copy(self)
        other.precision, other.ensemble = precision, replace(self.ensemble, count=votes)
        if self.engine is not None and precision not in self._engines:
            self._engines[precision] = Engine(self.student, precision)
        other.engine = self._engines.get(precision)
        return other

    def __call__(
        self,
        points: Scan | Float32[np.ndarray, "n 3"],
        remission: Float32[np.ndarray, "n"] | None = None,
        *,
        source: object = "the scan",
    ) -> SegmentationResult:
        """Label every point. Points outside the student's volume get the label of the nearest point inside.

        With a ``fill_radius``, those farther away from it get label 0.

        Args:
            points: scan, such as ``elite.read`` returns; or metres, in the sensor frame (x forward, y left, z up).
            remission: 0 to 1; None with a scan.
            source: name of the scan in messages.

        Returns:
            Labels in the order of the points; of a scan, in the order and number of the points of its file, where beams
            without a return have label 0.

        Raises:
            DataError: arrays of another shape, NaN or infinite numbers, no point inside the volume, or no points of
                past scans for a student that requires them. Also numbers so large that the network overflows, and a
                doubtful scan if ``strict``.
        """
        if isinstance(points, Scan):
            if remission is not None:
                raise DataError(f"{source}: expected a scan without remission, found both. Give the scan only.")
            return self.segment(points, source).spread(points)
        if remission is None:
            raise DataError(
                f"{source}: expected a scan, or points and remission, found points only. Give elite.read(points), or "
                "zeros as remission."
            )
        return self.segment(Scan(*require_scan(points, remission, source)), source)

    def segment(self, scan: Scan, source: object = "the scan") -> SegmentationResult:
        """Label the points of ``scan``, without those of its file that it lacks; errors as a call."""
        crop = self.crop(scan, source)
        each = (self.predict_views(views) for views in self.views(crop))
        return self.combine(crop, chain.from_iterable(each))

    def logits(self, scan: Scan, source: object = "the scan") -> Float32[np.ndarray, "n classes"]:
        """Compute the logits of every point, without test-time augmentation.

        Column 0, the ignored class, is never trained.

        Raises:
            DataError: as a call.
        """
        crop = self.crop(scan, source)
        [(logits, row)] = self.predict_views([crop])
        inside = logits[row]
        crop.require_finite(inside)
        return inside[nearest(crop.all_points, crop.inside)]

    # Steps of a call, separate for timing (elite.latency).

    def crop(self, scan: Scan, source: object = "the scan") -> ScanCrop:
        """Check all points, and select those inside the volume."""
        points, remission = require_scan(scan.points, scan.remission, source)
        past = required_past(scan.past, self.past_scans, source)
        self.guard.examine(replace(scan, points=points, remission=remission, past=past), source)
        points, remission = self.conversion.points(points), self.conversion.remission(remission)
        inside = in_volume(points, self.student.config.volume)
        if not inside.any():
            low, high = self.student.config.volume
            raise DataError(
                f"{source}: expected points in the volume {low} .. {high} m, found none of {len(points)} points in it. "
                "Convert them to metres in the sensor frame, x forward, z up."
            )
        selected = (array.compress(inside, axis=0) for array in (points, remission))  # 4 times as fast as array[inside]
        crop = ScanCrop(source, points, inside, *selected)
        return crop if past is None else crop.with_past(past, self.conversion, self.student.config.volume)

    def views(self, crop: ScanCrop) -> Iterator[list[ScanCrop]]:
        """Views of the scan, ``views_per_batch`` at a time."""
        views = (replace(crop, points=points) for points in self.ensemble.views(crop.points))
        while batch := list(islice(views, self.views_per_batch)):
            yield batch

    def predict_views(
        self, views: Sequence[ScanCrop], report_geometry: Callable[[float], None] = lambda seconds: None
    ) -> list[ViewLogits]:
        """Logits of each view, predicted as one batch.

        Args:
            report_geometry: called with the seconds of the voxels and their neighbours, where the backend finds them
                before the network.
        """
        if self.engine is not None:
            [view] = views
            logits, point_group, geometry_s = self.engine(view.points, view.remission, view.age)
            report_geometry(geometry_s)
            return [ViewLogits(logits, point_group)]
        assert self.torch_engine is not None
        return [
            ViewLogits(logits, np.arange(len(logits)))
            for logits in self.torch_engine([(view.points, view.remission, view.age) for view in views])
        ]

    def combine(self, crop: ScanCrop, views: Iterable[ViewLogits]) -> SegmentationResult:
        """Combine the logits of all views into the most probable class of every point, inside the volume or not.

        Raises:
            DataError: the logits are not finite.
        """
        threads = None if self.engine is None else self.threads
        groups, row = self.ensemble.answers(views, crop.require_finite, threads)
        nearest_inside = nearest(crop.all_points, crop.inside)
        group = row[nearest_inside]
        labels, confidence = groups.labels[group], groups.confidence[group]
        unfilled = crop.beyond(self.fill_radius, nearest_inside)
        labels[unfilled], confidence[unfilled], group[unfilled] = IGNORE, 0, -1
        outside, distinct = int((~crop.inside).sum()), (groups.probabilities, group)
        return SegmentationResult(
            labels, confidence, self.taxonomy.names, outside, len(unfilled), distinct, groups.entropy
        )
