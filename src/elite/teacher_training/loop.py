"""Loop of a teacher training: one process, without checkpoints, since runs take minutes."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor

from elite.config import OptimConfig
from elite.data.image_set import ImageSample
from elite.errors import ConfigError
from elite.teacher_training.module import TeacherTraining
from elite.training.optim import cosine
from elite.training.progress import Progress
from elite.training.step import clip_gradients

Scores = dict[str, float]


def train_backbone(
    fabric: Fabric, training: TeacherTraining, batches: Iterable[ImageSample], progress: Progress
) -> Scores:
    """Train on these batches.

    Returns:
        Mean losses and scores over the last tenth of the steps.

    Raises:
        ConfigError: the loss is not finite.
    """
    config, precision = training.config, fabric.strategy.precision
    optimizer = training.build_optimizer()
    schedule = OptimConfig(lr=config.lr, warmup_steps=config.warmup_steps)
    last: deque[Scores] = deque(maxlen=max(1, config.steps // 10))
    begun, images = time.monotonic(), 0
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * cosine(step, config.steps, schedule)
        with fabric.autocast():
            scores = training(fabric.to_device(batch))
        last.append(_finite_values(scores, training, step))
        fabric.backward(scores["loss"])
        precision.unscale_gradients(optimizer)
        clip_gradients(optimizer, config.clip, together=True)
        precision.optimizer_step(cast(Any, optimizer))
        optimizer.zero_grad()
        images += len(batch.image)
        progress.show({**last[-1], "images/s": images / (time.monotonic() - begun)})
        progress.advance()
    return _means(last)


def score_backbone(fabric: Fabric, training: TeacherTraining, batches: Iterable[ImageSample]) -> Scores:
    """Mean losses and scores on held-out images, by the names ``val/...``; empty without images."""
    training.eval()
    found = []
    with torch.inference_mode(), fabric.autocast():
        for batch in batches:
            found.append({f"val/{name}": float(value) for name, value in training(fabric.to_device(batch)).items()})
    training.train()
    return _means(found)


def _finite_values(scores: dict[str, Tensor], training: TeacherTraining, step: int) -> Scores:
    values = {name: float(value.detach()) for name, value in scores.items()}
    if not all(torch.isfinite(value) for value in scores.values()):
        config = training.config
        raise ConfigError(
            f"step {step}: expected a finite loss, found {values}. Nothing is written. Lower --lr ({config.lr:g}) or "
            f"raise --warmup-steps ({config.warmup_steps})."
        )
    return values


def _means(scores: Sequence[Scores] | deque[Scores]) -> Scores:
    return {name: sum(s[name] for s in scores) / len(scores) for name in scores[0]} if scores else {}
