"""Torch files of others: tensors and plain values only; nothing in a file runs."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from elite.errors import CheckpointError, first_line

if TYPE_CHECKING:  # it takes seconds to import
    from torch import Tensor


def no_checkpoint(path: Path, error: OSError) -> CheckpointError:
    """What to say where a checkpoint cannot be opened."""
    if path.is_dir():
        inside = next(iter(sorted(path.rglob("*.ckpt"))), path / "checkpoints" / "best.ckpt")
        return CheckpointError(f"{path} is a folder; give a checkpoint, such as {inside}.")
    return CheckpointError(f"{path}: cannot read a checkpoint ({error.strerror}); check the path.")


def load_torch(path: Path) -> dict[str, Any]:
    """A torch file's dictionary, tensors and plain values only: nothing else is unpickled.

    Raises:
        CheckpointError: no such file, damaged, or it holds something else.
    """
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise no_checkpoint(path, error) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and plain values and is refused; "
            "copy it again, or save its state_dict alone with torch.save."
        ) from error
    except Exception as error:  # a damaged file makes the unpickler stumble over anything
        raise CheckpointError(
            f"{path} is not a readable torch file ({first_line(error)}); it may be cut short, copy it again."
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, expected a dictionary of weights.")
    return checkpoint


def is_state_dict(state: Any) -> "TypeGuard[dict[str, Tensor]]":
    """Whether these are arrays of real numbers by name."""
    return isinstance(state, dict) and all(isinstance(k, str) and _is_array(v) for k, v in state.items())


def _is_array(value: Any) -> bool:
    import torch

    if not isinstance(value, torch.Tensor) or value.is_nested or value.is_meta:
        return False
    return value.layout == torch.strided and not (value.is_quantized or value.is_complex())
