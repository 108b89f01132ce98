"""What happens around the steps of a run: checkpoints, signals, throughput, a legible progress bar."""

import io
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint, TQDMProgressBar

from elite.errors import EliteError
from elite.files import write_bytes
from elite.stopping import Stopping
from elite.terminal import say
from elite.types import Batch
from elite.weights.torch_file import load_torch


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all, read back and compared; the one before stays until then."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_bytes(Path(path), _packed(checkpoint), verify=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Tensors and plain values only, whatever is asked for."""
        return load_torch(Path(path))


def _packed(checkpoint: dict[str, Any]) -> memoryview:
    data = io.BytesIO()
    torch.save(checkpoint, data)
    return data.getbuffer()


class BestCheckpoint(Checkpoint):
    """best.ckpt: the state at the highest official mIoU of the validation scans so far.

    Every checkpoint of the run holds that score, so that a run that resumes keeps it wherever its folder is.

    Attributes:
        score: None before the first validation with finite predictions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.score: float | None = None

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.score = trainer.strategy.broadcast(self.score)  # the first process has restored it

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        score = float(trainer.callback_metrics["val/miou"])
        if math.isfinite(score) and (self.score is None or score > self.score):
            self.score = score
            checkpoint = trainer._checkpoint_connector.dump_checkpoint()
            if trainer.is_global_zero:
                write_bytes(self.path, _packed(checkpoint), verify=True)

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["elite_best"] = self.score


class LastCheckpoint(Checkpoint):
    """last.ckpt every ``every`` optimiser steps and at the end of every epoch, after its validation.

    A step that is followed by a validation, or by the end of the epoch, is saved after that. The state is taken at once
    and written when the metrics of its step are in their file: a run that is killed goes on without a gap there.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self.step: int | None = None  # of the state that was written last
        self._taken: tuple[int, memoryview | None] | None = None

    def take(self, trainer: L.Trainer) -> None:
        """The state as it is now, for ``write``; all processes take part, the first one keeps it."""
        checkpoint = trainer._checkpoint_connector.dump_checkpoint()
        self._taken = trainer.global_step, _packed(checkpoint) if trainer.is_global_zero else None

    def write(self) -> None:
        """What was taken last, unless that is done."""
        if self._taken is not None:
            step, state = self._taken
            if state is not None:
                write_bytes(self.path, state, verify=True)
            self._taken, self.step = None, step

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if between_batches(trainer) and trainer.global_step % self.every == 0:
            self.take(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.fit_loop.epoch_loop._is_training_done:
            self.take(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.take(trainer)

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        self.write()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.write()


def between_batches(trainer: L.Trainer) -> bool:
    """At the end of a batch: whether it ended an optimiser step, and another batch comes right after it."""
    loop = trainer.fit_loop.epoch_loop
    assert loop.trainer.fit_loop._data_fetcher is not None
    validates = loop._should_check_val_fx(loop.trainer.fit_loop._data_fetcher)
    return not (loop._should_accumulate() or loop._is_training_done or validates)


class StopSignal(Callback):
    """Informs ``stopping`` about steps in hand, and saves the state when a signal or a failed wait ends the run.

    A signal in a step, to any process: the step is finished, and all processes end after it. While a batch is waited
    for: the run ends at once, with the state after the last step. While validating: with the last state that was saved.
    """

    def __init__(self, last: LastCheckpoint, stopping: Stopping) -> None:
        self.last, self.stopping = last, stopping
        self._between_steps = False  # the state is whole, can be saved by this process, and is not saved yet

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.stopping.claim()  # Lightning's handler waits for the other processes within the signal

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        self.stopping.busy, self.stopping.resting = True, False
        self._between_steps = False

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not between_batches(trainer):
            return
        if trainer.strategy.reduce_boolean_decision(self.stopping.number is not None, all=False):
            self.last.take(trainer)
            self.stopping.request()
        else:
            self._between_steps = self.stopping.resting = trainer.world_size == 1

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.stopping.resting = True

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.stopping.resting = trainer.world_size == 1

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.stopping.resting = trainer.world_size == 1

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        if not self.stopping.left:
            return
        try:
            if self._between_steps:
                self.last.take(trainer)
            self.last.write()
        except EliteError as error:
            say(f"the state could not be saved: {error}", error=True)


class Throughput(Callback):
    """Scans per second, and the share of the time in which a step waits for its data.

    Since the epoch began or the run was resumed; validation does not count.
    """

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start = self._free = time.monotonic()  # a run that resumes begins within an epoch
        self._scans, self._waited = 0, 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.on_train_start(trainer, module)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._paused = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        pause = time.monotonic() - self._paused
        self._start += pause
        self._free += pause

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        self._waited += time.monotonic() - self._free

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._free = time.monotonic()
        self._scans += batch.size
        passed = self._free - self._start
        module.log("scans/s", self._scans * trainer.world_size / passed, prog_bar=True, batch_size=batch.size)
        module.log("waiting", self._waited / passed, batch_size=batch.size)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without the version number of a log folder that we do not use."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
