"""Errors of files of weights, and the limit of their headers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elite.errors import CheckpointError, first_line, is_out_of_memory

HEADER_BYTES = 2**24  # limit of a file's description of its tensors: directory, pickles or JSON


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """Error of a checkpoint that cannot be opened or read."""
    if isinstance(error, IsADirectoryError):
        inside = sorted([*path.glob("*.ckpt"), *path.glob("checkpoints/*.ckpt")])
        remedy = f"Give a file in it, such as {inside[0]}" if inside else "Give a file"
        return CheckpointError(f"{path}: expected a checkpoint, found a folder. {remedy}.")
    return CheckpointError(f"{path}: expected a checkpoint, found {first_line(error)}. Check the path.")


def too_large(source: object) -> CheckpointError:
    """Error of weights that do not fit in memory."""
    return CheckpointError(
        f"{source}: expected weights that fit in memory, found more. Check the size of the model, or free memory."
    )


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Convert every error of a reader into one about the file.

    Raises:
        CheckpointError: unreadable, damaged, not as ``expected``, or larger than the memory.
    """
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # readers of a damaged file fail in many ways
        if is_out_of_memory(error):
            raise too_large(path) from error
        raise CheckpointError(
            f"{path}: expected {expected}, found damage or another kind of file ({first_line(error)}). "
            "Copy it again, because it may be truncated."
        ) from error
