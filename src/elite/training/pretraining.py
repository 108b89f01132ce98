"""Pre-training of a vision foundation model from random weights, on images alone.

What it is asked for is in ``objectives``, what it leaves behind in ``foundation``.
"""

import signal
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, default_collate

from elite.config import OptimConfig, PretrainConfig, TeacherConfig, plain
from elite.data.datamodule import BoundedLoading
from elite.data.images import ImageIndex, Picture, PictureSet, Target, shuffled_keys
from elite.data.loading import bytes_in_flight, check_shared_memory, shared_bytes
from elite.data.views import parse_names
from elite.environment import describe
from elite.errors import ConfigError
from elite.files import make_folder
from elite.processes import sizes
from elite.signals import Terminated
from elite.stopping import Stopping
from elite.teacher.backbone import Backbone
from elite.teacher.weights import load_backbone
from elite.training.foundation import check_out, save_model, whole_model
from elite.training.objectives import Objective, draw_hidden, hide
from elite.training.optim import cosine
from elite.training.run_lock import RunLock
from elite.training.trainer import build_trainer, fit, quiet

_STAGES = 4
_TARGETS: dict[str, Target] = {"segments": "segments", "classes": "classes", "reconstruction": "none"}


@dataclass(frozen=True)
class PretrainResult:
    """The model, and losses and scores: means over the last tenth of the steps, val/... on held-out images."""

    folder: Path
    scores: dict[str, float]


def pretrain(config: PretrainConfig, *, progress: bool = True) -> PretrainResult:
    """Train as ``config`` says; ``config.out`` appears in the end, whole.

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
            return _pretrain(replace(config, out=config.out.resolve()), progress, stopping)
    except Terminated as error:
        if error.number == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise


def _pretrain(config: PretrainConfig, progress: bool, stopping: Stopping) -> PretrainResult:
    if sizes(1) != (1, 1):
        raise ConfigError("train-teacher trains in one process, found several. Start it without torchrun or srun.")
    check_out(config.out, overwrite=config.overwrite)
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = Images(config, stopping)
    backbone = load_backbone(TeacherConfig(weights="random", model=config.model), _STAGES)
    backbone.check_size(*config.image.crop)
    whole = whole_model(backbone)
    module = Pretraining(config, backbone)
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
    return PretrainResult(config.out, scores)


class Pretraining(L.LightningModule):
    """The backbone under its objective. AdamW with a cosine; norms, biases and positions do not decay."""

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone.train()
        self.objective = Objective(config, backbone)
        self._last: deque[dict[str, float]] = deque(maxlen=max(1, config.steps // 10))

    def training_step(self, batch: Picture, _index: int) -> Tensor:
        scores = self.scores(batch)
        values = {name: float(value.detach()) for name, value in scores.items()}
        if not all(torch.isfinite(value) for value in scores.values()):
            raise ConfigError(
                f"the loss is no longer finite at step {self.global_step} ({values}); nothing is written; lower --lr "
                f"({self.config.lr:g}) or lengthen --warmup_steps ({self.config.warmup_steps})."
            )
        self._last.append(values)
        shown = ("loss", "mask_iou") if "mask_iou" in values else ("loss",)
        self.log_dict({name: values[name] for name in shown}, prog_bar=True, batch_size=len(batch.image))
        return scores["loss"]

    def validation_step(self, batch: Picture, _index: int) -> None:
        scores = {f"val/{name}": value for name, value in self.scores(batch).items()}
        self.log_dict(scores, batch_size=len(batch.image))

    def scores(self, batch: Picture) -> dict[str, Tensor]:
        """Every term of the loss, their sum ``loss``, and scores that are not minimised."""
        images, target = torch.as_tensor(batch.image), torch.as_tensor(batch.target)
        hidden = draw_hidden(images, self.config.hidden if self.objective.paints else 0.0)
        terms, scores = self.objective(self.backbone(hide(images, hidden)), images, hidden, target)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, **scores}

    def last_scores(self) -> dict[str, float]:
        """Means over the last tenth of the steps."""
        return {name: sum(s[name] for s in self._last) / len(self._last) for name in self._last[0]}

    def configure_optimizers(self) -> Any:
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        fixed = [p for name, p in trained if p.ndim < 2 or "pos" in name]
        decaying = [p for name, p in trained if not (p.ndim < 2 or "pos" in name)]
        groups = [{"params": decaying}, {"params": fixed, "weight_decay": 0.0}]
        # Runs are short: the second moment must follow within tens of steps, not a thousand.
        decay = self.config.weight_decay
        optimizer = torch.optim.AdamW(groups, lr=self.config.lr, betas=(0.9, 0.98), weight_decay=decay)
        rate = OptimConfig(lr=self.config.lr, warmup_steps=self.config.warmup_steps)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, self.config.steps, rate))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Rate(Callback):
    """Images per second since the start, loading included, in the progress bar."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Picture, batch_idx: int
    ) -> None:
        self._images += len(batch.image)
        rate = self._images / (time.monotonic() - self._start)
        pl_module.log("images/s", rate, prog_bar=True, batch_size=len(batch.image))


class Images(BoundedLoading):
    """Shuffled training pictures, as many as the steps take, and held-out ones in order if there are any."""

    def __init__(self, config: PretrainConfig, stopping: Stopping | None = None) -> None:
        super().__init__(config.data.timeout, stopping)
        self.config, data = config, config.data
        if data.root is None:
            raise ConfigError("data.root is not set; give --data.root, the folder that holds 'sequences'.")
        self.train_set = self._pictures(data.sequences, data.frames, without=data.val_sequences, augment=True)
        validated = data.val_sequences != "none"
        self.val_set = self._pictures(data.val_sequences, data.val_frames, augment=False) if validated else None

    def train_dataloader(self) -> DataLoader[Picture]:
        data = self.config.data
        keys = shuffled_keys(len(self.train_set), self.config.steps * data.batch_size, self.config.seed)
        return self.loader(
            self.train_set, default_collate, workers=data.workers, batch_size=data.batch_size, sampler=keys
        )

    def val_dataloader(self) -> DataLoader[Picture] | list[DataLoader[Picture]]:
        if self.val_set is None:
            return []
        keys = [(0, i) for i in range(len(self.val_set))]
        return self.loader(
            self.val_set, default_collate, workers=min(1, self.config.data.workers), batch_size=1, sampler=keys
        )

    def look(self) -> int:
        """Read the first picture of each set. Returns bytes of shared memory that the loader processes take at a time.

        Raises:
            DataError: it is damaged, or smaller than the crop.
        """
        data = self.config.data
        first = [self.read(partial(p.__getitem__, (0, 0))) if p else None for p in (self.train_set, self.val_set)]
        sizes = [shared_bytes(default_collate([picture])) if picture else 0 for picture in first]
        training = bytes_in_flight(sizes[0] * data.batch_size, data.workers)
        return training + (bytes_in_flight(sizes[1], min(1, data.workers)) if self.val_set else 0)

    def _pictures(
        self, sequences: str | None, frames: str | None, *, without: str = "none", augment: bool
    ) -> PictureSet:
        config, cameras = self.config, parse_names(self.config.data.cameras)
        assert config.data.root is not None
        index = ImageIndex(config.data.root, sequences, frames=frames, cameras=cameras, without=without)
        target = _TARGETS[config.objective]
        return PictureSet(index, config.image, target=target, seed=config.seed, augment=augment)


def _trainer(config: PretrainConfig, progress: bool, *, validated: bool) -> L.Trainer:
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
