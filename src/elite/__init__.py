"""elite: train a small LiDAR segmentation network with camera images as teacher."""

from typing import TYPE_CHECKING, Any

from elite.version import __version__

if TYPE_CHECKING:
    from elite.inference import Segmenter

__all__ = ["Segmenter", "__version__"]


def __getattr__(name: str) -> Any:
    """Import ``elite.Segmenter`` on first use: ``import elite`` and ``elite --help`` then do not import torch."""
    if name == "Segmenter":
        from elite.inference import Segmenter

        return Segmenter
    raise AttributeError(f"module 'elite' has no attribute '{name}'")
