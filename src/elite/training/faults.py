"""What goes wrong in a long run and need not end it: unreadable frames, and steps without finite numbers."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elite.config import FaultConfig
from elite.errors import DataError, TrainingError


class FaultLog:
    """Counts faults, names each in a line of ``path`` (JSON), and ends the run when they are too many.

    ``frames`` is the number of training frames that are used; ``path`` None counts without writing.
    """

    def __init__(self, config: FaultConfig, frames: int, path: Path | None) -> None:
        self.config = config
        self.tolerance = config.tolerated(frames)
        self.frames = frames
        self.path = path
        self.unreadable: set[str] = set()
        self.skipped = 0
        self.in_a_row = 0

    def unreadable_frames(self, faults: Iterable[tuple[str, str]], step: int) -> None:
        """Note frames that were replaced; each counts once.

        Raises:
            DataError: more of them than the run puts up with.
        """
        for frame, message in faults:
            if frame in self.unreadable:
                continue
            self.unreadable.add(frame)
            self._write(step=step, fault="unreadable frame", frames=[frame], message=message)
            if len(self.unreadable) > self.tolerance:
                raise DataError(
                    f"{len(self.unreadable)} of {self.frames} training frames cannot be read, more than faults.frames "
                    f"{self.config.frames:g} allows; the last of them: {message}"
                )

    def skipped_step(self, frames: list[str], step: int) -> None:
        """Note a step that was left out.

        Raises:
            TrainingError: it was one of too many in a row.
        """
        self.skipped += 1
        self.in_a_row += 1
        self._write(step=step, fault="loss or gradient not finite", frames=frames)
        if self.in_a_row >= self.config.steps:
            raise TrainingError(
                f"loss or gradient were not finite in {self.in_a_row} steps in a row, at last in step {step} with the "
                f"frames {', '.join(frames)}; lower --optim.lr or lengthen --optim.warmup_steps, and begin again from "
                "the last checkpoint with --init."
            )

    def overflowed_step(self, frames: list[str], step: int) -> None:
        """Note a step that was left out since its scaled gradient overflowed: part of how a scale is found."""
        self.skipped += 1
        self._write(step=step, fault="gradient too large for its scale", frames=frames)

    def taken_step(self) -> None:
        self.in_a_row = 0

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"unreadable": sorted(self.unreadable), "skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state(self, state: dict[str, Any]) -> None:
        self.unreadable = set(state["unreadable"])
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]

    def _write(self, **record: Any) -> None:
        if self.path is not None:
            with self.path.open("a") as file:  # whole lines, from any process
                file.write(json.dumps(record) + "\n")


class NormKeeper:
    """The running statistics of a module's batch norms, kept while a step may still turn out to be unsound."""

    def __init__(self, module: nn.Module) -> None:
        self.norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.kept: list[Tensor] = []

    def keep(self) -> None:
        self.kept = [buffer.clone() for buffer in self._live()]

    def restore(self) -> None:
        for buffer, kept in zip(self._live(), self.kept, strict=True):
            buffer.copy_(kept)

    def _live(self) -> list[Tensor]:
        return [buffer for norm in self.norms for buffer in norm.buffers()]


def sound(loss: Tensor, parameters: Iterable[nn.Parameter]) -> bool:
    """Whether the loss and every gradient are finite; asks the device once."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = loss + torch.nn.utils.get_total_norm(gradients).to(loss.device) if gradients else loss
    return bool(torch.isfinite(total))
