"""Kernels in C++ for the student on CPUs: what plain torch computes too, several times faster."""

from elite.native.library import call, describe, has_bf16, library
from elite.native.ops import (
    Layer,
    NeighbourPairs,
    Packed,
    PointMean,
    Pooled,
    VoxelPoints,
    chain,
    column_sums,
    combine,
    point_means,
    point_means_gradient,
    pool,
    rows,
    weight_gradient,
)
from elite.native.workspace import Workspace

__all__ = [
    "Layer",
    "NeighbourPairs",
    "Packed",
    "PointMean",
    "Pooled",
    "VoxelPoints",
    "Workspace",
    "call",
    "chain",
    "column_sums",
    "combine",
    "describe",
    "has_bf16",
    "library",
    "point_means",
    "point_means_gradient",
    "pool",
    "rows",
    "weight_gradient",
]
