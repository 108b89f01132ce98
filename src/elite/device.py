"""The device on which PyTorch computes."""

import torch

from elite.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device of a name: ``auto`` (CUDA if available), ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        ConfigError: an unknown, unsupported or missing device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: expected auto, cpu or cuda, found '{name}'. Use one of them.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu or cuda, found '{name}'. Use one of them.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(f"device: expected one of {count} CUDA devices, found '{name}'. Use --device cpu.")
    return device
