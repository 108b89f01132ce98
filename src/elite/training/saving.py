"""Files of a run's checkpoints: last.ckpt for resuming, best.ckpt for use."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from elite.files import write_bytes

State = Callable[[], dict[str, Any]]  # all processes call it together


class CheckpointFiles:
    """last.ckpt and best.ckpt of a run. A file appears complete or not at all, and is read back and compared.

    Attributes:
        best_score: best validation mIoU so far; None before the first validation with finite predictions.
        saved_step: step of last.ckpt; None before this process has saved one.
    """

    def __init__(self, folder: Path) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.best_score: float | None = None
        self.saved_step: int | None = None

    def save_last(self, step: int, state: State, *, writes: bool) -> None:
        """Save ``state`` after ``step`` in the process that ``writes``. All processes call it together."""
        _write(self.last, state(), writes=writes)
        self.saved_step = step

    def save_if_best(self, score: float, state: State, *, writes: bool) -> None:
        """Save ``state`` if ``score`` is finite and the highest so far. All processes call it together."""
        if math.isfinite(score) and (self.best_score is None or score > self.best_score):
            self.best_score = score
            _write(self.best, state(), writes=writes)


def _write(path: Path, state: dict[str, Any], *, writes: bool) -> None:
    if writes:
        data = io.BytesIO()
        torch.save(state, data)
        write_bytes(path, data.getbuffer(), verify=True)
