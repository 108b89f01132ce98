"""Pretrained transformers models from a folder or the hub: their architecture, and a strict report of their weights.

Elite reads the files of a folder itself, since transformers does not check their sizes.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import logging

from elite.errors import CheckpointError, first_line, is_out_of_memory
from elite.files import TEXT_BYTES, open_regular, parse_json, read_file
from elite.weights.reading import reading, too_large
from elite.weights.safetensors_file import open_safetensors
from elite.weights.torch_file import check_numbers, is_state_dict, open_torch

_MAX_NUMBER = 2**20  # larger than the width of any layer and the length of any vocabulary
_WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def read_architecture(source: str, *, option: str = "--teacher.weights") -> PretrainedConfig:
    """Return the architecture of a folder or of a model on the hub (NAME or OWNER/NAME); ``option`` named it.

    Raises:
        CheckpointError: it does not exist, or its config.json is invalid.
    """
    is_local = Path(source).exists()
    if not is_local and _is_path(source):
        raise CheckpointError(
            f"{option}: expected a SAM file, a transformers folder or a hub id, found '{source}', which does not "
            "exist. Correct the path."
        )
    if is_local:
        for path in sorted(Path(source).glob("config*.json")) if Path(source).is_dir() else [Path(source)]:
            with reading(path, "a model configuration"), open_regular(path, TEXT_BYTES):
                pass  # checked here because transformers would wait for a pipe
    try:
        architecture = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # an invalid config.json can cause any error in transformers
        expected, remedy = "a transformers folder with config.json and model.safetensors", "Correct the name"
        if not is_local:
            expected, remedy = "a file, a folder or a model on the hub", f"{remedy}, or check the connection to the hub"
        raise CheckpointError(
            f"{option}: expected {expected}, found '{source}', which cannot be read ({first_line(error)}). {remedy}."
        ) from error
    if (largest := _largest_number(architecture.to_dict())) > _MAX_NUMBER:
        raise CheckpointError(
            f"config.json of '{source}': expected numbers up to {_MAX_NUMBER}, found {largest:.3g}. Copy the file "
            "again."
        )
    return architecture


def _largest_number(value: Any) -> float:
    """Largest integer at any depth of a configuration."""
    if isinstance(value, dict | list | tuple):
        return max(map(_largest_number, value.values() if isinstance(value, dict) else value), default=0.0)
    return float(min(value, sys.float_info.max)) if isinstance(value, int) else 0.0


def load_pretrained(cls: Any, architecture: PretrainedConfig, source: str) -> tuple[Any, list[str], list[str]]:
    """Return a ``cls`` of this architecture in float32 with the weights of ``source``.

    Also returns the names of weights that are missing in the source, and of weights that the model does not have. The
    caller decides whether these are errors.

    Raises:
        CheckpointError: the weights are unreadable or do not match the architecture.
    """
    logging.disable_progress_bar()
    load = _load_folder if Path(source).is_dir() else _load_from_hub
    try:
        with _without_weight_tables():
            model, report = load(cls, architecture, source)
    except CheckpointError:
        raise
    except Exception as error:  # an invalid config.json can cause any error in transformers
        if is_out_of_memory(error):
            raise too_large(f"'{source}'") from error
        raise CheckpointError(
            f"'{source}': expected weights of a {architecture.model_type}, found others ({first_line(error)}). Correct "
            "its config.json, or download the weights again."
        ) from error
    return model, sorted(report["missing_keys"]), sorted(report["unexpected_keys"])


@contextmanager
def _without_weight_tables() -> Iterator[None]:
    """Disable the tables of weight names that transformers prints; the caller prints names with escapes."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _load_from_hub(cls: Any, architecture: PretrainedConfig, source: str) -> tuple[Any, dict[str, Any]]:
    model, report = cls.from_pretrained(
        source, config=architecture, output_loading_info=True, dtype=torch.float32, trust_remote_code=False
    )
    check_numbers(dict(model.named_parameters()), f"'{source}'")
    return model, report


def _load_folder(cls: Any, architecture: PretrainedConfig, source: str) -> tuple[Any, dict[str, Any]]:
    """Load the weights of a folder. A first pass with shapes only determines which weights are read."""

    def fill(state: dict[str, Tensor]) -> tuple[Any, dict[str, Any]]:
        return cls.from_pretrained(
            None, config=architecture, state_dict=state, output_loading_info=True, dtype=torch.float32
        )

    with ExitStack() as stack:
        files = [_open_weights(path, stack) for path in _weight_files(Path(source))]
        _, report = fill({name: _zeros(shape) for shapes, _ in files for name, shape in shapes.items()})
        unused, state = set(report["unexpected_keys"]), {}
        for shapes, read in files:
            state |= read({name: shape for name, shape in shapes.items() if name not in unused})
    check_numbers(state, f"'{source}'")
    return fill(state)[0], report


def _zeros(shape: Tensor) -> Tensor:
    """Zeros of a shape that take no memory, in the dtype of the model."""
    return torch.zeros((), dtype=torch.float32 if shape.is_floating_point() else shape.dtype).expand(shape.shape)


def _open_weights(path: Path, stack: ExitStack) -> tuple[dict[str, Tensor], Callable[..., dict[str, Tensor]]]:
    """Return the shapes in a file, and a function that reads the tensors of given shapes."""
    if path.suffix == ".safetensors":
        file = stack.enter_context(open_safetensors(path))
        return file.shapes, file.read
    file = stack.enter_context(open_torch(path))
    if not is_state_dict(file.content):
        raise CheckpointError(
            f"{path}: expected a state_dict, found other values. Save only the state_dict of the model with torch.save."
        )
    return file.content, file.read


def _weight_files(folder: Path) -> list[Path]:
    """Return the files that contain the weights of a folder, in the order of preference of transformers.

    Raises:
        CheckpointError: the files are missing, or their index is damaged or names files in other folders.
    """
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"'{folder}': expected a complete model, found a peft adapter. Merge the adapter into the model with "
            "merge_and_unload, and save the result in another folder."
        )
    path = next((folder / name for name in _WEIGHT_FILES if (folder / name).exists()), None)
    if path is None:
        raise CheckpointError(
            f"'{folder}': expected {' or '.join(_WEIGHT_FILES[::2])}, found neither. Save the model there with "
            "save_pretrained."
        )
    if path.suffix != ".json":
        return [path]
    with reading(path, "an index of weight files"):
        names = sorted({str(name) for name in parse_json(read_file(path, TEXT_BYTES))["weight_map"].values()})
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("expected names of files in the same folder")
    return [folder / name for name in names]


def _is_path(name: str) -> bool:
    """Whether a name that does not exist is a mistyped path, not a hub id. Offline, a request to the hub takes long."""
    owner, slash, _ = name.partition("/")
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or name.endswith((".pth", ".pt", ".bin", ".safetensors", ".ckpt"))
        or (slash == "/" and Path(owner).is_dir())
    )
