"""Where torch computes."""

import torch

from elite.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        ConfigError: no device of that name, or none that is supported or there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"'{name}' is no device; expected auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"'{name}' is not supported; expected auto, cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"no device '{name}': torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu.")
    return device
