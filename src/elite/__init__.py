"""elite: teach a small LiDAR segmentation network from camera images."""

from typing import TYPE_CHECKING, Any

from elite.version import __version__

if TYPE_CHECKING:
    from elite.inference import Segmenter

__all__ = ["Segmenter", "__version__"]


def __getattr__(name: str) -> Any:
    """``elite.Segmenter`` without making ``import elite`` (and ``elite --help``) wait for torch."""
    if name == "Segmenter":
        from elite.inference import Segmenter

        return Segmenter
    raise AttributeError(f"module 'elite' has no attribute '{name}'")
