"""elite: train a small LiDAR segmentation network with camera images as teacher."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elite.version import __version__

if TYPE_CHECKING:
    from elite.api import load, read, train
    from elite.datasets import Dataset, open_dataset
    from elite.datasets.past_scans import ScanHistory
    from elite.inference import Segmenter
    from elite.sensor import load_sensor

__all__ = [
    "Dataset",
    "ScanHistory",
    "Segmenter",
    "__version__",
    "load",
    "load_sensor",
    "open_dataset",
    "read",
    "train",
]

# Modules that are imported on first use: ``import elite`` and ``elite --help`` then do not import torch.
_MODULES = {
    **dict.fromkeys(("load", "read", "train"), "elite.api"),
    **dict.fromkeys(("Dataset", "open_dataset"), "elite.datasets"),
    "ScanHistory": "elite.datasets.past_scans",
    "Segmenter": "elite.inference",
    "load_sensor": "elite.sensor",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'elite' has no attribute '{name}'")
