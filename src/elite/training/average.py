"""Moving average of the student's weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from elite.student import SPVCNN


def build_average(student: SPVCNN, decay: float) -> AveragedModel:
    """Copy of the student that follows it, without gradients.

    After step n, it is decay_n * copy + (1 - decay_n) * student with decay_n = min(decay, 1 - 1 / n): first the mean of
    all steps, so that the initial weights have no share in it (Tarvainen and Valpola, 2017).
    """
    average = AveragedModel(student, multi_avg_fn=_moving_average(decay), use_buffers=True)
    return average.requires_grad_(False)


def _moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor | int) -> None:
        share = (1 / (torch.as_tensor(steps) + 1)).clamp(min=1 - decay)
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return update
