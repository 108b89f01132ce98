"""Files: written so that a reader never meets half of one, read so that nothing in them is run or believed unseen."""

import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

from PIL import Image

from elite.errors import CheckpointError, DataError, OutputError, first_line

if TYPE_CHECKING:  # it takes seconds to import
    from torch import Tensor

_MOST_PIXELS = 2**25  # more than any camera has: a few bytes can claim any size, and memory is taken for it


def make_folder(path: Path) -> Path:
    """Create ``path`` and its parents.

    Raises:
        OutputError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the folder {path} ({error.strerror}); choose another place for the output."
        ) from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"the folder {path} is not writable; choose another place for the output.")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that appears at ``path`` only when the block ends well, whole and on disk.

    Raises:
        OutputError: the folder is not writable or the disk is full; what stood at ``path`` before is intact.
    """
    make_folder(path.parent)
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            yield file  # type: ignore[misc]
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error}); free the space or choose another place.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, data: bytes | memoryview, *, verify: bool = False) -> None:
    """``verify`` reads the file back before it takes the place of the one before.

    Raises:
        OutputError: not written, or other bytes came back; what stood at ``path`` before is intact.
    """
    with atomic_file(path) as file:
        file.write(data)
        if verify:
            file.flush()
            os.fsync(file.fileno())
            if Path(file.name).read_bytes() != data:
                raise OutputError(f"{path} came back from the disk with other bytes than were written; check the disk.")


def write_json(path: Path, value: Any) -> None:
    """``value`` as readable JSON; numpy numbers and arrays become plain ones."""
    write_bytes(path, (json.dumps(value, indent=2, default=_plain) + "\n").encode())


def _plain(value: Any) -> Any:
    to_list: Callable[[], Any] | None = getattr(value, "tolist", None)
    return to_list() if to_list else str(value)


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@contextmanager
def open_image(path: Path, *formats: str, remedy: str) -> Iterator[Image.Image]:
    """An image file of one of the ``formats``, Pillow's names: it knows others that start programs.

    Raises:
        DataError: missing, damaged (found out here or in the block), of another format, or too large; ``remedy`` says
            what to do.
    """
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, expected at most {_MOST_PIXELS}")
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} is not a readable image, {' or '.join(formats)} ({error}); {remedy}.") from error


def no_checkpoint(path: Path, error: OSError) -> CheckpointError:
    """What to say where a checkpoint cannot be opened."""
    if path.is_dir():
        inside = next(iter(sorted(path.rglob("*.ckpt"))), path / "checkpoints" / "best.ckpt")
        return CheckpointError(f"{path} is a folder; give a checkpoint, such as {inside}.")
    return CheckpointError(f"{path}: cannot read a checkpoint ({error.strerror}); check the path.")


def load_torch(path: Path) -> dict[str, Any]:
    """A torch file's dictionary, tensors and plain values only: nothing else is unpickled.

    Raises:
        CheckpointError: no such file, damaged, or it holds something else.
    """
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise no_checkpoint(path, error) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and plain values and is refused; "
            "copy it again, or save its state_dict alone with torch.save."
        ) from error
    except Exception as error:  # a damaged file makes the unpickler stumble over anything
        raise CheckpointError(
            f"{path} is not a readable torch file ({first_line(error)}); it may be cut short, copy it again."
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, expected a dictionary of weights.")
    return checkpoint


def is_state_dict(state: Any) -> "TypeGuard[dict[str, Tensor]]":
    """Whether these are arrays of real numbers by name."""
    return isinstance(state, dict) and all(isinstance(k, str) and _is_array(v) for k, v in state.items())


def _is_array(value: Any) -> bool:
    import torch

    if not isinstance(value, torch.Tensor) or value.is_nested or value.is_meta:
        return False
    return value.layout == torch.strided and not (value.is_quantized or value.is_complex())
