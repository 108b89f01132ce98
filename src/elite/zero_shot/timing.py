"""Expected time of a zero-shot student, from a rendered scan and a few training steps."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from elite.config import TrainConfig
from elite.synthetic import DriveConfig, render_drive
from elite.synthetic.build import open_world
from elite.synthetic.drive import scan_frame
from elite.terminal import logged
from elite.training import train

Value = TypeVar("Value")
_STEPS = 3  # the first one is longer, and is not measured
_SILENT = logging.Logger("silent")


@dataclass(frozen=True)
class Speed:
    """Seconds to build a street, to render a scan of it, and of a training step."""

    street: float
    scan: float
    step: float

    def rendering(self, *drives: DriveConfig, workers: int) -> float:
        """Seconds to render drives in several processes."""
        counts = [count for drive in drives for count in drive.frame_counts().values()]
        return (len(counts) * self.street + sum(counts) * self.scan) / workers


def measure_speed(drive: DriveConfig, recipe: TrainConfig) -> Speed:
    """Build the first street, render a scan of it, and train a few steps on scans of a short street."""
    street, world = _timed(lambda: open_world(drive, "00"))
    scan, _ = _timed(lambda: scan_frame(world, world.caster(0.0), drive, "00", 0))
    with TemporaryDirectory() as folder, logged(_SILENT):
        return Speed(street, scan, _step_seconds(Path(folder), drive, recipe))


def _step_seconds(folder: Path, drive: DriveConfig, recipe: TrainConfig) -> float:
    few = replace(drive, sequences=1, frames=recipe.data.batch_size)
    render_drive(folder / "streets", few, workers=1, progress=False)
    ends: list[float] = []
    config = replace(
        recipe,
        out=folder / "run",
        steps=_STEPS,
        val_every=None,
        data=replace(recipe.data, root=folder / "streets", sequences="00", val_sequences="none"),
    )
    train(config, progress=False, on_step=lambda *_: ends.append(time.monotonic()))
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _timed(work: Callable[[], Value]) -> tuple[float, Value]:
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result
