"""What goes wrong in a long run and need not end it: unreadable frames, and steps without finite numbers."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elite.config import FaultConfig
from elite.errors import DataError, TrainingError
from elite.terminal import say


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
        self.lost_scores = 0

    def unreadable_frames(self, faults: Iterable[tuple[str, str]], step: int) -> None:
        """Note frames that were replaced; each counts once.

        Raises:
            DataError: more of them than faults.frames allows.
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

    def lost_score(self, scans: int, step: int, *, report: bool) -> None:
        """Note a validation whose predictions are not finite for some ``scans``, so that its score means nothing."""
        self.lost_scores += 1
        if report:
            self._write(step=step, fault="predictions not finite", validation_scans=scans)
            say(
                f"step {step}: the predictions for {scans} validation scans are not finite, so the score means nothing",
                error=True,
            )

    def check_end(self, taken: int, total: int) -> None:
        """Check that a run of ``total`` steps, of which ``taken`` changed the weights, has a result.

        Raises:
            TrainingError: no step was taken, or the weights that it ends with gave no finite step for half of the run.
        """
        broken = taken == 0 or self.in_a_row * 2 >= total
        if broken:
            raise TrainingError(
                f"the run has no usable result: {self.summary(total)}, the last {self.in_a_row} of them in a row. "
                "Lower --optim.lr or lengthen --optim.warmup_steps, and start again."
            )

    def summary(self, total: int) -> str:
        return f"{self.skipped} of {total} steps were skipped since their loss or gradient was not finite"

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        names = ("skipped", "in_a_row", "lost_scores")
        return {"unreadable": sorted(self.unreadable), **{name: getattr(self, name) for name in names}}

    def load_state(self, state: dict[str, Any]) -> None:
        self.unreadable = set(state["unreadable"])
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
        self.lost_scores = state.get("lost_scores", 0)  # older checkpoints lack it

    def _write(self, **record: Any) -> None:
        if self.path is not None:
            with self.path.open("a") as file:  # whole lines, from any process
                file.write(json.dumps(record) + "\n")
