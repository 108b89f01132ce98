"""Models of transformers: what a folder or a name on the hub describes, and its weights with nothing passed over.

The files of a folder are read here and not by transformers, which would take their sizes on trust.
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

from elite.errors import CheckpointError, first_line
from elite.files import TEXT_BYTES, open_regular, parse_json, read_file
from elite.weights.safetensors_file import open_safetensors
from elite.weights.torch_file import check_numbers, is_state_dict, open_torch, reading

_LARGEST = 2**20  # no layer is so wide, and no list of words so long
_WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def described_by(source: str, *, option: str = "--teacher.weights") -> PretrainedConfig:
    """Return the architecture of a folder or of a model on the hub (NAME or OWNER/NAME), which ``option`` named.

    Raises:
        CheckpointError: there is none of that name, or its config.json is faulty.
    """
    here = Path(source).exists()
    if not here and _is_path(source):
        raise CheckpointError(
            f"'{source}' does not exist; give {option} a SAM file, a transformers folder or a hub id."
        )
    if here:
        for path in sorted(Path(source).glob("config*.json")) if Path(source).is_dir() else [Path(source)]:
            with reading(path, "a description of a model"), open_regular(path, TEXT_BYTES):
                pass  # transformers would wait for a pipe
    try:
        described = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # a faulty config.json makes transformers stumble over anything
        found = "is not a transformers folder (config.json and model.safetensors)"
        if not here:
            found = "is neither a file nor a folder here, nor a model that the hub answers for"
        raise CheckpointError(f"'{source}' {found}: {first_line(error)}; check {option}.") from error
    if (largest := _largest(described.to_dict())) > _LARGEST:
        raise CheckpointError(
            f"the config.json of '{source}' holds the number {largest:.3g}, and no model is so large; copy it again."
        )
    return described


def _largest(value: Any) -> float:
    """The largest whole number anywhere in a description."""
    if isinstance(value, dict | list | tuple):
        return max(map(_largest, value.values() if isinstance(value, dict) else value), default=0.0)
    return float(min(value, sys.float_info.max)) if isinstance(value, int) else 0.0


def load_pretrained(cls: Any, described: PretrainedConfig, source: str) -> tuple[Any, list[str], list[str]]:
    """Return (a ``cls`` as ``described``, in float32, with the weights of ``source``; names of the weights that it has
    and the source lacks; names that the source holds and the model has no place for). The caller judges differences.

    Raises:
        CheckpointError: the weights cannot be read, or not into such a model.
    """
    logging.disable_progress_bar()
    load = _load_folder if Path(source).is_dir() else _load_from_hub
    try:
        with _no_reports():
            model, report = load(cls, described, source)
    except CheckpointError:
        raise
    except Exception as error:  # a faulty config.json makes transformers stumble over anything
        raise CheckpointError(
            f"the weights in '{source}' cannot be loaded as {described.model_type} ({first_line(error)}); check its "
            "config.json, or download them again."
        ) from error
    return model, sorted(report["missing_keys"]), sorted(report["unexpected_keys"])


@contextmanager
def _no_reports() -> Iterator[None]:
    """Without the tables that transformers prints of names in a file: the caller names them, and escapes them."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _load_from_hub(cls: Any, described: PretrainedConfig, source: str) -> tuple[Any, dict[str, Any]]:
    model, report = cls.from_pretrained(
        source, config=described, output_loading_info=True, dtype=torch.float32, trust_remote_code=False
    )
    check_numbers(dict(model.named_parameters()), f"'{source}'")
    return model, report


def _load_folder(cls: Any, described: PretrainedConfig, source: str) -> tuple[Any, dict[str, Any]]:
    """Load the weights of a folder, the first time with their shapes alone: only what fits the model is read."""

    def fill(state: dict[str, Tensor]) -> tuple[Any, dict[str, Any]]:
        return cls.from_pretrained(
            None, config=described, state_dict=state, output_loading_info=True, dtype=torch.float32
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
    """Zeros of a shape that take no memory, of the type that the model will have."""
    return torch.zeros((), dtype=torch.float32 if shape.is_floating_point() else shape.dtype).expand(shape.shape)


def _open_weights(path: Path, stack: ExitStack) -> tuple[dict[str, Tensor], Callable[..., dict[str, Tensor]]]:
    """Return the shapes in a file, and a function that reads tensors by their shapes."""
    if path.suffix == ".safetensors":
        file = stack.enter_context(open_safetensors(path))
        return file.shapes, file.read
    file = stack.enter_context(open_torch(path))
    if not is_state_dict(file.content):
        raise CheckpointError(
            f"{path}: expected weights by name alone, found other values. Save the model's state_dict alone with "
            "torch.save."
        )
    return file.content, file.read


def _weight_files(folder: Path) -> list[Path]:
    """Return the files of a folder that together hold the weights, in the order of preference of transformers.

    Raises:
        CheckpointError: there are none, or the index of their parts is damaged or names files elsewhere.
    """
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"'{folder}': expected a whole model, found a peft adapter beside it. Merge the adapter into the model "
            "with merge_and_unload and save that in a folder of its own."
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
    """Whether a name of nothing that exists is a mistyped path, and no hub id: offline, the hub keeps one waiting."""
    owner, slash, _ = name.partition("/")
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or name.endswith((".pth", ".pt", ".bin", ".safetensors", ".ckpt"))
        or (slash == "/" and Path(owner).is_dir())
    )
