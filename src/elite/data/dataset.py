"""Frames as samples: cropped to the volume, augmented for training, complete for scoring."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from torch.utils import data as torch_data

from elite.config import AugmentConfig, FaultConfig, ImageConfig, RemissionAugmentConfig
from elite.data.augment import keep_points, transform_points
from elite.data.cutmix import Cutout, occluded
from elite.data.label_budget import LabelBudget
from elite.data.object_paster import ObjectPaster
from elite.data.provenance import check_provenance
from elite.data.random_streams import RandomStream
from elite.data.rare_scans import repeat_factors, repeated
from elite.data.requirements import check_all_images, check_any_image, check_dense_labels
from elite.data.sampler import SampleKey
from elite.data.sensor_augment import keep_returns, vary_mounting, vary_remission
from elite.data.tolerant_reading import read_tolerantly
from elite.data.views import frame_views
from elite.datasets import Dataset
from elite.datasets.dense_labels import DenseLabels
from elite.errors import DataError
from elite.geometry import Volume, in_volume, nearest
from elite.shapes import Bool, Float32, Int64, UInt8
from elite.taxonomy import IGNORE
from elite.types import Frame, PastPoints, Sample, Scan, View


class TrainingSet(torch_data.Dataset[Sample]):
    """Frames as training samples. The same key gives the same sample in any process; (epoch, index) is a key as well.

    The crop precedes the augmentation, so a rotated scan may reach beyond the volume; the grid accepts any index.

    Args:
        frames: the data set. If it has cameras, their images become views.
        volume: low and high corner of the student's volume (m).
        augment: augmentation of the points. Objects of another scan are pasted in (``augment.cutmix``) without pairs,
            since no camera has recorded them; scan points that they occlude are dropped.
        seed: of all random draws.
        image: crop and augmentation of the images.
        cameras_per_frame: number of cameras that each sample draws at random among those with an image of its scan;
            None = all. Other images are not read.
        dense_labels: folders of dense labels (see ``DenseLabels``).
        require_images: require an image of every camera for each scan.
        label_fraction: share of the labels that is used (see ``LabelBudget``).
        label_unit: unit of that share.
        unlabelled: scans without usable labels that take part.
        labelled_sequences: sequences whose labels may be used; None = all.
        repeat_labelled: repeat the labelled scans until an epoch is as long as with all labels. Each repetition is
            augmented separately.
        balance: classes in fewer than this share of the labelled scans are rare, and their scans repeated (see
            ``repeat_factors``); 0 = off.
        faults: number of damaged frames that are replaced by others (none by default).

    Attributes:
        budget: the labels in use, and the frames that take part.
        entries: index into ``frames`` of each sample of an epoch.

    Raises:
        DataError: no labels; no image or dense label although selected; a required image is missing.
        ConfigError: dense labels of a camera that is not selected, or generated from labels that are not in use.
    """

    def __init__(
        self,
        frames: Dataset,
        volume: Volume,
        augment: AugmentConfig,
        seed: int,
        *,
        image: ImageConfig | None = None,
        cameras_per_frame: int | None = None,
        dense_labels: str = "none",
        require_images: bool = False,
        label_fraction: float = 1.0,
        label_unit: Literal["scans", "points"] = "scans",
        unlabelled: Literal["none", "with_image", "all"] = "none",
        labelled_sequences: Collection[str] | None = None,
        repeat_labelled: bool = False,
        balance: float = 0.0,
        faults: FaultConfig | None = None,
    ) -> None:
        self.frames, self.volume, self.augment, self.seed = frames, volume, augment, seed
        self.image, self.cameras_per_frame = image or ImageConfig(), cameras_per_frame
        self.dense = DenseLabels(frames, dense_labels)
        self.budget = LabelBudget(
            frames, label_fraction, label_unit, unlabelled=unlabelled, seed=seed, sequences=labelled_sequences
        )
        self.paster = ObjectPaster(frames, self.budget, augment.cutmix, volume)
        self.tolerance = 0 if faults is None else faults.tolerated(self.frame_count)
        self.entries = self._repeat_rare(self.budget.epoch(self.budget.available if repeat_labelled else 0), balance)
        candidates = self.budget.labelled if unlabelled == "none" else range(len(frames))
        check_any_image(frames, candidates)
        if require_images:
            check_all_images(frames, candidates, "training", "trains the student without a teacher")
        check_dense_labels(self.dense, self.budget.labelled)
        check_provenance(frames, self.dense, self.budget)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: SampleKey | tuple[int, int]) -> Sample:
        return read_tolerantly(
            SampleKey.of(key),
            self._sample,
            lambda key: str(self.frames.ids[self._frame_index(key)]),
            length=len(self),
            tolerance=self.tolerance,
        )

    @property
    def frame_count(self) -> int:
        """Number of frames that take part, each counted once."""
        return len(self.budget.frames)

    @property
    def without_images(self) -> int:
        """Number of frames that take part without any image."""
        return sum(not self.frames.image_cameras(i) for i in self.budget.frames)

    @property
    def dense_images(self) -> int:
        """Number of images with dense labels in use."""
        return sum(len(self.dense.cameras(i)) for i in self.budget.labelled)

    def class_counts(self, i: int) -> Int64[np.ndarray, "classes"]:
        """Number of usable labels of each class in a labelled frame."""
        labels = self.frames.labels(i)
        assert labels is not None  # the frame is labelled
        return np.bincount(self._usable(i, labels.classes, len(labels.classes)), minlength=len(self.frames.taxonomy))

    def _repeat_rare(self, entries: Int64[np.ndarray, "n"], share: float) -> Int64[np.ndarray, "m"]:
        """Repeat the scans of rare classes; scans without labels keep their number."""
        if not share:
            return entries
        factors = np.ones(len(self.frames))
        counts = np.stack([self.class_counts(i) for i in self.budget.labelled])
        factors[self.budget.labelled] = repeat_factors(counts, share)
        return repeated(entries, factors[entries])

    def _sample(self, key: SampleKey) -> Sample:
        i = self._frame_index(key)
        frame = self.frames.frame(i, self._cameras(i, key))
        scan, labels = frame.scan, self._usable(i, frame.labels, len(frame.scan))
        rows = np.flatnonzero(_inside(frame, self.volume))
        rng = self._generator(RandomStream.POINTS, key)
        if self.augment.enabled:
            rows = rows[keep_points(len(rows), self.augment.drop, rng)]
            rows = rows[self._keep_returns(scan.points[rows], key)]
        pasted: list[Cutout] = []
        if self.augment.enabled:
            place_rng = self._generator(RandomStream.OBJECTS, key)
            pasted = self.paster.paste(i, self._sample_index(key), frame, labels, place_rng)
        rows = rows[~occluded(scan.points[rows], pasted, self.frames.sensor.beams)]
        points = np.concatenate([scan.points[rows], *(cutout.points for cutout in pasted)])
        remission = np.concatenate([scan.remission[rows], *(cutout.remission for cutout in pasted)])
        labels = np.concatenate([labels[rows], *(cutout.labels for cutout in pasted)]).astype(np.int64)
        views = self._views(i, frame, rows, self._generator(RandomStream.IMAGES, key))
        sample = with_past(Sample(frame.id, points, remission, labels, views), self._past(scan, pasted, key))
        if self.augment.enabled:
            sample = self._as_other_sensor(sample, key)
            return replace(sample, points=transform_points(sample.points, self.augment, rng))
        return sample

    def _keep_returns(self, points: Float32[np.ndarray, "n 3"], key: SampleKey) -> Bool[np.ndarray, "n"]:
        """Mask of the points that a sensor of other beams and range returns."""
        if not (self.augment.sensor.beams or self.augment.sensor.far):
            return np.ones(len(points), bool)
        rng = self._generator(RandomStream.RETURNS, key)
        return keep_returns(points, self.augment.sensor, self.frames.sensor.beams, rng)

    def _as_other_sensor(self, sample: Sample, key: SampleKey) -> Sample:
        """Sample as a sensor of another response and mounting records it."""
        augment = self.augment
        if augment.remission != RemissionAugmentConfig():
            rng = self._generator(RandomStream.REMISSION, key)
            varied = vary_remission(sample.remission, sample.points, augment.remission, rng)
            sample = replace(sample, remission=varied)
        if augment.sensor.jitter or augment.sensor.tilt or augment.sensor.height:
            rng = self._generator(RandomStream.MOUNTING, key)
            sample = replace(sample, points=vary_mounting(sample.points, augment.sensor, rng))
        return sample

    def _past(self, scan: Scan, pasted: Sequence[Cutout], key: SampleKey) -> PastPoints | None:
        """Points of past scans in the volume without dropped ones, and those of pasted objects."""
        if scan.past is None:
            return None
        past = scan.past.select(in_volume(scan.past.points, self.volume))
        if self.augment.enabled and len(past):
            past = past.select(keep_points(len(past), self.augment.drop, self._generator(RandomStream.PAST, key)))
        return past.concat(*(cutout.past for cutout in pasted if cutout.past is not None))

    def _cameras(self, i: int, key: SampleKey) -> tuple[str, ...]:
        """Cameras of a sample, in the order of the data set."""
        cameras, count = self.frames.image_cameras(i), self.cameras_per_frame
        if count is None or count >= len(cameras):
            return cameras
        drawn = self._generator(RandomStream.CAMERAS, key).choice(len(cameras), count, replace=False)
        return tuple(cameras[place] for place in sorted(drawn))

    def _frame_index(self, key: SampleKey) -> int:
        """Index into ``frames`` of a sample."""
        if key.labelled_only:
            return self.budget.labelled[self._sample_index(key) % len(self.budget.labelled)]
        return int(self.entries[key.index])

    def _sample_index(self, key: SampleKey) -> int:
        """Index of a sample within its epoch; labelled-only samples follow the ordinary ones."""
        return key.index + len(self) * key.labelled_only

    def _generator(self, stream: RandomStream, key: SampleKey) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, key.epoch, self._sample_index(key)))

    def _usable(self, i: int, labels: np.ndarray | None, points: int) -> UInt8[np.ndarray, "n"]:
        return self.budget.usable(i, str(self.frames.ids[i]), labels, points)

    def _views(self, i: int, frame: Frame, rows: np.ndarray, rng: np.random.Generator) -> tuple[View, ...]:
        dense = {} if self.budget.is_unlabelled(i) else self.dense.read(i, frame.images)
        return frame_views(frame, rows, self.image, rng if self.augment.enabled else None, dense)


class ScoringSet(torch_data.Dataset[Sample]):
    """Labelled frames without augmentation, with the ground truth of every point of the scan.

    If ``frames`` has cameras, its images come as views without random crop and without dense labels.

    Args:
        frames: the data set.
        volume: low and high corner of the student's volume (m).
        image: crop of the images.
        require_images: require an image of every camera for each scan.

    Attributes:
        labelled: index into ``frames`` of each sample.

    Raises:
        DataError: a required image is missing.
    """

    def __init__(
        self,
        frames: Dataset,
        volume: Volume,
        *,
        image: ImageConfig | None = None,
        require_images: bool = False,
    ) -> None:
        self.frames, self.volume, self.image = frames, volume, image or ImageConfig()
        self.labelled = frames.labelled()
        if require_images:
            check_all_images(frames, self.labelled, "validation", "is scored without a teacher")

    def __len__(self) -> int:
        return len(self.labelled)

    def __getitem__(self, i: int) -> Sample:
        frame = self.frames[self.labelled[i]]
        assert frame.labels is not None  # only labelled frames are part of the set
        keep = _inside(frame, self.volume)
        labels = frame.labels.astype(np.int64)
        sample = Sample(
            frame.id,
            frame.scan.points[keep],
            frame.scan.remission[keep],
            labels[keep],
            frame_views(frame, np.flatnonzero(keep), self.image),
            point_to_row=nearest(frame.scan.points, keep),
            ground_truth=labels,
        )
        past = frame.scan.past
        if past is None:
            return sample
        if past.faults:
            raise DataError(f"past scan of {frame.id}: {past.faults[0][1]}")
        return with_past(sample, past.select(in_volume(past.points, self.volume)))


def with_past(sample: Sample, past: PastPoints | None) -> Sample:
    """Append the points of past scans, without labels: only the points of the scan itself are trained and scored."""
    if past is None:
        return sample
    return replace(
        sample,
        points=np.concatenate([sample.points, past.points]),
        remission=np.concatenate([sample.remission, past.remission]),
        labels=np.pad(sample.labels, (0, len(past)), constant_values=IGNORE),
        age=np.concatenate([np.zeros(len(sample.points), np.float32), past.age]),
        faults=(*sample.faults, *past.faults),
    )


def _inside(frame: Frame, volume: Volume) -> Bool[np.ndarray, "n"]:
    keep = in_volume(frame.scan.points, volume)
    if not keep.any():
        raise DataError(
            f"scan {frame.id}: expected a point in the volume {volume[0]} .. {volume[1]} m, found none. Exclude the "
            "scan, describe other axes or units in sensor.yaml, or set student.volume to the range of your sensor."
        )
    return keep
