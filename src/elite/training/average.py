"""Moving average of the student's weights."""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from elite.student import SPVCNN


def build_average(student: SPVCNN, decay: float) -> AveragedModel:
    """Copy of the student that follows it: decay * copy + (1 - decay) * student after each step. It has no gradient."""
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)
