"""Sparse voxels: the geometry of a batch, the poolings between its grids, and the submanifold convolution."""

from elite.device import Backend
from elite.sparse.backends import Neighbours, find_neighbours, resolve_backend
from elite.sparse.conv import SubmanifoldConv3d, submanifold_conv
from elite.sparse.geometry import build_geometry
from elite.sparse.kernel_map import KernelMap
from elite.sparse.native_geometry import build_native_geometry, voxel_points
from elite.sparse.pooling import Grouping, Pooling, gather_deterministic
from elite.sparse.torch_geometry import build_torch_geometry
from elite.sparse.voxels import Geometry, Grid, Level

__all__ = [
    "Backend",
    "Geometry",
    "Grid",
    "Grouping",
    "KernelMap",
    "Level",
    "Neighbours",
    "Pooling",
    "SubmanifoldConv3d",
    "build_geometry",
    "build_native_geometry",
    "build_torch_geometry",
    "find_neighbours",
    "gather_deterministic",
    "resolve_backend",
    "submanifold_conv",
    "voxel_points",
]
