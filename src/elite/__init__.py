"""elite: teach a small LiDAR segmentation network from camera images."""

from elite.version import __version__

__all__ = ["__version__"]
