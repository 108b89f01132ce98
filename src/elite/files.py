"""Safe file access: atomic writes, bounded reads that neither run code nor block."""

import errno
import io
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml
from yaml.nodes import MappingNode

from elite.errors import ConfigError, DataError, OutputError, first_line

if TYPE_CHECKING:  # numpy and Pillow are imported on first use: 'elite --help' then starts in half the time
    import numpy as np
    from PIL import Image

SCAN_BYTES = 2**30  # limit of a scan, of its labels, and of other arrays per point
TEXT_BYTES = 2**26  # limit of calibrations, YAML and JSON
IMAGE_BYTES = 2**28
MAX_PIXELS = 2**25  # more than any camera has: a few bytes can claim any size, and memory is reserved for it
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # network and FUSE file systems without fsync


# ---- reading ----------------------------------------------------------------------------------------------------


@contextmanager
def open_regular(path: Path, limit: int | None) -> Iterator[BinaryIO]:
    """Open a regular file of at most ``limit`` bytes (None = any size) for reading.

    Pipes and devices are refused: they could block.

    Raises:
        OSError: unreadable, not a regular file, or too large; ``strerror`` describes what was found.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        _regular_size(os.fstat(file.fileno()), path, limit)
        yield file


def file_size(path: Path, limit: int | None) -> int:
    """Return the size in bytes of a file that ``open_regular`` opens.

    Raises:
        OSError: as ``open_regular``.
    """
    return _regular_size(path.stat(), path, limit)


def _regular_size(found: os.stat_result, path: Path, limit: int | None) -> int:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "a pipe, socket or device instead of a regular file", str(path))
    if limit is not None and found.st_size > limit:
        raise OSError(errno.EFBIG, f"{found.st_size:,} bytes, more than the limit of {limit:,} bytes", str(path))
    return found.st_size


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_file(path: Path, limit: int) -> bytes:
    """Return the contents of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: as ``open_regular``, or memory does not suffice.
    """
    with open_regular(path, limit) as file:
        try:
            return file.read()
        except MemoryError as error:
            raise OSError(errno.ENOMEM, "not enough memory for this file", str(path)) from error


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_array(data: bytes) -> "np.ndarray":
    """Parse the contents of a .npy file.

    Raises:
        ValueError: damaged, not a .npy file, or an array of objects.
    """
    import numpy as np

    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # the header is Python text, whose faults raise any kind of error
        raise ValueError(first_line(error)) from error


def parse_yaml(text: str | bytes, source: str) -> Any:
    """Parse a YAML text of plain values; ``source`` names it in messages.

    Raises:
        ConfigError: not YAML, a key that occurs twice in a mapping, a tag such as ``!!python/object``, or an alias
            (with ``&a`` and ``*a`` a few lines contain any number of values).
    """
    try:
        for event in yaml.parse(text, Loader=_PlainLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(f"{source}: expected plain values, found an alias (*name). Write the value out.")
            if tag := getattr(event, "tag", None):  # PyYAML fails on a value that does not fit its tag
                found = tag.replace("tag:yaml.org,2002:", "!!")
                raise ConfigError(f"{source}: expected plain values, found the tag '{found}'. Remove the tag.")
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())[:300]}. Correct the line.") from error


def yaml_line(text: str | bytes, key: str) -> int | None:
    """Return the line (from 1) of a setting such as ``cameras.front.K`` in the YAML text that ``parse_yaml`` accepts.

    If the text lacks the setting, it is the line of the innermost mapping on the way to it; None for no key.
    """
    node, line = yaml.compose(text, Loader=_PlainLoader), None
    for part in key.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        found = [(name, value) for name, value in pairs if name.value == part]
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line


class _PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe loader that refuses a key which occurs twice; YAML's own keeps the last value."""


def _construct_mapping(loader: Any, node: MappingNode) -> dict[Any, Any]:
    mapping = loader.construct_mapping(node, deep=True)
    if len(mapping) < len(node.value):
        seen = set()
        for key_node, _ in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"found '{key}' twice", key_node.start_mark)
            seen.add(key)
    return mapping


_PlainLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


