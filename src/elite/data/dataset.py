"""Frames made into samples: cropped to the volume, augmented for training, whole for scoring."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt8, UInt32
from torch.utils.data import Dataset

from elite.config import AugmentConfig, FaultConfig, ImageConfig
from elite.data.augment import keep_points, transform_points
from elite.data.cutmix import Cutout, cut_out, hidden, paste
from elite.data.fraction import labelled_scans, shown_labels
from elite.data.sampler import SampleKey
from elite.data.views import frame_views
from elite.datasets.dense_labels import DenseLabels, generated_with
from elite.datasets.semantickitti import FrameIndex, SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.geometry import Volume, in_volume, nearest
from elite.labels import NUM_CLASSES, THINGS
from elite.types import Frame, Sample, View

_LOOKED_AT = 20  # scans that tell whether there are objects at all


class TrainingSet(Dataset[Sample]):
    """Frames as training samples. The same key gives the same sample, in any process; (epoch, index) is one, too.

    The crop comes before the augmentation, so a turned scan may reach beyond the volume; the grid takes any index.
    If ``frames`` has cameras, their images come as views: ``image`` says what becomes of them, ``dense_labels`` names
    folders of dense labels (see ``DenseLabels``), ``require_images`` asks for an image of every camera. Images draw
    from a generator of their own: the points of a sample are the same with and without them.

    Only a ``label_fraction`` of the labels is shown: of the scans, evenly spaced (0.01: numbers 0, 100, 200, ...), or
    of the labelled points of every scan, the same ones in every epoch. Of scans whose labels are hidden or missing
    ``unlabelled`` keeps none, those that have an image to learn from, or all. If they are the majority,
    the labelled scans are repeated to up to half of an epoch; where none are kept, ``repeat_labelled`` repeats them to
    up to the length that an epoch has with all labels. Every repeat is augmented on its own.

    A frame that cannot be read is replaced by the next one that can, up to ``tolerance`` in a row (as many as
    ``faults`` puts up with of the frames that are used), and named in the sample's ``faults``.

    With ``augment.cutmix``, objects of another scan of ``labelled`` are pasted into each sample whose labels are shown;
    what they hide goes, and no camera has seen them, so they have no pairs. They too come from a generator of their
    own: nothing else of the sample changes. Only points that show their label are pasted.

    ``entries[i]`` is the place in ``frames`` of sample i, repeats included; ``labelled`` and ``unlabelled`` list each
    frame once. ``without_images`` counts frames without any image, ``dense_images`` the images with dense labels.

    Raises:
        DataError: no label; no image, or no dense label, though asked for; a missing image that is required.
        ConfigError: dense labels of a camera that is not selected, or that tell more than the labels that are shown.
    """

    def __init__(
        self,
        frames: SemanticKITTI,
        volume: Volume,
        augment: AugmentConfig,
        seed: int,
        *,
        image: ImageConfig | None = None,
        dense_labels: str = "none",
        require_images: bool = False,
        label_fraction: float = 1.0,
        label_unit: Literal["scans", "points"] = "scans",
        unlabelled: Literal["none", "seen", "all"] = "none",
        repeat_labelled: bool = False,
        faults: FaultConfig | None = None,
    ) -> None:
        self.frames = frames
        self.volume = volume
        self.augment = augment
        self.seed = seed
        self.image = image or ImageConfig()
        self.dense = DenseLabels(frames, dense_labels)
        self.point_fraction = label_fraction if label_unit == "points" else 1.0
        self.labelled = labelled_scans(frames, label_fraction if label_unit == "scans" else 1.0)
        self.unlabelled = [] if unlabelled == "none" else _unlabelled(frames, self.labelled, unlabelled == "seen")
        wanted = len(self.unlabelled) or (len(frames.labelled()) if repeat_labelled else 0)
        repeats = max(1, wanted // len(self.labelled))
        self.tolerance = 0 if faults is None else faults.tolerated(self.used)
        self.entries = np.array([*self.labelled * repeats, *self.unlabelled])
        self._hidden = frozenset(self.unlabelled)
        self._check_images(self.labelled if unlabelled == "none" else range(len(frames)), require_images)
        self._check_dense_labels()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: SampleKey | tuple[int, int]) -> Sample:
        key = SampleKey(*key)
        faults: list[tuple[str, str]] = []
        while True:
            try:
                return replace(self._sample(key), faults=tuple(faults))
            except DataError as error:
                if len(faults) >= self.tolerance:
                    raise
                entry = self.frames.index[self._position(key)]
                faults.append((f"{entry.sequence}/{entry.name}", str(error)))
                key = key._replace(index=(key.index + 1) % len(self))

    def _sample(self, key: SampleKey) -> Sample:
        position, number = self._position(key), self._number(key)
        frame = self.frames[position]
        labels = self._shown(position, frame.labels, len(frame.scan))
        rows = np.flatnonzero(_inside(frame, self.volume))
        rng = np.random.default_rng((self.seed, 1, key.epoch, number))
        if self.augment.enabled:
            rows = rows[keep_points(len(rows), self.augment.drop, rng)]
        pasted = self._pasted(key, frame, labels, np.random.default_rng((self.seed, 4, key.epoch, number)))
        rows = rows[~hidden(frame.scan.points[rows], pasted)]
        points = np.concatenate([frame.scan.points[rows], *(cutout.points for cutout in pasted)])
        if self.augment.enabled:
            points = transform_points(points, self.augment, rng)
        views = self._views(position, frame, rows, np.random.default_rng((self.seed, 3, key.epoch, number)))
        remission = np.concatenate([frame.scan.remission[rows], *(cutout.remission for cutout in pasted)])
        labels = np.concatenate([labels[rows], *(cutout.labels for cutout in pasted)]).astype(np.int64)
        return Sample(frame.id, points, remission, labels, views)

    def _position(self, key: SampleKey) -> int:
        """Position in ``frames`` of a sample."""
        if key.labelled_only:
            return self.labelled[self._number(key) % len(self.labelled)]
        return int(self.entries[key.index])

    def _number(self, key: SampleKey) -> int:
        """Number that seeds the sample's generators; labelled-only keys follow the ordinary ones."""
        return key.index + len(self) * key.labelled_only

    def class_counts(self, position: int) -> Int64[np.ndarray, "classes"]:
        """Points of each class 0..19 in a frame of ``labelled``, as training sees them."""
        labels = self.frames.read_labels(position)
        return np.bincount(self._shown(position, labels, len(labels)), minlength=NUM_CLASSES)

    @property
    def used(self) -> int:
        """Frames that take part, each counted once."""
        return len(self.labelled) + len(self.unlabelled)

    @property
    def without_images(self) -> int:
        return sum(not self.frames.index[i].images for i in (*self.labelled, *self.unlabelled))

    @property
    def dense_images(self) -> int:
        return sum(len(self.dense.of(self.frames.index[i])) for i in self.labelled)

    @property
    def has_objects(self) -> bool:
        """Whether one of some labelled scans, evenly spaced, has an object (class and instance) to paste."""
        some = self.labelled[:: max(1, len(self.labelled) // _LOOKED_AT)]
        return any(self._shown_objects(i, self.frames.read(i, ())).any() for i in some)

    def _shown(self, position: int, labels: np.ndarray | None, points: int) -> UInt8[np.ndarray, "n"]:
        """Train ids of the whole scan, 0 where they are hidden."""
        if labels is None or position in self._hidden:
            return np.zeros(points, np.uint8)
        entry = self.frames.index[position]
        return shown_labels(labels, f"{entry.sequence}/{entry.name}", self.point_fraction, self.seed)

    def _pasted(self, key: SampleKey, frame: Frame, labels: np.ndarray, rng: np.random.Generator) -> list[Cutout]:
        """Objects of another labelled scan (of this one, if there is no other) as they stand in sample i. None where
        the scan's labels are hidden: nobody may know what its ground is. A scan that cannot be read gives none; it is
        named when it is its own turn.
        """
        settings = self.augment.cutmix
        if not (self.augment.enabled and settings.objects) or self._position(key) in self._hidden:
            return []
        others = len(self.labelled)
        position = self.labelled[(self._number(key) + int(rng.integers(1, max(others, 2)))) % others]
        try:
            donor = self.frames.read(position, ())
        except DataError:
            return []
        cutouts = cut_out(donor.scan, self._shown_objects(position, donor), settings.fewest)
        objects = self._shown_objects(self._position(key), frame)
        return paste(cutouts, frame.scan.points, labels, objects, settings, self.volume, rng)

    def _shown_objects(self, position: int, frame: Frame) -> UInt32[np.ndarray, "n"]:
        """Vehicles and people of a labelled frame, 0 for points whose label is hidden. Other classes have numbers in
        some files, which mean nothing.
        """
        assert frame.objects is not None  # they come with the labels
        return np.where(
            np.isin(self._shown(position, frame.labels, len(frame.scan)), THINGS), frame.objects, np.uint32(0)
        )

    def _views(self, position: int, frame: Frame, rows: np.ndarray, rng: np.random.Generator) -> tuple[View, ...]:
        dense = {} if position in self._hidden else self.dense.read(self.frames.index[position], frame.images)
        return frame_views(frame, rows, self.image, rng if self.augment.enabled else None, dense)

    def _check_images(self, candidates: Sequence[int], required: bool) -> None:
        cameras = self.frames.cameras
        chosen = [self.frames.index[i] for i in candidates]
        if cameras and not any(entry.images for entry in chosen):
            raise DataError(
                f"none of the {len(chosen)} training scans has an image in {' or '.join(cameras)}, so there is nothing "
                "for a teacher to see; check the image folders, give other --data.cameras, or train without a teacher."
            )
        if required:
            _require_images(self.frames, candidates, "training", "trains the student alone")

    def _check_dense_labels(self) -> None:
        if self.dense.folders and not self.dense_images:
            raise DataError(
                f"{', '.join(self.dense.folders.values())} holds no dense labels for any image of the labelled "
                "training scans. Check the folder's name, make the labels with 'elite pseudo-label', give "
                "--data.derived if they are elsewhere, or set --data.dense_labels none."
            )
        if self.dense.folders:
            self._check_share()
            self._check_source()

    def _check_share(self) -> None:
        """The dense labels show no more points' labels than training."""
        shown = {"label_fraction": self.point_fraction, "label_unit": "points", "seed": self.seed}
        for entry in self._labelled_entries() if self.point_fraction < 1 else ():
            for made_with in self.dense.settings(entry):
                if not all(made_with.get(name) == value for name, value in shown.items()):
                    share = f"{self.point_fraction:g}"
                    raise ConfigError(
                        f"the dense labels of {entry.sequence}/{entry.name} ({', '.join(self.dense.folders.values())}) "
                        f"would show the teacher labels that data.label_fraction {share} hides; make pseudo-labels "
                        f"with --label-fraction {share} --label-unit points --seed {self.seed}, or set "
                        "--data.dense_labels none."
                    )

    def _check_source(self) -> None:
        """The dense labels come from the same label folder, if it is another than that of all labels."""
        folder = self.frames.labels_folder
        for entry in self._labelled_entries() if folder != "labels" else ():
            made = generated_with(self.frames.labels_layout, entry, folder)
            source = made.get("labels", folder)  # of lifted labels: theirs
            for made_with in self.dense.settings(entry):
                if source != "labels" and made_with.get("labels") != source:
                    raise ConfigError(
                        f"the dense labels of {entry.sequence}/{entry.name} ({', '.join(self.dense.folders.values())}) "
                        f"were not made from '{source}', as the training labels are, and would show the teacher more "
                        f"than those; make pseudo-labels with --labels {source}, or set --data.dense_labels none."
                    )

    def _labelled_entries(self) -> list[FrameIndex]:
        return [self.frames.index[i] for i in self.labelled]


def _unlabelled(frames: SemanticKITTI, labelled: list[int], seen: bool) -> list[int]:
    """All other frames, or those ``seen`` by a camera that have an image to learn from."""
    return sorted({i for i, entry in enumerate(frames.index) if entry.images or not seen} - set(labelled))


def _require_images(frames: SemanticKITTI, positions: Sequence[int], what: str, otherwise: str) -> None:
    """Raises DataError if one of these frames lacks the image of a camera."""
    chosen = [frames.index[i] for i in positions]
    lacking = [entry for entry in chosen if len(entry.images) < len(frames.cameras)]
    if lacking:
        raise DataError(
            f"data.require_images is set, but {len(lacking)} of {len(chosen)} {what} scans lack an image of "
            f"{', '.join(frames.cameras)}, the first of them {lacking[0].sequence}/{lacking[0].name}; add the images, "
            f"or switch it off: a scan without image {otherwise}."
        )


class ScoringSet(Dataset[Sample]):
    """Labelled frames as they are, with what the official score needs: the truth of every point of the scan.

    If ``frames`` has cameras, a frame's images come as views, without chance and without dense labels;
    ``require_images`` asks for an image of every camera.

    Raises:
        DataError: a missing image that is required.
    """

    def __init__(
        self,
        frames: SemanticKITTI,
        volume: Volume,
        *,
        image: ImageConfig | None = None,
        require_images: bool = False,
    ) -> None:
        self.frames = frames
        self.volume = volume
        self.image = image or ImageConfig()
        self.index = frames.labelled()
        if require_images:
            _require_images(frames, self.index, "validation", "scores the student alone")

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Sample:
        frame = self.frames[self.index[i]]
        assert frame.labels is not None  # only labelled frames are in the index
        keep = _inside(frame, self.volume)
        truth = frame.labels.astype(np.int64)
        return Sample(
            frame.id,
            frame.scan.points[keep],
            frame.scan.remission[keep],
            truth[keep],
            frame_views(frame, np.flatnonzero(keep), self.image),
            cover=nearest(frame.scan.points, keep),
            truth=truth,
        )


def _inside(frame: Frame, volume: Volume) -> np.ndarray:
    keep = in_volume(frame.scan.points, volume)
    if not keep.any():
        raise DataError(
            f"scan {frame.id} has no point in the volume {volume[0]} .. {volume[1]} m; "
            "leave it out, or set student.volume to your sensor's frame and range."
        )
    return keep
