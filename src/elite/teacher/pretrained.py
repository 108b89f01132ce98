"""Models of transformers: what a folder or a name on the hub describes, and its weights with nothing passed over."""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import logging

from elite.errors import CheckpointError, first_line

_LARGEST = 2**20  # no layer is so wide, and no list of words so long


def described_by(source: str, *, option: str = "--teacher.weights") -> PretrainedConfig:
    """The architecture of a folder or of a model on the hub (NAME or OWNER/NAME), which ``option`` named.

    Raises:
        CheckpointError: there is none of that name, or its config.json is faulty.
    """
    here = Path(source).exists()
    if not here and _is_path(source):
        raise CheckpointError(
            f"'{source}' does not exist; give {option} a SAM file, a transformers folder or a hub id."
        )
    try:
        described = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # a faulty config.json makes transformers stumble over anything
        found = "is no transformers folder (config.json beside model.safetensors)"
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
    """(a ``cls`` as ``described``, in float32, with the weights of ``source``; names of the weights that it has and
    the source lacks; names that the source holds and it has no place for). What may differ is the caller's to say.

    Raises:
        CheckpointError: the weights cannot be read, or not into such a model.
    """
    logging.disable_progress_bar()
    try:
        model, report = cls.from_pretrained(
            source, config=described, output_loading_info=True, dtype=torch.float32, trust_remote_code=False
        )
    except Exception as error:  # as above
        raise CheckpointError(
            f"the weights in '{source}' cannot be loaded as {described.model_type} ({first_line(error)}); check its "
            "config.json, or download them again."
        ) from error
    return model, sorted(report["missing_keys"]), sorted(report["unexpected_keys"])


def _is_path(name: str) -> bool:
    """Whether a name of nothing that exists is a mistyped path, and no hub id: offline, the hub keeps one waiting."""
    owner, slash, _ = name.partition("/")
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or name.endswith((".pth", ".pt", ".bin", ".safetensors", ".ckpt"))
        or (slash == "/" and Path(owner).is_dir())
    )
