"""Open any file of a student: a student file, a model file, or the checkpoint of a training run."""

from pathlib import Path
from typing import TYPE_CHECKING

from elite.errors import CheckpointError, require_extra
from elite.files import open_regular
from elite.packaged_students import expected_student, student_path
from elite.student.student_file import read_student
from elite.student.trained import TrainedStudent
from elite.weights.reading import unreadable

if TYPE_CHECKING:
    from elite.student.spvcnn import SPVCNN


def open_student(path: str | Path) -> "TrainedStudent | SPVCNN":
    """Open the file of a student. Only checkpoints of training runs, which contain a network, require PyTorch.

    ``path`` may also be the name of a packaged student.

    Raises:
        CheckpointError: unreadable, another kind of file, or weights that do not fit their configuration.
        MissingExtraError: a checkpoint of a training run, and PyTorch is not installed.
    """
    path = student_path(path)
    if _is_safetensors(path):
        return read_student(path)
    require_extra("torch", "train", needed_for="checkpoints of training runs")
    from elite.student.training_checkpoint import load_training_checkpoint

    return load_training_checkpoint(path)


def _is_safetensors(path: Path) -> bool:
    try:
        with open_regular(path, None) as file:
            start = file.read(9)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: expected {expected_student()}, found no such file or folder. Check the path."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if start[8:] == b"{":  # after the length of its header
        return True
    if not start.startswith((b"PK", b"\x80")):
        raise CheckpointError(
            f"{path}: expected a student file or a checkpoint, found neither a safetensors nor a torch file. Copy it "
            "again, because it may be truncated."
        )
    return False
