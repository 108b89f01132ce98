"""Encoders of the file formats that predictions are written in."""

import io
import re

import numpy as np

from elite.errors import DataError, require_extra
from elite.point_files.fields import PointFields

_NAMES = {".pcd": re.compile(r"[\w.-]+"), ".ply": re.compile(r"[!-~]+")}  # that readers of headers return unchanged


def encode_points(points: PointFields, suffix: str) -> bytes:
    """Return the contents of a file with these fields.

    Args:
        points: all fields, with their types.
        suffix: .npy (a structured array; an array of numbers for one field without a name), .pcd (binary) or .ply
            (binary, little-endian; 64-bit integers become float64, which it lacks otherwise).

    Raises:
        DataError: the name of a field does not fit in the header of a .pcd or .ply file.
    """
    if suffix != ".npy" and (wrong := [name for name in points.values if not _NAMES[suffix].fullmatch(name)]):
        raise DataError(
            f"expected names of letters, digits and _ for {suffix}, found {wrong[0]!r:.60}. Rename the field."
        )
    return {".npy": _npy, ".pcd": _pcd, ".ply": _ply}[suffix](points)


def _structured(points: PointFields) -> np.ndarray:
    array = np.empty(len(points), [(name, values.dtype) for name, values in points.values.items()])
    for name, values in points.values.items():
        array[name] = values
    return array


def _npy(points: PointFields) -> bytes:
    file = io.BytesIO()
    array = points.values[""] if [*points.values] == [""] else _structured(points)
    np.save(file, array.reshape(points.shape))
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
    kinds = {name: np.float64 if v.dtype in (np.int64, np.uint64) else v.dtype for name, v in points.values.items()}
    writable = PointFields({name: v.astype(kinds[name]) for name, v in points.values.items()}, points.shape)
    PlyData([PlyElement.describe(_structured(writable), "vertex")], byte_order="<").write(file)
    return file.getvalue()
