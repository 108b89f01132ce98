"""Names of devices, and of backends of the sparse convolutions."""

import re
from importlib.util import find_spec
from typing import Literal

from elite.errors import ConfigError, require_extra

ResolvedBackend = Literal["native", "torch", "spconv"]
Backend = Literal["auto"] | ResolvedBackend


def pick_device(name: str) -> str:
    """Return the device of a name: ``auto`` (CUDA if available), ``cpu``, ``cuda``, ``cuda:1``.

    ``cpu:0``, the name of ``torch.device("cpu", 0)``, is ``cpu``. Only the CPU is available without PyTorch.

    Raises:
        ConfigError: an unknown, unsupported or missing device.
        MissingExtraError: CUDA, and PyTorch is not installed.
    """
    if re.fullmatch(r"cpu(:\d+)?", name) or (name == "auto" and find_spec("torch") is None):
        return "cpu"
    if name != "auto":
        require_extra("torch", "train", needed_for=f"device {name}")
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unknown(name) from error
    if device.type not in ("cpu", "cuda"):
        raise _unknown(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(f"device: expected one of {count} CUDA devices, found '{name}'. Use --device cpu.")
    return name


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"device: expected auto, cpu or cuda, found '{name}'. Use one of them.")
