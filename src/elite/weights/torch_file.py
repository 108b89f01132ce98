"""Files of ``torch.save``, read without torch's unpickler: tensors and plain values, and nothing in a file runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from elite.errors import CheckpointError, first_line
from elite.files import open_regular
from elite.weights.inert_pickle import Foreign
from elite.weights.lazy_tensors import LazyTensors
from elite.weights.torch_formats import STORAGES, read_archive, read_stream

_REAL = frozenset(dtype for dtype in STORAGES.values() if not dtype.is_complex)


# ---- errors -----------------------------------------------------------------------------------------------------


def no_checkpoint(path: Path, error: OSError) -> CheckpointError:
    """Return the error for a checkpoint that cannot be opened or read."""
    if isinstance(error, IsADirectoryError):
        inside = sorted([*path.glob("*.ckpt"), *path.glob("checkpoints/*.ckpt")])
        remedy = f"Give a file in it, such as {inside[0]}" if inside else "Give a file"
        return CheckpointError(f"{path}: expected a checkpoint, found a folder. {remedy}.")
    return CheckpointError(f"{path}: cannot read a checkpoint ({error.strerror or first_line(error)}). Check the path.")


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever goes wrong with a weight file into one error about it.

    Raises:
        CheckpointError: unreadable, not what was ``expected``, damaged, or larger than the memory.
    """
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise no_checkpoint(path, error) from error
    except MemoryError as error:
        raise CheckpointError(
            f"{path}: expected weights that fit in memory, found more. Check the size of the file, or free memory."
        ) from error
    except Exception as error:  # a damaged file makes its readers stumble over anything
        raise CheckpointError(
            f"{path}: expected {expected}, found damage or another kind of file ({first_line(error)}). "
            "Copy it again, it may be cut short."
        ) from error


# ---- files ------------------------------------------------------------------------------------------------------


class TorchFile:
    """An open file of ``torch.save``.

    Attributes:
        path: of the file.
        content: its dictionary, whose tensors are on the meta device until ``read`` reads their numbers.
        foreign: classes and functions that the file refers to. None was opened.
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
            CheckpointError: as ``read``.
        """
        with reading(self.path, "a file of torch.save"):
            return _with_numbers(self.content, self._tensors.read(_tensors_in(self.content)))


@contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Open a file of ``torch.save`` that holds a dictionary. Objects in it become ``Foreign``.

    Raises:
        CheckpointError: unreadable, damaged, compressed, or it holds something else.
    """
    with ExitStack() as stack:
        with reading(path, "a file of torch.save"):
            file = stack.enter_context(open_regular(path, None))
            tensors = LazyTensors(file)
            read = read_archive if file.read(2) == b"PK" else read_stream
            content, foreign = read(file, tensors, path)
        if not isinstance(content, dict):
            raise CheckpointError(
                f"{path}: expected a dictionary of weights, found {kind_of(content)}. Save its state_dict alone with "
                "torch.save(model.state_dict(), PATH)."
            )
        yield TorchFile(path, content, foreign, tensors)


def load_torch(path: Path) -> dict[Any, Any]:
    """Return the dictionary of a torch file that holds tensors and plain values only, all in memory.

    Raises:
        CheckpointError: as ``open_torch``, or it holds objects of other classes.
    """
    with open_torch(path) as file:
        if file.foreign:
            raise CheckpointError(
                f"{path}: expected tensors and plain values only, found objects of {listed(file.foreign)}, which are "
                "refused. Give a checkpoint of elite train."
            )
        return file.read_all()


def is_state_dict(state: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether these are arrays of real numbers by name."""
    return isinstance(state, dict) and all(isinstance(k, str) and is_array(v) for k, v in state.items())


def is_array(value: Any) -> TypeGuard[Tensor]:
    """Whether this is a tensor of real numbers."""
    return isinstance(value, torch.Tensor) and value.dtype in _REAL


def check_numbers(state: Mapping[str, Tensor], source: object) -> None:
    """Check that every number is real, finite, and in the file: strides of zero make any size of one number.

    Raises:
        CheckpointError: with the first weight whose numbers are not.
    """
    for name, value in state.items():
        if not is_array(value):
            raise CheckpointError(
                f"{source}: expected real numbers of 16 bits or more, found {kind_of(value)} in '{name}'. Save the "
                "weights in float32."
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(
                f"{source}: expected {value.numel():,} numbers for '{name}', found fewer. Copy the file again."
            )
        if not value.isfinite().all():
            raise CheckpointError(
                f"{source}: expected finite numbers, found NaN or infinity in '{name}'. Take an earlier checkpoint."
            )


def kind_of(value: Any) -> str:
    """Return what a value of a torch file is, for a message."""
    if isinstance(value, Foreign):
        return f"an object of {listed([value.name])}"
    if isinstance(value, torch.Tensor):
        return f"a tensor of {value.dtype}"
    return f"a value of type {type(value).__name__}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names, for a message."""
    shown = ", ".join(name[:100] for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(part)


def _with_numbers(value: Any, numbers: Mapping[int, Tensor]) -> Any:
    """``value`` with its meta tensors replaced."""
    match value:
        case torch.Tensor():
            return numbers[id(value)]
        case dict():
            return {key: _with_numbers(part, numbers) for key, part in value.items()}
        case list() | tuple():
            return type(value)(_with_numbers(part, numbers) for part in value)
    return value
