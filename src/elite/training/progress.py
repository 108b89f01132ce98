"""Progress of a training on the terminal: a bar, or plain lines where the output is not a terminal."""

import sys
import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

from elite.terminal import say

_LINE_EVERY = 60.0  # seconds between plain lines
_SHOWN = ("loss", "mask_iou", "scans/s", "images/s", "miou", "miou_present", "teacher_miou")


OnStep = Callable[[int, int, Mapping[str, float]], None]  # completed steps, all steps, latest metrics


class Progress:
    """Completed steps of ``total``, with the latest metrics. Nothing is printed unless ``enabled``.

    Args:
        on_step: called after each completed step, in the first process.
    """

    def __init__(self, total: int, *, done: int = 0, enabled: bool, on_step: OnStep | None = None) -> None:
        self.total, self.done, self._enabled, self._on_step = total, done, enabled, on_step
        self._latest: dict[str, str] = {}
        self._metrics: dict[str, float] = {}
        self._printed = time.monotonic()
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit="step") if enabled and terminal else None

    @property
    def has_metrics(self) -> bool:
        return bool(self._metrics)

    def advance(self) -> None:
        """Count a completed step."""
        self.done += 1
        if self._on_step is not None:
            self._on_step(self.done, self.total, dict(self._metrics))
        if self._bar is not None:
            self._bar.update()
        elif self._enabled and (self.done == self.total or time.monotonic() - self._printed >= _LINE_EVERY):
            self._print()

    def show(self, metrics: Mapping[str, float]) -> None:
        """Show these metrics from now on. Loss terms and other details are for metrics.csv and ``on_step`` only."""
        self._metrics |= metrics
        shown = {name: value for name, value in metrics.items() if name.rpartition("/")[2] in _SHOWN or name in _SHOWN}
        self._latest |= {name: f"{value:.3g}" for name, value in shown.items()}
        if self._bar is not None:
            self._bar.set_postfix(self._latest, refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _print(self) -> None:
        self._printed = time.monotonic()
        metrics = ", ".join(f"{name} {value}" for name, value in self._latest.items())
        say(f"step {self.done} of {self.total}" + (f": {metrics}" if metrics else ""), error=True)