@contextmanager
def open_image(path: Path, *formats: str, remedy: str, data: bytes | None = None) -> "Iterator[Image.Image]":
    """Open an image file of one of the ``formats``. Pillow supports others that start programs.

    Args:
        path: the file.
        formats: Pillow's names, such as PNG.
        remedy: imperative sentence without its period, for the error message.
        data: contents of the file, if ``path`` only names it.

    Raises:
        DataError: missing, damaged (detected here or in the block), of another format, or too large.
    """
    from PIL import Image

    try:
        opened = open_regular(path, IMAGE_BYTES) if data is None else io.BytesIO(data)
        with opened as file, Image.open(file, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, expected at most {MAX_PIXELS}")
            yield image
    except (
        *(OSError, SyntaxError, ValueError, MemoryError),
        *(Image.DecompressionBombError, Image.DecompressionBombWarning, UserWarning),  # warnings that are errors
    ) as error:
        raise DataError(
            f"{path}: expected a readable {' or '.join(formats)} image, found {_reason(error)}. {remedy}."
        ) from error


def _reason(error: Exception) -> str:
    """Reason of an error, without Pillow's memory address of the open file."""
    if isinstance(error, MemoryError):
        return "one that does not fit in memory"
    from PIL import UnidentifiedImageError

    return "an unknown format" if isinstance(error, UnidentifiedImageError) else first_line(error)


# ---- writing ----------------------------------------------------------------------------------------------------


def make_folder(path: Path) -> Path:
    """Create ``path`` and its parents.

    Raises:
        OutputError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: expected a folder that can be created, found an error ({error.strerror}). Choose another output."
        ) from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: expected a writable folder, found one without permission. Choose another output.")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that appears at ``path``, complete and on disk, when the block ends without an error.

    Raises:
        OutputError: the folder is not writable or the disk is full. An earlier file at ``path`` is intact.
    """
    make_folder(path.parent)
    temporary: Path | None = None
    try:
        with writing(path):
            temporary, file = _create_temporary(path)
            with file:
                yield file
                file.flush()
                _sync(file)
            temporary.replace(path)
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file that a block writes, and the remedy, if it fails.

    Raises:
        OutputError: the folder is not writable or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: expected a file that can be written, found an error ({first_line(error)}). Free disk space or "
            "choose another output."
        ) from error


def temporary_pattern(name: str) -> str:
    """Glob pattern of the temporary files of a name; a process that is killed leaves them."""
    return f".{name}." + 8 * "[0-9a-f]"


def _create_temporary(path: Path) -> tuple[Path, BinaryIO]:
    """Create a file in the folder of ``path``, with its final permissions: some storage refuses chmod."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    return temporary, temporary.open("xb")


def _sync(file: BinaryIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def write_bytes(path: Path, data: bytes | memoryview, *, verify: bool = False) -> None:
    """Write a file atomically.

    Args:
        path: the file.
        data: its content.
        verify: read the file back before it replaces an earlier one.

    Raises:
        OutputError: not written, or read back with other bytes. An earlier file at ``path`` is intact.
    """
    with atomic_file(path) as file:
        file.write(data)
        if verify:
            file.flush()
            _sync(file)
            if Path(file.name).read_bytes() != data:
                raise OutputError(f"{path}: expected the written bytes on disk, found others. Check the disk.")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON. Numpy numbers and arrays become plain ones."""
    write_bytes(path, (json.dumps(value, indent=2, default=_plain) + "\n").encode())


def _plain(value: Any) -> Any:
    to_list: Callable[[], Any] | None = getattr(value, "tolist", None)
    return to_list() if to_list else str(value)


def remove_partial_line(path: Path) -> None:
    """Remove the last line of a file if it has no end, because the process that appended it was killed."""
    with open_regular(path, None) as file:
        content = file.read()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def refuse_inputs(out: Path, *inputs: Path) -> None:
    """Check that writing ``out`` does not replace an input: by path, by link or by another name of the same file.

    Raises:
        OutputError: it is one of the ``inputs``.
    """
    for path in inputs:
        with suppress(OSError):
            if os.path.samefile(out, path):
                raise OutputError(f"{out}: expected a new file, found the input {path}. Choose another output.")
