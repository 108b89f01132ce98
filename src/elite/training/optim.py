"""Optimiser and learning-rate schedule."""

import math

import torch
from torch import nn

from elite.config import OptimConfig


def build_optimizer(model: nn.Module, teacher: nn.Module | None, config: OptimConfig) -> torch.optim.SGD:
    """SGD with Nesterov momentum over the trained parameters. ``config.teacher_lr`` is the rate of ``teacher``."""
    teacher_parameters = [] if teacher is None else [p for p in teacher.parameters() if p.requires_grad]
    teacher_ids = {id(p) for p in teacher_parameters}
    groups: list[dict] = [{"params": [p for p in model.parameters() if p.requires_grad and id(p) not in teacher_ids]}]
    if teacher_parameters:
        groups.append({"params": teacher_parameters, "lr": config.teacher_lr or config.lr})
    return torch.optim.SGD(
        groups,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )


def cosine(step: int, total: int, config: OptimConfig, *, stair: int = 1) -> float:
    """Factor on lr at an optimiser step: linear warm-up, then a half cosine down to final_lr at ``total``.

    ``stair`` is the number of steps between two changes of the cosine: 1, or the steps of an epoch.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    step = max(config.warmup_steps, step - step % stair)
    progress = min(1.0, (step - config.warmup_steps) / max(1, total - config.warmup_steps))
    floor = config.final_lr / config.lr
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2
