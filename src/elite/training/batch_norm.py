"""Batch norm statistics during a step that may be skipped."""

from torch import Tensor, nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class BatchNormSnapshot:
    """Running statistics of a module's batch norms, taken before a step and restored if the step is skipped."""

    def __init__(self, module: nn.Module) -> None:
        self._norms = [part for part in module.modules() if isinstance(part, _NORMS)]
        self._saved: list[Tensor] = []

    def take(self) -> None:
        self._saved = [buffer.clone() for buffer in self._buffers()]

    def restore(self) -> None:
        for buffer, saved in zip(self._buffers(), self._saved, strict=True):
            buffer.copy_(saved)

    def _buffers(self) -> list[Tensor]:
        return [buffer for norm in self._norms for buffer in norm.buffers()]
