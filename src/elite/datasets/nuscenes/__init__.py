"""nuScenes: reader, splits and tables."""

from elite.datasets.nuscenes.reader import NuScenes

__all__ = ["NuScenes"]
