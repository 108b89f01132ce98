"""Faults that a run tolerates: unreadable frames, and steps whose loss or gradient is not finite."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elite.config import FaultConfig
from elite.errors import DataError, TrainingError
from elite.terminal import say


class FaultLog:
    """Count faults, append each to ``path`` as a JSON line, and end the run if there are too many.

    ``frames`` is the number of training frames in use. Without a ``path``, faults are only counted.
    """

    def __init__(self, config: FaultConfig, frames: int, path: Path | None) -> None:
        self.config = config
        self.tolerance = config.tolerated(frames)
        self.frames = frames
        self.path = path
        self.unreadable: set[str] = set()
        self.skipped = 0
        self.in_a_row = 0
        self.lost_scores = 0

    def record_unreadable_frames(self, faults: Iterable[tuple[str, str]], step: int) -> None:
        """Record frames that were replaced. Each frame counts once.

        Raises:
            DataError: their number exceeds ``faults.frames``.
        """
        for frame, message in faults:
            if frame in self.unreadable:
                continue
            self.unreadable.add(frame)
            self._write(step=step, fault="unreadable frame", frames=[frame], message=message)
            if len(self.unreadable) > self.tolerance:
                raise DataError(
                    f"faults.frames: expected at most {self.config.frames:g} of the training frames to be unreadable, "
                    f"found {len(self.unreadable)} of {self.frames}. Repair them, or raise --faults.frames. The last "
                    f"one: {message}"
                )

    def record_skipped_step(self, frames: list[str], step: int) -> None:
        """Record a skipped step.

        Raises:
            TrainingError: ``faults.steps`` consecutive steps were skipped.
        """
        self.skipped += 1
        self.in_a_row += 1
        self._write(step=step, fault="loss or gradient not finite", frames=frames)
        if self.in_a_row >= self.config.steps:
            raise TrainingError(
                f"step {step}: expected a finite loss and gradient, found neither in {self.in_a_row} consecutive "
                f"steps, most recently with the frames {', '.join(frames)}. Lower --optim.lr or raise "
                "--optim.warmup-steps, and start a new run from the last checkpoint with --init."
            )

    def record_overflow(self, frames: list[str], step: int) -> None:
        """Record a step that was skipped because its scaled gradient overflowed: normal while the scale adapts."""
        self.skipped += 1
        self._write(step=step, fault="gradient too large for its scale", frames=frames)

    def record_update(self) -> None:
        """Record a step that changed the weights."""
        self.in_a_row = 0

    def record_invalid_score(self, scans: int, step: int, *, report: bool) -> None:
        """Record a validation whose score is invalid: predictions for a number of ``scans`` are not finite."""
        self.lost_scores += 1
        if report:
            self._write(step=step, fault="predictions not finite", validation_scans=scans)
            say(
                f"step {step}: predictions for {scans} validation scans are not finite, so the score is invalid",
                error=True,
            )

    def check_end(self, updates: int, total: int) -> None:
        """Check that a run of ``total`` steps, of which ``updates`` changed the weights, has a usable result.

        Raises:
            TrainingError: no step changed the weights, or the second half of the run was skipped.
        """
        if updates == 0 or self.in_a_row * 2 >= total:
            raise TrainingError(
                f"the run has no usable result: {self.summary(total)}, including the last {self.in_a_row}. "
                "Lower --optim.lr or raise --optim.warmup-steps, and start a new run."
            )

    def summary(self, total: int) -> str:
        return f"{self.skipped} of {total} steps were skipped because their loss or gradient was not finite"

    def state(self) -> dict[str, Any]:
        """Counters as plain values, for a checkpoint."""
        names = ("skipped", "in_a_row", "lost_scores")
        return {"unreadable": sorted(self.unreadable), **{name: getattr(self, name) for name in names}}

    def load_state(self, state: dict[str, Any]) -> None:
        self.unreadable = set(state["unreadable"])
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
        self.lost_scores = state.get("lost_scores", 0)  # not in older checkpoints

    def _write(self, **record: Any) -> None:
        if self.path is not None:
            with self.path.open("a") as file:  # one write per line, since several processes append
                file.write(json.dumps(record) + "\n")
