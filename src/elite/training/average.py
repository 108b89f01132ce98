"""Moving average of the student's weights."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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
        get_ema_multi_avg_fn(min(decay, 1 - 1 / (int(steps) + 1)))(list(averaged), list(current), steps)

    return update
