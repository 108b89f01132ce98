"""Sparse voxels: the geometry of a batch, the poolings between its grids, and the submanifold convolution."""

from elite.sparse.conv import SubmanifoldConv3d, submanifold_conv
from elite.sparse.kernel_map import KernelMap, kernel_map
from elite.sparse.scatter import Pooling
from elite.sparse.voxels import Geometry, Grid, Level

__all__ = ["Geometry", "Grid", "KernelMap", "Level", "Pooling", "SubmanifoldConv3d", "kernel_map", "submanifold_conv"]
