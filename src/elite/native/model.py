"""Students in libelite: the functions of elite.h as classes."""

import weakref
from ctypes import byref, c_void_p
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from elite.errors import CheckpointError, ConfigError, DataError, EliteError
from elite.native.elite_h import Groups, Options, Result, Scan
from elite.native.loader import instructions, library, opened
from elite.shapes import Float32, Int64, UInt8

Precision = Literal["fp32", "bf16", "int8"]
_PRECISIONS: dict[str, int] = {"fp32": 0, "bf16": 1, "int8": 2}
_BF16_PRODUCTS = frozenset({"avx512bf16", "avx512amx", "neonbf16"})
_INT8_PRODUCTS = _BF16_PRODUCTS | {"avxvnni", "avx512vnni", "neondot"}
_ACCELERATORS = {"bf16": _BF16_PRODUCTS, "int8": _INT8_PRODUCTS}  # instruction sets with such products, of processor.h
_OK, _ARGUMENT, _MODEL, _PROCESSOR, _SCAN, _MEMORY = range(6)
_ERRORS: dict[int, type[EliteError]] = {_MODEL: CheckpointError, _PROCESSOR: ConfigError, _SCAN: DataError}


def multiplies(precision: Precision) -> bool:
    """Whether the kernels are available and this processor multiplies numbers of this precision."""
    return library() is not None and bool(opened().elite_has_format(_PRECISIONS[precision]))


def accelerates(precision: Precision) -> bool:
    """Whether the kernels are available, with instructions for products of this precision.

    The others that multiply it are slower than in fp32.
    """
    return library() is not None and instructions() in _ACCELERATORS.get(precision, ())


class GroupLogits(NamedTuple):
    """Logits of groups of points, and the seconds of the geometry before the network."""

    logits: Float32[np.ndarray, "groups classes"]
    group_of_point: Int64[np.ndarray, "n"]
    geometry_s: float


@dataclass(frozen=True)
class PointAnswers:
    """Labels of points; 0 without an answer. See ``elite_result`` in elite.h."""

    labels: UInt8[np.ndarray, "n"]
    probabilities: Float32[np.ndarray, "n"]
    entropy: Float32[np.ndarray, "n"]
    class_probabilities: Float32[np.ndarray, "n classes"]


class Model:
    """An open model; may be used by several threads at once.

    Args:
        content: of a model file (*.elite).
        precision: of the products; None = as the file states.

    Raises:
        CheckpointError: damaged, or of another version.
        ConfigError: a precision that the processor does not multiply.
    """

    def __init__(self, content: bytes, precision: Precision | None = None) -> None:
        handle = c_void_p()
        chosen = len(_PRECISIONS) if precision is None else _PRECISIONS[precision]
        _check(opened().elite_open_bytes(content, len(content), chosen, byref(handle)))
        self._handle = handle
        self.info = opened().elite_model_info(handle)
        weakref.finalize(self, opened().elite_close, handle)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by label."""
        return tuple(opened().elite_class_name(self._handle, i).decode() for i in range(self.info.classes))

    def session(self) -> "Session":
        """Return memory for calls, one at a time."""
        return Session(self._handle, self.info.classes)


class Session:
    """Memory for calls of one thread at a time; it grows with the largest scan."""

    def __init__(self, model: c_void_p, classes: int) -> None:
        self._handle, self._classes = c_void_p(), classes
        _check(opened().elite_new_session(model, byref(self._handle)))
        weakref.finalize(self, opened().elite_close_session, self._handle)

    @property
    def allocated_bytes(self) -> int:
        return opened().elite_session_bytes(self._handle)  # type: ignore[no-any-return]

    def reserve(self, points: int) -> None:
        """Allocate the memory for scans of up to so many points."""
        _check(opened().elite_reserve(self._handle, points))

    def run(
        self,
        points: Float32[np.ndarray, "n 3"],
        intensity: Float32[np.ndarray, "n"],
        age: Float32[np.ndarray, "n"] | None = None,
        *,
        threads: int = 0,
    ) -> GroupLogits:
        """Run the network on exactly these points, in metres in the sensor frame. Age (s) is for past scans.

        Raises:
            DataError: no points, or points too far apart.
        """
        found, scan = Groups(), _scan(points, intensity, age)
        _check(opened().elite_run(self._handle, byref(scan), byref(Options(threads)), byref(found)))
        logits = _copied(found.logits, np.float32, found.groups * self._classes).reshape(-1, self._classes)
        seconds = opened().elite_last_seconds(self._handle)
        return GroupLogits(logits, _copied(found.group_of_point, np.int64, len(points)), seconds.geometry)

    def segment(
        self,
        points: Float32[np.ndarray, "n 3"],
        intensity: Float32[np.ndarray, "n"],
        age: Float32[np.ndarray, "n"] | None = None,
        *,
        threads: int = 0,
        fill_radius: float = 0,
    ) -> PointAnswers:
        """Label all points, inside the volume or not.

        Args:
            points: metres, in the sensor frame; NaN and infinity get label 0.
            intensity: 0 to 1.
            age: seconds before the scan, for a model with past scans.
            threads: 0 = all processors.
            fill_radius: points outside the volume, farther than this (m) from all inside, get label 0; 0 = none.

        Raises:
            DataError: no point in the volume, or numbers that overflow in the network.
        """
        answers, result = _room_for_answers(len(points), self._classes)
        options, scan = Options(threads, fill_radius), _scan(points, intensity, age)
        _check(opened().elite_segment(self._handle, byref(scan), byref(options), byref(result)))
        return answers


def answers_of(logits: Float32[np.ndarray, "rows classes"], *, threads: int = 0) -> PointAnswers:
    """Find the most probable class of each row of logits, with the numbers of ``Session.segment``.

    Class 0 was never trained. ``threads``: 0 = all processors.

    Raises:
        DataError: a logit is not finite.
    """
    logits = np.ascontiguousarray(logits)
    answers, result = _room_for_answers(*logits.shape)
    options = Options(threads)
    _check(opened().elite_answers(logits.ctypes.data, *logits.shape, byref(options), byref(result)))
    return answers


def _room_for_answers(rows: int, classes: int) -> tuple[PointAnswers, Result]:
    """Arrays, and their addresses for libelite to fill."""
    values = np.empty((2, rows), np.float32)
    answers = PointAnswers(np.empty(rows, np.uint8), values[0], values[1], np.empty((rows, classes), np.float32))
    arrays = answers.labels, answers.probabilities, answers.entropy, answers.class_probabilities
    return answers, Result(*(array.ctypes.data for array in arrays))


def _scan(points: np.ndarray, intensity: np.ndarray, age: np.ndarray | None) -> Scan:
    """Rows of ``points`` may be any distance apart; the caller keeps the arrays."""
    assert points.dtype == intensity.dtype == np.float32
    assert points.shape == (len(intensity), 3)
    assert points.strides[1] == 4 or not len(points)
    column = (None, 0) if age is None else (age.ctypes.data, age.strides[0])
    return Scan(
        len(points), points.ctypes.data, points.strides[0], intensity.ctypes.data, intensity.strides[0], *column
    )


def _copied(start: Any, dtype: type, count: int) -> np.ndarray:
    """Copy of an array of the session."""
    return np.ctypeslib.as_array(start, (count,)).astype(dtype, copy=True)


def _check(status: int) -> None:
    """Raise the error of a status."""
    if status == _OK:
        return
    message = opened().elite_last_error().decode(errors="replace")
    if status == _MEMORY:
        raise MemoryError(message)
    if status == _ARGUMENT:
        raise ValueError(message)
    raise _ERRORS[status](message)
