"""Blocks of an mcap file: records that are read together."""

import os
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from mcap.records import Chunk, McapRecord

MAGIC = b"\x89MCAP0\r\n"
MOST_BYTES = 2**30  # limit of a record, and of the contents of a chunk
_RUN_BYTES = 2**22  # of messages outside of chunks that are read together
_HEAD = struct.Struct("<BQ")  # of a record: its kind and size
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 3, 4, 5, 6, 15


class Block(NamedTuple):
    """A chunk, or records outside of chunks that follow each other.

    Attributes:
        start: its first byte in the file.
        size: number of its bytes.
        first: time of its first message (ns).
        last: time of its last message (ns).
        channels: ids of the channels of its messages; empty = unknown.
    """

    start: int
    size: int
    first: int = 0
    last: int = 0
    channels: frozenset[int] = frozenset()


def blocks_of(file: BinaryIO) -> Iterator[Block]:
    """Yield the blocks of a file, without times and channels.

    Raises:
        EOFError: the file ends before its data does; the text states where.
    """
    end, at, run = os.fstat(file.fileno()).st_size, len(MAGIC), 0
    while True:
        file.seek(at + run)
        head = file.read(_HEAD.size)
        kind, size = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        is_whole = kind > 0 and at + run + _HEAD.size + size <= end
        if is_whole and kind in (_SCHEMA, _CHANNEL, _MESSAGE) and run < _RUN_BYTES:
            run += _HEAD.size + size
            continue
        if run:
            yield Block(at, run)
        at, run = at + run, 0
        if kind == _DATA_END:
            return
        if not is_whole:
            raise EOFError(f"within the record at byte {at} of {end}")
        if kind == _CHUNK:
            yield Block(at, _HEAD.size + size)
        at += _HEAD.size + size


def read_block(file: BinaryIO, block: Block) -> "list[McapRecord]":
    """Return the records of a block: messages, channels and their types.

    Raises:
        Exception: it is damaged. The packages that unpack it raise any kind of error.
    """
    from mcap.records import Chunk
    from mcap.stream_reader import breakup_chunk

    if block.size > MOST_BYTES:
        raise ValueError(f"a record of {block.size} bytes")
    file.seek(block.start)
    data = file.read(block.size)
    if data[:1] == bytes([_CHUNK]):
        data = _unpacked(data[_HEAD.size :])
    return breakup_chunk(Chunk("", data, 0, 0, 0, len(data)))


def _unpacked(content: bytes) -> bytes:
    """Contents of a chunk; their number of bytes bounds the memory, whatever a damaged chunk contains."""
    from mcap.data_stream import ReadDataStream
    from mcap.records import Chunk

    chunk = Chunk.read(ReadDataStream(BytesIO(content)))
    if (size := chunk.uncompressed_size) > MOST_BYTES:
        raise ValueError(f"a chunk of {size} bytes")
    data = _decompressed(chunk)
    if len(data) != size:
        raise ValueError(f"{len(data)} of {size} bytes of a chunk")
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise ValueError("a chunk of another checksum")
    return data


def _decompressed(chunk: "Chunk") -> bytes:
    size = chunk.uncompressed_size
    if chunk.compression == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size)
    if chunk.compression == "zstd":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(chunk.data) as stream:
            return stream.read(size)
    if chunk.compression:
        raise ValueError(f"the unknown compression {chunk.compression!r:.60}")
    return chunk.data
