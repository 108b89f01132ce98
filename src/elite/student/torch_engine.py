"""Inference of the student by PyTorch: on CUDA, by spconv, or where the native kernels are not available."""

from collections.abc import Sequence

import numpy as np
import torch

from elite.device import Backend, ResolvedBackend
from elite.errors import ConfigError
from elite.native import Precision
from elite.shapes import Float32
from elite.sparse import resolve_backend
from elite.student.networks import network_of
from elite.student.spvcnn import SPVCNN
from elite.student.trained import TrainedStudent

# Points (m), their remission, and for a student with past scans their age (s).
ScanInput = tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n"], Float32[np.ndarray, "n"] | None]


class TorchEngine:
    """A student's network in eval mode on a device, for several scans at a time.

    Args:
        student: weights; or a network, which is moved to ``device``.
        backend: auto, native, torch, or spconv.
        precision: fp32, or bf16 in autocast mode.

    Raises:
        ConfigError: a backend that is not available, or int8.
    """

    def __init__(
        self, student: TrainedStudent | SPVCNN, device: str, backend: Backend = "auto", precision: Precision = "fp32"
    ) -> None:
        self._device, self._autocasts = torch.device(device), precision == "bf16"
        self.backend: ResolvedBackend = resolve_backend(backend, self._device)
        if precision == "int8":
            raise ConfigError(
                f"precision int8: expected the native backend on a CPU, found {self.backend}. Use --precision "
                "fp32, or --device cpu --backend native."
            )
        self.network = network_of(student).to(self._device)
        self.network.backend = self.backend

    @property
    def threads(self) -> int:
        """Number of threads of calls from the current thread."""
        return torch.get_num_threads()

    def use_threads(self, count: int) -> None:
        """Set the number of threads of calls from the current thread."""
        torch.set_num_threads(count)

    @torch.inference_mode()
    def __call__(self, scans: Sequence[ScanInput]) -> list[Float32[np.ndarray, "_ classes"]]:
        """Logits of the points of each scan, predicted as one batch."""
        lengths = [len(points) for points, _, _ in scans]
        batch_index = torch.arange(len(scans)).repeat_interleave(torch.tensor(lengths))
        columns = [np.concatenate(column) for column in zip(*scans, strict=True) if column[0] is not None]
        points, remission, *age = map(torch.from_numpy, columns)
        inputs = (values.to(self._device) for values in (points, remission, batch_index, *age))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocasts):
            logits = self.network(*inputs).logits
        return [part.numpy() for part in logits.float().cpu().split(lengths)]
