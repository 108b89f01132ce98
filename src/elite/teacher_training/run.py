"""Training of a vision foundation model from random weights, on images only.

``objectives`` holds the losses, ``folder`` the written model.
"""

import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from elite.config import TeacherConfig, TeacherTrainingConfig, plain
from elite.data.image_set import ImageSample
from elite.data.loading import check_shared_memory
from elite.environment import describe
from elite.errors import ConfigError
from elite.files import make_folder
from elite.processes import sizes
from elite.signals import Terminated
from elite.stopping import Stopping
from elite.teacher.weights import load_backbone
from elite.teacher_training.folder import check_out, save_model, whole_model
from elite.teacher_training.images import Images
from elite.teacher_training.module import TeacherTraining
from elite.training.run_lock import RunLock
from elite.training.trainer import build_trainer, fit, quiet

_STAGES = 4


@dataclass(frozen=True)
class TeacherTrainingResult:
    """The model folder and its scores: means over the last tenth of the steps, and ``val/...`` on held-out images."""

    folder: Path
    scores: dict[str, float]


def train_teacher(config: TeacherTrainingConfig, *, progress: bool = True) -> TeacherTrainingResult:
    """Train a foundation model and write it to ``config.out`` in one move at the end.

    Raises:
        ConfigError, DataError, OutputError: before the first step, if something does not fit.
        DataError: later too, at the first damaged image, or if no batch comes within ``data.timeout``.
        TrainingError: a loader process was killed, or cannot hand over its batches.
        ConfigError: the loss is no longer finite.
        Terminated: a signal arrived; nothing is written.
        KeyboardInterrupt: SIGINT; nothing is written.
    """
    stopping = Stopping()
    try:
        with stopping.listening():
            return _train(replace(config, out=config.out.resolve()), progress, stopping)
    except Terminated as error:
        if error.number == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise


def _train(config: TeacherTrainingConfig, progress: bool, stopping: Stopping) -> TeacherTrainingResult:
    if sizes(1) != (1, 1):
        raise ConfigError("train-teacher trains in one process, found several. Start it without torchrun or srun.")
    check_out(config.out, overwrite=config.overwrite)
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = Images(config, stopping)
    backbone = load_backbone(TeacherConfig(weights="random", model=config.model), _STAGES)
    backbone.check_size(*config.image.crop)
    whole = whole_model(backbone)
    module = TeacherTraining(config, backbone)
    check_shared_memory(data.look())
    make_folder(config.out.parent)
    with RunLock(config.out, config.out.with_name(f".{config.out.name}.lock")) as lock:
        lock.acquire()
        check_out(config.out, overwrite=config.overwrite)  # another run may have ended meanwhile
        with quiet():
            trainer = _trainer(config, progress, validated=data.val_set is not None)
            fit(trainer, module, data)
        scores = module.last_scores()
        scores |= {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        record = {"settings": plain(config), "images": len(data.train_set), "scores": scores, "versions": describe()}
        save_model(whole, config.out, record, module.objective.teacher if config.objective == "classes" else None)
    return TeacherTrainingResult(config.out, scores)


class _Rate(Callback):
    """Images per second since the start, loading included, in the progress bar."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: ImageSample, batch_idx: int
    ) -> None:
        self._images += len(batch.image)
        rate = self._images / (time.monotonic() - self._start)
        pl_module.log("images/s", rate, prog_bar=True, batch_size=len(batch.image))


def _trainer(config: TeacherTrainingConfig, progress: bool, *, validated: bool) -> L.Trainer:
    return build_trainer(
        callbacks=[_Rate()],
        plugins=[],
        progress=progress,
        precision=config.precision,
        change="--accelerator",
        max_steps=config.steps,
        max_epochs=1,
        limit_val_batches=None if validated else 0,
        gradient_clip_val=config.clip,
        accelerator=config.accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,  # what is made is one small model, written in the end
    )
