"""What happens around the steps of a run: atomic checkpoints, throughput, a legible progress bar."""

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar

from elite.files import atomic_file
from elite.types import Batch


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all; the one before stays until then."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_file(Path(path)) as file:
            torch.save(checkpoint, file)


class Throughput(Callback):
    """Scans per second since the epoch began, loading included, in the progress bar and the logs."""

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start, self._scans = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._scans += batch.size
        rate = self._scans * trainer.world_size / (time.monotonic() - self._start)
        module.log("scans/s", rate, prog_bar=True, batch_size=batch.size)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without the version number of a log folder that we do not use."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


def checkpoints(folder: Path, *, validated: bool) -> ModelCheckpoint:
    """best.ckpt by official validation mIoU (the newest if nothing is validated), and last.ckpt."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor="val/miou" if validated else None,
        mode="max",
        save_last=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
