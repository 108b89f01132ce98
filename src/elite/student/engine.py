"""Inference of the student by libelite (``native/engine``): one C call per scan, on the CPU, without PyTorch.

Logits equal those of :class:`elite.student.SPVCNN` to about 1e-5.
"""

from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from elite.device import Backend, ResolvedBackend
from elite.errors import ConfigError, require_extra
from elite.native import Model, Precision, Session, accelerates, library, multiplies
from elite.native.loader import thread_count, use_threads
from elite.shapes import Float32, Int64
from elite.student.model_file import model_bytes
from elite.student.trained import TrainedStudent

if TYPE_CHECKING:
    from elite.student.spvcnn import SPVCNN
    from elite.student.torch_engine import TorchEngine

PRECISIONS: tuple[Precision, ...] = get_args(Precision)  # from the slowest to the fastest one
# Required on x86-64; the kernels of other processors have all precisions.
_INSTRUCTIONS = {"fp32": "any instructions", "bf16": "AVX512-BF16", "int8": "AVX512-VNNI or AVX-VNNI"}


class EngineOutput(NamedTuple):
    """Logits of groups of points that share their voxels, the group of each point, and seconds of the geometry."""

    logits: Float32[np.ndarray, "k classes"]
    point_group: Int64[np.ndarray, "n"]
    geometry_s: float


class Engine:
    """Frozen copy of a student, for one scan at a time on the CPU; may be called from several threads.

    Args:
        student: weights, or a network, of which they are copied.
        precision: bf16 multiplies bfloat16 numbers and sums in float32.

    Attributes:
        faster_precisions: this one, and those that the processor computes in less time, the fastest one last.

    Raises:
        ConfigError: bf16 on a processor that does not multiply it, or for a student with unsuitable channels.
    """

    backend: ResolvedBackend = "native"

    def __init__(self, student: "TrainedStudent | SPVCNN", precision: Precision = "fp32") -> None:
        _require(precision, student.config.channels)
        self.faster_precisions = _faster_precisions(precision, student.config.channels)
        self.model = Model(model_bytes(student), precision)
        self._idle: list[Session] = []

    @property
    def threads(self) -> int:
        """Number of threads of calls from the current thread."""
        return thread_count()

    def use_threads(self, count: int) -> None:
        """Set the number of threads of calls from the current thread."""
        use_threads(count)

    def __call__(
        self,
        points: Float32[np.ndarray, "n 3"],
        remission: Float32[np.ndarray, "n"],
        age: Float32[np.ndarray, "n"] | None = None,
    ) -> EngineOutput:
        """Run the network on one scan.

        ``points`` are in metres, in the sensor frame, inside the student's volume. ``age`` (s) is for a student with
        past scans.
        """
        try:
            session = self._idle.pop()  # a list hands out each to one thread
        except IndexError:
            session = self.model.session()
        found = session.run(points, remission, age, threads=self.threads)
        self._idle.append(session)
        return EngineOutput(found.logits, found.group_of_point, found.geometry_s)


def _faster_precisions(precision: Precision, channels: int) -> tuple[Precision, ...]:
    others = PRECISIONS[PRECISIONS.index(precision) + 1 :]
    return precision, *(each for each in others if accelerates(each) and _suits(each, channels))


def _suits(precision: Precision, channels: int) -> bool:
    """Whether the kernels multiply layers of so many channels, and of half as many: bf16 numbers in pairs."""
    return precision != "bf16" or channels % 4 == 0


def _require(precision: Precision, channels: int) -> None:
    """Raises ConfigError if the precision is not available for layers of ``channels`` and of half as many."""
    if not multiplies(precision):
        raise ConfigError(
            f"precision {precision}: expected native kernels on a processor with {_INSTRUCTIONS[precision]}, found "
            "others; 'elite env' shows which. Use --precision fp32."
        )
    if not _suits(precision, channels):
        raise ConfigError(
            f"precision bf16: expected a multiple of 4 channels, found {channels}. Some layers have half as "
            "many, and the kernels multiply pairs of them. Use --precision fp32."
        )


def engines_for(
    student: "TrainedStudent | SPVCNN", device: str, backend: Backend, precision: Precision
) -> "tuple[Engine | None, TorchEngine | None]":
    """Return the native engine on a CPU, if possible and wanted, or one of PyTorch.

    Raises:
        MissingExtraError: PyTorch is required and not installed.
        ConfigError: as the engines.
    """
    if device == "cpu" and backend in ("auto", "native") and library() is not None:
        return Engine(student, precision), None
    require_extra("torch", "train", needed_for=f"backend {backend} on {device} without native kernels")
    from elite.student.torch_engine import TorchEngine

    return None, TorchEngine(student, device, backend, precision)
