"""Fields of PointCloud2 messages, read and appended."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from elite.errors import DataError
from elite.point_files import PointFields
from elite.recordings.messages import PointCloud2, PointField
from elite.shapes import Shaped

TIME_FIELDS = ("t", "time", "timestamp", "time_stamp")
_DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_NUMBERS = {np.dtype(kind): number for number, kind in _DATATYPES.items()}
_MOST_NUMBERS = 256  # of a point; the longest descriptors of points have 153
_MOST_BYTES = 2**16  # of a point


def decode_cloud(message: PointCloud2, source: object) -> PointFields:
    """Read every field of every point.

    A field ``f`` of several numbers becomes the fields ``f_0``, ``f_1``, ...; bytes of no field, and fields without a
    name or with one that begins with "_", are padding. Numbers have the type of the field, in the byte order of this
    machine. Points without a return stay NaN.

    Args:
        message: organised clouds of several rows get the shape (height, width), others (width,).
        source: names the message in errors.

    Raises:
        DataError: steps, offsets, types and size contradict each other, or two fields share a name.
    """
    _check(message, source)
    values: dict[str, np.ndarray] = {}
    for field in (field for field in message.fields if not _is_padding(field)):
        kind = _dtype(message, field.datatype)
        for i, name in enumerate(_names(field)):
            column = _view(message, kind, field.offset + i * kind.itemsize)
            values[name] = column.reshape(-1).astype(kind.newbyteorder("="), copy=False)
    return PointFields(values, (message.height, message.width) if message.height > 1 else (len(message),))


def with_fields(message: PointCloud2, values: Mapping[str, Shaped[np.ndarray, "n"]], source: object) -> PointCloud2:
    """Append a field for each array to the end of every point.

    All other bytes keep their values and their order: fields, padding of points and of rows, bytes after the rows. New
    fields begin at multiples of their size, and a point occupies a multiple of the largest one, as C++ programs expect.

    Args:
        message: the points.
        values: numbers per point, in the order of the message.
        source: names the message in errors.

    Raises:
        DataError: as ``decode_cloud``, or the message has a field of this name already.
    """
    require_no_fields(message, values, source)
    _check(message, source)
    fields, end = [], message.point_step
    for name, array in values.items():
        fields.append(PointField(name, _rounded_up(end, array.dtype.itemsize), _NUMBERS[array.dtype]))
        end = fields[-1].offset + array.dtype.itemsize
    step = _rounded_up(end, max((array.dtype.itemsize for array in values.values()), default=1))
    wider = _with_point_step(replace(message, fields=message.fields + tuple(fields)), step)
    for field, array in zip(fields, values.values(), strict=True):
        column = _view(wider, _dtype(message, field.datatype), field.offset)
        column[...] = array.reshape(column.shape)
    return wider


def require_no_fields(message: PointCloud2, names: Collection[str], source: object) -> None:
    """Check that fields of these names can be appended.

    Raises:
        DataError: the message has one of them already.
    """
    if taken := [field.name for field in message.fields if field.name in names]:
        raise _error(source, f"a cloud without the field '{taken[0]}'", "one with it", "Use the original recording.")


def _with_point_step(message: PointCloud2, step: int) -> PointCloud2:
    """Insert zeros at the end of every point, up to ``step`` bytes."""
    if not len(message):
        return replace(message, point_step=step)
    height, used, bytes_of_row = message.height, message.width * message.point_step, _row_bytes(message)
    longer = message.width * (step - message.point_step)
    before = message.data[: height * bytes_of_row].reshape(height, bytes_of_row)
    rows = np.zeros((height, bytes_of_row + longer), np.uint8)
    rows[:, used + longer :] = before[:, used:]
    is_padded = used <= message.row_step <= len(message.data)  # also a single row
    wider = replace(
        message,
        point_step=step,
        row_step=(message.row_step if is_padded else used) + longer,
        data=np.concatenate([rows.reshape(-1), message.data[before.size :]]),
    )
    point = np.dtype((np.void, message.point_step))
    _view(wider, point, 0)[...] = _view(message, point, 0)
    return wider


def _check(message: PointCloud2, source: object) -> None:
    """Check that all fields of all points are inside the data."""
    if not message.fields:
        raise _error(source, "fields", "none")
    for field in message.fields:
        name = f"the field {field.name!r:.60}"
        if field.datatype not in _DATATYPES or not field.name.isprintable():
            raise _error(source, "printable names and datatypes 1 to 8", f"{field.datatype} of {name}")
        end = field.offset + _count(field) * _dtype(message, field.datatype).itemsize
        if end > message.point_step:
            raise _error(source, f"points of {message.point_step} bytes", f"{name} up to byte {end}")
    if (total := sum(_count(field) for field in message.fields)) > _MOST_NUMBERS:
        raise _error(source, f"at most {_MOST_NUMBERS} numbers per point", str(total))
    names = [name for field in message.fields if not _is_padding(field) for name in _names(field)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise _error(source, "fields of different names", f"{twice[0]!r:.60} twice")
    if message.point_step > _MOST_BYTES:
        raise _error(source, f"points of at most {_MOST_BYTES} bytes", f"{message.point_step}")
    size = f"{message.height} x {message.width} points of {message.point_step} bytes"
    if _row_bytes(message) < message.width * message.point_step:
        raise _error(source, size, f"rows of {message.row_step} bytes")
    if message.height * _row_bytes(message) > len(message.data):
        raise _error(source, size, f"{len(message.data)} bytes in rows of {_row_bytes(message)}")


def _error(source: object, expected: str, found: str, remedy: str = "Correct its driver, or skip it.") -> DataError:
    return DataError(f"{source}: expected {expected}, found {found}. {remedy}")


def type_name(datatype: int) -> str:
    """Name of the type of a field, such as float32; ``type 9`` of an unknown one."""
    return np.dtype(_DATATYPES[datatype]).name if datatype in _DATATYPES else f"type {datatype}"


def _is_padding(field: PointField) -> bool:
    return not field.name or field.name.startswith("_")


def _names(field: PointField) -> list[str]:
    return [f"{field.name}_{i}" for i in range(_count(field))] if _count(field) > 1 else [field.name]


def _count(field: PointField) -> int:
    return max(field.count, 1)  # drivers write 0 for a single number, as PCL accepts


def _row_bytes(message: PointCloud2) -> int:
    """Bytes from row to row. Drivers of clouds of a single row write any row step."""
    return message.row_step if message.height > 1 else message.width * message.point_step


def _dtype(message: PointCloud2, datatype: int) -> np.dtype:
    return np.dtype(_DATATYPES[datatype]).newbyteorder(">" if message.is_bigendian else "<")


def _view(message: PointCloud2, kind: np.dtype, offset: int) -> np.ndarray:
    """Numbers of the type ``kind`` at byte ``offset`` of every point, of shape (height, width)."""
    shape = message.height, message.width
    if not len(message):
        return np.empty(shape, kind)
    return np.ndarray(shape, kind, message.data, offset, (_row_bytes(message), message.point_step))


def _rounded_up(value: int, step: int) -> int:
    return -(-value // step) * step
