"""Mean of the weights of students."""

import pytest
import torch

from elite.errors import ConfigError
from elite.student import SPVCNN
from experiments.average_students import average
from tests.support.students import with_random_norms


def student(seed: int, channels: int = 4) -> SPVCNN:
    torch.manual_seed(seed)
    return with_random_norms(SPVCNN(channels=channels, strides=(1, 2)), std=0.2)


def test_average_is_the_mean_of_all_weights_and_statistics() -> None:
    found = average([student(0), student(1), student(2)]).state_dict()
    states = [student(seed).state_dict() for seed in range(3)]
    for name, value in found.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[name] for state in states) / 3)


def test_average_students_of_other_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match="students: expected equal settings"):
        average([student(0), student(1, channels=8)])
