"""Sparse voxels: the geometry of a batch, the poolings between its grids, and the submanifold convolution."""

from elite.sparse.backends import Backend, Neighbours, choose
from elite.sparse.conv import SubmanifoldConv3d, submanifold_conv
from elite.sparse.geometry import build_geometry
from elite.sparse.kernel_map import KernelMap, kernel_map
from elite.sparse.scatter import Pooling
from elite.sparse.voxels import Geometry, Grid, Level

__all__ = [
    "Backend",
    "Geometry",
    "Grid",
    "KernelMap",
    "Level",
    "Neighbours",
    "Pooling",
    "SubmanifoldConv3d",
    "build_geometry",
    "choose",
    "kernel_map",
    "submanifold_conv",
]
