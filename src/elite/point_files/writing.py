"""Encoders of the file formats that predictions are written in."""

import io

import numpy as np

from elite.errors import require_extra
from elite.point_files.fields import PointFields


def encode_points(points: PointFields, suffix: str) -> bytes:
    """Return the contents of a file with these fields.

    Args:
        points: all fields, with their types; 64-bit integers are not possible in .ply.
        suffix: .npy (a structured array), .pcd (binary) or .ply (binary, little-endian).
    """
    return {".npy": _npy, ".pcd": _pcd, ".ply": _ply}[suffix](points)


def _structured(points: PointFields) -> np.ndarray:
    array = np.empty(len(points), [(name, values.dtype) for name, values in points.values.items()])
    for name, values in points.values.items():
        array[name] = values
    return array


def _npy(points: PointFields) -> bytes:
    file = io.BytesIO()
    np.save(file, _structured(points).reshape(points.shape))
    return file.getvalue()


def _pcd(points: PointFields) -> bytes:
    require_extra("pypcd4", "formats", needed_for=".pcd files")
    from pypcd4.pypcd4 import Encoding, PointCloud

    values = points.values
    cloud = PointCloud.from_points(tuple(values.values()), tuple(values), [v.dtype.type for v in values.values()])
    rows, columns = points.shape if len(points.shape) == 2 else (1, len(points))
    cloud = PointCloud(cloud.metadata.derive(width=columns, height=rows), cloud.pc_data)
    file = io.BytesIO()
    cloud.save(file, encoding=Encoding.BINARY)  # type: ignore[arg-type]
    return file.getvalue()


def _ply(points: PointFields) -> bytes:
    require_extra("plyfile", "formats", needed_for=".ply files")
    from plyfile import PlyData, PlyElement

    file = io.BytesIO()
    PlyData([PlyElement.describe(_structured(points), "vertex")], byte_order="<").write(file)
    return file.getvalue()
