"""Loaders of a training run."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from elite.config import DataConfig, TrainConfig
from elite.data.collate import collate
from elite.data.dataset import ScoringSet, TrainingSet
from elite.data.loading import BatchLoader, bytes_in_flight, kill, open_files, shared_bytes, timeout_error
from elite.data.sampler import EpochSampler
from elite.data.startup_samples import training_samples, validation_samples
from elite.datasets import Dataset as Frames
from elite.datasets import Selection, open_dataset
from elite.datasets.input_guard import InputGuard, examine_scans, some_scans
from elite.errors import ConfigError, DataError
from elite.layout import parse_names
from elite.remission import Quantiles, quantiles_of
from elite.stopping import Stopping
from elite.terminal import progress
from elite.types import Sample

_OTHER_VALIDATION = "Select other --data.val-sequences, or none to train without validation."


class BoundedLoading:
    """Loaders of a run whose waits end after ``timeout`` seconds (0 = no limit), or when ``stopping`` gets a signal."""

    def __init__(self, timeout: float, stopping: Stopping | None) -> None:
        self.timeout, self.stopping = timeout, stopping or Stopping()
        self.rank, self.world, self.device_type = 0, 1, "cpu"
        self._loaders: list[BatchLoader] = []

    def assign_process(self, rank: int, world: int, device_type: str) -> None:
        """Load the batches of process ``rank`` of ``world``, which computes on a device of this type."""
        self.rank, self.world, self.device_type = rank, world, device_type

    def loader(self, dataset: Dataset[Any], collate: Callable[[list[Any]], Any], **settings: Any) -> BatchLoader:
        """Batches of ``dataset``, in page-locked memory for a GPU, so that copies overlap with computation."""
        pinned = self.device_type == "cuda"
        loader = BatchLoader(
            dataset, collate=collate, limit=self.timeout, stopping=self.stopping, pin_memory=pinned, **settings
        )
        self._loaders.append(loader)
        return loader

    def close(self) -> None:
        """Kill all loader processes that are still alive, since they would delay the end of the command."""
        processes = {process for loader in self._loaders for process in loader.processes}
        self._loaders.clear()
        kill({process for process in processes if process.is_alive()})

    def read(self, step: Callable[[], Any]) -> Any:
        """Run a step that reads files in this process, and return its result."""
        open_before = open_files()
        with self.stopping.wait(self.timeout, lambda: timeout_error(self.timeout, open_before)):
            return step()


class DataModule(BoundedLoading):
    """Training and validation batches as ``config`` selects them. ``val_sequences: none`` disables validation.

    Images are read only for a teacher. Unlabelled scans are used if they have an image for the teacher, or in
    self-training. A wait for a batch ends when ``stopping`` receives a signal.
    """

    def __init__(self, config: TrainConfig, stopping: Stopping | None = None) -> None:
        super().__init__(config.data.timeout, stopping)
        data = config.data
        if data.root is None:
            raise ConfigError("DATA: expected the folder of a data set, found none. Give DATA.")
        self.config = config
        cameras = teacher_cameras(config)
        frames = open_dataset(
            data.root,
            data.format,
            taxonomy=data.taxonomy,
            sensor=data.sensor,
            sequences=data.sequences,
            frames=data.frames,
            labels=data.labels,
            cameras=cameras,
            derived=data.derived,
        ).with_past_scans(data.past_scans)
        training_sequences = frames.sequences
        if data.unlabelled == "rest":
            frames = _with_rest(frames, data)
        self.train_set = TrainingSet(
            frames,
            config.student.volume,
            config.augment,
            config.seed,
            image=config.image,
            cameras_per_frame=data.cameras_per_frame,
            dense_labels=data.dense_labels if cameras else "none",
            require_images=data.require_images and bool(cameras),
            label_fraction=data.label_fraction,
            label_unit=data.label_unit,
            unlabelled="all" if config.self_training.weight > 0 else "with_image" if cameras else "none",
            labelled_sequences=training_sequences,
            repeat_labelled=data.repeat_labelled,
            balance=data.balance,
            faults=config.faults,
        )
        if config.accumulate > 1 and len(self.train_set) < data.batch_size * config.accumulate:
            raise ConfigError(
                f"training scans: expected at least {data.batch_size * config.accumulate} for an optimiser step of "
                f"{config.accumulate} batches of {data.batch_size}, found {len(self.train_set)}. Lower --accumulate."
            )
        self.val_set = _scoring_set(config, frames)
        self._val_loader: BatchLoader | None = None  # its processes are reused in the next validation

    @property
    def frames(self) -> Frames:
        """Data set of the training scans."""
        return self.train_set.frames

    def train_dataloader(self, done: int = 0) -> DataLoader[Any]:
        """Loader of shuffled batches. Scans that do not fill the last optimiser step of an epoch are dropped.

        The first pass begins after ``done`` batches of the run: each sample depends only on its epoch and position.
        """
        data = self.config.data
        sampler = self._sampler(self.rank, self.world)
        epoch, batches = divmod(done, self.batches_per_epoch(self.world))
        sampler.skip = batches * data.batch_size
        sampler.labelled_only_keys = self._labelled_only_steps() * (
            self._scans_per_step if self.config.steps else min(self._scans_per_step, sampler.keys_per_epoch)
        )
        sampler.set_epoch(epoch)
        return self.loader(self.train_set, collate, workers=data.workers, batch_size=data.batch_size, sampler=sampler)

    def val_dataloader(self) -> Iterable[Any]:
        """Loader of the validation scans of this process. Each scan belongs to exactly one process."""
        if self.val_set is None:
            return []
        if self._val_loader is None:
            share, workers = range(self.rank, len(self.val_set), self.world), self.config.data.workers
            self._val_loader = self.loader(self.val_set, collate, workers=workers, batch_size=1, sampler=share)
        return self._val_loader

    def close(self) -> None:
        """Kill all loader processes, also those that were kept for the next validation."""
        self._val_loader = None
        super().close()

    def read_startup_samples(self) -> int:
        """Read a sample of each sequence, to refuse unreadable data before any file is written.

        Returns:
            Bytes of shared memory that the loader processes of one training process take at a time.

        Raises:
            DataError: an image is smaller than its crop, a calibration is incomplete, or a file is damaged. For
                training scans, only if there are more than ``config.faults`` tolerates.
        """
        data = self.config.data
        needed = bytes_in_flight(_largest(training_samples(self.train_set, self.read)) * data.batch_size, data.workers)
        if self.val_set is not None:
            largest = _largest(validation_samples(self.val_set, self.read))
            needed += bytes_in_flight(largest, data.workers)
        return needed

    def examine(self, report: Callable[[str], None]) -> None:
        """Report training scans that probably do not match the student's input; see ``elite.datasets.input_guard``.

        Raises:
            DataError: a scan is doubtful, and ``config.strict`` is set.
        """
        frames, config = self.train_set.frames, self.config
        guard = InputGuard(config.student.volume, report, strict=config.strict, sensor=frames.sensor)
        examine_scans(frames, self.train_set.budget.labelled, guard, self.read)

    def remission(self) -> Quantiles | None:
        """Quantiles of the remission of some training scans; None if none of these can be read."""
        frames = self.frames.with_past_scans(0)
        scans = [scan.remission for _, scan in some_scans(frames, self.train_set.budget.labelled, self.read)]
        return quantiles_of(np.concatenate(scans)) if scans else None

    def ids(self) -> dict[str, list[str]]:
        """Return the data that the results of a run depend on, by kind: scans, images, and dense labels."""
        scans, scored = self.train_set, self.val_set
        frames, budget = scans.frames, scans.budget
        scored_ids = [] if scored is None else [scored.frames.ids[i] for i in scored.labelled]
        return {
            "training scans": [str(frames.ids[i]) for i in budget.frames],
            "labelled training scans": [str(frames.ids[i]) for i in budget.labelled],
            "training images": [f"{frames.ids[i]} {c}" for i in budget.frames for c in frames.image_cameras(i)],
            "dense labels": [f"{frames.ids[i]} {c}" for i in budget.labelled for c in scans.dense.cameras(i)],
            "validation scans": [str(frame_id) for frame_id in scored_ids],
        }

    def check_processes(self, world: int) -> None:
        """Check that each of ``world`` processes has a scan.

        Raises:
            ConfigError: there are fewer scans than processes.
        """
        for name, scans in (("training", self.train_set), ("validation", self.val_set)):
            if scans is not None and len(scans) < world:
                raise ConfigError(
                    f"{name} scans: expected at least {world}, one per process, found {len(scans)}. Lower --devices, "
                    "select more scans, or use more of their labels."
                )

    def steps_per_epoch(self, world: int) -> int:
        """Optimiser steps of one pass over the training scans with ``world`` processes."""
        return math.ceil(self._sampler(0, world).keys_per_epoch / self._scans_per_step)

    def batches_per_epoch(self, world: int) -> int:
        """Batches of each of ``world`` processes in one pass of the loader: an epoch, or all steps of the run."""
        return math.ceil(len(self._sampler(0, world)) / self.config.data.batch_size)

    def total_steps(self, world: int) -> int:
        """Optimiser steps of the run with ``world`` processes."""
        return self.config.steps or self.config.epochs * self.steps_per_epoch(world)

    def _sampler(self, rank: int, world: int) -> EpochSampler:
        return EpochSampler(
            len(self.train_set),
            self.config.seed,
            rank=rank,
            world=world,
            scans_per_step=self._scans_per_step,
            total_keys=None if self.config.steps is None else self.config.steps * self._scans_per_step,
        )

    def _labelled_only_steps(self) -> int:
        """Optimiser steps at the start of a run in which only scans with labels contribute to the loss."""
        config = self.config
        if config.self_training.weight == 0 or self.train_set.frames.cameras:
            return 0
        return math.ceil(config.self_training.start * self.total_steps(self.world))

    @property
    def _scans_per_step(self) -> int:
        """Scans of one optimiser step of a process."""
        return self.config.data.batch_size * self.config.accumulate

    def point_counts(self) -> list[int]:
        """Number of usable labels per class 1.. in the training frames."""
        counts = np.zeros(len(self.frames.taxonomy), np.int64)
        for position in progress(self.train_set.budget.labelled, name="class counts"):
            counts += self.train_set.class_counts(position)
        return counts[1:].tolist()


def _largest(samples: Iterable[Sample]) -> int:
    """Bytes of the largest sample in shared memory."""
    return max((shared_bytes(collate([sample])) for sample in samples), default=0)


def teacher_cameras(config: TrainConfig) -> tuple[str, ...]:
    """Cameras of the teacher; empty without a teacher.

    Raises:
        ConfigError: dense labels without a teacher, or a teacher without cameras.
    """
    if config.teacher.weights in (None, "none"):
        if config.data.dense_labels != "none":
            raise ConfigError(
                f"data.dense_labels: expected none without a teacher, found {config.data.dense_labels}. Give "
                "--teacher.weights, or --data.dense-labels none."
            )
        return ()
    cameras = parse_names(config.data.cameras)
    if not cameras:
        raise ConfigError(
            f"data.cameras: expected a camera for the teacher {config.teacher.weights}, found '{config.data.cameras}'. "
            "Give --data.cameras image_2, or --teacher.weights none to train without a teacher."
        )
    return cameras


def _with_rest(frames: Frames, data: DataConfig) -> Frames:
    """Add the sequences that neither training, validation nor a test uses."""
    scored = ()
    if data.val_sequences != "none":
        scored = _validation_frames(frames, data).sequences
    rest = frames.unselected({*frames.sequences, *scored})
    every = frames.select(replace(frames.selection, sequences=",".join([*frames.sequences, *rest])))
    return every.with_past_scans(data.past_scans)


def _validation_frames(training: Frames, data: DataConfig) -> Frames:
    try:
        selected = training.select(Selection(data.val_sequences, data.val_frames, cameras=training.cameras))
        return selected.with_past_scans(data.past_scans)
    except (ConfigError, DataError) as error:
        raise type(error)(f"validation: {error} {_OTHER_VALIDATION}") from error


def _scoring_set(config: TrainConfig, training: Frames) -> ScoringSet | None:
    """Validation frames; None without validation (``val_sequences: none``)."""
    data = config.data
    if data.val_sequences == "none":
        return None
    frames = _validation_frames(training, data)
    if not frames.labelled():
        raise DataError(
            f"validation sequences {data.val_sequences}: expected scans with labels, found none. {_OTHER_VALIDATION}"
        )
    required = data.require_images and bool(frames.cameras)
    return ScoringSet(frames, config.student.volume, image=config.image, require_images=required)
