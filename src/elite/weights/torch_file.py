"""Read files of ``torch.save`` without torch's unpickler: tensors and plain values; no code in a file runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from elite.errors import CheckpointError
from elite.files import open_regular
from elite.weights.inert_pickle import Foreign
from elite.weights.lazy_tensors import LazyTensors
from elite.weights.reading import reading
from elite.weights.torch_formats import STORAGES, read_archive, read_stream

_REAL = frozenset(dtype for dtype in STORAGES.values() if not dtype.is_complex)


# ---- files ------------------------------------------------------------------------------------------------------


class TorchFile:
    """An open file of ``torch.save``.

    Attributes:
        path: of the file.
        content: its dictionary, whose tensors are on the meta device until ``read`` reads their numbers.
        foreign: classes and functions that the file refers to; they are not opened.
    """

    def __init__(self, path: Path, content: dict[Any, Any], foreign: Sequence[str], tensors: LazyTensors) -> None:
        self.path = path
        self.content = content
        self.foreign = tuple(foreign)
        self._tensors = tensors

    def read(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Read the numbers of tensors of ``content``.

        Raises:
            CheckpointError: damaged, or larger than the memory.
        """
        with reading(self.path, "a file of torch.save"):
            numbers = self._tensors.read(state.values())
            return {name: numbers[id(shape)] for name, shape in state.items()}

    def read_all(self) -> dict[Any, Any]:
        """Return ``content`` with the numbers of all tensors.

        Raises:
            CheckpointError: damaged, or larger than the memory.
        """
        with reading(self.path, "a file of torch.save"):
            return _with_numbers(self.content, self._tensors.read(_tensors_in(self.content)))


@contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Open a file of ``torch.save`` that contains a dictionary. Objects in it become ``Foreign``.

    Raises:
        CheckpointError: unreadable, damaged, compressed, or with other contents than a dictionary.
    """
    with ExitStack() as stack:
        with reading(path, "a file of torch.save"):
            file = stack.enter_context(open_regular(path, None))
            tensors = LazyTensors(file)
            read = read_archive if file.read(2) == b"PK" else read_stream
            content, foreign = read(file, tensors, path)
        if not isinstance(content, dict):
            raise CheckpointError(
                f"{path}: expected a dictionary of weights, found {describe_kind(content)}. Save only its state_dict "
                "with torch.save(model.state_dict(), PATH)."
            )
        yield TorchFile(path, content, foreign, tensors)


def load_torch(path: Path) -> dict[Any, Any]:
    """Load the dictionary of a torch file that contains only tensors and plain values.

    Raises:
        CheckpointError: as ``open_torch``, or it contains objects of other classes.
    """
    with open_torch(path) as file:
        if file.foreign:
            raise CheckpointError(
                f"{path}: expected tensors and plain values only, found objects of {name_list(file.foreign)}, "
                "which are refused. Give a checkpoint of elite train."
            )
        return file.read_all()


def is_state_dict(state: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether this is a dictionary of real-valued tensors by name."""
    return isinstance(state, dict) and all(isinstance(k, str) and is_array(v) for k, v in state.items())


def is_array(value: Any) -> TypeGuard[Tensor]:
    """Whether this is a tensor of real numbers."""
    return isinstance(value, torch.Tensor) and value.dtype in _REAL


def check_numbers(state: Mapping[str, Tensor], source: object) -> None:
    """Check that all numbers are real, finite and stored. A stride of zero makes any size of one number.

    Raises:
        CheckpointError: names the first weight with other numbers, and the ``source`` of the weights.
    """
    for name, value in state.items():
        if not is_array(value):
            raise CheckpointError(
                f"{source}: expected real numbers of 16 bits or more, found {describe_kind(value)} in '{name}'. Save "
                "the weights in float32."
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(
                f"{source}: expected {value.numel():,} numbers for '{name}', found fewer. Copy the file again."
            )
        if not value.isfinite().all():
            raise CheckpointError(
                f"{source}: expected finite numbers, found NaN or infinity in '{name}'. Use an earlier checkpoint."
            )


def describe_kind(value: Any) -> str:
    """Kind of a value in a torch file, for a message."""
    if isinstance(value, Foreign):
        return f"an object of {name_list([value.name])}"
    if isinstance(value, torch.Tensor):
        return f"a tensor of {value.dtype}"
    return f"a value of type {type(value).__name__}"


def name_list(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    first = ", ".join(name[:100] for name in names[:5])
    return f"{first} and {len(names) - 5} more" if len(names) > 5 else first


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(part)


def _with_numbers(value: Any, numbers: Mapping[int, Tensor]) -> Any:
    """A copy of ``value`` with numbers in place of its meta tensors."""
    match value:
        case torch.Tensor():
            return numbers[id(value)]
        case dict():
            return {key: _with_numbers(part, numbers) for key, part in value.items()}
        case list() | tuple():
            return type(value)(_with_numbers(part, numbers) for part in value)
    return value
