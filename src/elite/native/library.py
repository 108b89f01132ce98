"""The shared library of native kernels: found, opened, described. kernels.h says what its records mean."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch  # first: the kernels then share torch's OpenMP threads

_FOLDER = Path(__file__).parent


def _record(name: str, **fields: Any) -> type[Structure]:
    return type(name, (Structure,), {"_fields_": list(fields.items())})


Pairs = _record("Pairs", first=c_void_p, second=c_void_p, count=c_void_p, stride=c_int64)
Rows = _record(
    "Rows",
    rows=c_int64,
    channels=c_int64,
    conv=c_void_p,
    conv_weight=c_void_p,
    conv_channels=c_int64,
    pairs=POINTER(Pairs),
    own=c_void_p,
    own_weight=c_void_p,
    own_channels=c_int64,
    bias=c_void_p,
    add=c_void_p,
    add_row=c_void_p,
    slope=c_float,
    out=c_void_p,
    wide=c_int64,
    plus=c_void_p,
    sum=c_void_p,
)
Pool = _record(
    "Pool",
    targets=c_int64,
    channels=c_int64,
    feats=c_void_p,
    offsets=c_void_p,
    column=c_void_p,
    count=c_void_p,
    total=c_void_p,
    slope=c_float,
    out=c_void_p,
)
PointMeans = _record(
    "PointMeans",
    channels=c_int64,
    points=c_void_p,
    remission=c_void_p,
    order=c_void_p,
    offsets=c_void_p,
    coords=c_void_p,
    corner=c_void_p,
    size=c_void_p,
    weight=c_void_p,
    bias=c_void_p,
)
Chain = _record(
    "Chain",
    rows=c_int64,
    channels=c_int64,
    feats=c_void_p,
    pool=POINTER(Pool),
    points=POINTER(PointMeans),
    count=c_int64,
    layers=POINTER(Rows),
)
WeightGradient = _record(
    "WeightGradient",
    rows=c_int64,
    in_channels=c_int64,
    out_channels=c_int64,
    feats=c_void_p,
    grad=c_void_p,
    pairs=POINTER(Pairs),
    weight=c_void_p,
)
PointMeansGradient = _record(
    "PointMeansGradient",
    of=PointMeans,
    voxels=c_int64,
    weight=c_void_p,
    grad=c_void_p,
    grad_weight=c_void_p,
    grad_bias=c_void_p,
)
Combine = _record(
    "Combine",
    rows=c_int64,
    channels=c_int64,
    first=c_void_p,
    first_scale=c_void_p,
    sign=c_void_p,
    sign_slope=c_float,
    second=c_void_p,
    second_scale=c_void_p,
    shift=c_void_p,
    slope=c_float,
    out=c_void_p,
)
Sums = _record(
    "Sums",
    rows=c_int64,
    channels=c_int64,
    feats=c_void_p,
    sign=c_void_p,
    slope=c_float,
    first=c_void_p,
    second=c_void_p,
    out=c_void_p,
)

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "elite_instructions": (c_char_p, []),
    "elite_limit": (None, [c_char_p]),
    "elite_has_bf16": (c_int, []),
    "elite_packed_size": (c_int64, [c_int64, c_int64]),
    "elite_pack": (None, [c_void_p, c_int64, c_int64, c_int64, c_void_p, c_int]),
    "elite_rows": (None, [POINTER(Rows), c_int]),
    "elite_pool": (None, [POINTER(Pool), c_int]),
    "elite_chain": (None, [POINTER(Chain), c_int]),
    "elite_weight_gradient": (None, [POINTER(WeightGradient)]),
    "elite_point_means": (None, [POINTER(PointMeans), c_int64, c_void_p]),
    "elite_point_means_gradient": (None, [POINTER(PointMeansGradient)]),
    "elite_combine": (None, [POINTER(Combine)]),
    "elite_sums": (None, [POINTER(Sums)]),
    # these return an EliteStatus (sorting.h), see call()
    "elite_levels": (c_int32, [c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_int64, *[c_void_p] * 5]),
    "elite_joins": (c_int32, [c_int64, c_int64, *[c_void_p] * 14]),
    "elite_blocks": (c_int32, [c_int64, c_int64, *[c_void_p] * 6]),
    "elite_group": (c_int32, [c_void_p, c_int64, c_int64, c_void_p, c_void_p]),
    "elite_neighbours": (c_int32, [c_void_p, c_int64, *[c_void_p] * 3]),
    "elite_lovasz_steps": (c_int32, [c_void_p, c_void_p, c_int64, c_int64, c_void_p]),
}
_DONE, _TOO_LARGE, _NO_MEMORY = range(3)


@cache
def _open() -> tuple[ctypes.CDLL | None, str]:
    """(the library or None, the instruction set it uses or why there is none)."""
    path = next((p for suffix in EXTENSION_SUFFIXES if (p := _FOLDER / f"_kernels{suffix}").exists()), None)
    if path is None:
        return None, "they were not built (no C++ compiler when elite was installed, or no x86-64)"
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        return None, f"{path.name} cannot be opened ({error})"
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(found, name)
        except AttributeError:
            return None, f"{path.name} is older than this version of elite and has no {name}; install elite again"
        function.restype, function.argtypes = result, arguments
    instructions = found.elite_instructions().decode()
    if instructions == "none":
        return None, "the processor has neither AVX-512 nor AVX2"
    return found, instructions


def library() -> ctypes.CDLL | None:
    """The opened library, None where there is none (see :func:`describe`)."""
    return _open()[0]


def opened() -> ctypes.CDLL:
    """The opened library, for callers that have seen that there is one."""
    found = library()
    assert found is not None
    return found


def call(name: str, *arguments: torch.Tensor | int) -> bool:
    """Call a function that returns an EliteStatus: whether it could serve, or torch must.

    Raises:
        MemoryError: it found no memory for its work.
    """
    status = getattr(opened(), name)(*(pointer(a) if isinstance(a, torch.Tensor) else a for a in arguments))
    if status == _NO_MEMORY:
        raise MemoryError(f"{name} found no memory for its work; take fewer scans at once.")
    assert status in (_DONE, _TOO_LARGE)
    return status == _DONE  # type: ignore[no-any-return]


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 (AVX512-BF16) and the kernels are there."""
    found = library()
    return found is not None and bool(found.elite_has_bf16())


def describe() -> str:
    """For ``elite env``: the instruction set that the kernels use, or why plain torch serves."""
    found, told = _open()
    return f"native kernels, {found.elite_instructions().decode()}" if found else f"no native kernels: {told}"


def pointer(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous CPU tensor."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    assert tensor.device.type == "cpu"
    return tensor.data_ptr()
