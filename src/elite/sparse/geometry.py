"""The geometry of a batch, by the backend that serves."""

from jaxtyping import Float32, Int64
from torch import Tensor

from elite.sparse import native_geometry
from elite.sparse.backends import Backend, choose
from elite.sparse.voxels import Geometry, Grid


def build_geometry(
    points: Float32[Tensor, "n 3"],
    batch_index: Int64[Tensor, "n"],
    grid: Grid,
    strides: tuple[int, ...],
    backend: Backend = "auto",
) -> Geometry:
    """As ``Geometry.build``, which it equals whatever the backend.

    Raises:
        ConfigError, MissingExtraError: see :func:`elite.sparse.backends.choose`.
    """
    chosen = choose(backend, points.device)
    if chosen == "native" and (built := native_geometry.build(points, batch_index, grid, strides)) is not None:
        return built
    return Geometry.build(points, batch_index, grid, strides, chosen)
