"""elite: train a small LiDAR segmentation network with camera images as teacher."""

from typing import TYPE_CHECKING

from elite.lazy_names import lazy_names
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

# Imported on first use: ``import elite`` and ``elite --help`` then import no numpy.
__getattr__ = lazy_names(
    __name__,
    {
        "elite.api": ("load", "read", "train"),
        "elite.datasets": ("Dataset", "open_dataset"),
        "elite.datasets.past_scans": ("ScanHistory",),
        "elite.inference": ("Segmenter",),
        "elite.sensor": ("load_sensor",),
    },
)
