"""Networks with given weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from elite.config import StudentConfig
from elite.errors import CheckpointError, ConfigError
from elite.remission import Quantiles
from elite.sensor import SensorSpec
from elite.student.spvcnn import SPVCNN
from elite.student.trained import TrainedStudent, other_classes
from elite.taxonomy import Taxonomy
from elite.weights.torch_file import check_numbers


def network_of(student: SPVCNN | TrainedStudent) -> SPVCNN:
    """Return the network of a student, in eval mode; a network is its own."""
    if isinstance(student, SPVCNN):
        return student.eval()
    weights = {name: torch.from_numpy(weight.copy()) for name, weight in student.weights.items()}
    return student_from(student.config, weights, student.source, student.taxonomy, student.sensor, student.remission)


def student_from(
    config: StudentConfig,
    state: Mapping[str, Tensor],
    source: object,
    taxonomy: Taxonomy | None = None,
    sensor: SensorSpec | None = None,
    remission: Quantiles | None = None,
) -> SPVCNN:
    """Return a student with weights that fit it, in eval mode.

    Raises:
        CheckpointError: a weight is not finite, or the classes do not fit the taxonomy.
    """
    check_numbers(state, source)
    if taxonomy is not None and len(taxonomy) != config.classes:
        raise other_classes(taxonomy, config.classes, source)
    try:
        student = SPVCNN.from_config(config, taxonomy, sensor, remission)
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from error
    student.load_state_dict(dict(state), strict=True)
    return student.eval()
