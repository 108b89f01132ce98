"""Decoder of .las and .laz files (LAS 1.4 specification, ASPRS 2019; LASzip, Isenburg 2013).

laspy and lazrs allocate memory and count loops by the numbers that a file claims, and lazrs ends the process if memory
does not suffice. Therefore, these numbers are checked first.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np

from elite.files import SCAN_BYTES
from elite.point_files.fields import PointFields

# Size of the header, and positions in it.
_HEADER, _MINOR, _HEADER_SIZE, _START, _FORMAT, _SIZE = 227, 25, 94, 96, 104, 105
_HEADER_14, _EXTENDED_14, _COUNT_14 = 375, 243, 247
_RECORD = 54  # bytes of a variable length record before its contents
_COMPRESSED = 0x80  # bit of the point format
_MOST_COMPRESSED = 200  # ratio of sizes; real scans reach 20
_LASZIP = (b"laszip encoded", 22204)  # user and number of the record that describes the compression
_ITEMS = 32  # position of the parts of a point in it
_LAYERED = 3  # version from which a part has layers
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}  # layers of a part by its type; extra bytes (14) have one each


def read_las(data: bytes) -> PointFields:
    """Decode the points, with coordinates in float64: those of maps have more digits than float32.

    Raises:
        Exception: damaged; laspy and lazrs raise any kind, a PanicException included.
    """
    import laspy

    _check_header(data)
    las = laspy.read(io.BytesIO(data), laz_backend=laspy.LazBackend.Lazrs)
    others = [name for name in las.point_format.dimension_names if name.lower() not in ("x", "y", "z")]
    values = {name: np.asarray(las[name]) for name in others}
    xyz = {axis: np.asarray(getattr(las, axis), np.float64) for axis in "xyz"}
    return PointFields(xyz | {name: v for name, v in values.items() if v.ndim == 1}, (len(xyz["x"]),))


def _check_header(data: bytes) -> None:
    """Check the numbers of points, records, chunks and layers that a file claims.

    Raises:
        ValueError: the file is too short for them.
    """
    is_new = len(data) > _MINOR and data[_MINOR] >= 4
    if len(data) < (_HEADER_14 if is_new else _HEADER) or not data.startswith(b"LASF"):
        raise ValueError("no header of one")
    start, records = struct.unpack_from("<II", data, _START)
    size, count = struct.unpack_from("<HI", data, _SIZE)
    extended = 0
    if is_new:
        (extended,), (count_14,) = (
            struct.unpack_from("<I", data, _EXTENDED_14),
            struct.unpack_from("<Q", data, _COUNT_14),
        )
        count = max(count, count_14)
    if (records + extended) * _RECORD > len(data):
        raise ValueError(f"a header that claims {records + extended} records in {len(data)} bytes")
    is_packed = bool(data[_FORMAT] & _COMPRESSED)
    if count * size > min(SCAN_BYTES, len(data) * (_MOST_COMPRESSED if is_packed else 1)):
        raise ValueError(f"a header that claims {count} points of {size} bytes in {len(data)} bytes")
    if is_packed:
        _check_chunks(data, start, _check_chunk_table(data, start), _laszip_items(data, records), size)


def _check_chunk_table(data: bytes, start: int) -> int:
    """Return the position of the table, which the first eight bytes of the points contain.

    Its second word is the number of chunks.
    """
    if start + 8 > len(data):
        raise ValueError(f"points that begin after its {len(data)} bytes")
    (table,) = struct.unpack_from("<q", data, start)
    if table == -1:  # a stream could not go back to write it; the position is at the end of the file
        (table,) = struct.unpack_from("<q", data, len(data) - 8)
    if not start + 8 <= table <= len(data) - 8:
        raise ValueError(f"a table of chunks at byte {table} of {len(data)}")
    if (chunks := struct.unpack_from("<I", data, table + 4)[0]) > len(data) - start:
        raise ValueError(f"{chunks} chunks of points in {len(data)} bytes")
    return table


def _laszip_items(data: bytes, records: int) -> list[tuple[int, int, int]]:
    """Type, size in bytes, and version of the parts of a point."""
    for record, content in _records(data, records):
        if record == _LASZIP:
            (count,) = struct.unpack_from("<H", content, _ITEMS)
            return [struct.unpack_from("<HHH", content, _ITEMS + 2 + 6 * i) for i in range(count)]
    raise ValueError("no record of its compression")


def _records(data: bytes, count: int) -> Iterator[tuple[tuple[bytes, int], bytes]]:
    """User and number, and contents, of each variable length record."""
    (at,) = struct.unpack_from("<H", data, _HEADER_SIZE)
    for _ in range(count):
        user, number, length = struct.unpack_from("<2x16sHH", data, at)
        yield (user.partition(b"\0")[0], number), data[at + _RECORD : at + _RECORD + length]
        at += _RECORD + length


def _check_chunks(data: bytes, start: int, table: int, items: list[tuple[int, int, int]], size: int) -> None:
    """Check the sizes of points and layers.

    A chunk contains its first point, the number of its points, the sizes of its layers, and the layers.
    """
    if sum(item_size for _, item_size, _ in items) != size:
        raise ValueError(f"compressed points of another size than {size} bytes")
    if not items or items[0][2] < _LAYERED:
        return
    layers = sum(_LAYERS.get(kind, item_size) for kind, item_size, _ in items)
    head, at = size + 4 + 4 * layers, start + 8
    while at + head <= table:
        sizes = np.frombuffer(data, "<u4", layers, at + size + 4)
        if (after := at + head + int(sizes.sum(dtype=np.uint64))) > table:
            raise ValueError(f"a chunk of points that ends at byte {after}, after the table at byte {table}")
        at = after
