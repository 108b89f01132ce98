"""Transfer of a trained student to other classes, to past scans, or to another gain of the remission."""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from elite.student.point_mlp import REMISSION
from elite.student.spvcnn import SPVCNN
from elite.taxonomy import IGNORE, Taxonomy

_INPUT_WEIGHT = "point_mlp.hidden.weight"  # the only one with a column for each input feature
OUTPUT_LAYER = "classifier.2"  # the only layer whose weights have a row for each class


def shared_classes(old: Taxonomy, new: Taxonomy) -> dict[int, int]:
    """Train id in ``old`` of each class of ``new`` with the same name. The ignored classes always correspond."""
    old_ids = {name: i for i, name in enumerate(old.names) if i != IGNORE}
    by_name = {i: old_ids[name] for i, name in enumerate(new.names) if i != IGNORE and name in old_ids}
    return {IGNORE: IGNORE, **by_name}


def new_classes(old: Taxonomy, new: Taxonomy) -> list[str]:
    """Names of the classes of ``new`` without a class of the same name in ``old``."""
    shared = shared_classes(old, new)
    return [name for i, name in enumerate(new.names) if i not in shared]


def transfer_to(student: SPVCNN, taxonomy: Taxonomy) -> SPVCNN:
    """Return a student for other classes with the weights of ``student``.

    Its output layer is new, drawn from torch's random numbers. Rows of ``shared_classes`` are then copied.
    """
    shared = shared_classes(student.taxonomy, taxonomy)
    config = replace(student.config, classes=len(taxonomy))
    result = SPVCNN.from_config(config, taxonomy, student.sensor, student.remission)
    weights, drawn = student.state_dict(), result.state_dict()
    for name in (f"{OUTPUT_LAYER}.weight", f"{OUTPUT_LAYER}.bias"):
        rows = drawn[name].clone()
        rows[list(shared)] = weights[name][list(shared.values())]
        weights[name] = rows
    result.load_state_dict(weights)
    return result


def with_past_scans(student: SPVCNN, count: int) -> SPVCNN:
    """Return a student for ``count`` past scans with the weights of ``student``.

    If that has no past scans, the weights of the age are 0: the student computes the same for points of any age.
    """
    config = replace(student.config, past_scans=count)
    result = SPVCNN.from_config(config, student.taxonomy, student.sensor, student.remission)
    weights = student.state_dict()
    if not student.config.past_scans:
        weights[_INPUT_WEIGHT] = nn.functional.pad(weights[_INPUT_WEIGHT], (0, 1))
    result.load_state_dict(weights)
    return result


def with_remission_gain(student: SPVCNN, gain: float) -> SPVCNN:
    """Return the same network with another ``remission_gain``: the weights of the remission are scaled instead."""
    if student.config.remission_gain == gain:
        return student
    result = deepcopy(student)
    result.config = replace(student.config, remission_gain=gain)
    with torch.no_grad():
        result.point_mlp.hidden.weight[:, REMISSION] *= student.config.remission_gain / gain
    return result
