"""The two formats of ``torch.save``: the zip archive of torch 1.6 and later, and the older stream of pickles.

Sizes that a file claims are checked against its own size before memory is allocated.
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
from elite.weights.reading import HEADER_BYTES

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two values of the older format
_MAX_KEY_LENGTH = 100  # of a storage
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
class _StorageView:
    """A storage, its number type, and the first number of a view of it."""

    storage: Storage
    dtype: torch.dtype
    first: int = 0


def known_globals(tensors: LazyTensors) -> dict[str, Any]:
    """Replacements of torch's globals: number types, and functions of ours in place of torch's."""

    def rebuild(view: _StorageView, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
        return tensors.add(view.storage, view.dtype, size, offset=view.first + offset, stride=stride)

    def rebuild_as(view: _StorageView, offset: int, size: Any, stride: Any, *more: Any) -> Tensor:
        return tensors.add(view.storage, more[2], size, offset=offset, stride=stride)

    bytes_left = HEADER_BYTES

    def encode(text: str, _: str) -> bytes:
        """Bytes, as protocol 2 writes them. The total is limited, because one text can be used a million times."""
        nonlocal bytes_left
        bytes_left -= len(text)
        if bytes_left < 0:
            raise ValueError("more bytes than a pickle contains")
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
    """Check types before anything is hashed or printed: a tuple of many times the same tuple never ends.

    Raises:
        ValueError: not a storage.
    """
    if kind != "storage" or not (isinstance(dtype, torch.dtype) and isinstance(count, int)):
        raise ValueError("an unknown persistent id")
    if not isinstance(key, str) or len(key) > _MAX_KEY_LENGTH:
        raise ValueError("an unknown key of a storage")


# ---- the archive of torch 1.6 and later -------------------------------------------------------------------------


class _ShortReads:
    """A file that limits reads, for ``ZipFile``, which trusts the length that a directory claims."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        remaining = self._size - self.tell()
        size = min(size, remaining) if size >= 0 else remaining
        if size > HEADER_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size} bytes")
        return self._read(size)


def read_archive(file: BinaryIO, tensors: LazyTensors, path: Path) -> tuple[Any, list[str]]:
    """Read (contents, names of foreign classes) of a zip archive; numbers stay in the file.

    Raises:
        CheckpointError: another archive, a compressed one, or big-endian numbers.
        ValueError, KeyError, zipfile.BadZipFile: damage.
    """
    with zipfile.ZipFile(_ShortReads(file)) as archive:  # type: ignore[arg-type]
        members = archive.infolist()
    _check_members(members, os.fstat(file.fileno()).st_size, path)
    by_name = {member.filename: member for member in members}
    roots = [name.removesuffix("data.pkl") for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1 or f"{roots[0]}constants.pkl" in by_name:
        kind = "a TorchScript archive" if len(roots) == 1 else "another zip archive"
        raise CheckpointError(
            f"{path}: expected a file of torch.save, found {kind}. Save only the model's state_dict with torch.save."
        )
    root = roots[0]
    if (order := by_name.get(f"{root}byteorder")) and (found := _member(file, order)) != b"little":
        raise CheckpointError(f"{path}: expected little-endian numbers, found {found[:20]!r}. {_SAVE_AGAIN}.")
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> _StorageView:
        kind, dtype, key, _, count = identity
        _check_storage(kind, dtype, key, count)
        member = by_name[f"{root}data/{key}"]
        if member.file_size != count * dtype.itemsize:
            raise ValueError(f"{member.file_size} bytes for {count} numbers of {dtype}")
        if key not in storages:
            storages[key] = Storage(_start(file, member), member.file_size, member.CRC)
        return _StorageView(storages[key], dtype)

    unpickler = InertUnpickler(known_globals(tensors), persistent)
    return unpickler.load(io.BytesIO(_member(file, by_name[f"{root}data.pkl"]))), list(unpickler.foreign)


def _check_members(members: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    """Check that the members are uncompressed, unique, and together not larger than the file.

    Raises:
        CheckpointError: they are not.
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
    """First byte of a member's contents, after its own header."""
    file.seek(member.header_offset)
    signature, name, extra = struct.unpack("<4s22xHH", file.read(30))
    if signature != b"PK\3\4":
        raise zipfile.BadZipFile("a member without a header")
    return member.header_offset + 30 + name + extra


def _member(file: BinaryIO, member: zipfile.ZipInfo) -> bytes:
    """Contents of a small member."""
    if member.file_size > HEADER_BYTES:
        raise ValueError(f"{member.filename} of {member.file_size:,} bytes, expected at most {HEADER_BYTES:,}")
    file.seek(_start(file, member))
    return file.read(member.file_size)


# ---- the stream of pickles before torch 1.6 ---------------------------------------------------------------------


def read_stream(file: BinaryIO, tensors: LazyTensors, path: Path) -> tuple[Any, list[str]]:
    """Read (contents, names of foreign classes) of a stream of pickles; numbers stay in the file.

    Raises:
        CheckpointError: big-endian numbers.
        ValueError, KeyError: damage, or another kind of pickle.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = io.BytesIO(file.read(min(size, HEADER_BYTES)))
    storages: dict[str, tuple[Storage, torch.dtype]] = {}

    def persistent(identity: Any) -> Any:
        if identity[0] == "module":  # a pickled network: its class, and source code
            return identity[1]
        kind, dtype, key, _, count, view = identity
        _check_storage(kind, dtype, key, count)
        storage, dtype = storages.setdefault(key, (Storage(0, count * dtype.itemsize), dtype))
        return _StorageView(storage, dtype, view[1] if view else 0)

    unpickler = InertUnpickler(known_globals(tensors), persistent)
    if unpickler.load(head) != _MAGIC or unpickler.load(head) != _PROTOCOL:
        raise ValueError("a pickle of another kind")
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
