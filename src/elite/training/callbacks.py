"""What happens around the steps of a run: atomic checkpoints, throughput, a legible progress bar."""

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar

from elite.errors import OutputError
from elite.files import atomic_file
from elite.types import Batch


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all; the one before stays until then."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_file(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # how torch reports a full disk
                raise OutputError(
                    f"cannot write {path} ({str(error).splitlines()[0]}); free the space or choose another --out."
                ) from error


class Throughput(Callback):
    """Scans per second since the epoch began, loading included and validation not, in progress bar and logs."""

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start, self._scans = time.monotonic(), 0

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._paused = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start += time.monotonic() - self._paused

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


def checkpoints(folder: Path, *, validated: bool) -> list[ModelCheckpoint]:
    """last.ckpt after every epoch and at the end; before it best.ckpt by official mIoU, if there is validation."""
    last = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    best = ModelCheckpoint(folder, filename="best", monitor="val/miou", mode="max", enable_version_counter=False)
    return [best, last] if validated else [last]
