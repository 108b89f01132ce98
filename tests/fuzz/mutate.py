"""Damage to files: random, or aware of numbers, lengths and checksums."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np

WORDS = [
    *(b"0", b"-1", b"1", b"3", b"2147483648", b"-9223372036854775809", b"99999999999999999999", b"9" * 400),
    *(b"nan", b"NaN", b"-inf", b"Infinity", b"1e400", b"-1e300", b"1e-320", b"1.5", b"0x10", b"1_0", b"2e38"),
    *(b"null", b"true", b"none", b"[]", b"{}", b'""', b'"a"', b"[1, 2]", b'{"a": 1}', b"[" * 3000, b'{"a":' * 3000),
    *(b'"\\ud800"', b"\\ud800", b"\xff\xfe", b"\xc3\xa9", b"\0", b"\r\n", b"../../x", b"/", b"<script>", b"$\\frac{"),
    *(b"!!python/object/apply:os.abort []", b"&a [*a]", b"0-9999999", b"00,00-21", b"%s", b"2024-01-01"),
]
NUMBERS = (0, 1, -1, 127, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, -(2**63), 2**63 - 1)
Rng = np.random.Generator


def mutate(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    """``data`` with one to four faults in it; some are pieces of ``others``."""
    for _ in range(rng.integers(1, 5)):
        data = FAULTS[rng.integers(len(FAULTS))](data, others, rng)
    return data


def _place(data: bytes, rng: Rng) -> tuple[int, int]:
    """A slice, most often a short one."""
    start = int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 9) if rng.random() < 0.7 else rng.integers(1, len(data) + 2))
    return start, min(len(data), start + length)


def _flip(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    flipped = np.frombuffer(data, np.uint8).copy()
    if len(flipped):
        at = rng.integers(len(flipped), size=rng.integers(1, 9))
        flipped[at] ^= (1 << rng.integers(8, size=len(at))).astype(np.uint8)
    return flipped.tobytes()


def _noise(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    start, end = _place(data, rng)
    return data[:start] + rng.bytes(end - start) + data[end:]


def _number(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    """A binary number of 1 to 8 bytes, of either end first."""
    size, value = 2 ** int(rng.integers(4)), NUMBERS[rng.integers(len(NUMBERS))]
    number = (value % 256**size).to_bytes(size, "little" if rng.random() < 0.5 else "big")
    start = int(rng.integers(max(1, len(data) - size + 1)))
    return data[:start] + number + data[start + size :]


def _word(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    """Another word or number in a text."""
    found = list(re.finditer(rb"[-+\w.]+", data))
    match = found[rng.integers(len(found))].span() if found else _place(data, rng)
    return data[: match[0]] + WORDS[rng.integers(len(WORDS))] + data[match[1] :]


def _truncate(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def _delete(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    start, end = _place(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    start, end = _place(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 4)) + data[end:]


def _splice(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    other = others[rng.integers(len(others))]
    start, end = _place(other, rng)
    into, upto = _place(data, rng)
    return data[:into] + other[start:end] + data[upto:]


def _append(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    return data + others[rng.integers(len(others))]


FAULTS: tuple[Callable[[bytes, Sequence[bytes], Rng], bytes], ...] = (
    *(_flip, _flip, _noise, _number, _number, _word, _word),
    *(_truncate, _delete, _repeat, _splice, _append),
)


# ---- formats whose lengths and checksums would hide what lies behind them -------------------------------------


def mutate_inside(data: bytes, others: Sequence[bytes], rng: Rng) -> bytes:
    """Faults within one part of a PNG, zip or safetensors file, around which the file is rebuilt."""
    taken = _png_parts(data) or _zip_parts(data) or _safetensors_parts(data)
    if taken is None:
        return mutate(data, others, rng)
    parts, join = taken
    i = int(rng.integers(len(parts)))
    parts[i] = mutate(parts[i], parts, rng)
    return join(parts)


_Parts = tuple[list[bytes], Callable[[list[bytes]], bytes]] | None
_PNG = b"\x89PNG\r\n\x1a\n"


def _png_parts(data: bytes) -> _Parts:
    """Chunks, their type first; pixels unpacked."""
    if not data.startswith(_PNG):
        return None
    chunks, at = [], len(_PNG)
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at + 4 : at + 8 + size])
        at += size + 12
    unpacked = [b"IDAT" + zlib.decompress(c[4:]) if c.startswith(b"IDAT") else c for c in chunks]

    def join(parts: list[bytes]) -> bytes:
        packed = [b"IDAT" + zlib.compress(p[4:]) if p.startswith(b"IDAT") else p for p in parts]
        framed = [struct.pack(">I", max(len(p) - 4, 0)) + p + struct.pack(">I", zlib.crc32(p)) for p in packed]
        return _PNG + b"".join(framed)

    return unpacked, join


def _zip_parts(data: bytes) -> _Parts:
    if not data.startswith(b"PK"):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        contents = [archive.read(member) for member in members]

    def join(parts: list[bytes]) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for member, content in zip(members, parts, strict=True):
                archive.writestr(member.filename, content, member.compress_type)
        return made.getvalue()

    return contents, join


def _safetensors_parts(data: bytes) -> _Parts:
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        return None
    return [data[8 : 8 + size], data[8 + size :]], lambda parts: struct.pack("<Q", len(parts[0])) + b"".join(parts)
