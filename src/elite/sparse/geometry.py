"""Geometry of a batch, by the backend of the student."""

from torch import Tensor

from elite.device import Backend
from elite.shapes import Float32, Int64
from elite.sparse.backends import resolve_backend
from elite.sparse.native_geometry import build_native_geometry
from elite.sparse.torch_geometry import build_torch_geometry
from elite.sparse.voxels import Geometry, Grid


def build_geometry(
    points: Float32[Tensor, "n 3"],
    batch_index: Int64[Tensor, "n"],
    grid: Grid,
    strides: tuple[int, ...],
    backend: Backend = "auto",
) -> Geometry:
    """Build the voxels, neighbours, blocks, pools and groups of a batch; equal for every backend.

    Args:
        points: metres, in the sensor frame of their scan.
        batch_index: the scan of each point.
        strides: cell sizes of the levels, in stride-1 cells; at least two.

    Raises:
        ConfigError, MissingExtraError: see :func:`elite.sparse.backends.resolve_backend`.
    """
    resolved = resolve_backend(backend, points.device)
    if resolved == "native" and (geometry := build_native_geometry(points, batch_index, grid, strides)) is not None:
        return geometry
    return build_torch_geometry(points, batch_index, grid, strides, resolved)
