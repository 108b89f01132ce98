"""Save and load students: student files, and checkpoints of training runs."""

from pathlib import Path

from elite.files import write_bytes
from elite.student.networks import network_of
from elite.student.opening import open_student
from elite.student.spvcnn import SPVCNN
from elite.student.student_file import student_bytes


def save_student(student: SPVCNN, path: Path, *, half: bool = False) -> None:
    """Write weights and configuration to a student file, atomically; the same student gives the same bytes.

    The weights of the file contain ``remission_gain``, so that students with and without one have equal files.

    Args:
        student: the student.
        path: the file.
        half: store matrices and kernels in float16. Vectors, such as statistics of batch norms, stay float32.

    Raises:
        OutputError: the file cannot be written.
        CheckpointError: a weight that float16 does not represent.
    """
    write_bytes(path, student_bytes(student.trained(), half=half, path=path))


def load_student(path: str | Path) -> SPVCNN:
    """Load a student file or a training checkpoint (the student's moving average, if it has one), in eval mode.

    ``path`` may also be the name of a packaged student.

    Raises:
        CheckpointError: unreadable, another kind of file, or weights that do not fit their configuration.
    """
    return network_of(open_student(path))
