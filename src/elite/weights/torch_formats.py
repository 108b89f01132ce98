"""The two formats of ``torch.save``: the zip archive of torch 1.6 and later, and the older stream of pickles.

Sizes that a file claims are compared with its own before memory is taken.
"""

import io
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from elite.errors import CheckpointError
from elite.weights.inert_pickle import InertUnpickler
from elite.weights.lazy_tensors import LazyTensors, Storage

HEADER_BYTES = 2**24  # limit of what describes the tensors of a file: its directory, pickles or JSON
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two values of the older format
_LONGEST_KEY = 100  # of a storage
STORAGES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.storage.UntypedStorage": torch.uint8,
}
_DTYPES = {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_SAVE_AGAIN = "Load it with torch.load and save it again with torch.save"


# ---- pickles ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Numbers:
    """A storage, the type of its numbers, and the first number of a view of it."""

    storage: Storage
    dtype: torch.dtype
    first: int = 0


def known_globals(tensors: LazyTensors) -> dict[str, Any]:
    """Return what torch's globals stand for: types of numbers, and functions of ours in place of torch's."""

    def rebuild(numbers: _Numbers, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
        return tensors.add(numbers.storage, numbers.dtype, size, offset=numbers.first + offset, stride=stride)

    def rebuild_as(numbers: _Numbers, offset: int, size: Any, stride: Any, *more: Any) -> Tensor:
        return tensors.add(numbers.storage, more[2], size, offset=offset, stride=stride)

    room = HEADER_BYTES

    def encode(text: str, _: str) -> bytes:
        """Bytes, as protocol 2 writes them. One text can be used a million times."""
        nonlocal room
        room -= len(text)
        if room < 0:
            raise ValueError("more bytes than a pickle has")
        return text.encode("latin-1")

    return {
        **STORAGES,
        **_DTYPES,
        "collections.OrderedDict": lambda: {},
        "torch.Size": lambda sizes: sizes,
        "torch.Tensor": None,
        "torch._utils._rebuild_tensor": rebuild,
        "torch._utils._rebuild_tensor_v2": rebuild,
        "torch._utils._rebuild_tensor_v3": rebuild_as,
        "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
        "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
        "torch._tensor._rebuild_from_type_v2": lambda function, _, arguments, __: function(*arguments),
        "_codecs.encode": encode,
    }


def _check_storage(kind: Any, dtype: Any, key: Any, count: Any) -> None:
    """Check types before anything is hashed or written out: a tuple of many times the same tuple takes for ever."""
    if kind != "storage" or not (isinstance(dtype, torch.dtype) and isinstance(count, int)):
        raise ValueError("an unknown persistent id")
    if not isinstance(key, str) or len(key) > _LONGEST_KEY:
        raise ValueError("an unknown key of a storage")


# ---- the archive of torch 1.6 and later -------------------------------------------------------------------------


class _ShortReads:
    """A file for ``ZipFile``, which believes the length that a directory claims."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        rest = self._size - self.tell()
        size = min(size, rest) if size >= 0 else rest
        if size > HEADER_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size} bytes")
        return self._read(size)


def read_archive(file: BinaryIO, tensors: LazyTensors, path: Path) -> tuple[Any, list[str]]:
    with zipfile.ZipFile(_ShortReads(file)) as archive:  # type: ignore[arg-type]
        members = archive.infolist()
    _check_members(members, os.fstat(file.fileno()).st_size, path)
    by_name = {member.filename: member for member in members}
    roots = [name.removesuffix("data.pkl") for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1 or f"{roots[0]}constants.pkl" in by_name:
        kind = "a TorchScript archive" if len(roots) == 1 else "another zip archive"
        raise CheckpointError(
            f"{path}: expected a file of torch.save, found {kind}. Save the model's state_dict alone with torch.save."
        )
    root = roots[0]
    if (order := by_name.get(f"{root}byteorder")) and (found := _member(file, order)) != b"little":
        raise CheckpointError(f"{path}: expected little-endian numbers, found {found[:20]!r}. {_SAVE_AGAIN}.")
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> _Numbers:
        kind, dtype, key, _, count = identity
        _check_storage(kind, dtype, key, count)
        member = by_name[f"{root}data/{key}"]
        if member.file_size != count * dtype.itemsize:
            raise ValueError(f"{member.file_size} bytes for {count} numbers of {dtype}")
        if key not in storages:
            storages[key] = Storage(_start(file, member), member.file_size, member.CRC)
        return _Numbers(storages[key], dtype)

    unpickler = InertUnpickler(known_globals(tensors), persistent)
    return unpickler.load(io.BytesIO(_member(file, by_name[f"{root}data.pkl"]))), list(unpickler.foreign)


def _check_members(members: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    """Check that the members fill no more than the file.

    Raises:
        CheckpointError: one is compressed or occurs twice, or they claim more.
    """
    names = [member.filename for member in members]
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise CheckpointError(
                f"{path}: expected an archive as torch.save writes it, found the compressed member "
                f"'{member.filename}'. {_SAVE_AGAIN}."
            )
    if len(set(names)) < len(names) or (total := sum(member.file_size for member in members)) > size:
        found = "two members of one name" if len(set(names)) < len(names) else f"members of {total:,} bytes"
        raise CheckpointError(f"{path}: expected at most its own {size:,} bytes, found {found}. Copy it again.")


def _start(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Return where the contents of a member begin, behind its own header."""
    file.seek(member.header_offset)
    signature, name, extra = struct.unpack("<4s22xHH", file.read(30))
    if signature != b"PK\3\4":
        raise zipfile.BadZipFile("a member without a header")
    return member.header_offset + 30 + name + extra


def _member(file: BinaryIO, member: zipfile.ZipInfo) -> bytes:
    """Return the contents of a member that describes others."""
    if member.file_size > HEADER_BYTES:
        raise ValueError(f"{member.filename} of {member.file_size:,} bytes, expected at most {HEADER_BYTES:,}")
    file.seek(_start(file, member))
    return file.read(member.file_size)


# ---- the stream of pickles before torch 1.6 ---------------------------------------------------------------------


def read_stream(file: BinaryIO, tensors: LazyTensors, path: Path) -> tuple[Any, list[str]]:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = io.BytesIO(file.read(min(size, HEADER_BYTES)))
    storages: dict[str, tuple[Storage, torch.dtype]] = {}

    def persistent(identity: Any) -> Any:
        if identity[0] == "module":  # a network pickled whole: its class, and source code
            return identity[1]
        kind, dtype, key, _, count, view = identity
        _check_storage(kind, dtype, key, count)
        storage, dtype = storages.setdefault(key, (Storage(0, count * dtype.itemsize), dtype))
        return _Numbers(storage, dtype, view[1] if view else 0)

    unpickler = InertUnpickler(known_globals(tensors), persistent)
    if unpickler.load(head) != _MAGIC or unpickler.load(head) != _PROTOCOL:
        raise ValueError("a pickle of something else")
    if not unpickler.load(head)["little_endian"]:
        machine = "on the machine that wrote it"
        raise CheckpointError(
            f"{path}: expected little-endian numbers, found big-endian ones. {_SAVE_AGAIN} {machine}."
        )
    content, keys = unpickler.load(head), unpickler.load(head)
    place = head.tell()
    for key in keys:
        storage, dtype = storages.pop(key if isinstance(key, str) else "")
        file.seek(place)
        count = int.from_bytes(file.read(8), "little")
        storage.start = place + 8
        place = storage.start + storage.size
        if count * dtype.itemsize != storage.size or place > size:
            raise ValueError(f"{count} numbers of {dtype} in {size - storage.start} bytes")
    if storages:
        raise ValueError(f"no numbers for {len(storages)} tensors")
    return content, list(unpickler.foreign)
