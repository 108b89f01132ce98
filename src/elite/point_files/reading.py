"""Decoders of the file formats of points."""

import io
import warnings
import zipfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from elite.errors import DataError, first_line, require_extra
from elite.files import SCAN_BYTES, parse_array, read_file
from elite.point_files.fields import PointFields, fields_of
from elite.point_files.las import read_las

_PCD_HEADER = 10  # lines, without comments
_PCD_NUMBERS = 2**12  # limit of the numbers of a point; descriptors have some hundred
_REMEDY = "Copy the file again, or export it in another format."


def read_point_file(path: Path, columns: Sequence[str]) -> PointFields:
    """Read the points of a file; its suffix decides on the format.

    Args:
        path: .bin (float32), .npy, .npz, .pcd, .ply, .las or .laz.
        columns: names of the numbers of a point, for formats that do not name them (.bin, and arrays without fields).

    Raises:
        DataError: missing, damaged, or of another format.
        MissingExtraError: the package that reads the format is not installed.
    """
    try:
        data = read_file(path, SCAN_BYTES)
    except OSError as error:
        raise DataError(f"{path}: expected points, found {first_line(error)}. Check the path.") from error
    return decode_points(data, path, columns)


def decode_points(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    """Decode the contents of ``path``; arguments and errors as ``read_point_file``."""
    if (decode := SUFFIXES.get(path.suffix.lower())) is None:
        raise DataError(
            f"{path}: expected points in a file {', '.join(SUFFIXES)}, found '{path.suffix}'. Convert the file."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn of what is checked here
            return decode(data, path, columns)
    except _Damaged as error:
        raise DataError(f"{path}: expected a {path.suffix} file of points, found {error}. {_REMEDY}") from error


class _Damaged(Exception):
    """A file is not in its format; the text states what was found."""


def _decoded(decode: Callable[[], Any]) -> Any:
    """Return the result of another library. Damaged files make it raise any kind of error.

    Raises:
        _Damaged: it failed.
    """
    try:
        return decode()
    except MemoryError as error:
        raise _Damaged("a header that claims more points than fit in memory") from error
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"  # of a library in Rust; not an Exception
        if not isinstance(error, Exception) and not is_panic:
            raise
        raise _Damaged(f"a damaged one ({first_line(error)})") from error


def _bin(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    if len(data) % (4 * len(columns)):
        raise _Damaged(f"{len(data)} bytes, not a multiple of {4 * len(columns)} (float32 {' '.join(columns)})")
    return fields_of(np.frombuffer(data, "<f4").reshape(-1, len(columns)), columns, source=path)


def _npy(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    return fields_of(_decoded(lambda: parse_array(data)), columns, source=path)


def _npz(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    """An array called points, or one array per field."""

    def load() -> dict[str, np.ndarray]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > SCAN_BYTES:
                raise ValueError(f"arrays of more than {SCAN_BYTES:,} bytes")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        if other := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"a member '{other[0]}' that is not an array")
        return found

    arrays = _decoded(load)
    if "points" in arrays:
        return fields_of(arrays["points"], columns, source=path)
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or not all(array.dtype.kind in "biuf" for array in arrays.values()):
        raise _Damaged(f"arrays {', '.join(arrays) or '(none)'} of other shapes than one number per point")
    return PointFields({name: array.reshape(-1) for name, array in arrays.items()}, shapes.pop())


def _pcd(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    require_extra("pypcd4", "formats", needed_for=f"{path.suffix} files")
    from pypcd4.pypcd4 import PointCloud

    if (numbers := _decoded(lambda: _pcd_numbers(data))) > _PCD_NUMBERS:
        raise _Damaged(f"a header that claims {numbers} numbers per point")
    cloud = _decoded(lambda: PointCloud.from_fileobj(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]
    header, points = cloud.metadata, np.atleast_1d(cloud.pc_data)
    if len(points) != header.points:
        raise _Damaged(f"{len(points)} of {header.points} points")
    named = {name: points[name] for name in points.dtype.names or () if name.isprintable() and "~~" not in name}
    organised = header.height > 1 and header.height * header.width == len(points)
    return PointFields(named, (header.height, header.width) if organised else (len(points),))


def _pcd_numbers(data: bytes) -> int:
    """Numbers of a point by the header. pypcd4 lists their names before it reads any."""
    from pypcd4.pypcd4 import MetaData

    lines = (line.decode().strip() for line in io.BytesIO(data))
    header = []
    for line in islice((line for line in lines if line and not line.startswith("#")), _PCD_HEADER):
        header.append(line)
        if line.startswith("DATA"):
            break
    return sum(MetaData.parse_header(header).count)


def _ply(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    require_extra("plyfile", "formats", needed_for=f"{path.suffix} files")
    from plyfile import PlyData

    ply = _decoded(lambda: PlyData.read(io.BytesIO(data)))
    if "vertex" not in ply:
        raise _Damaged("no element 'vertex'")
    vertices = ply["vertex"]
    names = [p.name for p in vertices.properties if vertices.data.dtype[p.name].kind in "biuf"]
    return PointFields({name: vertices.data[name] for name in names}, (len(vertices.data),))


def _las(data: bytes, path: Path, columns: Sequence[str]) -> PointFields:
    for package in ("laspy", "lazrs"):
        require_extra(package, "formats", needed_for=f"{path.suffix} files")
    return _decoded(lambda: read_las(data))


SUFFIXES = {".bin": _bin, ".npy": _npy, ".npz": _npz, ".pcd": _pcd, ".ply": _ply, ".las": _las, ".laz": _las}
