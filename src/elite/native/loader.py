"""Find and open the shared library of native kernels. kernels.h, geometry.h and elite.h document its functions."""

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from elite.errors import first_line
from elite.native import elite_h
from elite.native.records import (
    Chain,
    Combine,
    PointMeans,
    PointMeansGradient,
    Pool,
    Rows,
    Sums,
    WeightGradient,
)

_FOLDER = Path(__file__).parent
_SUFFIXES = (".abi3.so", *EXTENSION_SUFFIXES)  # the first one is that of this version; others are of earlier builds

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "elite_instructions": (c_char_p, []),
    "elite_limit": (None, [c_char_p]),
    "elite_has_format": (c_int, [c_int]),
    "elite_packed_size": (c_int64, [c_int64, c_int64, c_int]),
    "elite_pack": (None, [c_void_p, c_int64, c_int64, c_int64, c_void_p, c_int]),
    "elite_rows": (None, [POINTER(Rows), c_int]),
    "elite_pool": (None, [POINTER(Pool), c_int]),
    "elite_chain": (None, [POINTER(Chain), c_int]),
    "elite_weight_gradient": (None, [POINTER(WeightGradient)]),
    "elite_point_means": (None, [POINTER(PointMeans), c_int64, c_void_p]),
    "elite_point_means_gradient": (None, [POINTER(PointMeansGradient)]),
    "elite_combine": (None, [POINTER(Combine)]),
    "elite_sums": (None, [POINTER(Sums)]),
    # these return an EliteStatus (sorting.h), see call
    "elite_levels": (c_int32, [c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_int64, *[c_void_p] * 5]),
    "elite_joins": (c_int32, [c_int64, c_int64, *[c_void_p] * 14]),
    "elite_blocks": (c_int32, [c_int64, c_int64, *[c_void_p] * 6]),
    "elite_group": (c_int32, [c_void_p, c_int64, c_int64, c_void_p, c_void_p]),
    "elite_neighbours": (c_int32, [c_void_p, c_int64, *[c_void_p] * 3]),
    "elite_nearest": (c_int32, [c_void_p, c_int64, c_void_p, c_int64, c_void_p]),
    "elite_lovasz_steps": (c_int32, [c_void_p, c_void_p, c_int64, c_int64, c_void_p]),
    "omp_get_max_threads": (c_int, []),  # of OpenMP, which the library links
    "omp_set_num_threads": (None, [c_int]),
    **elite_h.FUNCTIONS,
}


def library_path() -> Path | None:
    """File of the native library; None if it was not built."""
    return next((p for suffix in _SUFFIXES if (p := _FOLDER / f"_kernels{suffix}").exists()), None)


@cache
def _open() -> tuple[ctypes.CDLL | None, str]:
    """(library, its instruction set), or (None, reason why it is not available)."""
    path = library_path()
    if path is None:
        return None, "they were not built (no C++ compiler when elite was installed)"
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        return None, f"{path.name} cannot be opened ({first_line(error)})"
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(found, name)
        except AttributeError:
            return (
                None,
                f"{path.name} is older than this version of elite and does not have {name}; install elite again",
            )
        function.restype, function.argtypes = result, arguments
    return found, found.elite_instructions().decode()


def library() -> ctypes.CDLL | None:
    """The opened library, None if it is not available (:func:`describe` gives the reason)."""
    return _open()[0]


def opened() -> ctypes.CDLL:
    """The opened library, for callers that have checked :func:`library`."""
    found = library()
    assert found is not None
    return found


def instructions() -> str:
    """Name of the instruction set that the opened library uses, one of processor.h."""
    return opened().elite_instructions().decode()  # type: ignore[no-any-return]


def describe() -> str:
    """The instruction set that the kernels use, or the reason why they are not available."""
    found, reason = _open()
    return f"native kernels, {instructions()}" if found else f"no native kernels: {reason}"


def thread_count() -> int:
    """Number of threads of the kernels that the current thread calls: at first OMP_NUM_THREADS, or all processors."""
    return opened().omp_get_max_threads()  # type: ignore[no-any-return]


def use_threads(count: int) -> None:
    """Set the number of threads of the kernels that the current thread calls."""
    opened().omp_set_num_threads(count)
