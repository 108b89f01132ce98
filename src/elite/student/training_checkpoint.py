"""Load the student of a training checkpoint. Every key must be known."""

from pathlib import Path

from elite.errors import CheckpointError
from elite.student.networks import student_from
from elite.student.spvcnn import SPVCNN
from elite.student.student_file import domain_of, student_config
from elite.student.weight_shapes import check_fit
from elite.weights.torch_file import is_state_dict, open_torch

AVERAGE = "average.module."  # prefix of the student's moving average in a training checkpoint, if it has one


def load_training_checkpoint(path: Path) -> SPVCNN:
    """Load the student of a training checkpoint; errors as ``load_student``."""
    with open_torch(path) as file:
        values, state = file.content.get("elite_config"), file.content.get("state_dict")
        if not isinstance(values, dict) or not is_state_dict(state):
            raise CheckpointError(
                f"{path}: expected a checkpoint of elite train, found the keys {sorted(map(str, file.content))[:5]}. "
                "Convert a published checkpoint with 'elite import' first."
            )
        config = student_config(values.get("student"), path)
        has_average = any(name.startswith(AVERAGE) for name in state)
        prefix = AVERAGE if has_average else "student."
        stored = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        shapes = {name: value.shape for name, value in stored.items()}
        check_fit(config, shapes, path, remedy="Give another checkpoint of the run")
        return student_from(config, file.read(stored), path, **domain_of(file.content, path, "elite_"))
