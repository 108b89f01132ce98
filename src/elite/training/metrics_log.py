"""Metrics of a run: metrics.csv, TensorBoard, progress bar."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from elite.training.metrics_file import MetricsFile
from elite.training.progress import Progress

Metrics = Mapping[str, float | Tensor]


class MetricsLog:
    """Writes metrics of the first process to OUT/metrics.csv and OUT/tensorboard/. Other processes write nothing."""

    def __init__(self, folder: Path, progress: Progress, *, step: int, writes: bool) -> None:
        """``step`` is the step of the checkpoint that the run resumes from, else 0."""
        self.progress = progress
        self._file = MetricsFile(folder, step=step) if writes else None
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None) if writes else None

    def write(self, metrics: Metrics, *, step: int, epoch: int) -> None:
        """Write a row. ``step`` counts completed steps; files count from 0, as the steps of a learning rate."""
        if self._file is None or self._board is None:
            return
        values = _numbers(metrics)
        self._file.append(values | {"epoch": epoch, "step": step - 1})
        for name, value in values.items():
            self._board.add_scalar(name, value, step - 1)
        self.progress.show(values)

    def show(self, metrics: Metrics) -> None:
        """Show metrics that no row contains, on the terminal and to ``on_step``."""
        self.progress.show(_numbers(metrics))

    def close(self) -> None:
        self.progress.close()
        if self._board is not None:
            self._board.close()


def _numbers(metrics: Metrics) -> dict[str, float]:
    return {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
