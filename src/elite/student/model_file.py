"""Model files (*.elite), which libelite reads: a safetensors file with the student and a hash of all its bytes.

The metadata entry ``elite-model-1`` contains, as JSON, the entries of a student file, the RGB of each class
(``colors``), the precision to compute with (``precision``), and the SHA-256 of the file (``sha256``), in which these 64
digits count as zeros. ``native/engine/model_file.h`` describes the reader.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.numpy import save

from elite.files import write_bytes
from elite.native import Precision
from elite.student.model_hash import NO_DIGITS, sealed
from elite.student.student_file import MODEL_FORMAT, file_entries, stored_weights
from elite.student.trained import TrainedStudent

if TYPE_CHECKING:
    from elite.student.spvcnn import SPVCNN


def model_bytes(
    student: "TrainedStudent | SPVCNN", precision: Precision = "fp32", *, half: bool = False, path: Path = Path("model")
) -> bytes:
    """Return the contents of the model file of a student; arguments as for ``save_model``."""
    student = student.trained()
    entries = {**file_entries(student), "colors": student.taxonomy.colors.tolist(), "precision": precision}
    about = json.dumps({**entries, "sha256": NO_DIGITS})
    content = save(stored_weights(student, path, half=half), {MODEL_FORMAT: about})
    return sealed(content)


def save_model(
    student: "TrainedStudent | SPVCNN", path: Path, *, precision: Precision = "fp32", half: bool = False
) -> None:
    """Write a model file, atomically; the same student gives the same bytes.

    Args:
        student: the student.
        path: the file.
        precision: numbers that the network multiplies, unless its user chooses others.
        half: store matrices and kernels in float16.

    Raises:
        OutputError: the file cannot be written.
        CheckpointError: a weight that float16 does not represent.
    """
    write_bytes(path, model_bytes(student, precision, half=half, path=path))
