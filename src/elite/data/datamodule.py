"""The loaders of a training run. The only data module that knows Lightning."""

from typing import Any

import lightning as L
import numpy as np
from torch.utils.data import DataLoader
from tqdm import tqdm

from elite.config import TrainConfig
from elite.data.collate import collate
from elite.data.dataset import EpochSampler, ScoringSet, TrainingSet
from elite.data.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.labels import NUM_CLASSES


class DataModule(L.LightningDataModule):
    """Training and validation batches as ``config`` selects them. No validation with ``val_sequences: none``."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        data, volume = config.data, config.student.volume
        if data.root is None:
            raise ConfigError("data.root is not set; give --data.root, the folder that holds 'sequences'.")
        self.config = config
        frames = SemanticKITTI(data.root, data.sequences, frames=data.frames, labels=data.labels, cameras=())
        self.train_set = TrainingSet(frames, volume, config.augment, config.seed)
        if config.accumulate > 1 and len(self.train_set) < data.batch_size * config.accumulate:
            raise ConfigError(
                f"{len(self.train_set)} training scans do not fill one optimiser step of {config.accumulate} batches "
                f"of {data.batch_size}; lower --accumulate."
            )
        self.val_set = _scoring_set(config)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled; scans that do not fill the last optimiser step of an epoch are dropped."""
        data = self.config.data
        sampler = EpochSampler(
            len(self.train_set),
            self.config.seed,
            rank=self._rank,
            world=self._world,
            multiple=data.batch_size * self.config.accumulate,
        )
        return DataLoader(
            self.train_set,
            batch_size=data.batch_size,
            sampler=sampler,
            collate_fn=collate,
            num_workers=data.workers,
            persistent_workers=data.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Each process scores its share of the scans, none of them twice."""
        if self.val_set is None:
            return []
        return DataLoader(
            self.val_set,
            batch_size=1,
            sampler=range(self._rank, len(self.val_set), self._world),
            collate_fn=collate,
            num_workers=min(1, self.config.data.workers),
            persistent_workers=self.config.data.workers > 0,
        )

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def point_counts(self) -> list[int]:
        """Labelled points of the classes 1..19 in the training frames."""
        counts = np.zeros(NUM_CLASSES, np.int64)
        for i in tqdm(self.train_set.index, desc="counting classes", unit="scan", leave=False):
            counts += np.bincount(self.train_set.frames.read_labels(i), minlength=NUM_CLASSES)
        return counts[1:].tolist()


def _scoring_set(config: TrainConfig) -> ScoringSet | None:
    """None if validation is switched off (``val_sequences: none``)."""
    data = config.data
    if data.val_sequences == "none":
        return None
    assert data.root is not None
    frames = SemanticKITTI(data.root, data.val_sequences, frames=data.val_frames, cameras=())
    scoring = ScoringSet(frames, config.student.volume)
    if not len(scoring):
        raise DataError(
            f"no scan of the validation sequences {data.val_sequences} has labels; give other --data.val_sequences, "
            "or none to train without a score."
        )
    return scoring
